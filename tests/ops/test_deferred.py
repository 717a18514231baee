"""What a partner says later of a message that he took: a message of its own, to a port of ours.

Spec: HL7v2 chapter 2, 2.9.3 (enhanced mode) and table 0155
"""

import asyncio
from contextlib import asynccontextmanager

import parts
import pytest
from deliver_parts import Peer, patient, put, until
from deliver_parts import deferred as deferred_on_link

from fhir_hub.hl7v2.deliver.outbox import dead_messages, try_again
from fhir_hub.hl7v2.wire.sender import control_id
from fhir_hub.settings import InvalidSettings

ENHANCED = {"mllp": {"ack_mode": "enhanced"}}


def deferred(code, number, accept="AL", error="", own="K1", sender="HIS|SHTH01"):
    """Return an application acknowledgment as the partner's system sends it."""
    fields = ["MSH", "^~\\&", sender, "FHIRHUB", "FHIRHUB", "20250315", ""]
    header = "|".join([*fields, "ACK^A31^ACK", own, "P", "2.4", "", "", accept, "NE"])
    lines = [header, f"MSA|{code}|{number}", *([f"ERR|^^^{error}"] if error else [])]
    return "\r".join([*lines, ""]).encode()


@pytest.fixture
def telling(start):
    """A hub that tells a partner of patients, in enhanced mode."""

    @asynccontextmanager
    async def run(*answers, his=(), others=(), **options):
        peer = Peer()
        peer.answers = [*answers]
        await peer.start()
        partner = {
            "address": f"mllp://127.0.0.1:{peer.port}",
            "application": "HIS",
            "sends": {"Patient": ""},
            "ack_mode": "enhanced",
            "application_ack": "AL",
            "timeout_s": 60,
            "pause_s": 0.01,
            "max_pause_s": 0.05,
            **dict(his),
        }
        try:
            async with start(partners={"his": partner, **dict(others)}, **options) as hub:
                await hub.hub.deliveries.opened()
                yield hub, peer
        finally:
            await peer.stop()

    return run


def refusals(hub):
    name = "fhir_hub_outbound_acknowledgments_refused_total"
    return hub.hub.metrics.registry.get_sample_value(name, {"partner": "his"})


async def tell(hub, *numbers):
    async with hub.client() as client:
        client.base_url = f"{hub.home}/fhir/"
        await put(client, *(patient(number) for number in numbers))


async def test_a_failure_that_is_told_later_makes_the_message_a_dead_one(telling):
    async with telling("CA", "CA", channels=ENHANCED) as (hub, peer):
        await tell(hub, 1, 2)
        await peer.messages(2)
        number = control_id(peer.received[0])
        assert peer.received[0].split(b"|")[14:16] == [b"AL", b"AL"]

        answer = await hub.send(deferred("AE", number, error="207"))

        assert answer.endswith(b"MSA|CA|K1\r")
        store = hub.hub.backend.store
        await until(store, lambda dead: dead)
        (dead,) = await dead_messages(store)
        assert (dead.control_id, dead.event, dead.address) == (number, "ADT^A31", "Patient/p1")
        assert (dead.ack_code, dead.error_code) == ("AE", "207")
        await try_again(store, dead)
        await peer.messages(3)
        assert control_id(peer.received[2]) == f"{number}-R1"
        assert await hub.hub.backend.journal.recent(count=9) == []


async def test_an_acknowledgment_is_answered_as_its_msh_15_asks(telling):
    async with telling("CA") as (hub, peer):
        await tell(hub, 1)
        await peer.messages(1)
        number = control_id(peer.received[0])
        epoch = number.partition("-")[0]
        unknown = [f"{epoch}-99", f"{epoch}-x", epoch, "OTHER-1", ""]
        unknown += [f"{epoch}-{'9' * 5000}", f"{number}-R{'9' * 5000}", f"{number}-Rx"]

        for accept in ("AL", "SU"):
            assert (await hub.send(deferred("AE", number, accept))).endswith(b"MSA|CA|K1\r")
        for at, other in enumerate(unknown):
            answer = await hub.send(deferred("AE", other, own=f"U{at}"))
            assert b"\rMSA|AR|U%d|" % at in answer
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.addresses.mllp)
        for accept in ("NE", "", "ER"):
            writer.write(b"\x0b" + deferred("AA", number, accept) + b"\x1c\r")
        writer.write(b"\x0b" + deferred("AA", "OTHER-1", "NE", own="K2") + b"\x1c\r")
        async with asyncio.timeout(parts.PATIENCE_S):
            first = await reader.readuntil(b"\x1c\r")
        writer.close()

        assert b"\rMSA|AR|K2|" in first  # the others are not answered
        store = hub.hub.backend.store
        await until(store, lambda dead: dead)
        assert [one.control_id for one in await dead_messages(store)] == [number]


