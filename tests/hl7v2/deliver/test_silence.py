"""A partner who does not answer: the breaker opens, and since when is noted until he answers."""

import asyncio

import parts
import pytest
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


@pytest.mark.parametrize(
    ("answer", "reason", "timeout_s"),
    [
        ("astray", "acknowledgments of other messages alone", 60),
        ("nameless AA", "acknowledgments without MSA-2 alone", 0.2),
    ],
)
async def test_of_who_acknowledges_only_other_messages_that_is_said(
    client, delivering, peer, store, logged, answer, reason, timeout_s
):
    peer.answers = [answer] * 2

    async with delivering(his=partner(peer, timeout_s=timeout_s)):
        await put(client, patient(1), patient(2))
        await peer.messages(2)

    reasons = [fields["reason"] for event, fields in logged if event == "partner_silent"]
    assert reasons == [reason] * 2


async def test_an_acknowledgment_in_an_odd_dress_is_one(client, delivering, peer):
    peer.answers = ["foreign", "both", "late", "once"]

    async with delivering(his=partner(peer)):
        for number in range(1, 6):
            await put(client, patient(number))
        await peer.messages(5)

    assert len(peer.received) == 5
