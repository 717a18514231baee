"""MLLP framing: whatever way the bytes come, the same blocks come out.

Spec: HL7 Minimal Lower Layer Protocol, release 1
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.hl7v2.wire.mllp import Block, Framer, frame

MESSAGES = Path(__file__).parent / "messages"
LIMIT = 10_000


def blocks(*pieces: bytes, limit: int = LIMIT) -> list[bytes]:
    framer = Framer(limit)
    return [block.raw for piece in pieces for block in framer.feed(piece)]


def test_a_framed_message_comes_out():
    assert blocks(frame(b"MSH|1\r")) == [b"MSH|1\r"]


def test_bytes_one_by_one_make_the_same_blocks():
    stream = (MESSAGES / "quirks" / "q6_mllp_split_and_double.hl7").read_bytes()

    whole = blocks(stream)
    assert len(whole) == 2
    assert blocks(*(stream[i : i + 1] for i in range(len(stream)))) == whole


def test_two_blocks_in_one_packet_come_in_order():
    assert blocks(frame(b"a") + frame(b"b")) == [b"a", b"b"]


def test_the_cr_behind_the_end_may_be_missing():
    assert blocks(b"\x0ba\x1c\x0bb\x1c", b"\r\x0bc\x1c") == [b"a", b"b", b"c"]


def test_a_block_ends_with_fs_and_does_not_wait_for_the_cr():
    assert blocks(b"\x0ba\x1c") == [b"a"]


@pytest.mark.parametrize("junk", [b"\n", b"\0\0", b"keep alive", b"\r\r", b"\x1c\r"])
def test_bytes_between_blocks_are_passed_over_and_counted(junk):
    framer = Framer(LIMIT)

    assert framer.feed(junk + frame(b"a") + junk) == [Block(b"a")]
    assert framer.feed(frame(b"b")) == [Block(b"b")]
    assert framer.junk == 2 * len(junk)


def test_an_empty_block_is_a_sign_of_life():
    framer = Framer(LIMIT)

    assert framer.feed(b"\x0b\x1c\r" + frame(b"a")) == [Block(b"a")]
    assert framer.junk == 0


def test_a_block_begun_anew_before_its_end_replaces_what_was_there():
    framer = Framer(LIMIT)

    assert framer.feed(b"\x0bhalf") == []
    assert framer.is_inside
    assert framer.feed(b"er\x0bhalf\x0bwhole\x1c\r") == [Block(b"whole")]
    assert framer.junk == len("halferhalf") + 2
    assert not framer.is_inside


def test_a_block_over_the_limit_is_cut_to_its_head_and_the_next_is_whole():
    framer = Framer(LIMIT)

    found = framer.feed(frame(b"MSH|" + b"x" * LIMIT) + frame(b"next"))
    assert found == [Block(b"MSH|" + b"x" * 4092, is_cut=True), Block(b"next")]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_letters_that_have_the_marks_of_a_block_in_them_do_not_end_it(name, mark, size):
    text = f"{mark}MSH|^~\\&|\rPID|1||7||沈^桂芳\rNK1|1|东方^下\rNK1|2|丛东\r".encode(name)
    stream = frame(text) + frame(b"MSH|next") + frame(text)
    assert {b"\x1c", b"\x0b"} <= {stream[n : n + 1] for n in range(1, len(text))}

    assert blocks(*(stream[i : i + size] for i in range(0, len(stream), size))) == [
        *(text, b"MSH|next", text)
    ]


def test_a_block_of_the_limits_size_is_whole():
    assert Framer(5).feed(frame(b"12345")) == [Block(b"12345")]
    assert Framer(5).feed(frame(b"123456")) == [Block(b"12345", is_cut=True)]


def test_a_cut_block_begun_anew_is_a_new_block():
    assert blocks(b"\x0b" + b"x" * 20, b"\x0bok\x1c", limit=10) == [b"ok"]


def test_a_block_without_end_costs_no_memory():
    framer = Framer(LIMIT)
    piece = b"\x0b" + b"x" * 65535

    for _ in range(800):
        assert framer.feed(piece[1:]) == []
    assert framer.feed(piece) == []
    for _ in range(800):
        assert framer.feed(piece[1:]) == []
    assert framer.feed(b"\x1c")[0].is_cut


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize(
    ("stream", "blocks"),
    [(b"\x0b" * 1_000_000, 0), (b"\x0ba\x1c\r" * 100_000, 100_000), (b"\x1c" * 1_000_000, 0)],
    ids=["starts", "frames", "ends"],
)
def test_a_million_marks_are_read_to_the_end(stream, blocks):
    assert len(Framer(LIMIT).feed(stream)) == blocks


_PIECES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"MSH|^~\\&|"]),
    ),
    max_size=30,
)


@given(_PIECES, st.integers(1, 40), st.integers(1, 7))
def test_any_pieces_make_the_blocks_of_the_whole(pieces, limit, size):
    stream = b"".join(pieces)
    whole, split = Framer(limit), Framer(limit)

    expected = whole.feed(stream)
    found = [
        block
        for start in range(0, len(stream), size)
        for block in split.feed(stream[start : start + size])
    ]
    assert found == expected
    assert split.junk == whole.junk
    assert all(len(block.raw) <= limit for block in found)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10))
def test_what_is_framed_comes_back(messages):
    clean = [m.translate(None, b"\x0b\x1c") for m in messages]
    assert blocks(b"".join(frame(m) for m in clean)) == [m for m in clean if m]


def test_a_block_begun_anew_in_wide_letters_is_the_same_in_any_pieces():
    stream = b"\x0bMSH\x0b\xff\xfeM\0S\0\x0b\x4e\x0bH\0\x1cN\x1c\r\x0bMSH|2\x1c\r"
    whole = Framer(200)
    expected = whole.feed(stream)
    for step in (1, 2, 3, 5):
        pieces, found = Framer(200), []
        for place in range(0, len(stream), step):
            found += pieces.feed(stream[place : place + step])
        assert (found, pieces.junk) == (expected, whole.junk)
    assert [one.raw[:2] for one in expected] == [b"\xff\xfe", b"MS"]