@pytest.mark.parametrize(("code", "dead"), [("AA", []), ("AE", ["AE"])])
async def test_who_says_all_by_a_message_of_his_own_is_not_silent(telling, code, dead, waited):
    async with telling("silent", "CA") as (hub, peer):
        await tell(hub, 1)
        await peer.messages(1)

        await hub.send(deferred(code, control_id(peer.received[0])))
        waited(61)
        await tell(hub, 2)
        await peer.messages(2)

        store = hub.hub.backend.store
        assert [one.ack_code for one in await dead_messages(store)] == dead
        orders = await store.notes()
        assert not [name for name in orders if "/heard/" in name]


@pytest.mark.parametrize("when", ["with the commit", "while nothing is on its way"])
@pytest.mark.parametrize("code", ["AE", "AA"])
async def test_what_is_said_later_on_the_hubs_own_connection_is_heard(telling, code, when):
    is_at_once = when == "with the commit"
    async with telling(f"CA+{code}" if is_at_once else "CA") as (hub, peer):
        await tell(hub, 1)
        await peer.messages(1)
        number = control_id(peer.received[0])
        if not is_at_once:
            peer.say(deferred_on_link(code, number))

        await peer.until(lambda one: b"\rMSA|CA|9\r" in one.received[-1])

        store = hub.hub.backend.store
        await until(store, lambda dead: bool(dead) == (code != "AA"))
        found = [(one.control_id, one.ack_code) for one in await dead_messages(store)]
        assert found == ([] if code == "AA" else [(number, code)])


@pytest.mark.parametrize(
    ("his", "sender"),
    [
        ({}, "LIS|SHTH01"),
        ({"facility": "SHTH01"}, "HIS|ZJJCHC"),
        ({"application": "", "facility": "SHTH01"}, "HIS|"),
        ({"application": ""}, "HIS|SHTH01"),
        ({"ack_channels": ["partners"]}, "HIS|SHTH01"),
    ],
    ids=["application", "facility", "no facility", "nobody", "channel"],
)
async def test_what_another_says_of_a_partners_message_is_not_heard(telling, his, sender):
    channels = {"partners": {"transport": "http"}}
    async with telling("CA", "CA", his=his, channels=channels) as (hub, peer):
        await tell(hub, 1, 2)
        await peer.messages(2)
        number = control_id(peer.received[0])

        answer = await hub.send(deferred("AR", number, sender=sender))

        assert b"\rMSA|AR|K1|" in answer  # as of a message that is none of ours
        store = hub.hub.backend.store
        assert not [name for name in await store.notes() if "/heard/" in name]
        assert await dead_messages(store) == []
        assert refusals(hub) == 1


async def test_one_partner_says_nothing_of_anothers_messages(telling):
    other = Peer()
    other.answers = ["CA"]
    await other.start()
    lis = {"address": f"mllp://127.0.0.1:{other.port}", "sends": {"Patient": ""}}
    async with telling("CA", others={"lis": lis | {"ack_mode": "enhanced"}}) as (hub, peer):
        await tell(hub, 1)
        await asyncio.gather(peer.messages(1), other.messages(1))

        other.say(deferred_on_link("AE", control_id(peer.received[0])))
        other.say(deferred_on_link("AE", control_id(other.received[0])))
        store = hub.hub.backend.store
        await until(store, lambda dead: dead)

        assert [one.partner for one in await dead_messages(store)] == ["lis"]
        assert refusals(hub) == 1
    await other.stop()


async def test_a_hub_is_heard_whatever_facility_it_speaks_for(telling):
    his = {"facility": "SHTH01", "is_hub": True, "ack_channels": ["mllp"]}
    async with telling("CA", his=his) as (hub, peer):
        await tell(hub, 1)
        await peer.messages(1)

        await hub.send(deferred("AE", control_id(peer.received[0]), sender="HIS|ZJJCHC"))

        store = hub.hub.backend.store
        await until(store, lambda dead: [one.ack_code for one in dead] == ["AE"])


async def test_a_channel_that_is_not_there_stops_the_start(telling):
    with pytest.raises(InvalidSettings, match=r"partners\.his\.ack_channels: .* none; .* mllp"):
        async with telling(his={"ack_channels": ["none"]}):
            pass
