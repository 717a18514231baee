"""Begins hubs that die at a named step, each of them a fork of this process.

Run as a process of its own, `python mortal_hub.py SETTINGS ARMED`, it reads the program once. A
line on its input has it fork a hub, which says where it is on the output, and this process how that
ended. A hub dies by SIGKILL at the step that stands in the file ARMED, if there is one: so whoever
writes that file says when, also to the processes of a hub of several.
"""

import asyncio
import ctypes
import functools
import gc
import importlib
import inspect
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.steps import PLACES, Place
from whole.test_durability import oru

from fhir_hub.app import Known, build, read
from fhir_hub.cli.serve import _as_json, command
from fhir_hub.clock import now
from fhir_hub.server import new_event_loop
from fhir_hub.settings import Given, Settings
from fhir_hub.store.open import claimed, open_backend
from fhir_hub.telemetry import Logs
from fhir_hub.workers import apart
from fhir_hub.workers.begin import Begun
from fhir_hub.workers.launch import Copy
from fhir_hub.workers.reception import Door
from fhir_hub.workers.worker import work

PR_SET_PDEATHSIG = 1
PORTS: dict[str, object] = {"port": 0, "mllp_port": 0}


class Death:
    """Comes at the step that the file `armed` names, when it was reached so often; once."""

    def __init__(self, armed: str) -> None:
        self._armed, self._seen = armed, Counter[str]()

    def at(self, step: str) -> None:
        try:
            with open(self._armed) as file:
                asked = json.load(file)
        except (FileNotFoundError, ValueError):
            return
        if asked["step"] != step:
            return
        self._seen[asked["id"]] += 1
        if self._seen[asked["id"]] < asked["turn"]:
            return
        try:
            os.unlink(self._armed)  # of several processes one dies
        except FileNotFoundError:
            return
        if asked["with_hub"]:
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def make_mortal(death: Death) -> None:
    """Have the calls that are steps tell `death` of them."""
    for step, places in PLACES.items():
        for place in places:
            module, _, path = place.call.partition(":")
            *holders, name = path.split(".")
            holder: Any = importlib.import_module(module)
            for one in holders:
                holder = getattr(holder, one)
            setattr(
                holder, name, told(getattr(holder, name), place, functools.partial(death.at, step))
            )


def told(call: Callable[..., Any], place: Place, reach: Callable[[], None]) -> Callable[..., Any]:
    """Return a call that does the same, and says before it, or when it is over, that it is."""

    @functools.wraps(call)
    async def later(*values: Any, **options: Any) -> Any:
        if place.is_before:
            reach()
        result = await call(*values, **options)
        if not place.is_before:
            reach()
        return result

    @functools.wraps(call)
    def at_once(*values: Any, **options: Any) -> Any:
        if place.is_before:
            reach()
        result = call(*values, **options)
        if not place.is_before:
            reach()
        return result

    return later if inspect.iscoroutinefunction(call) else at_once


def begin_as_copies(known: Known) -> None:
    """Have the first process that does what was left be a copy of this one, so as mortal.

    It is made now, as there is no loop and no thread yet.
    """
    own, other = socket.socketpair()
    door = Door(*socket.socketpair())
    folder = tempfile.mkdtemp(dir=Path(sys.argv[2]).parent)  # for metrics
    if not (pid := os.fork()):
        own.close()
        door.own.close()
        work(other, door.other, folder, known)
        os._exit(0)
    other.close()
    door.other.close()
    copies, begin = [Begun(Copy(pid), own, door)], apart.begin

    async def begun(folder: str) -> Begun:
        return copies.pop() if copies else await begin(folder)

    apart.begin = begun


async def live(settings: Settings, given: Given, known: Known, later: timedelta) -> None:
    """Be a hub of one process until asked to stop, so much later."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with claimed(settings.store), open_backend(settings.store) as backend:
        logs = Logs("info", "json")
        finish = apart.Apart(settings, logs, known.mappings).finish_left
        hub = build(settings, backend, logs, None, lambda: now() + later, given, known, finish)
        await hub.run(stop, lambda addresses: print(_as_json(addresses), flush=True))


async def warm(settings: Settings, known: Known) -> None:
    """Be a hub for a moment, so that the forks have loaded and compiled what one needs."""
    stop = asyncio.Event()
    async with open_backend(settings.store) as backend:
        hub = build(settings, backend, Logs("error", "json"), known=known)
        await hub.receiver.receive(oru(1))
        await hub.run(stop, lambda addresses: stop.set())


def be(config: str, line: str, known: Known) -> None:
    """Be the hub that a line asks for: a store, how many workers, how many days from now on."""
    store, workers, days = line.split()
    if workers != "1":
        return command(None, 0, 0, store, workers, Path(config), None, ready_json=True)
    given = Given(Path(config), PORTS | {"store": store}, {})
    if store.startswith("mongodb:"):
        begin_as_copies(known)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(live(given.read(), given, known, timedelta(days=int(days))))


def end_with_parent() -> None:
    """Have this process end when that ends which began it: the tests may be killed, too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(config: str, armed: str) -> None:
    """Fork a hub for each line."""
    end_with_parent()
    known = read(Given(Path(config), PORTS, {}).read())
    with tempfile.TemporaryDirectory() as folder:
        alone = Given(None, PORTS | {"store": f"sqlite:{folder}/hub.sqlite"}, {})
        for _ in range(2):
            asyncio.run(warm(alone.read(), known))
    for place in itertools.chain(*PLACES.values()):  # read once: of MongoDB's driver 0.13 s of CPU
        importlib.import_module(place.call.partition(":")[0])
    gc.collect()
    gc.freeze()  # what a collection looks at a fork has to copy
    for line in sys.stdin:
        if not (pid := os.fork()):
            end_with_parent()
            make_mortal(Death(armed))
            be(config, line, known)
            os._exit(0)
        print(json.dumps({"forked": pid}), flush=True)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"ended": status}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
