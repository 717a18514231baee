"""One notification over HTTP: a POST without a body, or the resource by PUT below the endpoint.

Nothing is followed: an answer that leads elsewhere is a failure, for only the endpoint was
allowed. Certificates are verified.

Spec: https://hl7.org/fhir/R4/subscription.html#2.46.7.1
"""

import asyncio
import re
import ssl
from functools import cache
from urllib.parse import urlsplit

from fhir_hub.store.base import Stored
from fhir_hub.subscriptions.order import PAYLOAD, Order

_TIMEOUT_S = 10.0
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")


async def notify(order: Order, stored: Stored) -> str:
    """Return why a notification failed, empty if it was answered with 2xx."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            status = await _exchange(order, stored)
    except TimeoutError:
        return f"no answer within {_TIMEOUT_S:g} s"
    except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
        return f"no answer: {type(error).__name__}"
    if 200 <= status < 300:
        return ""
    return f"answered with {status}" if status else "answered with what is not HTTP"


def _request(order: Order, stored: Stored) -> bytes:
    split = urlsplit(order.endpoint)
    path, body, method = split.path, b"", "POST"
    more: tuple[str, ...] = ()
    if order.has_payload:
        method, body = "PUT", stored.content
        path = f"{path.rstrip('/')}/{stored.resource_type}/{stored.logical_id}"
        more = (f"Content-Type: {PAYLOAD}",)
    target = (path or "/") + (f"?{split.query}" if split.query else "")
    own = (f"Host: {split.netloc}", f"Content-Length: {len(body)}", "Connection: close")
    lines = (f"{method} {target} HTTP/1.1", *own, *more, *order.headers, "", "")
    return "\r\n".join(lines).encode("ascii") + body


async def _exchange(order: Order, stored: Stored) -> int:
    """Return the status of the answer, 0 if it is no HTTP."""
    split = urlsplit(order.endpoint)
    is_secure = split.scheme == "https"
    port = split.port or (443 if is_secure else 80)
    tls = _tls() if is_secure else None
    reader, writer = await asyncio.open_connection(split.hostname, port, ssl=tls)
    try:
        writer.write(_request(order, stored))
        await writer.drain()
        status = 100
        while 100 <= status < 200:  # it says only that more is to come
            head = await reader.readuntil(b"\r\n\r\n")
            found = _STATUS.match(head)
            status = int(found[1]) if found else 0
        return status
    finally:
        writer.close()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
