"""What the tests of a hub of several workers share: who they are, what they say of themselves."""

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import parts
from whole.running import RunningHub
from whole.test_durability import oru

BASIC = {"resourceType": "Basic", "code": {"text": "load"}}
PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": "one"}]}


def together(hub: RunningHub, work: Callable, count: int, clients: int = 200) -> list:
    """Run `work(client, number)` `count` times at once, over as many connections."""

    async def run() -> list:
        limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
        async with httpx.AsyncClient(
            base_url=f"{hub.fhir}/", verify=False, timeout=parts.PATIENCE_S, limits=limits
        ) as client:
            return await asyncio.gather(*(work(client, number) for number in range(count)))

    return asyncio.run(run())


def large(number: int) -> bytes:
    """Return a message that takes a worker long enough to be killed meanwhile."""
    lines = oru(number).decode().rstrip("\r").split("\r")
    many = [lines[3].replace("OBX|1|", f"OBX|{place}|") for place in range(1, 800)]
    return "\r".join([*lines[:3], *many]).encode() + b"\r"


def until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(2400):  # far beyond what it takes: the machine may be busy
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("it never came to hold")


def figures(hub: RunningHub) -> dict[str, float]:
    """Return the metrics by name with labels, from a connection of its own."""
    text = hub.get("metrics").text
    lines = (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def pids(hub: RunningHub) -> list[int]:
    """Return the workers' process ids as they are now: the children of the supervisor."""
    children = Path(f"/proc/{hub.ready['pid']}/task/{hub.ready['pid']}/children").read_text()
    return [int(pid) for pid in children.split()]


def processes(figures: dict[str, float]) -> set[str]:
    return set(re.findall(r'process_open_fds{process="([^"]*)"}', "\n".join(figures)))
