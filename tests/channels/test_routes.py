"""Channels that share a port: which has a message, whom it lets in, what it takes.

Spec: DOMAIN 5.1 (interface registry); HL7v2 table 0103
"""

import asyncio
import threading
from datetime import timedelta

import parts
import pytest
from channel_parts import adt

LAB = {"match": {"MSH-3": ["LIS*", "RIS"], "MSH-9": "ORU"}}


async def test_without_a_table_all_messages_come_over_mllp_port(start):
    async with start() as ways:
        assert b"MSA|AA|C1" in await ways.send(adt())
        assert await ways.kept() == [("mllp", "done")]


@pytest.mark.parametrize(
    ("fields", "channel"),
    [
        ({"msh_3": "LIS2", "msh_9": "ORU^R01^ORU_R01"}, "lab"),
        ({"msh_3": "RIS^1.2.3^ISO", "msh_9": "ORU^R01"}, "lab"),
        ({"msh_3": "RIS2", "msh_9": "ORU^R01"}, "mllp"),
        ({"msh_3": "LIS", "msh_9": "ADT^A08"}, "mllp"),
        ({"msh_4": "青浦", "msh_9": "ADT^A08"}, "named"),
        ({"msh_4": "ZJJ[1]", "msh_9": "ADT^A08"}, "literal"),
        ({"msh_5": "HUB", "msh_6": "QPRHP", "msh_9": "ADT^A40"}, "to"),
        ({"msh_5": "HUB", "msh_6": "QPRHP", "msh_9": "ADT^A04"}, "mllp"),
    ],
)
async def test_the_first_channel_whose_patterns_all_fit_has_the_message(start, fields, channel):
    channels = {
        "lab": LAB,
        "named": {"match": {"MSH-4": "青*"}},
        "literal": {"match": {"MSH-4": "ZJJ[1]"}},
        "to": {"match": {"MSH-5": "HUB", "MSH-6": "QP*", "MSH-9": "ADT^A40"}},
    }
    async with start(channels=channels) as ways:
        assert len(set(ways.intake.ports().values())) == 1
        assert b"MSA|AA|C1" in await ways.send(adt(**fields))
        assert await ways.kept() == [(channel, "done")]


async def test_a_message_of_no_channel_is_refused_and_not_kept(start):
    channels = {"lab": LAB, "mllp": {"enabled": False}}
    async with start(channels=channels) as ways:
        answer = await ways.send(adt(), "lab")

        assert b"MSA|AR|C1" in answer
        assert "200^Unsupported message type" in answer.decode()
        assert await ways.kept() == []
        assert ways.seen.events == ["message_of_no_channel"]
        assert (ways.seen.lines[0]["sender"], ways.seen.lines[0]["type"]) == (
            "HIS|SHTH01",
            "ADT^A08",
        )


async def test_a_channel_may_have_a_port_of_its_own_and_one_that_is_off_has_none(start):
    channels = {"a": {"port": 0}, "b": {"port": 0}, "c": {"port": 0, "enabled": False}}
    async with start(channels=channels) as ways:
        ports = ways.intake.ports()
        assert sorted(ports) == ["a", "b", "mllp"]
        assert len(set(ports.values())) == 3
        await ways.send(adt("C1"), "a")
        await ways.send(adt("C2"), "b")
        assert await ways.kept() == [("a", "done"), ("b", "done")]


@pytest.mark.parametrize(
    ("networks", "is_let_in"),
    [
        (["127.0.0.1"], True),
        (["10.0.0.0/8", "127.0.0.0/8"], True),
        (["10.0.0.0/8"], False),
        (["::1"], False),
    ],
)
async def test_only_allowed_addresses_may_send(start, networks, is_let_in):
    async with start(channels={"lab": {"port": 0, "allow": networks}}) as ways:
        client = await ways.connect("lab")
        if is_let_in:
            assert b"MSA|AA" in await client.send(adt())
        else:
            assert await client.is_closed()
            address = {"channel": "lab", "client_ip": "127.0.0.1"}
            assert ways.seen.lines == [{"event": "mllp_address_refused"} | address]


