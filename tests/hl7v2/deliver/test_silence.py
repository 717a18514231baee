"""A partner who does not answer: the breaker opens, and since when is noted until he answers."""

import asyncio

import parts
from deliver_parts import numbers, partner, patient, put

from fhir_hub.hl7v2.deliver.silence import silent


async def until_silent(store, is_so):
    """Wait until what is noted of a partner's silence is as said."""
    async with asyncio.timeout(parts.PATIENCE_S):
        while not is_so(found := (await silent(store)).get("his")):
            await asyncio.sleep(0.01)
    return found


async def test_where_nobody_listens_nothing_is_lost_and_the_breaker_opens(
    client, delivering, peer, metrics, store
):
    await peer.stop()
    slow = partner(peer, failures=2, pause_s=0.05)

    async with delivering(his=slow) as running:
        await put(client, patient(1), patient(2))
        await running.until("his", "open")
        silence = await until_silent(store, lambda his: his and his.tries > 1)
        await peer.start()
        await peer.messages(2)
        await running.until("his", "closed")
        await until_silent(store, lambda his: his is None)

    assert (silence.reason, silence.is_left_alone) == ("no connection", True)

    assert numbers(peer) == ["T1", "T2"]
    told = metrics.registry.get_sample_value
    silent = {"partner": "his", "outcome": "no-answer"}
    assert told("fhir_hub_outbound_messages_total", silent) >= 2


async def test_of_who_acknowledges_only_other_messages_that_is_said(
    client, delivering, peer, store, logged
):
    peer.answers = ["astray"] * 2

    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        await peer.messages(2)

    reasons = [fields["reason"] for event, fields in logged if event == "partner_silent"]
    assert reasons == ["acknowledgments of other messages alone"] * 2
