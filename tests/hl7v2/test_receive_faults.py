"""Receiving when something is wrong (the rest of test_receive.py).

Spec: HL7v2 chapter 2, 2.9.2
"""

import asyncio
import contextlib
import random
import resource
import sqlite3
from dataclasses import replace

import apsw
import parts
import pytest
from apply_parts import conversion, identifier, patient
from hl7v2.receiving import BROKEN, MESSAGES, STORY, Crash, oru, receiver_of

from fhir_hub.errors import NotSupported
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.senders.settings import Settings
from fhir_hub.hl7v2.wire.batches import MESSAGE, parts_of
from fhir_hub.hl7v2.wire.listener import Listener, everyone
from fhir_hub.hl7v2.wire.mllp import Block
from fhir_hub.hl7v2.wire.sender import read_answer, send
from fhir_hub.search.plan import EVERYTHING, Query
from fhir_hub.store.journal import Selection
from fhir_hub.store.open import open_backend


async def test_the_bytes_of_an_undecodable_sender_are_echoed_as_they_are(receiver):
    answer = await receiver.receive(b"MSH|^~\\&|LIS|\xff\xff|||||ADT|C1|P|2.4\rPID|1\r")

    assert b"|LIS|\xff\xff|" in answer


@pytest.mark.parametrize(
    ("declared", "codec"),
    [(b"", "utf-8"), (b"GB 18030-2000", "gb18030"), (b"UNICODE UTF-16", "utf-8")],
)
async def test_who_cannot_be_decoded_is_told_so_in_chinese_too(receiver, declared, codec):
    head = b"MSH|^~\\&|LIS|\xff\xff|||||ADT|C1|P|2.5|||||CHN|"
    answer = await receiver.receive(head + declared + b"\rPID|1||\x80\xff\r\r")

    line, _, error = answer.decode(codec, "replace").split("\r")[:3]
    assert "HL7v2 消息无效" in error
    assert line.split("|")[17] == {"utf-8": "UNICODE UTF-8"}.get(codec, declared.decode())


async def test_a_message_over_the_limit_is_refused_with_what_its_head_tells(receiver, backend):
    answer = await receiver.take(Block(oru()[:60], is_cut=True))

    assert read_answer(answer)[:2] == ("C1", "AE")
    assert await backend.journal.recent() == []
    assert read_answer(await receiver.take(Block(oru()))).ack_code == "AA"


async def test_a_forced_character_set_is_used(backend, convert, clock, log):
    receiver = receiver_of(backend, convert, clock, log, charset="BIG-5")
    await receiver.receive(oru().decode().encode("cp950", "replace").replace(b"?", b""))

    assert convert.names == ["沈桂芳".encode("cp950", "ignore").decode("cp950")]


async def test_the_character_set_of_a_sender_is_what_its_file_says(store, backend, convert, clock):
    receiver = Receiver(
        parts.repository(store, clock, parts.ids()),
        backend.journal,
        convert,
        parameters=parts.parameters(),
        channel=Channel("mllp-1", parts.ZONE),
        clock=clock,
        new_id=parts.ids(),
        settings_of=lambda one: Settings("BIG-5" if one.header.value(4) == "SHTH01" else ""),
    )
    for facility in ("SHTH01", "ZJJCHC"):
        text = oru(facility).decode().replace("SHTH01", facility).replace("沈桂芳", "沈珅")
        await receiver.receive(text.encode("gb18030"))
    await receiver.receive(b"what is this")

    first, second = convert.names
    assert (first != "沈珅", second) == (True, "沈珅")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:{tmp_path / 'hub.sqlite'}"


async def test_a_journal_that_keeps_nothing_means_no_promise(url, convert, clock, log):
    backend = open_backend(url)
    await backend.close()
    answer = await receiver_of(backend, convert, clock, log).receive(oru())

    assert read_answer(answer)[:2] == ("C1", "AE")
    assert log.lines[0].startswith("message_not_kept")


