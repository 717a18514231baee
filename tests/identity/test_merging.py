"""`Patient/$merge` and `$unmerge`: both records stay readable, and what belongs to them follows.

Spec: https://hl7.org/fhir/R4/patient.html#merge; docs/identity.md
"""

import asyncio

import pytest
from identity.merge_parts import (
    LOCAL,
    ONE,
    OTHER,
    RESIDENT,
    observation,
    parameters,
    put,
    read,
    shen,
    tasks,
)

BOTH = {"source_patient": "Patient/b", "target_patient": "Patient/a"}


@pytest.fixture
async def two(client):
    """Patient a, and b who has two observations."""
    await put(client, shen("a", (LOCAL, "A1")), shen("b", (LOCAL, "B1"), birthDate="1953-04-17"))
    await put(client, observation("x", "b"), observation("y", "b"), observation("z", "a"))


async def merged(client, operation="$merge", **given):
    answer = await client.post(f"Patient/{operation}", json=parameters(**(given or BOTH)))
    assert answer.status_code == 200, answer.text
    return {row["name"]: row["resource"] for row in answer.json()["parameter"]}


@pytest.mark.usefixtures("two")
async def test_both_stay_readable_and_what_referred_to_one_refers_to_the_other(client):
    told = await merged(client)

    a, b = await read(client, "Patient/a"), await read(client, "Patient/b")
    assert a["link"] == [{"other": {"reference": "Patient/b"}, "type": "replaces"}]
    assert b["link"] == [{"other": {"reference": "Patient/a"}, "type": "replaced-by"}]
    assert b["active"] is False
    assert b["identifier"] == [{"system": LOCAL, "value": "B1"}]
    x = await read(client, "Observation/x")
    assert x["subject"] == {"reference": "Patient/a"}
    assert x["performer"] == [{"reference": "Patient/a"}]
    assert told["result"] == a
    assert told["outcome"]["issue"][0]["diagnostics"].startswith("2 resources of Patient/b")
    [provenance] = (await read(client, "Provenance?target=Patient/b"))["entry"]
    assert provenance["resource"]["activity"]["coding"][0]["code"] == "merge"


@pytest.mark.usefixtures("two")
async def test_a_merge_undone_leaves_things_as_they_were(client):
    before = [await read(client, f"Observation/{one}") for one in "xyz"]
    await merged(client)

    told = await merged(client, "$unmerge", source_patient="Patient/b")

    a, b = await read(client, "Patient/a"), await read(client, "Patient/b")
    assert "link" not in a
    assert "link" not in b
    assert b["active"] is True
    after = [await read(client, f"Observation/{one}") for one in "xyz"]
    for one in (*before, *after):
        del one["meta"]
    assert after == before
    assert told["result"] == b
    assert "2 resources went back to Patient/b" in told["outcome"]["issue"][0]["diagnostics"]


@pytest.mark.usefixtures("two")
async def test_a_preview_changes_nothing(client):
    told = await merged(client, **BOTH, preview=True)

    assert told["outcome"]["issue"][0]["diagnostics"].startswith("preview, nothing was changed: 2")
    assert told["result"]["link"][0]["type"] == "replaces"
    assert "link" not in await read(client, "Patient/a")
    assert (await read(client, "Observation/x"))["subject"] == {"reference": "Patient/b"}
    assert (await client.get("Provenance?_summary=count")).json()["total"] == 0


@pytest.mark.usefixtures("two")
async def test_identifiers_name_patients_too_and_a_result_can_be_given(client):
    result = shen("a", (LOCAL, "A1"), gender="unknown")

    await merged(
        client,
        source_patient_identifier={"system": LOCAL, "value": "B1"},
        target_patient_identifier={"system": LOCAL, "value": "A1"},
        result_patient=result,
    )

    a = await read(client, "Patient/a")
    assert (a["gender"], a["link"][0]["type"]) == ("unknown", "replaces")


