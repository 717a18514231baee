"""A hub in a process of its own, as `fhir-hub serve` starts it, and what speaks to it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import httpx
import parts
from whole import begun

START, END = b"\x0b", b"\x1c\r"


class RunningHub:
    """`fhir-hub serve` on free ports; `kill` ends it as a power cut would.

    One process, which starts soonest, unless `--workers` is given or left out (`as_installed`).
    Only `as_installed` all of it is new, and a child of ours, with `--workers 1` too: else it is a
    fork (`begun.py`). `is_measured`: coverage follows into it, where there is one, which doubles
    what its start costs.
    """

    def __init__(
        self, store: str, *arguments: str, as_installed: bool = False, is_measured: bool = False
    ) -> None:
        command = ["serve", "--port", "0", "--mllp-port", "0", "--store", store, "--ready-json"]
        command += arguments
        if not ("--workers" in arguments or as_installed):
            command += ["--workers", "1"]
        measured = parts.measured if is_measured else {}
        self.process = _begin(command, measured, is_new=as_installed or bool(measured))
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.ready = json.loads(line)
        self.fhir = self.ready["fhir"]

    def client(self) -> httpx.Client:
        # to read the certificates costs 28 ms of CPU, and a hub of the tests speaks plain HTTP
        return httpx.Client(base_url=f"{self.fhir}/", verify=False, timeout=parts.PATIENCE_S)

    def get(self, path: str) -> httpx.Response:
        """Ask for what is not FHIR, over a connection of its own; raises if it is refused."""
        url = f"{self.fhir.removesuffix('fhir')}{path}"
        return httpx.get(url, verify=False, timeout=parts.PATIENCE_S).raise_for_status()

    def mllp(self) -> "Mllp":
        return Mllp(self.ready["mllp"])

    def logged(self) -> str:
        """Return what it has written to its log since it was asked last."""
        assert self.process.stderr is not None
        pipe = self.process.stderr.fileno()
        os.set_blocking(pipe, False)
        pieces: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(pipe, 1 << 16):
                pieces.append(piece)
        os.set_blocking(pipe, True)
        return b"".join(pieces).decode()

    def kill(self) -> None:
        os.kill(self.ready["pid"], signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=parts.PATIENCE_S)
        return self.process.returncode

    def __enter__(self) -> "RunningHub":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _begin(
    command: list[str], measured: dict[str, str], *, is_new: bool
) -> subprocess.Popen[str] | begun.Hub:
    """Begin a command in a process that is all new, or in one that has been a hub."""
    if not is_new and sys.platform == "linux":
        return begun.Hub(command)
    return subprocess.Popen(
        [sys.executable, "-m", "fhir_hub", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | measured,
    )


class Mllp:
    """A client of one MLLP connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=parts.PATIENCE_S)
        self.rest = b""

    def send(self, message: bytes) -> bytes:
        """Send one message; return the acknowledgment's bytes without the frame."""
        self.socket.sendall(START + message + END)
        return self.receive()

    def receive(self) -> bytes:
        while END not in self.rest:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("the hub closed the connection")
            self.rest += part
        block, _, self.rest = self.rest.partition(END)
        return block.lstrip(START)

    def __enter__(self) -> "Mllp":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()


def message(path: Path) -> bytes:
    """Return a message file's bytes with the line ends of the wire."""
    return path.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
