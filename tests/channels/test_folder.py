"""A watched folder: a file is taken when it is whole, once, and goes where its ACK says.

Spec: issue D, Transport; HL7v2 chapter 2, 2.10.3
"""

import asyncio
import os

import parts
import pytest
from channel_parts import adt

from fhir_hub.errors import FhirError, OutOfTime, Unavailable
from fhir_hub.hl7v2.channels.folder import Folder
from fhir_hub.hl7v2.wire.mllp import Block
from fhir_hub.settings import InvalidSettings


class Crash(BaseException):
    """The power goes."""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
async def ways(start):
    async with start() as ways:
        yield ways


@pytest.fixture
def open_folder(ways, path):
    """Return a maker of the folder, as a process has it that just started."""

    def make(take=None):
        return Folder("night", path, 0.01, take or ways.receiver.take, ways.seen.log)

    return make


def refused(ways, raw: bytes, error: FhirError) -> bytes:
    """Return the acknowledgment that says an error."""
    return ways.receiver.refuse(raw, error, ways.receiver.reading.channel)


async def look(folder: Folder, times: int = 2) -> int:
    """Look as often; return how many files were taken."""
    return sum([await folder.look(asyncio.Event()) for _ in range(times)])


def files(path) -> list[str]:
    return sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())


async def test_a_file_is_taken_and_moved_with_its_acknowledgment(open_folder, path, ways):
    folder = open_folder()
    (path / "a.hl7").write_bytes(adt())
    assert await look(folder) == 1

    assert files(path) == ["done/a.hl7", "done/a.hl7.ack"]
    assert (path / "done/a.hl7").read_bytes() == adt()
    assert b"\rMSA|AA|C1" in (path / "done/a.hl7.ack").read_bytes()
    assert await ways.kept() == [("mllp", "done")]


async def test_a_file_that_is_empty_or_still_grows_is_left_until_it_does_not(
    open_folder, path, ways
):
    folder = open_folder()
    file = path / "a.hl7"
    file.touch()
    assert await look(folder, 3) == 0
    file.write_bytes(adt()[:20])
    assert await look(folder, 1) == 0
    file.write_bytes(adt())
    assert await look(folder, 1) == 0
    assert await look(folder, 1) == 1
    assert await ways.kept() == [("mllp", "done")]


async def test_what_is_on_its_way_or_no_file_is_left_alone(open_folder, path, ways):
    folder = open_folder()
    for name in (".hidden", "a.tmp", "b.PART", "c.ack"):
        (path / name).write_bytes(adt())
    (path / "folder").mkdir()
    os.symlink(path / "a.tmp", path / "link.hl7")
    assert await look(folder, 3) == 0
    (path / "a.tmp").replace(path / "a.hl7")
    assert await look(folder) == 1
    assert await ways.kept() == [("mllp", "done")]


async def test_what_is_refused_goes_to_failed_and_the_others_are_none_the_worse(
    open_folder, path, ways
):
    folder = open_folder()
    (path / "a.hl7").write_bytes(b"no message")
    (path / "b.hl7").write_bytes(b"\r")
    (path / "c.hl7").write_bytes(adt())
    (path / "d.hl7").write_bytes(adt())
    (path / "d.hl7").chmod(0o200)
    await look(folder)

    assert b"\rMSA|AR|" in (path / "failed/a.hl7.ack").read_bytes()
    assert {"failed/b.hl7", "done/c.hl7"} <= set(files(path))


async def test_a_name_that_was_there_before_loses_nothing(open_folder, path):
    folder = open_folder()
    for number in range(3):
        (path / "same.hl7").write_bytes(adt(f"C{number}"))
        assert await look(folder) == 1

    names = [f"same.hl7{end}" for end in ("", ".2", ".3")]
    assert files(path / "done") == sorted([*names, *(f"{name}.ack" for name in names)])
    texts = {(path / "done" / name).read_bytes() for name in names}
    assert texts == {adt(f"C{number}") for number in range(3)}


async def test_a_file_that_is_written_anew_while_it_is_taken_is_taken_as_it_is_now(
    open_folder, path, ways
):
    async def take(block):
        answer = await ways.receiver.take(block)
        if b"|C1|" in block.raw:  # its sender is quicker than the hub
            (path / "new.tmp").write_bytes(adt("C2"))
            (path / "new.tmp").replace(path / "a.hl7")
        return answer

    folder = open_folder(take)
    (path / "a.hl7").write_bytes(adt("C1"))
    assert await look(folder) == 0
    assert files(path) == ["a.hl7"]
    assert await look(folder) == 1
    assert (path / "done/a.hl7").read_bytes() == adt("C2")
    assert b"\rMSA|AA|C2" in (path / "done/a.hl7.ack").read_bytes()
    assert await ways.kept() == [("mllp", "done")] * 2