@pytest.mark.usefixtures("two")
async def test_a_chain_is_undone_link_by_link(client):
    await put(client, shen("c", (LOCAL, "C1"), birthDate="1953-04-13"))
    await merged(client)
    await merged(client, source_patient="Patient/a", target_patient="Patient/c")
    assert (await read(client, "Observation/x"))["subject"] == {"reference": "Patient/c"}

    await merged(client, "$unmerge", source_patient="Patient/a", target_patient="Patient/c")
    await merged(client, "$unmerge", source_patient="Patient/b")

    subjects = [(await read(client, f"Observation/{one}"))["subject"] for one in "xyz"]
    assert [one["reference"] for one in subjects] == ["Patient/b", "Patient/b", "Patient/a"]


@pytest.mark.usefixtures("two")
async def test_of_merges_at_once_in_both_directions_one_is_done(client):
    turned = {"source_patient": "Patient/a", "target_patient": "Patient/b"}
    asked = [parameters(**BOTH), parameters(**turned)] * 3
    answers = await asyncio.gather(*(client.post("Patient/$merge", json=one) for one in asked))

    assert sorted(one.status_code for one in answers) == [200, *[409] * 5]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({}, 400, "name the source"),
        ({"source_patient": "Patient/b"}, 400, "name the target"),
        (BOTH | {"delete_source": True}, 400, "delete-source"),
        (BOTH | {"source_patient": "Observation/x"}, 400, "must refer to a Patient"),
        (BOTH | {"source_patient": "Patient/none"}, 404, "source patient does not exist"),
        (BOTH | {"target_patient": "Patient/b"}, 422, "into itself"),
        (BOTH | {"target_patient": "Patient/lu"}, 422, "two persons"),
        (BOTH | {"result_patient": shen("c")}, 400, "another id"),
        (BOTH | {"result_patient": observation("x", "a")}, 400, "must be a Patient"),
        (
            BOTH | {"source_patient_identifier": {"system": LOCAL, "value": "A1"}},
            404,
            "all these identifiers",
        ),
        ({"source_patient_identifier": {"value": "B1"}}, 400, "needs system and value"),
        (
            {"source_patient_identifier": {"system": LOCAL, "value": "X"}},
            404,
            "no patient has the identifiers",
        ),
    ],
)
@pytest.mark.usefixtures("two")
async def test_what_cannot_be_merged_is_refused_with_the_reason(client, given, status, said):
    await put(client, shen("lu", (RESIDENT, OTHER), name=[{"text": "陆建国"}], gender="male"))
    await put(client, shen("b", (LOCAL, "B1"), (RESIDENT, ONE)))

    answer = await client.post(
        "Patient/$merge", json=parameters(**given) if given else {"resourceType": "Parameters"}
    )

    assert answer.status_code == status, answer.text
    issue = answer.json()["issue"][0]
    assert said in issue["diagnostics"]
    assert " / " in issue["details"]["text"]
    assert ONE not in answer.text


@pytest.mark.usefixtures("two")
async def test_what_is_not_merged_cannot_be_undone_and_nothing_merges_twice(client):
    source = parameters(source_patient="Patient/b")
    assert (await client.post("Patient/$unmerge", json=source)).status_code == 409
    await merged(client)
    await put(client, shen("c", birthDate="1971-01-01"))

    for given in (BOTH, {"source_patient": "Patient/c", "target_patient": "Patient/b"}):
        answer = await client.post("Patient/$merge", json=parameters(**given))
        assert answer.status_code == 409
        assert "Patient/a already" in answer.json()["issue"][0]["diagnostics"]
    other = parameters(source_patient="Patient/b", target_patient="Patient/c")
    assert (await client.post("Patient/$unmerge", json=other)).status_code == 409
    assert (await client.post("Observation/$merge", json=source)).status_code == 404


@pytest.mark.usefixtures("two")
async def test_a_merge_answers_the_question_of_the_review_list_and_its_undoing_too(client):
    [task] = await tasks(client)
    assert task["status"] == "requested"

    await merged(client)
    [task] = await tasks(client)
    assert (task["status"], task["focus"]) == ("completed", {"reference": "Patient/b"})

    await merged(client, "$unmerge", source_patient="Patient/b")
    [task] = await tasks(client)
    assert task["status"] == "rejected"
    assert task["businessStatus"]["coding"][0]["code"] == "not-a-duplicate"
