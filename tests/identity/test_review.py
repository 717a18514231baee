"""The review list: each pair that may be one person is asked once, and an answer is done.

Spec: docs/identity.md; https://hl7.org/fhir/R4/task.html
"""

import asyncio

import pytest
from identity.merge_parts import LOCAL, ONE, OTHER, RESIDENT, observation, put, read, shen, tasks

PAIR = "https://fhir-hub.example/sid/possible-duplicate"


def answered(task, status):
    return task | {"status": status}


@pytest.fixture
async def task(client):
    """The one question, about b who came after a, and has an observation."""
    await put(client, shen("a"), shen("b", birthDate="1953-04-17"), observation("x", "b"))
    [found] = await tasks(client)
    return found


def test_a_pair_is_asked_with_score_grade_and_reasons_and_nothing_of_the_people(task):
    assert task["status"] == "requested"
    assert (task["focus"]["reference"], task["for"]["reference"]) == ("Patient/b", "Patient/a")
    assert task["identifier"] == [{"system": PAIR, "value": "a:b"}]
    inputs = {row["type"]["coding"][0]["code"]: row for row in task["input"]}
    assert 0.999 < inputs["score"]["valueDecimal"] <= 1
    assert inputs["grade"]["valueCode"] == "certain"
    fields = [row["valueString"] for row in task["input"] if "valueString" in row]
    assert [one.rpartition(" ")[0] for one in fields] == [
        "name: same",
        "birthDate: typo",
        "gender: same",
        "phone: same",
    ]
    assert "沈" not in str(task)


async def test_a_pair_is_asked_once(client, task):
    await put(client, shen("b", birthDate="1953-04-12"), shen("a", name=[{"text": "沈桂香"}]))
    await put(client, shen("a", birthDate="1953-04-17"))

    assert len(await tasks(client)) == 1


async def test_writes_at_once_ask_once_each(client):
    records = [shen(f"p{number}") for number in range(5)]
    await asyncio.gather(*(put(client, one) for one in records))

    found = await tasks(client)
    assert len(found) == 10
    assert len({one["identifier"][0]["value"] for one in found}) == 10


async def test_records_of_one_bundle_are_asked_too(client):
    entries = [
        {"resource": shen(one), "request": {"method": "PUT", "url": f"Patient/{one}"}}
        for one in "ab"
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert (await client.post("", json=bundle)).status_code == 200

    assert len(await tasks(client)) == 1


async def test_completed_merges_the_later_into_the_earlier(client, task):
    answer = await client.put(f"Task/{task['id']}", json=answered(task, "completed"))

    assert answer.status_code == 200, answer.text
    assert (await read(client, "Patient/b"))["link"][0]["type"] == "replaced-by"
    assert (await read(client, "Observation/x"))["subject"] == {"reference": "Patient/a"}
    [done] = await tasks(client)
    assert (done["status"], done["businessStatus"]["coding"][0]["code"]) == ("completed", "merged")
    assert done["for"] == {"reference": "Patient/a"}

    again = await client.put(f"Task/{task['id']}", json=answered(done, "requested"))
    assert again.status_code == 409
    assert "$unmerge" in again.json()["issue"][0]["diagnostics"]


async def test_rejected_is_never_asked_again(client, task):
    patch = [{"op": "replace", "path": "/status", "value": "rejected"}]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = await client.patch(f"Task/{task['id']}", json=patch, headers=headers)
    assert answer.status_code == 200, answer.text

    await put(client, shen("b", (LOCAL, "B1")), shen("a", (LOCAL, "A1")))

    [found] = await tasks(client)
    assert found["status"] == "rejected"
    assert "link" not in await read(client, "Patient/b")


async def test_two_with_different_resident_ids_cannot_be_merged_by_an_answer(client, task):
    await put(client, shen("a", (RESIDENT, ONE)), shen("b", (RESIDENT, OTHER)))

    answer = await client.put(f"Task/{task['id']}", json=answered(task, "completed"))

    assert answer.status_code == 422
    assert (await tasks(client))[0]["status"] == "requested"


async def test_a_question_is_not_changed_into_another(client, task):
    await put(client, shen("c", name=[{"text": "赵一鸣"}]))
    other = task | {"focus": {"reference": "Patient/c"}, "status": "completed"}
    assert (await client.put(f"Task/{task['id']}", json=other)).status_code == 422

    new = {name: value for name, value in task.items() if name not in ("id", "meta")}
    new["identifier"] = [{"system": PAIR, "value": "b:c"}]
    new |= {"for": {"reference": "Patient/c"}, "status": "completed"}
    assert (await client.post("Task", json=new)).status_code == 422


async def test_an_answer_about_records_merged_meanwhile_is_about_their_survivors(client, task):
    await put(client, shen("c", birthDate="1953-04-12"))
    found = {one["identifier"][0]["value"]: one for one in await tasks(client)}
    assert set(found) == {"a:b", "a:c", "b:c"}
    for pair in ("a:b", "b:c"):
        current = next(t for t in await tasks(client) if t["identifier"][0]["value"] == pair)
        answer = await client.put(f"Task/{current['id']}", json=answered(current, "completed"))
        assert answer.status_code == 200, answer.text

    assert (await read(client, "Patient/b"))["link"][0]["other"] == {"reference": "Patient/a"}
    assert (await read(client, "Patient/c"))["link"][0]["other"] == {"reference": "Patient/a"}


@pytest.mark.usefixtures("task")
async def test_a_deleted_record_takes_its_question_along(client):
    assert (await client.delete("Observation/x")).status_code == 204
    assert (await client.delete("Patient/b")).status_code == 204

    assert await tasks(client) == []


@pytest.mark.parametrize(
    "other",
    [
        shen("b", name=[{"text": "赵一鸣"}]),
        shen("b", birthDate="1971-08-09", telecom=[{"system": "phone", "value": "18817000001"}]),
        shen("b", active=False),
        shen("b", (RESIDENT, OTHER)),
    ],
)
async def test_nobody_is_asked_of_two_persons(client, other):
    await put(client, shen("a", (RESIDENT, ONE)), other)

    assert await tasks(client) == []