async def test_who_comes_in_vain_again_and_again_is_told_of_once_a_minute(start, waited):
    channels = {"lab": {"port": 0}, "far": {"port": 0, "allow": ["10.0.0.0/8"]}}
    async with start(channels=channels) as ways:

        async def probe(times):
            for _ in range(times):
                client = await ways.connect("lab")
                client.writer.write(b"GET / HTTP/1.0\r\n\r\n")
                assert await client.is_closed()
                assert await (await ways.connect("far")).is_closed()

        await probe(5)
        waited(61)
        await probe(2)
        assert b"MSA|AA" in await ways.send(adt(), "lab")
        told = [(one["event"], one["client_ip"], one.get("times")) for one in ways.seen.lines]
        events = ("mllp_other_protocol", "mllp_address_refused")
        assert told == [(one, "127.0.0.1", times) for times in (None, 5) for one in events]


async def test_who_may_not_send_on_one_channel_of_a_port_may_on_another(start):
    channels = {"lab": LAB | {"allow": "10.0.0.0/8"}, "mllp": {"allow": "127.0.0.1"}}
    async with start(channels=channels) as ways:
        answer = await ways.send(adt(msh_3="LIS", msh_9="ORU^R01"))
        assert b"MSA|AA" in answer
        assert await ways.kept() == [("mllp", "done")]


@pytest.mark.parametrize(
    ("processing_id", "code"), [("P", "AA"), ("P^T", "AA"), ("T", "AR"), ("D", "AR"), ("", "AR")]
)
async def test_test_messages_are_kept_apart_from_production(start, processing_id, code):
    async with start(channels={"mllp": {"processing_ids": ["P"]}}) as ways:
        answer = await ways.send(adt(msh_11=processing_id))
        assert f"MSA|{code}|C1".encode() in answer
        if code == "AR":
            assert b"|MSH^1^11|202^Unsupported processing id^HL70357|" in answer
            assert await ways.kept() == [("mllp", "failed")]
            assert ways.seen.zones == []


async def test_a_message_that_production_refused_may_go_to_the_test_channel(start):
    channels = {"mllp": {"processing_ids": "P"}, "test": {"port": 0, "processing_ids": "T"}}
    async with start(channels=channels) as ways:
        assert b"MSA|AR" in await ways.send(adt(msh_11="T"))
        assert b"MSA|AA" in await ways.send(adt(msh_11="T"), "test")


async def test_a_channel_has_its_own_zone_and_character_set(start):
    channels = {"tokyo": {"port": 0, "timezone": "+09:00", "charset": "GBK"}}
    async with start(channels=channels) as ways:
        answer = await ways.send(adt().decode().encode("gbk"), "tokyo")
        assert b"+0900||ACK" in answer
        assert [zone.utcoffset(None) for zone in ways.seen.zones] == [timedelta(hours=9)]


async def test_a_message_over_the_limit_of_its_channel_is_refused(start):
    channels = {"lab": LAB | {"max_message_bytes": 1024}}
    async with start(channels=channels) as ways:
        long = b"NTE|1||" + b"x" * 2000 + b"\r"
        assert b"MSA|AA|C1" in await ways.send(adt("C1") + long)
        refused = await ways.send(adt("C2", msh_3="LIS", msh_9="ORU^R01") + long)
        assert b"MSA|AE|C2" in refused
        assert ways.seen.events == ["message_too_large"]


@pytest.mark.parametrize("long", [b"NTE|1\r", b"NTE|1\r\n", b"NTE|1||~\r"])
async def test_a_message_of_more_parts_than_its_channel_takes_is_refused(start, long):
    channels = {"lab": LAB | {"max_message_parts": 100}}
    async with start(channels=channels) as ways:
        assert b"MSA|AA|C1" in await ways.send(adt("C1") + long * 110)
        few = await ways.send(adt("C2", msh_3="LIS", msh_9="ORU^R01") + long * 48)
        assert b"MSA|AA|C2" in few
        refused = await ways.send(adt("C3", msh_3="LIS", msh_9="ORU^R01") + long * 110)
        assert b"MSA|AE|C3" in refused
        assert b"||207^" in refused
        assert [line["reason"] for line in ways.seen.lines] == [
            "a message may have 100 segments and repetitions of fields"
        ]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
