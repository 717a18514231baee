"""Answers as partners' systems write them, and connections that end without a word.

Spec: HL7v2 chapter 2, 2.9.2; HL7 Minimal Lower Layer Protocol; RFC 8446 (close_notify)
"""

import asyncio
import ssl

import parts
import pytest
import trustme
from deliver_parts import Peer, ack, partner, patient, put

from fhir_hub.hl7v2.deliver.outbox import dead_messages, progresses
from fhir_hub.hl7v2.wire.mllp import END, START
from fhir_hub.hl7v2.wire.sender import control_id

MSH = "MSH|^~\\&|THEIRS|THERE|||20250315||ACK|9|P|2.4"


class Writing(Peer):
    """Answers each message with the pieces that `write` returns for it, one packet after another.

    Without a piece it ends the connection; `is_abrupt`: it does so after each, without a word.
    """

    def __init__(self, write, *, is_abrupt=False):
        super().__init__()
        self._write, self._is_abrupt = write, is_abrupt

    def _answer(self, writer, number):
        for piece in self._write(number, len(self.received)):
            writer.write(piece)
        if self._is_abrupt:
            writer.transport.abort()


def block(raw):
    return START + raw + END + b"\r"


def text(number, code="AA", more=""):
    return f"{MSH}\rMSA|{code}|{number}{more}\r"


def batch(*texts):
    lines = "FHS|^~\\&\rBHS|^~\\&\r", *texts, f"BTS|{len(texts)}\rFTS|1\r"
    return "".join(lines).encode()


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda number, _: [ack("aa", number)], id="lower case"),
        pytest.param(lambda number, _: [ack(" AA ", f" {number} ")], id="blanks"),
        pytest.param(lambda number, _: [ack("AA", number) * 2], id="twice at once"),
        pytest.param(lambda number, _: [bytes([b]) for b in ack("AA", number)], id="in pieces"),
        pytest.param(lambda number, _: [ack("AA", number)[:-1]], id="without CR"),
        pytest.param(lambda number, _: [b"\r\n" + ack("AA", number) + b"\n"], id="between blocks"),
        pytest.param(
            lambda number, _: [block(b"\xef\xbb\xbf" + text(number).encode())], id="with a BOM"
        ),
        pytest.param(
            lambda number, _: [block(text(number, more="|成功").encode("gbk"))], id="GBK, not said"
        ),
        pytest.param(lambda number, _: [block(text(number).encode("utf-16"))], id="UTF-16"),
        pytest.param(lambda number, _: [block(text(number).replace("\r", "\n").encode())], id="LF"),
        pytest.param(
            lambda number, _: [block(f"{MSH}\r".encode()), ack("AA", number)], id="no MSA, then it"
        ),
        pytest.param(
            lambda number, _: [ack("AE", "OTHER"), ack("AA", number)], id="of another message"
        ),
        pytest.param(
            lambda number, _: [block(text(number, more="|" + "x" * 3_000_000).encode())], id="huge"
        ),
        pytest.param(lambda number, _: [ack("CA", number)], id="of enhanced mode"),
        pytest.param(lambda number, _: [block(batch(text(number)))], id="in a batch"),
        pytest.param(
            lambda number, _: [block(batch(text("OTHER", "AE"), text(number)))], id="second of two"
        ),
        pytest.param(lambda number, _: [block(batch()), ack("AA", number)], id="empty batch"),
    ],
)
async def test_an_acknowledgment_is_read_however_it_is_written(client, delivering, store, write):
    peer = Writing(write)
    await peer.start()

    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        await peer.messages(2)
        sent = [control_id(raw) for raw in peer.received]

    await peer.stop()
    assert len(sent) == len(set(sent)) == 2
    assert await dead_messages(store) == []


async def test_who_floods_late_acknowledgments_is_ended_and_what_he_said_is_heard(
    client, delivering, logged, metrics, store
):
    many = [ack("AA", f"E-{number}", "ZZZ|" + "x" * 500_000) for number in range(9)]
    peer = Writing(
        lambda number, count: [*many, ack("CA", number)] if count == 1 else [ack("CA", number)]
    )
    await peer.start()

    async with delivering(his=partner(peer, ack_mode="enhanced", timeout_s=60)):
        await put(client, patient(1))
        await peer.until(lambda one: len(one.received) == 2)
    await peer.stop()

    assert ("partner_silent", {"partner": "his", "reason": "too many acknowledgments"}) in logged
    assert peer.received[0] == peer.received[1]


