"""Batches: what is in them, whether it is all, and that a file of any size is read in pieces."""

import time
import tracemalloc

import pytest

from fhir_hub.hl7v2.wire.batches import MESSAGE, Tally, is_batch, parts_of


def message(name):
    return f"MSH|^~\\&|HIS|SHTH01|||20250314||ADT^A08|{name}|P|2.4\rPID|1\r".encode()


ONE, TWO = message("a"), message("b")
BHS = b"BHS|^~\\&|HIS|SHTH01|HUB|QP|20250314|||night|B7\r"


def told(raw):
    tally = Tally()
    for part in parts_of(raw):
        tally.take(part)
    tally.close()
    return [(fault.error_code, fault.location, fault.text) for fault in tally.faults]


def test_millions_of_blank_lines_are_soon_passed_over():
    raw = ONE + b"\n" * 3_000_000 + TWO
    begun = time.process_time()
    assert [part.raw for part in parts_of(raw)] == [ONE, TWO]
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "raw",
    [
        ONE,
        ONE + TWO,
        BHS + ONE + TWO + b"BTS|2\r",
        BHS + ONE + b"BTS\r" + BHS + TWO + b"BTS|1|end\r",
        b"FHS|^~\\&\r" + BHS + ONE + b"BTS|1\r" + BHS + b"BTS|0\rFTS|2\r",
        b"FHS|^~\\&\r" + ONE + TWO + b"FTS|1\r",
        b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r",
        b"",
    ],
)
def test_what_is_whole_has_no_fault(raw):
    assert told(raw) == []


@pytest.mark.parametrize(
    ("raw", "code", "location", "text"),
    [
        (BHS + ONE + b"BTS|2\r", "100", "BTS-1", "BTS-1 says 2, but 1 messages came"),
        (BHS + ONE + b"BTS|x\r", "102", "BTS-1", "BTS-1 is no number"),
        (BHS + ONE, "100", "BTS", "no BTS ends the batch of 1 messages: it may be cut"),
        (BHS + ONE + BHS + TWO + b"BTS|1\r", "100", "BTS", "no BTS ends the batch of 1 messages"),
        (b"FHS|^~\\&\r" + BHS + b"BTS|0\rFTS|3\r", "100", "FTS-1", "FTS-1 says 3, but 1 batches"),
        (b"FHS|^~\\&\r" + ONE, "100", "FTS", "no FTS ends the file: it may be cut"),
        (BHS + b"PID|1\r" + ONE + b"BTS|1\r", "100", "BHS", "1 segments belong to no message"),
        (BHS + ONE + b"BTS|1\rOBX|1\r", "100", "BHS", "1 segments belong to no message"),
    ],
)
def test_what_does_not_agree_is_told(raw, code, location, text):
    ((found, place, said),) = told(raw)

    assert (found, place) == (code, location)
    assert said.startswith(text)


def test_pieces_of_any_size_give_the_same_parts():
    raw = (b"\xef\xbb\xbfFHS|^~\\&\r\n" + BHS + ONE + TWO + b"BTS|2\r\nFTS|1").replace(
        b"\r", b"\r\n"
    )
    whole = list(parts_of(raw))

    assert [part.kind for part in whole] == ["FHS", "BHS", MESSAGE, MESSAGE, "BTS", "FTS"]
    for size in (1, 2, 3, 7, 50):
        assert list(parts_of(raw[at : at + size] for at in range(0, len(raw), size))) == whole


@pytest.mark.no_cover  # many rounds of what other tests cover
def test_a_batch_of_30_000_messages_needs_the_memory_of_one():
    def pieces():
        yield BHS
        for _ in range(300):
            yield ONE * 100
        yield b"BTS|30000\r"

    tally = Tally()
    tracemalloc.start()
    try:
        for part in parts_of(pieces()):
            tally.take(part)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert (tally.messages, tally.close(), tally.faults) == (30_000, [], [])
    assert peak < 200_000


FRAMED = b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r"
GLUED = [ONE + b" \n" + TWO, ONE + b"\xef\xbb\xbf" + TWO, b"\xef\xbb\xbf" + ONE + b"\x0b" + TWO]


@pytest.mark.parametrize(
    "raw", [b"\r\nFHS|", b"\xef\xbb\xbfBHS|", ONE + TWO, FRAMED, FRAMED[1:], *GLUED]
)
def test_what_is_a_batch(raw):
    assert is_batch(raw)


@pytest.mark.parametrize(
    "raw",
    [b"", ONE, b"\n" + ONE, b"\xef\xbb\xbf\r\n" + ONE, ONE + b"NTE|1||MSH\r", ONE + b"MS\r"],
)
def test_what_is_none(raw):
    assert not is_batch(raw)
