"""The messages of a batch: at once where they may, in order where they must, answered in order.

Spec: HL7v2 chapter 2, 2.10.3
"""

import asyncio
import tracemalloc
from datetime import UTC, datetime

import pytest

from fhir_hub.hl7v2.answers.batch import BatchAnswer
from fhir_hub.hl7v2.wire.batches import parts_of


def message(name, number, prior=""):
    merge = f"MRG|{prior}\r" if prior else ""
    header = f"MSH|^~\\&|HIS|SHTH01|||20250314||ADT^A08|{name}|P|2.4"
    return f"{header}\rPID|1||{number}\r{merge}".encode()


def batch(*messages):
    return b"BHS|^~\\&|HIS\r" + b"".join(messages) + b"BTS|%d\r" % len(messages)


async def answered(raw, take):
    answer = BatchAnswer(lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: "1", UTC)
    return await answer.write(parts_of(raw), take)


def name_of(raw):
    return raw.split(b"|")[9].decode()


async def test_messages_about_different_patients_are_taken_at_once_and_answered_in_order():
    names = ["a", "b", "c", "d"]
    begun, last = [], asyncio.Event()

    async def take(raw):
        begun.append(name_of(raw))
        if len(begun) == len(names):
            last.set()
        await last.wait()  # nobody ends before all have begun
        return b"MSA|AA|" + name_of(raw).encode() + b"\r"

    messages = [message(name, f"T{number}") for number, name in enumerate(names)]
    written = await answered(batch(*messages), take)

    assert [line[7:] for line in written.split(b"\r") if line[:3] == b"MSA"] == [
        *map(str.encode, names)
    ]
    assert written.endswith(b"BTS|4\r")


async def test_a_large_batch_needs_the_memory_of_the_messages_that_are_under_way():
    note = b"NTE|1||" + b"x" * 60_000 + b"\r"
    raw = batch(*(message(f"m{number}", f"T{number}") + note for number in range(200)))

    async def take(one):
        return b"MSA|AA|" + name_of(one).encode() + b"\r"

    tracemalloc.start()
    try:
        written = await answered(raw, take)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written.count(b"MSA|AA|m") == 200
    assert most < len(raw) / 2


async def test_what_is_about_one_patient_is_taken_in_order_and_a_merge_is_a_barrier():
    messages = [
        message("a1", "A"),
        message("b1", "B"),
        message("a2", "A"),
        message("merge", "A", "B"),
        message("b2", "B"),
        message("c1", "C"),
    ]
    events = []

    async def take(raw):
        name = name_of(raw)
        events.append(("begin", name))
        for _ in range(3):
            await asyncio.sleep(0)
        events.append(("end", name))
        return b""

    await answered(batch(*messages), take)

    place = {event: at for at, event in enumerate(events)}
    for before, after in [("a1", "a2"), ("a2", "merge"), ("b1", "merge"), ("merge", "b2")]:
        assert place["end", before] < place["begin", after]
    assert place["begin", "c1"] < place["begin", "b2"]


async def test_not_more_than_a_few_are_under_way():
    now = most = 0

    async def take(raw):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return b""

    await answered(batch(*(message(f"m{n}", f"T{n}") for n in range(100))), take)
    assert 1 < most <= 16


async def test_where_one_cannot_be_taken_at_all_none_goes_on_unseen():
    seen = []

    async def take(raw):
        seen.append(name_of(raw))
        if name_of(raw) == "a":
            raise RuntimeError
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError):
        await answered(batch(message("a", "1"), message("b", "2")), take)
    assert seen == ["a", "b"]
    assert len(asyncio.all_tasks()) == 1


async def test_what_is_wrong_with_a_batch_is_told_in_the_character_set_of_its_messages():
    async def take(raw):
        return b"MSA|AA|" + name_of(raw).encode() + b"\r"

    wrong = batch(message("a", "T1", "丁一")).replace(b"BTS|1", b"BTS|2")
    answers = [await answered(wrong.decode().encode(name), take) for name in ("gbk", "utf-8")]

    assert "MSA|AE|" in answers[0].decode("gb18030")
    assert "BTS-1 为 2，实收 1 条消息" in answers[0].decode("gb18030")
    assert "GB 18030" in answers[0].decode("gb18030")
    assert "BTS-1 为 2，实收 1 条消息" in answers[1].decode()


@pytest.mark.parametrize(("taken", "asked"), [(None, 1000), (0, 1030), (999, 1030), (1000, 1000)])
async def test_a_batch_that_begins_with_a_thousand_refused_messages_is_given_up(taken, asked):
    seen = 0

    async def take(raw):
        nonlocal seen
        seen += 1
        is_taken = name_of(raw) == f"m{taken}"
        return b"MSH|^~\\&\rMSA|%s|x\r" % (b"AA" if is_taken else b"AE")

    messages = [message(f"m{number}", f"T{number}") for number in range(1030)]
    written = (await answered(batch(*messages), take)).decode()

    is_given_up = "the first 1000 messages were all refused" in written
    assert is_given_up == (asked == 1000)
    assert asked <= seen <= asked + 16 * is_given_up
    assert written.count("MSA|A") == seen + is_given_up
