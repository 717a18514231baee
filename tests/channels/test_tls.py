"""MLLP in TLS over real sockets: certificates that are right, wrong or absent.

Spec: HL7 Minimal Lower Layer Protocol, release 1; RFC 8446
"""

import ssl

import pytest
import trustme
from channel_parts import adt

from fhir_hub.settings import InvalidSettings


def secured(certificates, **more):
    return {"lab": {"transport": "mllps", "port": 0, **certificates, **more}}


async def test_a_client_with_a_certificate_of_the_authority_is_answered(
    start, certificates, client_tls
):
    async with start(channels=secured(certificates)) as ways:
        client = await ways.connect("lab", client_tls("lis.hospital.example"))
        assert b"MSA|AA|C1" in await client.send(adt())
        assert client.writer.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("kind", ["none", "of another authority", "plain"])
async def test_a_client_without_a_right_certificate_is_refused_and_the_log_says_so(
    start, certificates, client_tls, kind
):
    async with start(channels=secured(certificates)) as ways:
        other = trustme.CA()
        tls = {
            "none": client_tls(),
            "of another authority": client_tls("lis.hospital.example", by=other),
            "plain": None,
        }[kind]
        try:
            client = await ways.connect("lab", tls)
            client.writer.write(b"\x0b" + adt() + b"\x1c\r")
            assert await client.is_closed()
        except (ssl.SSLError, ConnectionError):
            pass
        assert await ways.kept() == []
        assert [(one["event"], one["channel"]) for one in ways.seen.lines] == [
            ("mllp_tls_refused", "lab")
        ]


async def test_a_client_need_not_show_a_certificate_where_that_is_optional_or_none_is_asked_for(
    start, certificates, client_tls
):
    plain = {"certificate": certificates["certificate"]}
    for channels in (secured(plain), secured(certificates, client_certificates="optional")):
        async with start(channels=channels) as ways:
            client = await ways.connect("lab", client_tls())
            assert b"MSA|AA|C1" in await client.send(adt())


async def test_a_client_that_says_nothing_more_does_not_hold_up_the_end(
    start, certificates, client_tls
):
    async with start(channels=secured(certificates)) as ways:
        client = await ways.connect("lab", client_tls("lis.hospital.example"))
        assert b"MSA|AA|C1" in await client.send(adt())
        client.writer.transport.pause_reading()  # as one that waits and does not read
        await ways.intake.close()
        assert ways.seen.events == []


async def test_a_certificate_says_who_may_be_sent_as(start, certificates, client_tls):
    senders = {"LIS.hospital.example": ["LIS|SHTH01", "LIS2|*"]}
    async with start(channels=secured(certificates, senders=senders)) as ways:
        client = await ways.connect("lab", client_tls("lis.hospital.example"))
        assert b"MSA|AA|C1" in await client.send(adt("C1", msh_3="LIS"))
        assert b"MSA|AA|C2" in await client.send(adt("C2", msh_3="LIS2", msh_4="any"))
        assert b"MSA|AR|C3" in await client.send(adt("C3", msh_3="HIS"))
        other = await ways.connect("lab", client_tls("ris.hospital.example"))
        assert b"MSA|AR|C4" in await other.send(adt("C4", msh_3="LIS"))
        assert len(await ways.kept()) == 2
        assert ways.seen.events == ["sender_refused", "sender_refused"]
        told = [(line["sender"], line["type"], line["certificate"]) for line in ways.seen.lines]
        assert told == [
            ("HIS|SHTH01", "ADT^A08", "lis.hospital.example"),
            ("LIS|SHTH01", "ADT^A08", "ris.hospital.example"),
        ]


@pytest.mark.parametrize("header", [b"BHS|^~\\&|LIS|SHTH01\r", b""], ids=["a batch", "no header"])
async def test_of_several_messages_in_a_block_each_is_to_be_of_who_may_send(
    start, certificates, client_tls, header
):
    senders = {"lis.hospital.example": ["LIS|*"]}
    async with start(channels=secured(certificates, senders=senders)) as ways:
        client = await ways.connect("lab", client_tls("lis.hospital.example"))
        foreign = header + adt("C1", msh_3="LIS") + adt("C2", msh_3="HIS")
        assert b"MSA|AR|" in await client.send(foreign)
        assert await ways.kept() == []
        assert b"MSA|AA|C3" in await client.send(adt("C3", msh_3="LIS"))


@pytest.mark.parametrize(
    ("accept", "application", "told"),
    [("AL", "AL", b"CR"), ("ER", "NE", b"CR"), ("NE", "AL", b"AR"), ("", "ER", b"AR")],
)
async def test_in_enhanced_mode_a_sender_that_the_certificate_does_not_name_hears_what_it_asks_for(
    start, certificates, client_tls, accept, application, told
):
    more = {"ack_mode": "enhanced", "senders": {"lis.hospital.example": ["LIS|*"]}}
    async with start(channels=secured(certificates, **more)) as ways:
        client = await ways.connect("lab", client_tls("lis.hospital.example"))
        answer = await client.send(adt("C1", msh_3="HIS", msh_15=accept, msh_16=application))
        assert b"MSA|%b|C1" % told in answer
        quiet = adt("C2", msh_3="HIS", msh_15="NE", msh_16="NE")
        await client.send_only(quiet)
        assert b"MSA|CA|C3" in await client.send(adt("C3", msh_3="LIS", msh_15="AL", msh_16="NE"))
        assert len(await ways.kept()) == 1


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("certificate", r"channels.lab.certificate: \S+junk.pem: No such file or directory"),
        ("client_ca", r"channels.lab.client_ca: \S+junk.pem: it is no good"),
    ],
)
async def test_a_certificate_that_cannot_be_used_stops_the_start(
    start, certificates, tmp_path, key, told
):
    junk = tmp_path / "junk.pem"
    if key == "client_ca":
        junk.write_text("junk")
    with pytest.raises(InvalidSettings, match=told):
        async with start(channels=secured(certificates | {key: junk})):
            pass
