"""From bytes to acknowledgment: kept first, done once, answered the same again.

Spec: HL7v2 chapter 2, 2.9.2; DESIGN 3 and 5
"""

import asyncio

import pytest
from apply_parts import conversion, patient
from hl7v2.receiving import oru, receiver_of

from fhir_hub.errors import NotSupported
from fhir_hub.hl7v2.senders.settings import Settings
from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.search.plan import EVERYTHING, Query


async def test_a_message_is_kept_applied_and_acknowledged(receiver, backend, convert, count):
    answer = await receiver.receive(oru())

    assert read_answer(answer)[:2] == ("C1", "AA")
    assert (await count("Patient"), await count("Observation")) == (1, 1)
    (entered,) = await backend.journal.recent()
    assert (entered.state, entered.ack, entered.message.raw) == ("done", answer, oru())
    assert entered.message.key == "LIS|SHTH01|C1"
    assert entered.message.channel == "mllp-1"
    assert {key.resource_type for key in entered.links} == {"Patient", "Observation"}
    assert convert.received == "2024-02-29T10:00:00Z"


async def test_the_same_message_again_gets_the_same_answer_and_has_no_second_effect(
    receiver, backend, count, clock
):
    first = await receiver.receive(oru())
    clock.tick(60)
    assert await receiver.receive(oru()) == first
    assert await count("Observation") == 1
    assert len(await backend.journal.recent()) == 1
    (stored,) = (await backend.store.search(Query(("Patient",), EVERYTHING))).matches
    assert stored.version_id == 1


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.encode("gbk"),
        lambda text: text.replace("\r", "\r\n").encode(),
        lambda text: text.replace("\r", "\n\n").encode("utf-8-sig"),
        lambda text: text.rstrip().encode(),
    ],
)
async def test_other_line_ends_or_another_character_set_make_no_other_message(
    receiver, backend, rewrite
):
    first = await receiver.receive(oru())

    assert await receiver.receive(rewrite(oru().decode())) == first
    assert len(await backend.journal.recent()) == 1


async def test_without_a_control_id_the_bytes_tell(receiver, backend, count):
    first = await receiver.receive(oru(""))

    assert first.endswith(b"MSA|AA|\r")
    assert await receiver.receive(oru("")) == first
    assert read_answer(await receiver.receive(oru("", value="6.2"))).ack_code == "AA"
    assert len(await backend.journal.recent()) == 2


async def test_the_same_control_id_with_other_content_is_refused(receiver, backend, count, log):
    await receiver.receive(oru())

    answer = await receiver.receive(oru(value="6.2", version="2.5"))
    assert b"MSA|AE|C1\rERR||MSH^1^10|205^Duplicate key identifier^HL70357|E|" in answer
    assert await count("Observation") == 1
    assert [one.state for one in await backend.journal.recent()] == ["quarantined", "done"]
    assert log.lines == ["message_quarantined {'number': 2, 'channel': 'mllp-1'}"]


async def test_a_strict_sender_that_uses_a_control_id_again_is_rejected(
    backend, convert, clock, log
):
    receiver = receiver_of(
        backend, convert, clock, log, settings_of=lambda header: Settings(tolerance="strict")
    )
    await receiver.receive(oru())

    assert read_answer(await receiver.receive(oru(value="6.2"))).ack_code == "AR"


async def test_a_hundred_at_once_of_one_message_have_one_effect(receiver, count, backend):
    answers = await asyncio.gather(*(receiver.receive(oru()) for _ in range(100)))

    assert len(set(answers)) == 1
    assert await count("Observation") == 1
    assert len(await backend.journal.recent(count=1000)) == 1


async def test_fifty_messages_at_once_about_an_unknown_patient_make_one(receiver, count):
    answers = await asyncio.gather(*(receiver.receive(oru(f"C{n}")) for n in range(50)))

    assert {read_answer(answer).ack_code for answer in answers} == {"AA"}
    assert (await count("Patient"), await count("Observation")) == (1, 50)


async def test_a_refused_message_is_answered_with_the_reason_and_may_come_again(
    receiver, backend, convert, count, log
):
    convert.fault = NotSupported("no map for this message")
    answer = await receiver.receive(oru(version="2.5"))

    assert b"MSA|AR|C1\rERR|||200^Unsupported message type^HL70357|E|" in answer
    (entered,) = await backend.journal.recent()
    assert (entered.state, entered.error) == ("failed", "NotSupported: no map for this message")
    assert log.lines == [
        "message_refused {'number': 1, 'channel': 'mllp-1', 'reason': 'NotSupported'}"
    ]
    convert.fault = None
    assert b"MSA|AA|C1" in await receiver.receive(oru(version="2.5"))
    assert await count("Observation") == 1


@pytest.mark.parametrize(("patients", "code"), [(1001, b"AE"), (2, b"AA")])
async def test_a_message_about_very_many_patients_is_refused(
    backend, clock, log, count, patients, code
):
    def convert(message, received, zone):
        return conversion(*(patient(name=str(number)) for number in range(patients)))

    receiver = receiver_of(backend, convert, clock, log)
    answer = await receiver.receive(oru())
    assert b"\rMSA|%b|C1" % code in answer
    assert (b"send a batch" in answer, await count("Patient")) == (patients > 2, patients % 1001)
    await receiver.close()


async def test_a_fault_of_ours_is_answered_without_detail_and_logged_without_patient_data(
    receiver, backend, convert, log
):
    convert.fault = ZeroDivisionError("沈桂芳")
    answer = await receiver.receive(oru())

    assert b"MSA|AE|C1|Internal error" in answer
    (entered,) = await backend.journal.recent()
    assert (entered.state, entered.error) == ("failed", "internal")
    assert "沈桂芳" not in answer.decode() + str(log.lines)
    assert log.lines == [
        "message_fault {'number': 1, 'channel': 'mllp-1', 'fault': 'ZeroDivisionError'}"
    ]


async def test_a_resource_that_breaks_r4_is_refused_whole(receiver, convert, count):
    answer = await receiver.receive(oru(value="bad"))

    assert read_answer(answer).ack_code == "AE"
    assert (await count("Patient"), await count("Observation")) == (0, 0)


@pytest.mark.parametrize(
    ("raw", "start"),
    [
        (b"hello", "MSA|AR||"),
        (b"MSH", "MSA|AR||"),
        (b"\x00\x01", "MSA|AR||"),
        (b"MSH|^~\\&|LIS|\xff\xff|||||ADT|C1|P|2.4\rPID|1\r", "MSA|AE|C1|"),
        (b"MSHxLIS", "MSA|AR||"),
        ("MSH|^~\\&|LIS|\ud800".encode("utf-8", "surrogatepass"), "MSA|AE||"),
    ],
)
async def test_what_cannot_be_read_is_kept_and_answered(receiver, backend, raw, start):
    answer = await receiver.receive(raw)

    assert answer.decode("latin-1").split("\r")[1].startswith(start)
    (entered,) = await backend.journal.recent()
    assert (entered.state, entered.message.raw) == ("failed", raw)
