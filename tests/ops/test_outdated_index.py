"""A hub that is started with another zone: what is stored is indexed anew by itself.

Spec: https://hl7.org/fhir/R4/search.html#date
"""

import asyncio

import httpx


async def test_a_hub_with_another_zone_says_so_and_indexes_anew_what_is_stored(start, tmp_path):
    options = {"store": f"sqlite:{tmp_path / 'hub.sqlite'}"}
    query = "/fhir/Basic?created=lt2024-02-28T16:00:00Z"  # the day begins then at +08:00
    async with start(**options) as hub, hub.client() as client:
        body = {"resourceType": "Basic", "code": {"text": "x"}, "created": "2024-02-29"}
        assert (await client.post("/fhir/Basic", json=body)).status_code == 201
        assert (await client.get(query)).json()["total"] == 0
        assert "index_" not in hub.logged.getvalue()

    async with start(**options, timezone="+09:00") as hub, hub.client() as client:
        while hub.hub.indexing.is_outdated:
            await asyncio.sleep(0)
        found: httpx.Response = await client.get(query)
        assert [entry["search"]["mode"] for entry in found.json()["entry"]] == ["match"]
        events = [line for line in hub.logged.getvalue().splitlines() if '"index_' in line]
        assert len(events) == 2, events
        assert '"index_outdated"' in events[0]
        assert '"index_made_anew"' in events[1]
        assert all('"resources": 1' in one and '"dropped"' not in one for one in events)
