"""A clock that jumps, back and forward: versions stay in order, nobody waits for the year 2099.

Spec: https://hl7.org/fhir/R4/http.html#history
"""

import random
from datetime import timedelta

import parts
import pytest
from faults.rounds import rounds

from fhir_hub.clock import instant
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.store.open import open_backend

pytestmark = pytest.mark.no_cover
JUMPS = [timedelta(days=days) for days in (-4000, -1, 0, 1, 30_000)] + [timedelta(seconds=-2)]


async def test_versions_are_in_the_order_of_commits_whatever_the_clock_says(client, clock):
    rng = random.Random(5)
    versions, latest = 0, parts.START - timedelta(days=9_999)
    for _ in rounds(1):
        for _ in range(12):
            clock.moment = parts.START + rng.choice(JUMPS)
            body = {"resourceType": "Basic", "id": "a", "code": {"text": f"{versions}"}}
            answer = await client.put("Basic/a", json=body)
            versions, latest = versions + 1, max(latest, clock.moment)
            assert answer.json()["meta"]["versionId"] == str(versions)
            assert answer.json()["meta"]["lastUpdated"] == instant(latest)  # it never goes back
            assert (await client.get("Basic/a")).json() == answer.json()
    told = (await client.get("Basic/a/_history?_count=1000")).json()["entry"]
    numbers = [int(entry["resource"]["meta"]["versionId"]) for entry in told]
    assert numbers == [*range(versions, 0, -1)][: len(numbers)]
    everything = (await client.get("_history?_count=1000")).json()["entry"]
    assert [entry["resource"]["meta"]["versionId"] for entry in everything] == [
        str(number) for number in numbers
    ]
    for entry in told[:20]:  # each is found by its own time
        moment = entry["resource"]["meta"]["lastUpdated"]
        since = (await client.get(f"Basic/a/_history?_count=1000&_since={moment}")).json()["entry"]
        assert entry["resource"] in [one["resource"] for one in since]
    newest = told[0]["resource"]["meta"]
    stale = {"If-Match": f'W/"{versions - 1}"'}
    body = {"resourceType": "Basic", "id": "a", "code": {"text": "stale"}}
    assert (await client.put("Basic/a", json=body, headers=stale)).status_code == 412
    assert (await client.get("Basic/a")).json()["meta"] == newest


async def test_a_cut_by_time_is_between_commits_where_the_clock_went_back(tmp_path, clock):
    from fhir_hub.store.sqlite.log import CommitLog

    path = tmp_path / "hub.sqlite"
    moments = [100, 200, 150, 300, 50, 400]
    async with open_backend(f"sqlite:{path}") as backend:
        repository = parts.repository(backend.store, clock, parts.ids())
        for moment in moments:
            clock.moment = parts.START + timedelta(seconds=moment)

            async def work(unit):
                for _ in range(2):
                    unit.create({"resourceType": "Basic", "code": {"text": "x"}})

            await repository.commit(work)
    log = CommitLog(path)
    start = round(parts.START.timestamp() * 1_000_000)
    for until, commits in ((0, 0), (100, 0), (101, 1), (160, 1), (201, 3), (301, 5), (500, 6)):
        cut = log.cut(after=0, until=start + until * 1_000_000)
        assert cut.sequence == 2 * commits, until
    log.close()


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_message_is_answered_at_once_though_the_clock_jumps_meanwhile(backend, clock, jump):
    from apply_parts import conversion, identifier, patient

    def convert(message, received, zone):
        clock.moment += jump
        return conversion(patient(identifier("T1")))

    ids = parts.ids()
    receiver = Receiver(
        parts.repository(backend.store, clock, ids),
        backend.journal,
        convert,
        parameters=parts.parameters(),
        channel=Channel("mllp", parts.ZONE),
        clock=clock,
        new_id=ids,
    )
    for number in (1, 2, 1):
        raw = f"MSH|^~\\&|A|B|C|D|2025||ADT^A04|{number}|P|2.4\rPID|1||T1\r".encode()
        answer = await receiver.receive(raw)
        assert f"MSA|AA|{number}".encode() in answer
    assert [one.number for one in await backend.journal.recent()] == [2, 1]
