"""A batch on a connection: each message for itself, a batch of acknowledgments back."""

import pytest
import pytest_asyncio

from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire.batches import MESSAGE, parts_of


def message(name, birth="19530412"):
    return (
        f"MSH|^~\\&|HIS|SHTH01|HUB|QP|20250314||ADT^A08|{name}|P|2.4\r"
        f"PID|1||N{name}||丁^一||{birth}|F\r"
    ).encode()


FHS = b"FHS|^~\\&|HIS|SHTH01|HUB|QP|20250314||f.hl7||F3\r"
BHS = b"BHS|^~\\&|HIS|SHTH01|HUB|QP|20250314|||night|B7\r"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(start):
    async with start() as hub:
        yield hub


def acks(raw):
    """Return MSA-1, MSA-2 and the place in ERR-1 of each acknowledgment in a batch."""
    found = []
    for part in parts_of(raw):
        if part.kind == MESSAGE:
            answer = er7.parse(part.raw.decode())
            error = answer.first("ERR")
            place = error.value(1) + error.value(1, 3) if error else ""
            found.append((answer.first("MSA").value(1), answer.first("MSA").value(2), place))
    return found


async def test_each_message_of_a_batch_is_kept_and_acknowledged(hub):
    answer = await hub.send(FHS + BHS + message("k1") + message("k2") + b"BTS|2\rFTS|1\r")

    parts = list(parts_of(answer))
    assert [p.kind for p in parts] == ["FHS", "BHS", MESSAGE, MESSAGE, "BTS", "FTS"]
    assert acks(answer) == [("AA", "k1", ""), ("AA", "k2", "")]
    assert (parts[0].field(12), parts[1].field(12)) == ("F3", "B7")
    assert (parts[1].field(3), parts[1].field(5)) == ("HUB", "HIS")
    assert (parts[4].field(1), parts[5].field(1)) == ("2", "1")
    kept = await hub.hub.backend.journal.recent(count=2)
    assert [(one.message.key[-2:], one.state) for one in kept] == [("k2", "done"), ("k1", "done")]


async def test_messages_without_wrapping_are_answered_as_a_batch_too(hub):
    answer = await hub.send(message("1") + message("2"))

    assert acks(answer) == [("AA", "1", ""), ("AA", "2", "")]
    assert [p.kind for p in parts_of(answer)] == ["BHS", MESSAGE, MESSAGE, "BTS"]


async def test_a_bad_message_stops_nothing_and_a_wrong_count_is_told(hub):
    bad = message("bad").replace(b"PID|", b"NTE|")
    answer = await hub.send(BHS + message("1") + bad + message("3") + b"BTS|4\r")

    assert acks(answer) == [
        ("AA", "1", ""),
        ("AE", "bad", "PID"),
        ("AA", "3", ""),
        ("AE", "B7", "BTS1"),
    ]
    trailer = list(parts_of(answer))[-1]
    assert (trailer.field(1), trailer.field(2)) == ("4", "BTS-1 says 4, but 3 messages came")
    told = next(line for line in hub.logged.getvalue().splitlines() if "batch_wrong" in line)
    assert '"channel": "mllp"' in told


async def test_a_wrong_count_of_batches_is_told(hub):
    answer = await hub.send(FHS + BHS + message("1") + b"BTS|1\rFTS|2\r")

    assert acks(answer) == [("AA", "1", ""), ("AE", "F3", "FTS1")]


async def test_a_batch_that_broke_off_is_sent_again_and_nothing_is_done_twice(hub):
    messages = [message(f"n{n}") for n in range(6)]
    before = (await hub.hub.backend.store.status()).resources.get("Patient", 0)
    broken = await hub.send(BHS + b"".join(messages[:3]))
    assert acks(broken)[3] == ("AE", "B7", "BTS")

    again = await hub.send(BHS + b"".join(messages) + b"BTS|6\r")

    def answered(raw):
        return [part.raw for part in parts_of(raw) if part.kind == MESSAGE]

    assert answered(again)[:3] == answered(broken)[:3]
    assert [one[:2] for one in acks(again)] == [("AA", f"n{n}") for n in range(6)]
    status = await hub.hub.backend.store.status()
    assert status.resources["Patient"] == before + 6


async def test_the_answer_has_the_senders_delimiters_and_each_ack_its_character_set(hub):
    other = "MSH#*~\\&#HIS#SHTH01###2025##ADT*A08#9#P#2.4\rPID#1##N9##丁*一\r".encode("gb18030")
    answer = await hub.send(b"BHS#*~\\&#HIS#SHTH01#HUB#QP####x#B9\r" + other + b"BTS#1\r")

    assert answer.startswith(b"BHS#*~\\&#HUB#QP#HIS#SHTH01#")
    assert answer.endswith(b"\rBTS#1\r")
    assert b"MSA#AA#9" in answer


async def test_a_batch_by_http_is_answered_by_a_batch(hub):
    body = BHS + message("1") + message("2") + b"BTS|3\r"
    async with hub.client() as client:
        answer = await client.post("/hl7v2", content=body, headers={"content-type": "text/plain"})

    assert answer.status_code == 400  # the count is wrong, though both are taken
    assert acks(answer.content) == [("AA", "1", ""), ("AA", "2", ""), ("AE", "B7", "BTS1")]
