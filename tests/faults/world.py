"""What is around a hub that dies: senders, partners, a folder, and who looks what came of it all.

They do what such systems do: who is not answered sends again, to the hub that comes up.
"""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import parts
from faults.others import Receiver, acknowledgment
from faults.steps import PLACES
from whole.running import Mllp

from fhir_hub.hl7v2.deliver.outbox import Dead, dead_messages, progresses
from fhir_hub.hl7v2.wire.mllp import frame
from fhir_hub.hl7v2.wire.sender import control_id, read_answer
from fhir_hub.store.base import Store
from fhir_hub.store.open import open_backend

SCRIPT = Path(__file__).with_name("mortal_hub.py")

T = TypeVar("T")


class World:
    """One store, the hubs that live on it one after the other, and what was said to them."""

    def __init__(self, folder: Path, address: str, workers: int = 1) -> None:
        self.folder, self.address, self.workers = folder, address, workers
        self.answered: dict[bytes, bytes] = {}
        self._armed, self._kill_at, self._ids = folder / "armed", "", 0
        self._ready: dict[str, Any] = {}
        self._pid = 0
        self._then: list[tuple[str, int]] = []
        self.lives, self.days = 0, 0
        self.partner_hangs_up = 0
        self.at_death: Callable[[], None] = lambda: None
        self.partner = Receiver(lambda raw: self._partner("AA", raw))
        self.later = Receiver(lambda raw: self._partner("CA", raw))
        self.elsewhere = Receiver(self._told_elsewhere)
        (folder / "in").mkdir()
        (folder / "hub.toml").write_text(self._settings())
        command = [sys.executable, str(SCRIPT), str(folder / "hub.toml"), str(self._armed)]
        self._log = (folder / "log").open("wb")
        self._hubs = subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )

    def _settings(self) -> str:
        return f"""
            duplicate_days = 0
            lease_s = 5
            message_answer_s = 180
            [channels.mllp]
            processing_ids = ["P"]
            [channels.both]
            match = {{ "MSH-3" = "BOTH" }}
            ack_mode = "enhanced"
            ack_to = "mllp://127.0.0.1:{self.elsewhere.port}"
            [channels.night]
            transport = "folder"
            folder = "{self.folder / "in"}"
            poll_s = 0.02
            [partners.his]
            address = "mllp://127.0.0.1:{self.partner.port}"
            sends = {{ Patient = "family=Ausgang" }}
            pause_s = 0.02
            [partners.later]
            address = "mllp://127.0.0.1:{self.later.port}"
            application = "LATER"
            ack_mode = "enhanced"
            sends = {{ Patient = "family=Spaeter" }}
            pause_s = 0.02
            """

    @property
    def is_on_sqlite(self) -> bool:
        return self.address.startswith("sqlite:")

    def close(self) -> None:
        self.kill()
        self._hubs.communicate()
        self._log.close()

    # the hubs

    @property
    def is_up(self) -> bool:
        return bool(self._ready)

    def up(self) -> dict[str, Any]:
        """Return where the hub is that lives; one is started, and once more if it dies so early."""
        while not self._ready:
            self.lives += 1
            if self._then:
                self.arm(*self._then.pop())
            assert self._hubs.stdin is not None
            self._hubs.stdin.write(f"{self.address} {self.workers} {self.days}\n".encode())
            self._pid = self._line()["forked"]
            told = self._line()
            self._ready = {} if "ended" in told else told
            assert self._ready or told == {"ended": -signal.SIGKILL}, told
        return self._ready

    def _line(self) -> dict[str, Any]:
        assert self._hubs.stdout is not None
        assert select.select([self._hubs.stdout], [], [], parts.PATIENCE_S)[0]
        told: dict[str, Any] = json.loads(self._hubs.stdout.readline())
        return told

    def buried(self) -> None:
        """Wait until the hub that died is gone."""
        if self._ready:
            assert self._line() == {"ended": -signal.SIGKILL}
            self._ready = {}
            self.at_death()

    def kill(self) -> None:
        if self._ready:
            os.kill(self._pid, signal.SIGKILL)
            self.buried()

    def then(self, step: str, turn: int = 1) -> None:
        """Have the hub that is started next die when it reaches a step."""
        self._then.append((step, turn))

    def arm(self, step: str, turn: int = 1, *, with_hub: bool = False) -> None:
        """Have the hub die when it reaches a step."""
        if not PLACES[step]:
            self._kill_at = step
            return
        self._ids += 1
        asked = {"step": step, "turn": turn, "id": self._ids, "with_hub": with_hub}
        unseen = self._armed.with_name("unseen")
        unseen.write_text(json.dumps(asked))
        unseen.replace(self._armed)

    @property
    def is_armed(self) -> bool:
        """Say whether a hub is still to die."""
        return bool(self._then or self._kill_at) or self._armed.exists()

    def disarm(self) -> bool:
        """Let the hub live; return whether it has died as it was to."""
        is_unkilled, self._kill_at, self._then = bool(self._kill_at), "", []
        with suppress(FileNotFoundError):
            self._armed.unlink()
            return False
        return not is_unkilled

    def reach(self, step: str) -> None:
        """Kill the hub if that is the step at which it is to die."""
        if step == self._kill_at:
            self._kill_at = ""
            self.kill()

    # what is said to them

    @contextmanager
    def _mllp(self) -> Iterator[Mllp]:
        with Mllp(self.up()["mllp"]) as mllp:
            yield mllp

    def again(self, work: Callable[[], Any]) -> Any:
        """Return what `work` returns; if the hub dies meanwhile another gets all of it again."""
        while True:
            self.up()
            try:
                return work()
            except (OSError, httpx.TransportError):
                self.gone()

    def gone(self) -> None:
        """A connection broke: the hub is dead, or (of several processes) the one that had it."""
        if self.workers == 1 or not self._is_alive():
            self.buried()

    def _is_alive(self) -> bool:
        return not _is_over(self._pid)

    def deliver(self, *messages: bytes) -> list[str]:
        """Send messages at once, over a connection each; return their codes when all have one."""
        answers = self.answers(*messages)
        return [self.note(*one) for one in zip(messages, answers, strict=True)]

    def answers(self, *messages: bytes) -> list[bytes]:
        """Send messages at once, over a connection each; return their answers when all have one."""
        missing = list(messages)
        answers: dict[bytes, bytes] = {}
        while missing:
            self.up()
            try:
                self._deliver(missing, answers)
            except OSError:
                self.gone()
            missing = [one for one in missing if one not in answers]
        return [answers[one] for one in messages]

    def _deliver(self, messages: Iterable[bytes], answers: dict[bytes, bytes]) -> None:
        connections: list[tuple[bytes, Mllp]] = []
        try:
            for one in messages:
                connections.append((one, Mllp(self.up()["mllp"])))
                connections[-1][1].socket.sendall(frame(one))
            for one, mllp in connections:
                answer = mllp.receive()
                if b"^207&" in answer:  # it may pass: he has to ask again
                    continue
                answers[one] = answer
                self.reach("answered")
        finally:
            for _, mllp in connections:
                mllp.socket.close()

    def note(self, raw: bytes, answer: bytes) -> str:
        """Return the code of an answer; what was taken is answered so whenever it is sent."""
        code = read_answer(answer).ack_code
        if code == "AA":
            assert self.answered.setdefault(raw, answer) == answer
        return code

    def pipeline(
        self,
        *messages: bytes,
        is_applied: bool = True,
        when_committed: Callable[[], None] = lambda: None,
    ) -> None:
        """Send messages of enhanced mode over one connection until each is answered twice.

        Without `is_applied` until each is committed: then the connection is ended.
        """
        committed, applied = set[str](), set[str]()

        def hear(mllp: Mllp) -> None:
            answer = read_answer(said := mllp.receive())
            if answer.ack_code == "CA":
                committed.add(answer.control_id)
                self.reach("answered")
                return
            assert answer.ack_code == "AA", said
            self.reach("told")
            applied.add(answer.control_id)
            mllp.socket.sendall(frame(acknowledgment("CA", said, "BOTH")))

        def work() -> None:
            here = {control_id(one) for one in messages} - committed
            with self._mllp() as mllp:
                for one in messages:
                    if control_id(one) in here:
                        mllp.socket.sendall(frame(one))
                while here - committed:
                    hear(mllp)
                when_committed()
                while is_applied and here - applied:
                    hear(mllp)

        self.again(work)
        if is_applied:  # of what was committed on a connection that broke he hears there
            wanted = {*map(control_id, messages)} - applied
            self.until(lambda: wanted <= self.elsewhere_told())

    def is_told_elsewhere(self, raw: bytes) -> bool:
        return control_id(raw) in self.elsewhere_told()

    def elsewhere_told(self) -> set[str]:
        """Return of which messages the end was told at `ack_to`."""
        return {read_answer(one).control_id for one in [*self.elsewhere.heard]}

    def entered(self, raw: bytes, state: str = "") -> list[int]:
        """Return the numbers in the journal of the messages with a control id, oldest first."""
        asked = {"control_id": control_id(raw)} | ({"state": state} if state else {})
        rows = self.ask("GET", "ops/messages", params=asked).json()["messages"]
        return sorted(one["number"] for one in rows)

    def restart(self) -> None:
        """Kill the hub, whatever it does, and start another."""
        self.kill()
        self.up()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask over HTTP, again if the hub dies meanwhile."""

        def work() -> httpx.Response:
            url = f"{self.up()['fhir'].removesuffix('fhir')}{path}"
            return httpx.request(method, url, verify=False, timeout=parts.PATIENCE_S, **options)

        found: httpx.Response = self.again(work)
        return found

    def put_in_folder(self, name: str, raw: bytes) -> bytes:
        """Put a file into the folder; return the answer when it has been moved."""
        self.up()
        folder = self.folder / "in"
        (folder / f"{name}.tmp").write_bytes(raw)
        (folder / f"{name}.tmp").replace(folder / name)
        self.until(lambda: (folder / "done" / name).exists())
        return (folder / "done" / f"{name}.ack").read_bytes()

    def until(self, holds: Callable[[], bool], what: str = "it") -> None:
        """Wait, and start a hub as often as one dies, until something holds."""
        pause = threading.Event()
        for _ in range(parts.PATIENCE_S * 50):
            if self._ready and self._has_ended():
                self.buried()
            self.up()
            if holds():
                return
            pause.wait(0.02)
        raise AssertionError(f"{what} never came to hold")

    def _has_ended(self) -> bool:
        assert self._hubs.stdout is not None
        return bool(select.select([self._hubs.stdout], [], [], 0)[0])

    # the others

    def _partner(self, code: str, raw: bytes) -> bytes | None:
        if code == "AA" and self.partner_hangs_up:
            self.partner_hangs_up -= 1
            return b""
        self.reach_soon("sent")
        return None if b"\rMSA" in raw else acknowledgment(code, raw)

    def _told_elsewhere(self, raw: bytes) -> bytes:
        self.reach_soon("told elsewhere")
        return acknowledgment("CA", raw)

    def reach_soon(self, step: str) -> None:
        """As `reach`, of another thread: who waits for the hub buries it."""
        if step == self._kill_at:
            self._kill_at = ""
            os.kill(self._pid, signal.SIGKILL)

    def dead(self) -> list[Dead]:
        """Return the outbound messages that were given up."""
        return self._read(dead_messages)

    def is_delivered(self, partner: str, tag: str) -> bool:
        """Say whether a partner has a unit's message, and the hub knows."""
        heard = {"his": self.partner, "later": self.later}[partner].heard
        pending = self._read(progresses)[partner].pending
        is_pending = pending is not None and tag.encode() in pending.raw
        return any(tag.encode() in raw for raw in heard) and not is_pending

    def _read(self, ask: Callable[[Store], Awaitable[T]]) -> T:
        """Ask the store beside the hub."""

        async def asked() -> T:
            async with open_backend(self.address) as backend:
                return await ask(backend.store)

        return asyncio.run(asked())


def _is_over(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
