"""The history interactions, as a client sees them.

Spec: https://hl7.org/fhir/R4/http.html#history
"""

import asyncio

import pytest


@pytest.fixture
async def versions(client, clock):
    """Patient/p: created, updated, deleted, back; Observation/o created in between."""
    patient = {"resourceType": "Patient", "id": "p"}
    observation = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"text": "c"},
    }
    for step in (
        lambda: client.put("Patient/p", json=patient),
        lambda: client.put("Patient/p", json=patient | {"active": True}),
        lambda: client.put("Observation/o", json=observation),
        lambda: client.delete("Patient/p"),
        lambda: client.post("Patient", json=patient),
        lambda: client.put("Patient/p", json=patient),
    ):
        assert (await step()).status_code < 300
        clock.tick()


async def walk(client, address):
    """Return the entries of all pages as (method, url, status, etag)."""
    found = []
    while address:
        bundle = (await client.get(address)).json()
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "history")
        for entry in bundle.get("entry", []):
            request, response = entry["request"], entry["response"]
            assert ("resource" in entry) == (request["method"] != "DELETE")
            found.append((request["method"], request["url"], response["status"], response["etag"]))
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert "self" in links
        address = links.get("next")
    return found


P = [
    ("PUT", "Patient/p", "200", 'W/"4"'),
    ("DELETE", "Patient/p", "204", 'W/"3"'),
    ("PUT", "Patient/p", "200", 'W/"2"'),
    ("PUT", "Patient/p", "201", 'W/"1"'),
]
A = ("POST", "Patient", "201", 'W/"1"')
O = ("PUT", "Observation/o", "201", 'W/"1"')  # noqa: E741 (the Observation)


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("level", ["Patient/p/_history", "Patient/_history", "_history"])
async def test_a_walk_beside_writers_misses_nothing_and_repeats_nothing(client, level):
    async def write(number):
        for step in range(5):
            body = {"resourceType": "Patient", "id": "p", "language": f"x-{number}-{step}"}
            await client.put("Patient/p", json=body)
            await client.put(f"Patient/p{number}", json=body | {"id": f"p{number}"})

    await write(0)
    writers = asyncio.gather(*(write(number) for number in range(1, 20)))
    walks = [await walk(client, f"{level}?_count=3") for _ in range(3)]
    await writers
    everything = await walk(client, f"{level}?_count=1000")

    for seen in walks:
        assert len(seen) >= 5
        assert seen == everything[-len(seen) :]


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.usefixtures("versions")
async def test_versions_come_newest_first_without_gaps_over_any_pages(client, count):
    assert await walk(client, f"Patient/p/_history?_count={count}") == P
    assert await walk(client, f"Patient/_history?_count={count}") == [P[0], A, *P[1:]]
    assert await walk(client, f"_history?_count={count}") == [P[0], A, P[1], O, *P[2:]]


@pytest.mark.usefixtures("versions")
async def test_an_instance_history_says_its_total(client):
    assert (await client.get("Patient/p/_history?_count=1")).json()["total"] == 4


@pytest.mark.usefixtures("versions")
async def test_since_and_at_choose_by_time(client):
    since = "_since=2024-02-29T10:00:03Z"
    assert await walk(client, f"Patient/p/_history?{since}") == P[:2]
    assert await walk(client, f"_history?{since}") == [P[0], A, P[1]]
    assert await walk(client, "Patient/p/_history?_at=2024-02-29T10:00:02Z") == [P[2]]
    assert await walk(client, "Patient/p/_history?_at=2024-02-29T10:00Z&_count=3") == P
    assert await walk(client, "Patient/_history?_at=2024-02-28") == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("_at=ge2020", P),
        ("_at=2024-02-29T18:00:02+08:00", P[2:3]),
        ("_at=gt2024-02-29T10:00:03Z", P[:2]),
        ("_at=sa2024-02-29T10:00:04Z", P[:1]),
        ("_at=lt2024-02-29T10:00:01Z", P[3:]),
        ("_at=eb2024-02-29T10:00:01Z", P[3:]),
        ("_at=le2024-02-29T10:00:01Z", P[2:]),
        ("_at=eq2024-02", P),
        ("_at=lt2024", []),
        ("_at=gt0001", P),
        ("_at=lt9999", P),
    ],
)
@pytest.mark.usefixtures("versions")
async def test_at_takes_the_prefixes_of_a_date(client, asked, found):
    assert await walk(client, f"Patient/p/_history?{asked}&_count=2") == found


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("Patient/never/_history", 404),
        ("Nothing/_history", 404),
        ("Patient/_history?_since=soon", 400),
        ("Patient/_history?_at=ne2024", 400),
        ("Patient/_history?_at=ap2024", 400),
        ("Patient/_history?_at=xx2024", 400),
        ("Patient/_history?_at=ge", 400),
        ("Patient/_history?_at=ge2024&_at=lt2025", 400),
        ("Patient/_history?_since=2024&_since=2025", 400),
        ("Patient/_history?_count=-1", 400),
        ("Patient/_history?name=x", 400),
        ("Patient/_history?_cursor=x", 400),
    ],
)
async def test_a_history_refuses(client, address, status):
    answer = await client.get(address)

    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_a_history_says_which_of_its_times_is_none(client):
    for name in ("_since", "_at"):
        answer = await client.get(f"Patient/_history?{name}=soon")

        assert answer.json()["issue"][0]["diagnostics"].startswith(f"{name}: not a date")


async def test_an_empty_history_is_a_bundle_without_entries(client):
    bundle = (await client.get("_history")).json()

    assert "entry" not in bundle
    assert bundle["link"] == [{"relation": "self", "url": "http://hub.test/fhir/_history"}]
