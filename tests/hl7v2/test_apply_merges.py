"""Messages that merge Patients, applied to a store (the rest of test_apply.py).

Spec: https://hl7.org/fhir/R4/patient.html#merge
"""

import asyncio

import pytest
from apply_parts import (
    GUIFANG,
    LOCAL,
    OTHER,
    RESIDENT,
    converted,
    identifier,
    observation,
    patient,
    replaced,
    url,
)

from fhir_hub.errors import InvalidMessage, PreconditionFailed, VersionConflict


async def create(repository, resource):
    async def work(unit):
        return unit.create(resource)

    return await repository.commit(work)


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Practitioner"},
        {"resourceType": "Communication", "status": "completed"},
    ],
    ids=lambda resource: resource["resourceType"],
)
async def test_an_identifier_that_two_resources_hold_is_an_error(take, repository, resource):
    numbered = {**resource, "identifier": [identifier("D1")]}
    for _ in range(2):
        await create(repository, numbered)

    with pytest.raises(PreconditionFailed, match="held by 2"):
        await take(converted(numbered, (LOCAL, "D1")))


async def test_provenance_names_what_the_message_wrote_once(take, all_of):
    target = [{"reference": url(name)} for name in ("patient", "observation-o1", "patient")]
    provenance = {
        "resourceType": "Provenance",
        "target": target,
        "recorded": "2025-03-14T00:00:00Z",
        "agent": [{"who": {"display": "HIS"}}],
    }
    keys = await take(patient(identifier("T1")), observation("o1"), converted(provenance))

    (found,) = await all_of("Provenance")
    assert [one["reference"] for one in found["target"]] == ["/".join(key) for key in keys[:2]]


async def test_fifty_messages_about_one_unknown_patient_make_one(take, all_of):
    await asyncio.gather(
        *(
            take(
                patient(identifier("T1"), identifier(f"card-{n}", "urn:cards")),
                observation(f"o{n}"),
            )
            for n in range(50)
        )
    )

    (found,) = await all_of("Patient")
    results = await all_of("Observation")
    assert len(results) == 50
    assert {one["subject"]["reference"] for one in results} == {f"Patient/{found['id']}"}
    assert len(found["identifier"]) == 51


# merges


@pytest.fixture
async def two(take):
    """Two records of one patient, each with a result."""
    await take(patient(identifier(GUIFANG, RESIDENT), identifier("T1")), observation("new"))
    await take(patient(identifier("T2"), gender="female"), observation("old"))


async def test_a_merge_links_both_and_ends_the_prior_one(take, two, by_number):
    await take(patient(identifier("T1")), replaced(identifier("T2")))

    survivor, prior = await by_number("T1"), await by_number("T2")
    assert survivor["link"] == [
        {"other": {"reference": f"Patient/{prior['id']}"}, "type": "replaces"}
    ]
    assert prior["link"] == [
        {"other": {"reference": f"Patient/{survivor['id']}"}, "type": "replaced-by"}
    ]
    assert (survivor["active"], prior["active"], prior["gender"]) == (True, False, "female")


async def test_what_referred_to_the_prior_one_refers_to_the_survivor(
    take, two, by_number, all_of, repository
):
    prior = await by_number("T2")
    old = {"reference": f"Patient/{prior['id']}"}
    for resource in (
        {"resourceType": "Coverage", "status": "active", "beneficiary": old, "payor": [old]},
        {"resourceType": "Appointment", "status": "proposed"}
        | {"participant": [{"actor": old, "status": "accepted"}]},
        {"resourceType": "Provenance", "target": [old], "recorded": "2025-03-14T00:00:00Z"}
        | {"agent": [{"who": {"display": "HIS"}}]},
    ):
        await create(repository, resource)

    await take(patient(identifier("T1")), replaced(identifier("T2")))

    new = {"reference": f"Patient/{(await by_number('T1'))['id']}"}
    assert [one["subject"] for one in await all_of("Observation")] == [new, new]
    (cover,), (booked,) = await all_of("Coverage"), await all_of("Appointment")
    assert (cover["beneficiary"], cover["payor"]) == (new, [new])
    assert booked["participant"][0]["actor"] == new
    (record,) = await all_of("Provenance")
    assert record["target"] == [old]


async def test_a_merge_that_comes_again_changes_nothing(take, two, store, all_of):
    for _ in range(2):
        await take(patient(identifier("T1")), replaced(identifier("T2")))

    people = await all_of("Patient")
    assert [one["meta"]["versionId"] for one in people] == ["2", "2"]


async def test_an_unknown_prior_number_becomes_an_inactive_patient(take, by_number, all_of):
    await take(patient(identifier("T1")), replaced(identifier("T2")))

    survivor, prior = await by_number("T1"), await by_number("T2")
    assert prior["active"] is False
    assert prior["link"][0]["other"]["reference"] == f"Patient/{survivor['id']}"
    assert survivor["link"][0]["type"] == "replaces"


