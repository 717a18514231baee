"""A converted message applied to a store: matched, merged, referred, exactly once.

Spec: https://hl7.org/fhir/R4/patient.html#merge; DOMAIN 0.12
"""

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
    url,
)

from fhir_hub.errors import VersionConflict
from fhir_hub.store.base import Key


async def create(repository, resource):
    async def work(unit):
        return unit.create(resource)

    return await repository.commit(work)


async def test_an_unknown_patient_is_created_and_referred_to(take, all_of):
    keys = await take(patient(identifier("T1")), observation("o1"))

    (person,), (result,) = await all_of("Patient"), await all_of("Observation")
    assert result["subject"] == {"reference": f"Patient/{person['id']}"}
    assert keys == (Key("Patient", person["id"]), Key("Observation", result["id"]))


async def test_the_same_message_again_makes_no_new_version(take, all_of, store):
    for _ in range(2):
        keys = await take(patient(identifier("T1"), gender="female"), observation("o1"))

    assert [len(await all_of(name)) for name in ("Patient", "Observation")] == [1, 1]
    for key in keys:
        assert (await store.read(key)).version_id == 1


async def test_a_patient_is_found_by_resident_id_whatever_its_alias(take, by_number):
    await take(patient(identifier(GUIFANG, RESIDENT), identifier("Z1")))
    alias = identifier(GUIFANG, "urn:oid:2.16.840.1.113883.2.23.1.9.1")
    await take(patient(alias, identifier("T1"), birthDate="1953-04-12"))

    found = await by_number("T1")
    assert {one["value"] for one in found["identifier"]} == {GUIFANG, "Z1", "T1"}
    assert (found["birthDate"], found["meta"]["versionId"]) == ("1953-04-12", "2")


async def test_a_patient_without_a_number_is_always_new(take, all_of):
    for _ in range(2):
        await take(patient(name="a", gender="female"), patient(name="b", gender="male"))

    assert len(await all_of("Patient")) == 4


async def test_another_resident_id_under_the_same_number_is_an_error(take, all_of):
    await take(patient(identifier("T1"), identifier(GUIFANG, RESIDENT)))

    with pytest.raises(VersionConflict):
        await take(patient(identifier("T1"), identifier(OTHER, RESIDENT)), observation("o1"))
    assert await all_of("Observation") == []


async def test_numbers_of_two_records_in_one_message_leave_both_to_be_found(take, all_of):
    await take(patient(identifier("T1")))
    await take(patient(identifier("T2")))
    await take(patient(identifier("T1"), identifier("T2")), observation("o1"))
    for number in ("T1", "T2"):
        await take(patient(identifier(number)), observation(f"of {number}"))

    first, second = await all_of("Patient")
    assert [len(one["identifier"]) for one in (first, second)] == [1, 1]
    subjects = [one["subject"]["reference"] for one in await all_of("Observation")]
    assert subjects == [f"Patient/{one['id']}" for one in (first, first, second)]


async def test_a_local_number_goes_with_the_resident_id(take, all_of):
    await take(patient(identifier("T1")))
    await take(patient(identifier(GUIFANG, RESIDENT)))
    await take(patient(identifier(GUIFANG, RESIDENT), identifier("T1")))
    await take(patient(identifier("T1")), observation("o1"))

    _, resident = await all_of("Patient")
    (result,) = await all_of("Observation")
    assert result["subject"]["reference"] == f"Patient/{resident['id']}"


async def test_other_resources_are_found_by_their_strongest_identifier(take, all_of):
    order = {"resourceType": "ServiceRequest", "status": "active", "intent": "order"}

    def message(status, *pairs):
        identifiers = [{"system": s, "value": v} for s, v in pairs]
        resource = {**order, "status": status, "identifier": identifiers}
        return converted({**resource, "subject": {"reference": url("patient")}}, *pairs)

    await take(
        patient(identifier("T1")), message("active", ("urn:filler", "1"), ("urn:placer", "1"))
    )
    await take(patient(identifier("T1")), message("completed", ("urn:placer", "1")))
    await take(
        patient(identifier("T1")), message("revoked", ("urn:filler", "2"), ("urn:placer", "3"))
    )

    assert [one["status"] for one in await all_of("ServiceRequest")] == ["completed", "revoked"]


async def test_what_a_message_only_mentions_is_left_as_it_is(take, all_of):
    def doctor(name):
        resource = {"resourceType": "Practitioner", "identifier": [identifier("D1")]}
        return converted({**resource, "name": [{"text": name}]}, (LOCAL, "D1"), mode="create")

    await take(doctor("顾文清"))
    await take(doctor("顾"))

    (found,) = await all_of("Practitioner")
    assert found["name"] == [{"text": "顾文清"}]


async def test_one_doctor_named_twice_in_a_message_is_one_resource(take, all_of):
    def doctor(place, **rest):
        resource = {"resourceType": "Practitioner", "identifier": [identifier("D1")], **rest}
        return converted(resource, (LOCAL, "D1"), name=place, mode="create")

    result = observation(
        "o1",
        performer=[{"reference": url("first")}, {"reference": url("second")}],
    )
    keys = await take(
        patient(identifier("T1")),
        doctor("first", active=True),
        doctor("second", name=[{"text": "顾文清"}]),
        result,
    )

    (found,), (made,) = await all_of("Practitioner"), await all_of("Observation")
    assert (found["active"], found["name"]) == (True, [{"text": "顾文清"}])
    assert made["performer"] == [{"reference": f"Practitioner/{found['id']}"}]
    assert len(keys) == 3


async def test_things_that_unite_keep_what_each_deletes_and_takes_out(take, all_of):
    start = {"status": "proposed", "identifier": [identifier("A1")]}
    people = [
        {"actor": {"reference": url(name)}, "status": "accepted"}
        for name in ("patient", "d1", "d2")
    ]

    def doctor(name):
        resource = {"resourceType": "Practitioner", "identifier": [identifier(name)]}
        return converted(resource, (LOCAL, name), name=name, mode="create")

    def appointment(**rest):
        nulls, removes = rest.pop("nulls", ()), rest.pop("removes", None)
        resource = {"resourceType": "Appointment", **start, **rest}
        return converted(resource, (LOCAL, "A1"), nulls=nulls, removes=removes)

    message = (patient(identifier("T1")), doctor("d1"), doctor("d2"))
    await take(*message, appointment(participant=people, comment="x", description="y"))
    await take(
        *message,
        appointment(nulls=("comment",), removes={"participant": [people[1]]}),
        appointment(nulls=("description",), removes={"participant": [url("d2")]}),
    )

    (found,) = await all_of("Appointment")
    assert {"comment", "description"}.isdisjoint(found)
    assert len(found["participant"]) == 1
