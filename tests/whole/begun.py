"""Hubs that begin at once: forks of a process that has read the program, and has been a hub.

To read the program and the maps is 2.3 s of CPU, and the tests begin forty hubs; a fork has both.
It runs `fhir_hub.cli.main` with the arguments, the environment and the folder that it is given,
ends as a command does, and is as mortal as any process. That a hub begins without all this is what
`as_installed` is for (`RunningHub`), and the commands that tests run.

Run as a program, `python begun.py FD`, it forks one for each datagram on that socket, and ends when
the other side does, with every hub that is still there.
"""

import asyncio
import atexit
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

PR_SET_PDEATHSIG = 1
LARGEST = 1 << 17
MESSAGE = Path(__file__).parents[2] / "examples/messages/01_ADT_A04_chc_register.hl7"


class Hub:
    """A process, with of `subprocess.Popen` what the tests need; its own `pid` it says itself."""

    def __init__(self, arguments: list[str]) -> None:
        theirs, pipes = [], []
        for _ in range(3):
            own, other = os.pipe()
            pipes.append(own)
            theirs.append(other)
        asked = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
        socket.send_fds(_nursery(), [json.dumps(asked).encode()], theirs)
        for one in theirs:
            os.close(one)
        self.stdout, self.stderr, self._keeper = (os.fdopen(one, "r") for one in pipes)
        self.pid = int(self._keeper.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, as `Popen` says it; None if it is still there."""
        if self.returncode is None and select.select([self._keeper], [], [], 0)[0]:
            self.returncode = int(self._keeper.readline())
        return self.returncode

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what it still writes, when nobody can write any more and it has ended."""
        if self.stdout.closed:
            return "", ""
        told = {self.stdout.fileno(): b"", self.stderr.fileno(): b""}
        pending = set(told)
        while pending:
            ready = select.select([*pending], [], [], timeout)[0]
            if not ready:
                raise TimeoutError
            for one in ready:
                told[one] += (piece := os.read(one, 1 << 16))
                if not piece:
                    pending.remove(one)
        if not select.select([self._keeper], [], [], timeout)[0]:
            raise TimeoutError
        self.poll()
        out, err = (piece.decode() for piece in told.values())
        for one in (self.stdout, self.stderr, self._keeper):
            one.close()
        return out, err


@cache
def _nursery() -> socket.socket:
    """Return the socket of the process that forks hubs, which ends with this one."""
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = other.fileno()
    command = [sys.executable, __file__, str(number)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[number]
    )
    other.close()

    def end() -> None:
        own.close()
        process.wait()

    atexit.register(end)
    return own


def _warm() -> None:
    """Be a hub for a moment, so that forks have read and compiled what one needs."""
    from fhir_hub import cli  # noqa: F401  what the command reads first
    from fhir_hub.app import build
    from fhir_hub.settings import Given
    from fhir_hub.store.open import open_backend
    from fhir_hub.telemetry import Logs
    from fhir_hub.workers import apart, launch, supervisor, worker  # noqa: F401  the same

    async def live(given: Given) -> None:
        stop, settings = asyncio.Event(), given.read()
        async with open_backend(settings.store) as backend:
            hub = build(settings, backend, Logs("error", "json"), given=given)
            await hub.receiver.receive(MESSAGE.read_bytes())
            await hub.run(stop, lambda addresses: stop.set())

    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:{folder}/hub.sqlite"
        asyncio.run(live(Given(None, {"port": 0, "mllp_port": 0, "store": store}, {})))


def _serve(asked: socket.socket) -> None:
    _warm()
    gc.collect()
    gc.freeze()  # what a collection looks at a fork has to copy
    while True:
        told, given, _, _ = socket.recv_fds(asked, LARGEST, 3)
        if not told:
            return
        if not os.fork():
            asked.close()
            _keep(json.loads(told), *given)
        for one in given:
            os.close(one)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _keep(asked: dict, out: int, err: int, told: int) -> None:
    """Fork a hub; say its number, and how it ends."""
    _end_with_parent()
    if not (pid := os.fork()):
        _end_with_parent()
        os.close(told)
        for number, one in enumerate((out, err), 1):
            os.dup2(one, number)
            os.close(one)
        _be(**asked)
    os.close(out)
    os.close(err)
    os.write(told, f"{pid}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(told, f"{status}\n".encode())
    os._exit(0)


def _be(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    from fhir_hub.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # which folder that is, says the environment
    sys.argv = ["fhir-hub", *arguments]
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  they know what they were opened on
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    main()


def _end_with_parent() -> None:
    """Have this process end when that ends which began it: the tests may be killed, too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
