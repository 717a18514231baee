"""Pages while others write: nothing comes twice, and nothing that stayed is missed.

Spec: https://hl7.org/fhir/R4/http.html#paging
"""

import random

import pytest

SORTS = (
    "",
    "_sort=birthdate",
    "_sort=-birthdate",
    "_sort=gender,-birthdate",
    "_sort=-name",
    "_sort=-_id",
    "_sort=_lastUpdated",
    "gender=male,female&_sort=-birthdate",
    "_filter=birthdate gt 1900 or name pr true",
    "_has:Observation:patient:status=final&_sort=birthdate",
)


def person(dice: random.Random) -> dict[str, object]:
    made: dict[str, object] = {"resourceType": "Patient"}
    if dice.random() < 0.8:
        made["birthDate"] = f"{dice.randint(1950, 1955)}"
    if dice.random() < 0.8:
        made["gender"] = dice.choice(("male", "female"))
    if dice.random() < 0.8:
        made["name"] = [{"text": dice.choice(("沈", "王", "Li"))}]
    return made


async def create(client, clock, dice):
    clock.tick(0.001)
    answer = await client.post("Patient", json=person(dice))
    logical_id = answer.json()["id"]
    if dice.random() < 0.7:
        observation = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/{logical_id}"},
        }
        assert (await client.post("Observation", json=observation)).status_code == 201
    return logical_id


async def all_of(client, query, between=None):
    """Return the ids page by page, as they come, and the greatest number on a page."""
    address, found = f"Patient?{query}&_count=5", []
    while address:
        answer = await client.get(address)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found += [entry["resource"]["id"] for entry in bundle.get("entry", [])]
        address = next((ln["url"] for ln in bundle["link"] if ln["relation"] == "next"), "")
        if between and address:
            await between(found)
    return found


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("query", SORTS)
async def test_pages_are_stable_while_others_create_and_delete(client, clock, query):
    dice = random.Random(query)
    for _ in range(30):
        await create(client, clock, dice)
    before = await all_of(client, query)
    gone = set()

    async def between(found):
        seen, unseen = sorted(set(found) - gone), sorted(set(before) - set(found) - gone)
        for ids in (seen, unseen):
            if ids:
                logical_id = dice.choice(ids)
                gone.add(logical_id)
                await client.delete(f"Patient/{logical_id}")
        for _ in range(3):
            await create(client, clock, dice)

    during = await all_of(client, query, between)

    assert len(during) == len(set(during))
    assert set(before) - gone <= set(during)
    # what stayed keeps its order
    assert [i for i in during if i in before] == [i for i in before if i in during]


async def test_what_has_no_address_comes_last_in_the_order_of_a_reference(client):
    told = {"resourceType": "Observation", "status": "final", "code": {"text": "c"}}
    person = {"resourceType": "Patient", "id": "x"}
    for name in ("y", "x"):
        await client.put(f"Patient/{name}", json=person | {"id": name})
    for name, said in {
        "inside": {"contained": [person], "subject": {"reference": "#x"}},
        "second": {"subject": {"reference": "Patient/y"}},
        "words": {"subject": {"display": "somebody"}},
        "nobody": {},
        "first": {"subject": {"reference": "Patient/x"}},
    }.items():
        answer = await client.put(f"Observation/{name}", json=told | {"id": name} | said)
        assert answer.status_code == 201, answer.text

    for sort, order in (("subject", ["first", "second"]), ("-subject", ["second", "first"])):
        for count in (1, 2, 9):
            seen, address = [], f"Observation?_sort={sort}&_count={count}"
            while address:
                bundle = (await client.get(address)).json()
                seen += [entry["resource"]["id"] for entry in bundle["entry"]]
                links = {link["relation"]: link["url"] for link in bundle["link"]}
                address = links.get("next")
            assert seen == [*order, "inside", "words", "nobody"]