@pytest.mark.parametrize("first", [b"", block(MSH.encode() + b"\r"), ack("", ""), ack("AA", "")])
async def test_what_says_nothing_of_the_message_is_no_answer(client, delivering, first, waited):
    peer = Writing(lambda number, count: [first] if count == 1 else [ack("AA", number)])
    await peer.start()

    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        await peer.messages(1)
        waited(61)
        await peer.messages(2)

    await peer.stop()
    assert [control_id(raw) for raw in peer.received][:2] == [control_id(peer.received[0])] * 2


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (
            "ERR||PID^1^3^1^4|101^Required field missing^HL70357|E||||no number of 沈桂芳",
            "101 PID-3.4",
        ),
        ("ERR||OBX^2^5|102|E", "102 OBX[2]-5"),
        ("ERR|PV1^1^44^103&Table value not found&HL70357", "103 PV1-44"),
        ("ERR|||204", "204"),
        ("ERR||PID^1^11|0|W\rERR||PID^1^8|103|E", "103 PID-8"),
        ("ERR||沈桂芳^1^5|沈桂芳|E||||310229195304129989", ""),
    ],
)
async def test_why_he_refused_is_told_in_codes_and_by_the_place(
    client, delivering, store, logged, error, known
):
    raw = f"{MSH}\rMSA|AR|%s|沈桂芳\r{error}\r"
    peer = Writing(lambda number, at: [block((raw % number).encode())])
    await peer.start()

    async with delivering(his=partner(peer)):
        await put(client, patient(1))
        await peer.messages(1)
    await peer.stop()

    (dead,) = await dead_messages(store)
    assert (dead.ack_code, dead.error_code) == ("AR", known)
    assert [line["reason"] for event, line in logged if event == "message_dead"] == [known]


@pytest.mark.parametrize(
    ("code", "count", "known"),
    [("CR", 1, "CR"), ("CE", 2, "CE"), ("沈桂芳", 2, "unknown"), ("A" * 9000, 2, "unknown")],
)
async def test_what_a_dead_message_is_logged_with_is_a_code_of_hl7(
    client, delivering, store, logged, code, count, known
):
    error = "ERR|||沈桂芳 310229195304129989"
    raw = f"{MSH}\rMSA|{code}|%s\r{error}\r"
    peer = Writing(
        lambda number, at: [block((raw % number).encode()) if at <= count else ack("AA", number)]
    )
    await peer.start()

    async with delivering(his=partner(peer, attempts=2)):
        await put(client, patient(1), patient(2))
        await peer.messages(2)
    await peer.stop()

    (dead,) = await dead_messages(store)
    assert (dead.ack_code, dead.error_code) == (known, "")
    assert [line["ack_code"] for event, line in logged if event == "message_dead"] == [known]
    assert len(peer.received) == count + 1


async def test_why_a_message_was_refused_is_noted_while_it_is_under_way(
    client, delivering, store, peer
):
    peer.answers = ["AE"]

    async with delivering(his=partner(peer, pause_s=60, max_pause_s=60)):
        await put(client, patient(1))
        async with asyncio.timeout(parts.PATIENCE_S):
            while not (said := (await progresses(store))["his"].pending) or not said.attempts:
                await asyncio.sleep(0)

    assert (said.attempts, said.refusal) == (1, "AE 207")


async def test_a_host_that_is_no_name_is_one_that_does_not_answer(client, delivering, logged, peer):
    his = partner(peer, address="mllp://a..b:2575", failures=2)
    async with delivering(his=his) as running:
        await put(client, patient(1))
        async with asyncio.timeout(parts.PATIENCE_S):
            await running.until("his", "open")

    assert logged[0] == ("partner_silent", {"partner": "his", "reason": "no connection"})


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def listening(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_partner_who_ends_tls_without_a_word_after_each_answer_is_not_silent(
    client, delivering, metrics, tmp_path, authority
):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    peer = Writing(lambda number, _: [ack("AA", number)], is_abrupt=True)
    await peer.start(listening(authority))
    address = f"mllps://127.0.0.1:{peer.port}"

    given = partner(peer, address=address, tls_ca=tmp_path / "ca.pem")
    async with delivering(his=given):
        for number in range(3):
            await put(client, patient(number))
            await peer.messages(number + 1)

    await peer.stop()
    told = {"partner": "his", "outcome": "no-answer"}
    assert metrics.registry.get_sample_value("fhir_hub_outbound_messages_total", told) is None