async def test_an_end_that_cannot_be_recorded_is_logged_and_the_sender_answered(
    url, convert, clock, log
):
    convert.fault = NotSupported("no map")
    async with open_backend(url) as backend:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:"))) as connection:
            connection.execute(
                "CREATE TRIGGER no_end BEFORE UPDATE ON message"
                " BEGIN SELECT RAISE(ABORT, 'no message ends'); END"
            )
        answer = await receiver_of(backend, convert, clock, log).receive(oru())

    assert read_answer(answer)[:2] == ("C1", "AR")
    assert log.lines[-1] == "message_not_finished {'number': 1, 'fault': 'Unavailable'}"


class Refusing:
    """A journal whose store refuses an end a few times, for no reason that is known to pass."""

    def __init__(self, journal):
        self._journal, self.refuses = journal, 3

    def __getattr__(self, name):
        return getattr(self._journal, name)

    async def finish(self, finish):
        if self.refuses:
            self.refuses -= 1
            raise ValueError
        await self._journal.finish(finish)


async def test_an_end_that_is_refused_is_recorded_later_and_holds_nobody_up(
    backend, convert, clock, log
):
    async def pause(seconds):
        await asyncio.sleep(0)

    convert.fault = NotSupported("no map")
    refusing = replace(backend, journal=Refusing(backend.journal))
    receiver = receiver_of(refusing, convert, clock, log, pause=pause)
    answers = [read_answer(await receiver.receive(oru(name)))[:2] for name in ("C1", "C2")]

    assert answers == [("C1", "AR"), ("C2", "AR")]
    ended = await backend.journal.recent()
    assert [(one.message.control_id, one.state) for one in ended] == [
        ("C2", "failed"),
        ("C1", "failed"),
    ]


async def test_starts_that_cannot_record_an_end_do_not_make_a_message_deadly(
    tmp_path, convert, clock, log
):
    async def pause(seconds):
        await asyncio.sleep(0)

    convert.fault = NotSupported("no map")
    url = f"sqlite:{tmp_path / 'hub.db'}"

    async def start(*, is_first=False):
        async with open_backend(url) as backend:
            receiver = receiver_of(backend, convert, clock, log, pause=pause)
            await (receiver.receive(oru()) if is_first else receiver.replay(is_alone=True))
            await receiver.close()
            (ended,) = await backend.journal.recent()
            return ended.state, ended.error.partition(":")[0]

    def refuse(sql):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:"))) as connection:
            connection.execute(sql)

    async with open_backend(url):
        refuse(
            "CREATE TRIGGER no_end BEFORE UPDATE OF state ON message"
            " BEGIN SELECT RAISE(ABORT, 'no message ends'); END"
        )
    assert await start(is_first=True) == ("received", "")
    assert [await start() for _ in range(4)] == [("received", "")] * 4

    refuse("DROP TRIGGER no_end")
    assert await start() == ("failed", "NotSupported")


