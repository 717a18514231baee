"""What becomes of messages while TLS is refused, what an operator sees of it, and the recovery.

Spec: RFC 8446, 6.2 (alerts); RFC 9525 (whose certificate it is); docs/outbound.md
"""

import asyncio
import ssl
from datetime import UTC, datetime

import pytest
import trustme
from deliver_parts import Peer, numbers, partner, patient, put

from fhir_hub.hl7v2.deliver.outbox import dead_messages, progresses
from fhir_hub.hl7v2.wire.sender import control_id


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger():
    return trustme.CA()


def listening(certificate, *, clients=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    return context


def unknown(authority, stranger):
    return listening(stranger.issue_cert("127.0.0.1"))


def misnamed(authority, stranger):
    return listening(authority.issue_cert("other.example"))


def expired(authority, stranger):
    return listening(authority.issue_cert("127.0.0.1", not_after=datetime(2024, 1, 1, tzinfo=UTC)))


def asking(authority, stranger):
    return listening(authority.issue_cert("127.0.0.1"), clients=authority)


def plain(authority, stranger):
    return None


def trusting(tmp_path, authority, peer, **more):
    """Return a partner over TLS whose certificates come from `authority`."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    more = {"tls_ca": tmp_path / "ca.pem", "failures": 2} | more
    return partner(peer, address=f"mllps://127.0.0.1:{peer.port}", **more)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (unknown, "TLS refused: unable to get local issuer certificate"),
        (misnamed, "TLS refused: IP address mismatch"),
        (expired, "TLS refused: certificate has expired"),
        # what he says may be lost with the connection that he ends
        (asking, ("TLS refused: TLSV13_ALERT_CERTIFICATE_REQUIRED", "connection ended")),
        (plain, "no connection in time"),
    ],
)
async def test_while_tls_is_refused_a_message_waits_and_goes_when_it_is_mended(
    client, delivering, store, metrics, logged, tmp_path, authority, stranger, wrong, reason, waited
):
    peer = Peer()
    await peer.start(wrong(authority, stranger))

    given = trusting(tmp_path, authority, peer, timeout_s=30)
    async with delivering(his=given) as running:
        await put(client, patient(1), patient(2))
        if wrong is plain:
            for count in (1, 2):
                await peer.connected(count)
                waited(31)
            while len(logged) < 2:  # it is open for a moment only
                await asyncio.sleep(0)
        else:
            await running.until("his", "open")
        pending = (await progresses(store))["his"].pending
        await peer.stop()
        peer.received.clear()  # to who speaks no TLS a handshake may look like a block
        await peer.start(listening(authority.issue_cert("127.0.0.1")))
        if wrong is plain:  # a third may have come just before the end, to wait for nothing
            waited(31)
        await peer.messages(2)
        await running.until("his", "closed")
    await peer.stop()

    assert pending is not None
    assert control_id(peer.received[0]) == pending.control_id
    assert numbers(peer) == ["T1", "T2"]
    assert await dead_messages(store) == []
    told = {"partner": "his", "outcome": "no-answer"}
    assert metrics.registry.get_sample_value("fhir_hub_outbound_messages_total", told) >= 2
    silent = [fields for event, fields in logged if event == "partner_silent"]
    assert silent[0]["partner"] == "his"
    assert silent[0]["reason"].startswith(reason)


async def test_renewed_files_are_used_without_a_new_start(
    client, delivering, tmp_path, authority, stranger
):
    peer = Peer()
    await peer.start(asking(authority, stranger))
    own = tmp_path / "hub.pem"
    stranger.issue_cert("hub.example").private_key_and_cert_chain_pem.write_to_path(own)

    given = trusting(tmp_path, authority, peer, tls_certificate=own)
    async with delivering(his=given) as running:
        await put(client, patient(1))
        await running.until("his", "open")
        renewed = tmp_path / "new.pem"
        authority.issue_cert("hub.example").private_key_and_cert_chain_pem.write_to_path(renewed)
        renewed.replace(own)
        await peer.messages(1)
    await peer.stop()

    assert numbers(peer) == ["T1"]
