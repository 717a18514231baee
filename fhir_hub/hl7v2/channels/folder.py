"""A watched folder: files of messages come in, and go to `done/` or `failed/` with their ACK.

A file is taken when it is whole: it did not change between two looks, or was renamed into place
(names that begin with `.` or end in `.tmp` or `.part` are on their way, and so is what is empty).
It leaves the folder last: first its messages are taken, then the ACK is written beside where it
goes, then it is moved there. So whatever is interrupted is done again from the file, and the
journal knows the messages that were taken: they get the ACK that they got, and have no second
effect. A file that was written anew while it was taken stays, and is taken as it is now; one that
grows afterwards, as its sender only paused, comes back for that. One that cannot be moved is not
taken again while it is the same.

Files of one message each are taken some at once, those of one patient one after the other; a file
that holds a batch, or a large one, is taken alone.

While the hub cannot take messages (a full disk, a store that does not answer) a file stays where
it is, and those behind it, until it can. A file that it cannot take again and again though it
takes others is no reason to wait.

Spec: HL7v2 chapter 2, 2.10.3 (a file may hold a batch); rename(2)
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path

from fhir_hub.hl7v2.answers.together import AT_ONCE, Together
from fhir_hub.hl7v2.channels.channel import Configured
from fhir_hub.hl7v2.channels.http_status import is_for_later, status_of
from fhir_hub.hl7v2.wire.batches import is_batch
from fhir_hub.hl7v2.wire.listener import Log
from fhir_hub.hl7v2.wire.mllp import Block
from fhir_hub.settings import InvalidSettings
from fhir_hub.store.ending import end_tasks

_LARGE_BYTES = 1 << 20
_LEAVING = 2 * AT_ONCE
_MOST_TIMES = 8  # that a file is put off while others are taken
_MOST_SIZES = 4  # a batch in a file may be so many times as large as a message
_HEAD_BYTES = 4096
_MOST_LEFT, _LEFT_S = 1000, 60.0  # files, and for how long, of which one may still grow
_LONGEST_NAME = 230  # bytes, of 255: what stands before and behind it needs room
_ON_ITS_WAY = (".tmp", ".part", ".filepart", ".ack")
Take = Callable[[Block], Awaitable[bytes]]
Stamp = tuple[int, int, int]


class Folder:
    """One watched folder. `take` answers what is in a file; one process watches it.

    `size_bytes` is that of the largest message.
    """

    def __init__(
        self, name: str, path: Path, poll_s: float, take: Take, log: Log, size_bytes: int = 64 << 20
    ) -> None:
        """Make `done` and `failed`; raises `InvalidSettings` if the folder is not there."""
        self._name, self._path, self._poll_s = name, path, poll_s
        self._take, self._log = take, log
        self._most_bytes = _MOST_SIZES * size_bytes
        self._seen: dict[str, Stamp] = {}
        self._answered: dict[str, tuple[Stamp, bytes]] = {}  # what could not be moved
        self._told: dict[str, Stamp | None] = {}  # of which a fault is in the log
        self._put_off: dict[str, int] = {}  # how often, while others were taken
        self._waits: set[str] = set()  # what was put off in this look
        self._left: dict[Path, tuple[str, Stamp, float]] = {}  # where files went, and when
        if not path.exists():  # a name that is misspelt, a disk that is not mounted
            told = f"channels.{name}.folder: there is no {path}; make it / 文件夹不存在"
            raise InvalidSettings(told)
        if not path.is_dir():
            raise InvalidSettings(f"channels.{name}.folder: {path} is no folder / 不是文件夹")
        try:
            for one in (path / "done", path / "failed"):
                one.mkdir(exist_ok=True)
        except OSError as error:
            told = f"channels.{name}.folder: {error.strerror} / 无法使用该文件夹"
            raise InvalidSettings(told) from None

    async def watch(self, stop: asyncio.Event) -> None:
        """Take files until `stop` is set; one that is under way is finished."""
        while not stop.is_set():
            try:
                await self.look(stop)
            except OSError as error:
                self._fault("", None, error)
            else:
                self._told.pop("", None)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._poll_s)

    async def look(self, stop: asyncio.Event) -> int:
        """Take the files that did not change since the last look, oldest first; return how many."""
        for _ in range(await asyncio.to_thread(self._bring_back)):
            self._log("folder_changed", channel=self._name)
        now = await asyncio.to_thread(self._stamps)
        whole = [name for name, stamp in now.items() if self._seen.get(name) == stamp]
        self._seen = now
        self._answered = {k: it for k, it in self._answered.items() if now.get(k) == it[0]}
        self._told = {k: stamp for k, stamp in self._told.items() if now.get(k) == stamp}
        names = sorted(whole, key=lambda name: (now[name][1], name))
        together = Together(lambda raw: self._take(Block(raw)))
        leaving: list[asyncio.Task[bool]] = []
        self._waits.clear()
        try:
            for name in names:
                if stop.is_set() or self._waits:
                    break
                await self._begin(name, now[name], together, leaving)
            taken = sum(await asyncio.gather(*leaving))
            put_off = self._put_off
            self._put_off = {name: put_off.get(name, 0) + (taken > 0) for name in self._waits}
            return taken
        finally:
            await together.close()
            await end_tasks(*leaving)

    async def _begin(
        self, name: str, stamp: Stamp, together: Together, leaving: list[asyncio.Task[bool]]
    ) -> None:
        """Begin to take a file, when there is room for one more; `leaving` are those before it."""
        if name in self._answered:
            leaving.append(asyncio.create_task(self._put_away(name)))
            return
        try:
            block = await asyncio.to_thread(self._read, name)
        except OSError as error:
            self._fault(name, stamp, error)
            return
        is_alone = block.is_cut or len(block.raw) > _LARGE_BYTES or is_batch(block.raw)
        if is_alone:
            await asyncio.gather(*leaving)
            taken = asyncio.ensure_future(self._take(block))
        else:
            taken = await together.begin(block.raw)
        task = asyncio.create_task(self._leave(name, stamp, taken))
        leaving.append(task)
        if is_alone:
            await task
        busy = [one for one in leaving[-2 * _LEAVING :] if not one.done()]
        if len(busy) >= _LEAVING:
            await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)

    def _read(self, name: str) -> Block:
        """Return what is in a file; of one that is too large only the head."""
        with (self._path / name).open("rb") as file:
            raw = file.read(self._most_bytes + 1)
        is_cut = len(raw) > self._most_bytes
        return Block(raw[:_HEAD_BYTES] if is_cut else raw, is_cut)

    async def _leave(self, name: str, stamp: Stamp, taken: "asyncio.Future[bytes]") -> bool:
        """Put a file away when it is answered; say whether it left."""
        answer = await taken
        if is_for_later(answer) and self._put_off.get(name, 0) < _MOST_TIMES:
            self._log("folder_waits", channel=self._name)
            self._waits.add(name)
            return False
        self._answered[name] = stamp, answer
        return await self._put_away(name)

    async def _put_away(self, name: str) -> bool:
        """Move a file that is answered, the answer beside it; say whether it left."""
        stamp, answer = self._answered[name]
        place = "done" if status_of(answer) == 200 else "failed"
        try:
            target = await asyncio.to_thread(self._move, name, stamp, self._path / place, answer)
        except OSError as error:  # the others are none the worse for it
            self._fault(name, stamp, error)
            return False
        del self._answered[name]
        if target is None:
            self._log("folder_changed", channel=self._name)
            return False
        while len(self._left) >= _MOST_LEFT:
            del self._left[next(iter(self._left))]
        self._left[target] = name, stamp, time.monotonic()
        return True

    def _fault(self, name: str, stamp: Stamp | None, error: OSError) -> None:
        """Log what is wrong with a file, or with the folder (no name), once."""
        if name not in self._told:
            self._told[name] = stamp
            self._log("folder_fault", channel=self._name, fault=error)

    def _stamps(self) -> dict[str, Stamp]:
        """Return the files that may be whole: size, time of the last change, and which it is."""
        found: dict[str, Stamp] = {}
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower().endswith(_ON_ITS_WAY):
                    continue
                with contextlib.suppress(FileNotFoundError):  # its sender renamed it meanwhile
                    stamp = _stamp(entry.stat(follow_symlinks=False))
                    if stamp[0] and entry.is_file(follow_symlinks=False):
                        found[entry.name] = stamp
        return found

    def _move(self, name: str, stamp: Stamp, to: Path, answer: bytes) -> Path | None:
        """Move a file, return its new path; None, and it stays, if it is another than was read."""
        if _stamp((self._path / name).lstat()) != stamp:
            return None
        to.mkdir(exist_ok=True)  # the folder may have been made anew
        short, number = _short(name), 1
        target = to / short
        while target.exists():
            number += 1
            target = to / f"{short}.{number}"
        _write_answer(target, answer)
        (self._path / name).replace(target)
        for folder in (to, self._path):
            _sync(folder)
        return target

    def _bring_back(self) -> int:
        """Move back the files that have grown since they left; return how many.

        So is one whose sender paused while he wrote it: what was taken was not all.
        """
        brought = 0
        for path, (name, stamp, since) in list(self._left.items()):
            try:
                now = _stamp(path.lstat())
            except OSError:  # somebody has put it elsewhere
                now = (0, 0, 0)
            has_grown = now[2] == stamp[2] and now[0] > stamp[0]
            if has_grown and not (self._path / name).exists():
                with contextlib.suppress(OSError):
                    path.replace(self._path / name)
                    path.with_name(f"{path.name}.ack").unlink(missing_ok=True)
                    brought += 1
            elif has_grown or (now == stamp and time.monotonic() - since < _LEFT_S):
                continue
            del self._left[path]
        return brought


class Folders:
    """The folders of all channels; `take` answers what is in a file of a channel."""

    def __init__(self, take: Callable[[str, Block], Awaitable[bytes]], log: Log) -> None:
        self._take, self._log = take, log
        self._prepared: dict[str, tuple[tuple[Path, float, int], Folder]] = {}
        self._folders: dict[str, Folder] = {}
        self._is_changed = asyncio.Event()

    def prepare(self, channels: Iterable[Configured]) -> None:
        """Make the folders; raises `InvalidSettings` if that cannot be, and nothing changes."""
        found = {}
        for one in channels:
            name, path, poll_s = one.channel.name, one.settings.folder, one.settings.poll_s
            if path is None:
                continue
            size_bytes = one.channel.size_bytes
            place, known = (path, poll_s, size_bytes), self._prepared.get(name)
            take = partial(self._take, name)
            if known and known[0] == place:
                folder = known[1]
            else:
                folder = Folder(name, path, poll_s, take, self._log, size_bytes)
            found[name] = (place, folder)
        self._prepared = found

    def become(self, channels: Iterable[Configured]) -> None:
        """Watch the folders of these channels, which are prepared, from now on."""
        names = {one.channel.name for one in channels}
        self._folders = {name: it for name, (_, it) in self._prepared.items() if name in names}
        self._is_changed.set()

    async def watch(self, stop: asyncio.Event) -> None:
        """Watch each until `stop` is set; a file that is under way is finished."""
        watched: dict[Folder, tuple[asyncio.Event, asyncio.Task[None]]] = {}
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._is_changed.clear()
                wanted = set(self._folders.values())
                for folder in watched.keys() - wanted:
                    end, task = watched.pop(folder)
                    end.set()
                    await task
                for folder in wanted - watched.keys():
                    end = asyncio.Event()
                    watched[folder] = end, asyncio.create_task(folder.watch(end))
                changed = asyncio.create_task(self._is_changed.wait())
                await asyncio.wait((stopping, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
            for end, _ in watched.values():
                end.set()
            await asyncio.gather(*(task for _, task in watched.values()))
        finally:
            stopping.cancel()
            tasks = [task for _, task in watched.values()]
            await end_tasks(*tasks)
            await asyncio.gather(*tasks, return_exceptions=True)


def _stamp(status: os.stat_result) -> Stamp:
    """Return the size of a file, the time of its last change, and which it is."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def _write_answer(beside: Path, answer: bytes) -> None:
    """Have the answer stand beside where a file is going to be, whole or not at all."""
    written = beside.with_name(f".{beside.name}.ack.tmp")
    with written.open("wb") as file:
        file.write(answer)
        file.flush()
        os.fsync(file.fileno())
    written.replace(beside.with_name(f"{beside.name}.ack"))


def _short(name: str) -> str:
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[:-1]
    return name


def _sync(folder: Path) -> None:
    """Let the names in a folder survive a power cut, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
