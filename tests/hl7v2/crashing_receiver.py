"""Receives messages and dies at a named step, then recovers, once for each step it is told.

Run as a process of its own: it loads the program once, and forks for each life of a hub. A line
of JSON for each step says what the next start and the senders' second try made of it.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import parts
from apply_parts import conversion, identifier, observation, patient

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.sender import read_answer
from fhir_hub.search.plan import EVERYTHING, Query
from fhir_hub.store.open import open_backend


def message(control_id: str, number: str, value: str = "") -> bytes:
    header = f"MSH|^~\\&|LIS|SHTH01|HUB|X|20250314||ORU^R01|{control_id}|P|2.4"
    return f"{header}\rPID|1||{number}\rOBX|1|ST|||{value}\r".encode()


MESSAGES = [
    message("C1", "T1"),
    message("C2", "T1"),
    message("C3", "T2"),
    message("BAD", "T3"),
    message("C1", "T1", "other content"),
]


class Steps:
    """Counts the steps and dies at the n-th one of a name."""

    def __init__(self, name: str = "", turn: int = 0) -> None:
        self.name, self.turn, self.seen = name, turn, Counter[str]()

    def reach(self, name: str) -> None:
        self.seen[name] += 1
        if name == self.name and self.seen[name] == self.turn:
            os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """A store or journal whose calls are steps."""

    def __init__(self, part: object, steps: Steps) -> None:
        self._part, self._steps = part, steps

    def __getattr__(self, name: str) -> object:
        call = getattr(self._part, name)

        async def watched(*values: object, **options: object) -> object:
            self._steps.reach(f"before {name}")
            result = await call(*values, **options)
            self._steps.reach(f"after {name}")
            return result

        return watched


async def live(path: str, steps: Steps) -> list[str]:
    """Start a hub, finish what was interrupted, take the messages; return what was answered."""

    def convert(read, received, zone):
        steps.reach("before convert")
        number = read.header.value(10)
        if number == "BAD":
            raise InvalidMessage("no map")
        person = patient(identifier(read.first("PID").value(3)))
        result = conversion(person, observation(number), observation(valueString=number))
        steps.reach("after convert")
        return result

    async with open_backend(f"sqlite:{path}") as backend:
        backend.store._connection.set_commit_hook(lambda: bool(steps.reach("commit")))
        ids, clock = parts.ids(), parts.SetClock()
        prefix = f"{os.getpid()}-"
        receiver = Receiver(
            parts.repository(Watched(backend.store, steps), clock, lambda: prefix + ids()),
            Watched(backend.journal, steps),
            convert,
            parameters=parts.parameters(),
            channel=Channel("mllp", parts.ZONE),
            clock=clock,
            new_id=lambda: prefix + ids(),
            patience=Patience(pause=lambda seconds: asyncio.sleep(0)),
        )
        steps.reach("start")
        await receiver.replay(is_alone=True)
        steps.reach("replayed")
        answers = await asyncio.gather(*(_send(receiver, raw, steps) for raw in MESSAGES[:4]))
        answers.append(await _send(receiver, MESSAGES[4], steps))
        steps.reach("end")
        return answers


async def _send(receiver: Receiver, raw: bytes, steps: Steps) -> str:
    answer = read_answer(await receiver.receive(raw)).ack_code
    steps.reach("answer")
    return answer


async def told(path: str) -> dict[str, object]:
    """Return what is stored: versions by type, and the states of the messages."""
    async with open_backend(f"sqlite:{path}") as backend:
        page = await backend.store.history(count=1000)
        found = await backend.store.search(Query(("Observation",), EVERYTHING, count=100))
        entered = await backend.journal.recent(count=100)
        return {
            "versions": Counter(one.resource_type for one in page.matches),
            "observations": len(found.matches),
            "pending": len(await backend.journal.pending()),
            "done": Counter(one.message.control_id for one in entered if one.state == "done"),
            "states": Counter(one.state for one in entered),
        }


def forked(path: str, steps: Steps) -> int:
    """Live in a process of its own; return how it ended."""
    pid = os.fork()
    if not pid:
        try:
            sys.stderr.write(json.dumps(asyncio.run(live(path, steps))) + "\n")
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(folder: str, *steps: str) -> None:
    """Die at each step (`before keep:2`), come back, take everything again, and tell."""
    parts.parameters(), parts.extractor(), parts.checks()
    for place, step in enumerate(steps):
        name, _, turn = step.partition(":")
        path = f"{folder}/{place}.sqlite"
        died = forked(path, Steps(name, int(turn))) == -signal.SIGKILL
        again = Steps("before write", 1) if place % 3 == 0 else Steps()
        forked(path, again)  # sometimes it dies while it recovers, too
        answers = asyncio.run(live(path, Steps()))
        line = {"step": step, "died": died, "answers": answers} | asyncio.run(told(path))
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