async def test_a_file_that_cannot_be_moved_is_taken_once_and_moved_when_that_can_be(
    open_folder, path, ways
):
    folder = open_folder()
    in_the_way = path / "failed/.a.hl7.ack.tmp"
    in_the_way.mkdir()
    (path / "a.hl7").write_bytes(adt(msh_9="BAD"))
    assert await look(folder, 5) == 0
    assert await ways.kept() == [("mllp", "failed")]
    assert ways.seen.events.count("folder_fault") == 1

    in_the_way.rmdir()
    assert await look(folder, 1) == 1
    assert files(path) == ["failed/a.hl7", "failed/a.hl7.ack"]
    assert await ways.kept() == [("mllp", "failed")]


@pytest.mark.parametrize("is_renamed", [False, True])
async def test_a_file_that_grows_after_it_was_taken_for_whole_is_taken_as_it_is_now(
    open_folder, path, ways, is_renamed
):
    folder = open_folder()
    with (path / "a.hl7").open("wb", buffering=0) as file:
        file.write(adt())
        assert await look(folder) == 1  # its sender paused for longer than between two looks
        file.write(b"NTE|1||more\r")
        if is_renamed:  # and has sent another file of that name meanwhile
            (path / "a.hl7").write_bytes(adt("C2"))
            assert await look(folder) == 1
        assert await look(folder, 3) == 1

    assert {"failed/a.hl7", "failed/a.hl7.ack"} <= set(files(path))
    assert (path / "failed/a.hl7").read_bytes() == adt() + b"NTE|1||more\r"
    assert b"205" in (path / "failed/a.hl7.ack").read_bytes()
    states = [("mllp", "quarantined"), *[("mllp", "done")] * (1 + is_renamed)]
    assert sorted(await ways.kept()) == sorted(states)
    assert ways.seen.events.count("folder_changed") == 1


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_folder_that_is_made_anew_while_it_is_watched_gets_its_folders(
    open_folder, path, ways, is_whole
):
    folder = open_folder()
    path.rename(path.with_name("archive"))
    with pytest.raises(FileNotFoundError):
        await look(folder)
    path.mkdir()
    (path / "a.hl7").write_bytes(adt() if is_whole else adt(msh_9="BAD"))
    assert await look(folder) == 1
    assert files(path / ("done" if is_whole else "failed")) == ["a.hl7", "a.hl7.ack"]


async def test_a_name_that_leaves_no_room_for_what_stands_behind_it_is_made_shorter(
    open_folder, path
):
    folder = open_folder()
    (path / ("沈" * 85)).write_bytes(adt())
    assert await look(folder) == 1
    assert files(path) == [f"done/{'沈' * 76}{end}" for end in ("", ".ack")]


async def test_a_file_may_hold_four_times_a_message_of_a_larger_one_only_the_head_is_read(
    ways, path
):
    seen = []

    async def take(block):
        seen.append((len(block.raw), block.is_cut))
        return await ways.receiver.take(block)

    folder = Folder("night", path, 0.01, take, ways.seen.log, 2000)
    (path / "a.hl7").write_bytes(adt().ljust(8000))
    (path / "b.hl7").write_bytes(adt().ljust(8001))
    await look(folder)
    assert seen == [(8000, False), (4096, True)]
    assert b"Too large" in (path / "failed/b.hl7.ack").read_bytes()


async def test_while_nothing_can_be_taken_files_stay_and_then_go_in_their_order(
    open_folder, path, ways
):
    taken, is_full = [], True

    async def take(block):
        if is_full:
            return refused(ways, block.raw, Unavailable("the disk is full"))
        taken.append(block.raw)
        return b"MSH|^~\\&\rMSA|AA|C1\r"

    folder = open_folder(take)
    for number in range(40):
        (path / f"{number:02}.hl7").write_bytes(adt(f"C{number}"))
    whole = files(path)
    for _ in range(20):  # however long it takes
        assert await look(folder) == 0
    assert files(path) == whole

    is_full = False
    assert await look(folder) == 40
    assert taken == [adt(f"C{number}") for number in range(40)]
    assert len(files(path / "done")) == 80


async def test_a_batch_of_which_a_message_waits_stays_whole_and_has_no_second_effect(
    open_folder, path, ways
):
    first, second = adt("C1"), adt("C2")
    full = [refused(ways, second, Unavailable("the disk is full"))]

    async def take(block):
        parts = [await ways.receiver.take(Block(first))]
        parts += [full.pop() if full else await ways.receiver.take(Block(second))]
        return b"BHS|^~\\&\r" + b"".join(parts) + b"BTS|2\r"

    folder = open_folder(take)
    (path / "a.hl7").write_bytes(b"BHS|^~\\&\r" + first + second + b"BTS|2\r")
    assert await look(folder) == 0
    assert files(path) == ["a.hl7"]
    assert await look(folder, 1) == 1
    assert files(path) == ["done/a.hl7", "done/a.hl7.ack"]
    assert await ways.kept() == [("mllp", "done"), ("mllp", "done")]


