"""What an operator says of a partner's messages, and a store that cannot be written for a while."""

from deliver_parts import Peer, deliveries, numbers, partner, patient, put, until

from fhir_hub import fhirjson
from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2.deliver.outbox import dead_messages, forget, pause, skip
from fhir_hub.hl7v2.wire.sender import control_id
from fhir_hub.store.base import Change
from fhir_hub.store.memory.journal import MemoryJournal
from fhir_hub.store.memory.store import MemoryStore


async def test_a_message_that_nobody_answers_is_skipped_when_somebody_says_so(
    client, delivering, peer, store
):
    peer.answers = ["close"] * 2
    his = partner(peer, failures=1, pause_s=60, max_pause_s=60)

    async with delivering(his=his) as running:
        await put(client, patient(1), patient(2))
        await running.until("his", "open")
        number = control_id(peer.received[0])
        await skip(store, "his", number)
        await until(store, lambda dead: bool(dead))
    async with delivering(his=partner(peer)):
        await peer.messages(2)

    (dead,) = await dead_messages(store)
    assert (dead.control_id, dead.address, dead.ack_code) == (number, "Patient/p1", "skipped")
    assert numbers(peer) == ["T1", "T2"]


async def test_to_a_partner_who_is_paused_nothing_goes_until_he_is_resumed(
    client, delivering, peer, store
):
    other = Peer()
    await other.start()
    await pause(store, "his", is_paused=True)
    async with delivering(his=partner(peer), lis=partner(other)):
        await put(client, patient(1), patient(2))
        await other.messages(2)
        assert peer.received == []
        await pause(store, "his", is_paused=False)
        await peer.messages(2)
    await other.stop()


async def test_a_partner_who_was_forgotten_is_told_of_what_changes_from_then_on(
    client, delivering, peer, store
):
    peer.answers = ["silent"]
    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        await peer.messages(1)
    await forget(store, "his")

    async with delivering(his=partner(peer)):
        await put(client, patient(3))
        await peer.messages(2)

    assert numbers(peer) == ["T1", "T3"]


class Failing(MemoryStore):
    """A store that cannot be written for a while."""

    failures = 0

    async def reindex(self, items, notes, generation, *expected):
        if self.failures and any("/dead/" in name for name in notes):
            self.failures -= 1
            raise Unavailable("no space")
        await super().reindex(items, notes, generation, *expected)


async def test_a_dead_message_that_could_not_be_noted_is_noted_later_and_not_sent_again(
    peer, metrics
):
    store = Failing(MemoryJournal())
    store.failures = 2
    peer.answers = ["AR"]
    made = deliveries(store, metrics, his=partner(peer))
    made.lead()
    await made.opened()
    written = fhirjson.dumps(patient(1))
    await store.write([Change("Patient", "p1", 1, 1, "PUT", written)])
    await until(store, lambda dead: bool(dead))
    await made.close(0.1)

    assert len(peer.received) == 1


async def test_of_a_report_with_very_many_results_none_is_left_out(peer, metrics):
    store = MemoryStore(MemoryJournal())
    made = deliveries(store, metrics, his=partner(peer, sends={"DiagnosticReport": ""}))
    made.lead()
    await made.opened()
    code = {"status": "final", "code": {"text": "x"}}
    found = [{"resourceType": "Observation", "id": f"o{n}", **code} for n in range(405)]
    results = [{"reference": f"Observation/{one['id']}"} for one in found]
    report = {"resourceType": "DiagnosticReport", "id": "d1", **code, "result": results}
    changes = [
        Change(one["resourceType"], one["id"], 1, 1, "PUT", fhirjson.dumps(one))
        for one in (*found, report)
    ]
    await store.write(changes)
    (message,) = await peer.messages(1)
    await made.close(0.1)

    assert message.count("\rOBX|") == 405
