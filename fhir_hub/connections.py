"""One HTTP connection: uvicorn's, with an end to every wait, and answers that go away in one piece.

A request or an answer that does not come to its end closes the connection. An answer of FHIR is
known as a whole before any of it is sent, so its head and body are one write: one call of the
system and one packet, and whoever waits for it is woken once.

Spec: RFC 9112
"""

import asyncio
import contextlib
import re
import socket
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from fhir_hub import fhirjson
from fhir_hub.errors import Issue, outcome_of
from fhir_hub.rest.http import WHOLE

_MOST_HEAD = 128 << 10  # bytes of a request's line and headers
_MOST_ADDRESS = 65535  # what the parser of addresses takes
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_LINGER_S = 2.0  # how long what a refused client still sends is thrown away
_LARGE = 256 << 10  # bytes of a body that is not copied once more behind its head
_BARE = (
    "the address has characters that must be percent-encoded: 沈 is %E6%B2%88"
    " (curl -G --data-urlencode)",
    "地址中的汉字须经百分号编码: 沈 写作 %E6%B2%88 (可用 curl -G --data-urlencode)",
)
_is_unsafe = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search  # RFC 9110, 5.5


class Connection(HttpToolsProtocol):
    """A connection that is closed if a request does not come to its end, or an answer not away.

    Requests nearly always come in one piece; only for one that does not a timer is set.
    """

    def __init__(self, *given: Any, limit_s: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self._limit_s = limit_s
        self._is_whole = self._is_begun = self._is_over = self._is_refused = False
        self._is_for_nobody = False
        self._received, self._piece = 0, b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request, so long and no longer."""
        super().connection_made(transport)  # type: ignore[arg-type]  # as uvicorn says it
        own = transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):  # Linux knows the option
            option, milliseconds = socket.TCP_USER_TIMEOUT, int(self._limit_s * 1000)
            own.setsockopt(socket.IPPROTO_TCP, option, milliseconds)
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._unset_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request; a head that is too large is not waited for."""
        if self._is_refused:  # closed at once, what is unread would take the answer away with it
            return
        self._received += len(data)
        self._piece = data
        super().data_received(data)
        self._piece = b""
        if self._is_refused:
            return
        if self._is_begun and self._received > _MOST_HEAD and not self.transport.is_closing():
            self._is_over = True
            self.send_400_response("")
        elif self._is_whole:
            self._unset_timer()
        elif self._timer is None:
            self._set_timer()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._is_whole, self._is_begun = False, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that its head is there.

        Raises `ValueError` for one that is too large, or does not name one host (RFC 9112, 3.2).
        """
        if self._received > _MOST_HEAD:
            # each header with its ": " and line end, as it was sent, in however many pieces
            head = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if head > _MOST_HEAD:
                self._is_over = True
                raise ValueError("the head of a request is too large")
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            self._is_for_nobody = True
            raise ValueError("a request names one host")
        self._is_begun = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that it has come to its end."""
        self._is_whole, self._received = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP request, or too large for one; `msg` is uvicorn's word for it."""
        chinese = ""
        if len(getattr(self, "url", b"")) > _MOST_ADDRESS:
            status, code = b"414 URI Too Long", "too-long"
            text = f"an address has at most {_MOST_ADDRESS} bytes; search by POST _search"
        elif self._is_over:
            status, code = b"431 Request Header Fields Too Large", "too-long"
            text = f"the line and headers of a request have at most {_MOST_HEAD} bytes"
        else:
            status, code = b"400 Bad Request", "structure"
            text, chinese = self._what_is_wrong()
        body = fhirjson.dumps(outcome_of([Issue(code, text, chinese=chinese)]))
        head = b"HTTP/1.1 %b\r\ncontent-type: application/fhir+json; charset=utf-8\r\n"
        tail = b"content-length: %d\r\nconnection: close\r\n\r\n%b"
        self.transport.write(head % status + tail % (len(body), body))
        self.transport.write_eof()
        self._is_refused = True
        self._unset_timer()
        self._timer = self.loop.call_later(min(self._limit_s, _LINGER_S), self.transport.close)

    def _what_is_wrong(self) -> tuple[str, str]:
        """Return why what came is no request of HTTP, in English and Chinese."""
        if self._is_for_nobody:
            return "a request names one Host", "请求须且只能有一个 Host"
        # `GET /fhir/Patient?name=…` as people write it: RFC 3986, 2.1
        if self._is_begun and not self._piece.partition(b"\r")[0].isascii():
            return _BARE
        return "this is no HTTP request", "不是有效的 HTTP 请求"

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # weak, else an answered request would be garbage that only the collector finds
        cycle.scope["extensions"] = {WHOLE: {"send": partial(self._answer, weakref.ref(cycle))}}
        super()._start_asgi_task(cycle, app)

    def _answer(
        self,
        answered: "weakref.ref[RequestResponseCycle]",
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
    ) -> bool:
        """Send an answer as a whole; if it is not for this way, say so and send nothing."""
        cycle = answered()
        if cycle is None or cycle.response_started or cycle.disconnected:
            return False
        if self.flow.write_paused:
            return False
        if len(body) > _LARGE or _is_unsafe(b"".join([value for _, value in headers])):
            return False
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((*lines, end, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def _set_timer(self) -> None:
        self._timer = self.loop.call_later(self._limit_s, self._cut)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        if self.transport.is_closing():
            return
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self._is_begun:  # its head did not come
            self.transport.write(_TOO_SLOW)
        self.transport.close()


class Adopted(Connection):
    """A connection that was accepted elsewhere."""

    on_end: Callable[[], None]

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so."""
        super().connection_lost(exc)
        self.on_end()