async def test_what_a_full_disk_did_not_take_is_done_in_the_order_in_which_it_came(
    url, convert, clock, log
):
    paused: list[asyncio.Future[None]] = []

    async def pause(seconds):
        paused.append(asyncio.get_running_loop().create_future())
        await paused[-1]

    async def others_go_on():
        for _ in range(300):
            await asyncio.sleep(0)

    async def run(text):
        with contextlib.closing(apsw.Connection(url.removeprefix("sqlite:"))) as connection:
            while True:
                try:
                    return connection.execute(text)
                except apsw.BusyError:  # who has begun waits for the loop
                    await asyncio.sleep(0)

    async with open_backend(url) as backend:
        receiver = receiver_of(backend, convert, clock, log, pause=pause)
        await run(
            "CREATE TRIGGER full BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        answers = []
        for number in range(1, 5):
            answers.append(asyncio.create_task(receiver.receive(oru(f"C{number}"))))
            while not paused:  # the first has found the disk full, however busy the machine is
                await asyncio.sleep(0)
            await others_go_on()
        await run("DROP TRIGGER full")
        answers.append(asyncio.create_task(receiver.receive(oru("C5"))))
        await others_go_on()
        while not all(answer.done() for answer in answers):
            if paused and not (last := paused.pop()).done():
                last.set_result(None)  # who came last is the first to try again
            await asyncio.sleep(0)
        kept = await backend.journal.select(Selection(), is_oldest_first=True)

    assert [read_answer(await answer)[:2] for answer in answers] == [
        (f"C{number}", "AA") for number in range(1, 6)
    ]
    assert [one.message.control_id for one in kept] == ["C1", "C2", "C3", "C4", "C5"]


async def test_what_a_crash_interrupted_is_done_at_the_next_start(url, convert, clock, log):
    async with open_backend(url) as backend:
        convert.fault = Crash()
        with pytest.raises(Crash):
            await receiver_of(backend, convert, clock, log).receive(oru())
        await backend.store.write(())  # what was kept before is durable with this
        (pending,) = await backend.journal.pending()
        assert pending.message.raw == oru()

    convert.fault = None
    async with open_backend(url) as backend:
        receiver = receiver_of(backend, convert, clock, log)
        assert await receiver.replay() == 1
        assert await receiver.replay() == 0
        (entered,) = await backend.journal.recent()
        assert entered.state == "done"
        assert await receiver.receive(oru()) == entered.ack
        page = await backend.store.search(Query(("Observation",), EVERYTHING))
        assert len(page.matches) == 1


async def test_replay_keeps_the_order_and_goes_on_after_a_bad_one(url, convert, clock, log):
    async with open_backend(url) as backend:
        receiver = receiver_of(backend, convert, clock, log)
        for control_id in ("C1", "C2", "C3"):
            convert.fault = Crash()
            with pytest.raises(Crash):
                await receiver.receive(oru(control_id, f"T{control_id}"))
        with pytest.raises(Crash):
            await receiver.receive(oru("C4", value="bad"))

    convert.fault = None
    async with open_backend(url) as backend:
        receiver = receiver_of(backend, convert, clock, log)
        assert await receiver.replay() == 4
        states = [one.state for one in await backend.journal.recent()]
        assert states == ["failed", "done", "done", "done"]


async def test_an_interrupted_message_that_comes_again_is_done_then(receiver, convert, count):
    convert.fault = Crash()
    with pytest.raises(Crash):
        await receiver.receive(oru())
    convert.fault = None

    assert b"MSA|AA|C1" in await receiver.receive(oru())
    assert await count("Observation") == 1


async def test_who_waits_for_an_interrupted_message_is_told_to_try_again(receiver, convert):
    convert.fault = Crash()
    answers = await asyncio.gather(
        *(receiver.receive(oru()) for _ in range(3)), return_exceptions=True
    )

    for answer in answers:
        assert isinstance(answer, Crash) or read_answer(answer).ack_code == "AE"


async def test_two_processes_that_replay_one_message_do_it_once(url, convert, clock, log):
    async with open_backend(url) as backend:
        convert.fault = Crash()
        with pytest.raises(Crash):
            await receiver_of(backend, convert, clock, log).receive(oru())
        convert.fault = None
        await backend.store.write(())
        first, second = (receiver_of(backend, convert, clock, log) for _ in range(2))
        await asyncio.gather(first.replay(), second.replay())

        (entered,) = await backend.journal.recent()
        assert entered.state == "done"
        page = await backend.store.search(Query(("Observation",), EVERYTHING))
        assert [one.version_id for one in page.matches] == [1]


@pytest.mark.parametrize("files", [STORY, BROKEN], ids=["story", "quirks and wire"])
async def test_every_message_file_is_accepted_over_a_socket(receiver, files):
    async with Listener(everyone(receiver.take)) as listener:
        await listener.start()
        for path in files:
            messages = [one.raw for one in parts_of(path.read_bytes()) if one.kind == MESSAGE]
            results = [r async for r in send(messages, "127.0.0.1", listener.port)]
            assert [r.ack_code for r in results] == ["AA"] * len(messages), (path.name, results)
            again = [r async for r in send(messages, "127.0.0.1", listener.port)]
            assert again == results


async def test_fifty_connections_about_an_unknown_patient_make_one(receiver, count):
    async def deliver(port, control_id):
        return [r async for r in send([oru(control_id)], "127.0.0.1", port)]

    async with Listener(everyone(receiver.take)) as listener:
        await listener.start()
        results = await asyncio.gather(*(deliver(listener.port, f"C{n}") for n in range(50)))

    assert {one.ack_code for (one,) in results} == {"AA"}
    assert (await count("Patient"), await count("Observation")) == (1, 50)


async def test_a_message_broken_in_any_way_gets_an_answer_and_the_hub_goes_on(receiver, log):
    chance = random.Random(7)
    whole = [path.read_bytes() for path in STORY + BROKEN]
    for _ in range(400):
        raw = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 3, 30))):
            place = chance.randrange(len(raw) + 1)
            raw[place : place + chance.choice((0, 1, 200))] = chance.randbytes(chance.randrange(4))
        answer = await receiver.receive(bytes(raw))
        assert answer.startswith(b"MSH")
        assert b"\rMSA" in answer

    assert read_answer(await receiver.receive(oru())).ack_code == "AA"
    assert {line.split()[0] for line in log.lines} <= {"message_refused", "message_quarantined"}


