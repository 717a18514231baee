"""The clock of a running hub is set back by an hour: nothing is lost, told twice, or out of order.

Spec: https://hl7.org/fhir/R4/resource.html#Meta (lastUpdated) and http.html#history
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST = Path(__file__).parents[2] / "examples" / "messages" / "01_ADT_A04_chc_register.hl7"
MESSAGE = FIRST.read_bytes().replace(b"\n", b"\r")
START = datetime(2026, 3, 10, 8, 0, 30, tzinfo=UTC)


def numbered(number, given="桂芳"):
    """Return the message under a number, told as many seconds after eight as that says."""
    told = b"202603101600%02d" % number
    text = MESSAGE.replace(b"ZJJ20250310083015001", b"N%d" % number)
    text = text.replace(b"20250310083015", told).replace(b"20250310083012", told)
    return text.replace("桂芳".encode(), given.encode())


async def test_a_hub_whose_clock_is_set_back_goes_on_in_order(start, tmp_path):
    now = START
    options = {"store": f"sqlite:{tmp_path}/hub.sqlite", "clock": lambda: now}
    async with start(**options) as hub, hub.client() as client:
        first = await hub.send(numbered(1))
        basic = {"resourceType": "Basic", "id": "b", "code": {"text": "0"}}
        assert (await client.put("/fhir/Basic/b", json=basic)).status_code == 201

        now = START - timedelta(hours=1)
        assert await hub.send(numbered(1)) == first
        for number in (2, 3):
            assert b"MSA|AA|" in await hub.send(numbered(number, "桂花"))
        for text in ("1", "2"):
            basic["code"] = {"text": text}
            assert (await client.put("/fhir/Basic/b", json=basic)).status_code == 200
        assert (await client.delete("/fhir/Basic/b")).status_code in (200, 204)

        now = START + timedelta(minutes=1)
        assert (await client.put("/fhir/Basic/b", json=basic)).status_code == 201
        history = (await client.get("/fhir/Basic/b/_history")).json()["entry"]
        times = [one["response"]["lastModified"] for one in history]
        assert [one["response"]["etag"] for one in history] == [f'W/"{n}"' for n in (5, 4, 3, 2, 1)]
        assert times == ["2026-03-10T08:01:30Z"] + ["2026-03-10T08:00:30Z"] * 4
        since = "/fhir/Basic/b/_history?_since=2026-03-10T08:00:31Z"
        assert len((await client.get(since)).json()["entry"]) == 1

        versions = (await hub.hub.backend.store.history(count=1000)).matches
        assert [one.sequence for one in versions] == [*range(len(versions), 0, -1)]
        (patient,) = (await client.get("/fhir/Patient?name=沈桂花")).json()["entry"]
        meta = patient["resource"]["meta"]
        assert (int(meta["versionId"]) > 1, meta["lastUpdated"]) == (True, "2026-03-10T08:00:30Z")
        listed = (await client.get("/ops/messages")).json()["messages"]
        assert [one["number"] for one in listed] == [3, 2, 1]
        assert [one["state"] for one in listed] == ["done"] * 3


async def test_a_clock_that_was_set_back_while_the_hub_was_stopped_changes_no_order(
    start, tmp_path
):
    now = START + timedelta(seconds=30)
    options = {"store": f"sqlite:{tmp_path}/hub.sqlite", "clock": lambda: now}
    async with start(**options) as hub:
        assert b"MSA|AA|" in await hub.send(numbered(20))

    now = START - timedelta(hours=1)
    async with start(**options) as hub, hub.client() as client:
        assert b"MSA|AA|" in await hub.send(numbered(21, "桂花"))
        assert (await client.get("/fhir/Patient?name=沈桂花")).json()["total"] == 1
        listed = (await client.get("/ops/messages")).json()["messages"]
        assert [one["received"] for one in listed] == ["2026-03-10T08:01:00Z"] * 2