async def test_an_unknown_survivor_is_created(take, by_number):
    await take(patient(identifier("T2")))
    await take(patient(identifier("T1")), replaced(identifier("T2")))

    assert (await by_number("T1"))["active"] is True
    assert (await by_number("T2"))["active"] is False


async def test_a_later_message_to_the_prior_number_reaches_the_survivor(
    take, two, by_number, all_of
):
    await take(patient(identifier("T1"), gender="female"), replaced(identifier("T2")))
    await take(patient(identifier("T2"), gender="male"), observation("later"))

    survivor = await by_number("T1")
    assert survivor["gender"] == "female"  # who uses the old number knows less
    assert (await all_of("Observation"))[-1]["subject"]["reference"] == f"Patient/{survivor['id']}"
    assert (await by_number("T2"))["active"] is False


async def test_a_later_message_with_both_numbers_changes_the_survivor_alone(take, two, by_number):
    await take(patient(identifier("T1")), replaced(identifier("T2")))
    await take(patient(identifier("T1"), identifier("T2"), birthDate="1953-04-12"))

    survivor = await by_number("T1")
    assert survivor["birthDate"] == "1953-04-12"
    assert [one["value"] for one in survivor["identifier"]] == [GUIFANG, "T1"]


async def test_a_chain_of_merges_leads_to_the_last_survivor(take, by_number, all_of):
    await take(patient(identifier("T1")), observation("o1"))
    await take(patient(identifier("T2")), replaced(identifier("T1")))
    await take(patient(identifier("T3")), replaced(identifier("T2")))
    await take(patient(identifier("T1")), observation("o2"))

    last = f"Patient/{(await by_number('T3'))['id']}"
    assert [one["subject"]["reference"] for one in await all_of("Observation")] == [last, last]


async def test_two_different_resident_ids_are_not_merged(take, two, by_number):
    await take(patient(identifier("T3"), identifier(OTHER, RESIDENT)))

    for message in (
        (patient(identifier("T1")), replaced(identifier("T3"))),
        (patient(identifier("T9"), identifier(GUIFANG, RESIDENT)), replaced(identifier("T3"))),
        (patient(identifier("T9"), identifier(OTHER, RESIDENT)), replaced(identifier("T1"))),
    ):
        with pytest.raises(VersionConflict, match="different persons"):
            await take(*message)
    assert (await by_number("T3"))["active"] is True


async def test_a_number_of_the_survivor_itself_merges_nothing(take, all_of):
    await take(patient(identifier("T1"), identifier("T2")))
    await take(patient(identifier("T1")), replaced(identifier("T2")))

    (found,) = await all_of("Patient")
    assert (found["active"], found.get("link")) == (True, None)


@pytest.mark.parametrize("numbers", [("T1",), ("T1", "T2")], ids=["two records", "one record"])
async def test_a_link_that_the_message_itself_brings_counts_once(take, by_number, numbers):
    await take(patient(*map(identifier, numbers)))
    links = [
        {"other": {"reference": url("prior")}, "type": "replaces"},
        {"other": {"reference": "Patient/elsewhere"}, "type": "seealso"},
    ]
    await take(patient(identifier("T1"), link=links), replaced(identifier("T2")))

    found = [link["type"] for link in (await by_number("T1"))["link"]]
    assert found == (["seealso", "replaces"] if len(numbers) == 1 else ["seealso"])


async def test_a_record_merged_elsewhere_is_not_merged_again(take, two):
    await take(patient(identifier("T1")), replaced(identifier("T2")))

    with pytest.raises(VersionConflict, match="another merged record"):
        await take(patient(identifier("T3")), replaced(identifier("T2")))


async def test_a_prior_number_that_two_hold_is_an_error(take, two, repository):
    for _ in range(2):
        await create(repository, {"resourceType": "Patient", "identifier": [identifier("T7")]})

    with pytest.raises(VersionConflict, match="several"):
        await take(patient(identifier("T1")), replaced(identifier("T7")))


async def test_a_merge_without_a_prior_number_is_an_error(take):
    with pytest.raises(InvalidMessage) as caught:
        await take(patient(identifier("T1")), replaced())
    assert (caught.value.error_code, caught.value.location) == ("101", "MRG-1")


async def test_results_and_a_merge_at_once_leave_none_with_the_prior_record(
    take, two, by_number, all_of
):
    await asyncio.gather(
        *(take(patient(identifier("T2")), observation(f"o{n}")) for n in range(20)),
        take(patient(identifier("T1")), replaced(identifier("T2"))),
        *(take(patient(identifier("T2")), observation(f"p{n}")) for n in range(20)),
    )

    survivor = f"Patient/{(await by_number('T1'))['id']}"
    results = await all_of("Observation")
    assert len(results) == 42
    assert {one["subject"]["reference"] for one in results} == {survivor}