async def test_names_arrive_whole_from_every_character_set(receiver, convert):
    for name in ("02_ADT_A08_tertiary_quirky.gbk", "10_ORU_R01_nat_wujiang.gb18030"):
        await receiver.receive((MESSAGES / "wire" / f"{name}.hl7").read_bytes())
    await receiver.receive((MESSAGES / "wire" / "q7_gbk_delimiter_bytes.gbk.hl7").read_bytes())

    assert convert.names == ["沈桂芳", "王", "李珅"]


async def test_the_date_of_a_message_is_what_its_header_says(receiver, convert, store):
    def address(text):
        return lambda message, received, zone: conversion(
            patient(identifier("T1"), address=[{"use": "home", "text": text}])
        )

    async def ends(written, text):
        receiver.processing.convert = address(text)
        raw = oru(f"C{written}{text}").replace(b"||20250314||", b"||x||")
        await receiver.receive(raw.replace(b"|20250314|", f"|{written}|".encode()))
        (found,) = (await store.search(Query(("Patient",), EVERYTHING))).matches
        return found.content.decode()

    await ends("20240101", "a")
    assert '"end":"2024-02-14"' in await ends("2024-02-14 08:12:05", "b")
    assert '"end":"2024-02-15"' in await ends("20240215081205.12+0800", "c")
    assert '"end":"2024-02-29"' in await ends("tomorrow", "d")


async def test_replay_on_a_full_disk_ends_a_query_later_and_does_what_came_after_it(
    tmp_path, convert, clock, log
):
    query = oru("Q1").replace(b"ORU^R01^ORU_R01", b"QBP^Q11^QBP_Q11")
    async with open_backend(f"sqlite:{tmp_path}/hub.sqlite") as backend:
        convert.fault = Crash()
        for message in (query, oru("C2", "T2")):
            with pytest.raises(Crash):
                await receiver_of(backend, convert, clock, log).receive(message)
        await backend.store.write(())
        convert.fault = None
        before = resource.getrlimit(resource.RLIMIT_FSIZE)

        async def pause(seconds):
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        receiver = receiver_of(backend, convert, clock, log, pause=pause)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            assert await receiver.replay() == 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await receiver.close()

        states = [one.state for one in await backend.journal.recent()]
        assert states == ["done", "answered"]
