"""The load generator: many clients in one process of its own, each waiting for its answer.

It speaks HTTP/1.1 and MLLP by hand, because a comfortable client costs more than the hub.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count


@dataclass
class Result:
    """What one kind of work reached. Times in seconds."""

    done: int = 0
    failed: int = 0
    elapsed: float = 0.0
    times: list[float] = field(default_factory=list)
    first_failure: str = ""

    def percentile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def http(method: str, path: str, body: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: hub\r\n"
    if body:
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.find(b"content-length:")
    size = int(lower[at + 15 : lower.index(b"\r\n", at)]) if at >= 0 else 0
    body = await reader.readexactly(size) if size else b""
    return int(head[9:12]), head, body


async def drive(
    host: str,
    port: int,
    make: Callable[[int], bytes],
    *,
    clients: int,
    seconds: float,
    is_mllp: bool = False,
    first: int = 0,
) -> Result:
    """Send what `make` makes over `clients` connections for `seconds`; return what came of it."""
    result = Result()
    numbers: Iterator[int] = count(first)
    begin = time.perf_counter()
    end = begin + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 26)
        while time.perf_counter() < end:
            payload = make(next(numbers))
            started = time.perf_counter()
            writer.write(payload)
            if is_mllp:
                said = await reader.readuntil(b"\x1c\r")
                good = b"|AA|" in said or b"|CA|" in said
            else:
                status, head, body = await _answer(reader)
                good, said = status < 300, head + body[:300]
            result.times.append(time.perf_counter() - started)
            if good:
                result.done += 1
            else:
                result.failed += 1
                result.first_failure = result.first_failure or said.decode(errors="replace")[:400]
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    result.elapsed = time.perf_counter() - begin
    return result


async def exchange(host: str, port: int, payload: bytes) -> tuple[int, bytes, bytes]:
    """Send one request; return status, head and body."""
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 26)
    writer.write(payload)
    answer = await _answer(reader)
    writer.close()
    return answer