async def test_a_message_about_too_many_patients_is_refused_before_it_is_converted(start, end):
    async with start() as ways:
        for control_id, patients, code in (("C1", 1000, b"AA"), ("C2", 1001, b"AE")):
            more = b"".join(b"PID|%d||N%d" % (n, n) + end for n in range(1, patients))
            answer = await ways.send(adt(control_id) + more)
            assert b"MSA|" + code + b"|" + control_id.encode() in answer
        assert "send a batch of messages" in ways.seen.lines[0]["reason"]
        assert await ways.kept() == [("mllp", "done")]


async def test_others_are_answered_while_a_long_message_is_converted(start):
    async with start() as ways:
        answered = threading.Event()

        def wait(message):
            if message.header.value(10) == "LONG":
                assert answered.wait(parts.PATIENCE_S)

        ways.seen.before = wait
        long, other = await ways.connect(), await ways.connect()
        await long.send_only(adt("LONG").replace(b"|T1|", b"|T2|") + b"NTE|1||x\r" * 10_000)
        assert b"MSA|AA|C2" in await other.send(adt("C2"))
        answered.set()
        assert b"MSA|AA|LONG" in await long.answer()


async def test_connections_over_the_limit_of_a_port_are_refused(start):
    async with start(channels={"lab": {"port": 0, "connections": 1}}) as ways:
        first = await ways.connect("lab")
        await first.send(adt())
        assert await (await ways.connect("lab")).is_closed()
        assert b"MSA|AA" in await ways.send(adt("C2"))


async def test_a_message_that_comes_byte_by_byte_does_not_hold_its_connection_for_ever(start):
    async with start(channels={"lab": {"port": 0, "idle_s": 0.3}}) as ways:
        client = await ways.connect("lab")
        closed = asyncio.create_task(client.is_closed())
        client.writer.write(b"\x0b")
        while not closed.done():
            client.writer.write(b"M")
            await asyncio.wait((closed,), timeout=0.05)
        assert closed.result()
        [line] = ways.seen.lines
        assert line["event"] == "mllp_idle"
        assert (line["channel"], line["client_ip"], line["inside"]) == ("lab", "127.0.0.1", True)


async def test_a_sender_over_its_pace_waits_and_is_answered(start):
    async with start(channels={"mllp": {"messages_per_minute": 300}}) as ways:
        client = await ways.connect()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(301):
            client.writer.write(b"\x0b" + adt("same") + b"\x1c\r")
        for _ in range(301):
            assert b"MSA|AA" in await client.answer()
        assert loop.time() - began >= 0.2  # the last waits for its share of the minute


async def test_messages_and_connections_are_counted_by_channel(start):
    async with start(channels={"lab": LAB}) as ways:
        await ways.send(adt("C1", msh_3="LIS", msh_9="ORU^R01"))
        await ways.send(adt("C2"))
        value = ways.registry.get_sample_value
        counted = "fhir_hub_channel_messages_total"
        assert value(counted, {"channel": "lab", "ack_code": "AA"}) == 1
        assert value(counted, {"channel": "mllp", "ack_code": "AA"}) == 1
        assert value("fhir_hub_channel_connections", {"channel": "lab"}) == 2
        last = value("fhir_hub_channel_last_message_timestamp_seconds", {"channel": "lab"})
        assert last > 1_700_000_000


async def test_it_is_known_since_when_a_channel_is_silent_of_which_nothing_came_yet(start):
    async with start(channels={"lab": LAB}) as ways:
        last = "fhir_hub_channel_last_message_timestamp_seconds"
        ways.intake.lead()
        assert ways.registry.get_sample_value(last, {"channel": "lab"}) > 1_700_000_000
        assert (
            ways.registry.get_sample_value(last, {"channel": "http"}) is None
        )  # nobody may use it


async def test_what_has_no_header_is_refused_for_that_and_not_for_its_processing_id(start):
    async with start(channels={"mllp": {"processing_ids": ["P"]}}) as ways:
        answer = await ways.send(b"hello\r")
        assert b"MSA|A" in answer
        assert b"processing" not in answer
        assert b"MSH" in answer.split(b"MSA|")[1]