async def test_a_file_that_is_put_off_while_others_are_taken_does_not_hold_them_up_for_ever(
    open_folder, path, ways
):
    async def take(block):
        if b"|C0|" in block.raw:
            return refused(ways, block.raw, OutOfTime("it takes too long"))
        return b"MSH|^~\\&\rMSA|AA|C1\r"

    folder = open_folder(take)
    for number in range(40):
        name = path / f"{number:02}.hl7"
        name.write_bytes(adt(f"C{number}").replace(b"T1", b"T%d" % number))
        os.utime(name, ns=(number, number))
    await look(folder, 60)
    assert {"failed/00.hl7", "failed/00.hl7.ack"} == set(files(path)) - {
        f"done/{number:02}.hl7{end}" for number in range(1, 40) for end in ("", ".ack")
    }


async def test_files_are_taken_in_the_order_in_which_they_were_written(open_folder, path, ways):
    folder = open_folder()
    for number, name in enumerate(["z.hl7", "m.hl7", "a.hl7"]):
        (path / name).write_bytes(adt(f"C{number}"))
        os.utime(path / name, ns=(number, number))
    await look(folder)

    found = await ways.backend.journal.recent()
    assert [one.message.control_id for one in reversed(found)] == ["C0", "C1", "C2"]


async def test_files_of_different_patients_are_taken_at_once(open_folder, path):
    both = asyncio.Barrier(2)  # neither is answered before both are under way

    async def take(block):
        await both.wait()
        return b"MSH|^~\\&\rMSA|AA|C1\r"

    folder = open_folder(take)
    for number in range(2):
        (path / f"{number}.hl7").write_bytes(adt(f"C{number}").replace(b"T1", b"T%d" % number))
    async with asyncio.timeout(parts.PATIENCE_S):
        assert await look(folder) == 2


@pytest.mark.parametrize("kind", ["one patient's", "batches"])
async def test_files_that_must_not_overtake_are_taken_one_after_the_other(open_folder, path, kind):
    under_way, most = [], []

    async def take(block):
        under_way.append(block)
        most.append(len(under_way))
        await asyncio.to_thread(len, under_way)
        under_way.remove(block)
        return b"MSH|^~\\&\rMSA|AA|C1\r"

    folder = open_folder(take)
    for number in range(4):
        raw = adt(f"C{number}")
        if kind == "batches":
            raw = b"BHS|^~\\&\r" + raw.replace(b"T1", b"T%d" % number) + b"BTS|1\r"
        (path / f"{number}.hl7").write_bytes(raw)

    assert await look(folder) == 4
    assert most == [1, 1, 1, 1]


@pytest.mark.parametrize("step", ["before", "after"])
async def test_a_crash_around_the_taking_leaves_the_file_for_the_next_start(
    open_folder, path, ways, step
):
    async def crash(block):
        if step == "after":
            await ways.receiver.take(block)
        raise Crash

    folder = open_folder(crash)
    (path / "a.hl7").write_bytes(adt())
    with pytest.raises(Crash):
        await look(folder)
    assert files(path) == ["a.hl7"]
    assert await look(open_folder()) == 1
    assert files(path) == ["done/a.hl7", "done/a.hl7.ack"]
    assert await ways.kept() == [("mllp", "done")]
    assert len(ways.seen.zones) == 1


async def test_a_crash_before_the_move_gives_the_same_acknowledgment_again(open_folder, path, ways):
    (path / "a.hl7").write_bytes(adt())
    await look(open_folder())
    acknowledgment = (path / "done/a.hl7.ack").read_bytes()
    (path / "done/a.hl7").replace(path / "a.hl7")  # as if it had not been moved
    await look(open_folder())

    assert files(path) == ["done/a.hl7", "done/a.hl7.ack"]
    assert (path / "done/a.hl7.ack").read_bytes() == acknowledgment
    assert await ways.kept() == [("mllp", "done")]


async def test_a_channel_of_the_settings_watches_until_the_hub_closes(start, path):
    channels = {"night": {"transport": "folder", "folder": path, "poll_s": 0.01}}
    async with start(channels=channels) as ways:
        ways.intake.lead()
        (path / "part.tmp").write_bytes(adt())
        (path / "part.tmp").replace(path / "a.hl7")
        await asyncio.wait_for(ways.seen.came.wait(), parts.PATIENCE_S)
        await ways.intake.close()
        assert await ways.kept() == [("night", "done")]
    assert files(path) == ["done/a.hl7", "done/a.hl7.ack"]


async def test_a_folder_that_cannot_be_is_told(start, tmp_path):
    (tmp_path / "file").write_text("")
    channels = {"night": {"transport": "folder", "folder": tmp_path / "file"}}
    with pytest.raises(InvalidSettings, match=r"channels\.night\.folder: .* is no folder"):
        async with start(channels=channels):
            pass


async def test_a_folder_that_is_not_there_is_told_and_not_made(start, tmp_path):
    channels = {"night": {"transport": "folder", "folder": tmp_path / "nihgt"}}
    with pytest.raises(
        InvalidSettings, match=r"channels\.night\.folder: there is no .*nihgt; make"
    ):
        async with start(channels=channels):
            pass
    assert not (tmp_path / "nihgt").exists()
