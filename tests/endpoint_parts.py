"""The endpoint of a Subscription: a real HTTP server that keeps what comes and fails if told to."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import parts


class Notified(NamedTuple):
    """A request that came: `resource` is None if it had no body."""

    method: str
    path: str
    headers: Any
    resource: Any


class Endpoint:
    """Answers each request with the next of `answers`, 200 when there is none left."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.arrived, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()
        self._came: queue.Queue[Notified] = queue.Queue()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def take(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                resource = json.loads(body) if body else None
                outer.arrived.set()
                outer.may_answer.wait(parts.PATIENCE_S)
                status = outer.answers.pop(0) if outer.answers else 200
                # before it is answered: the answer lets the sender send the next
                outer._came.put(Notified(self.command, self.path, self.headers, resource))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{outer.address}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT = do_GET = take  # noqa: N815 (names of the base class)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def next(self) -> Notified:
        """Return the next request that came or comes."""
        return self._came.get(timeout=parts.PATIENCE_S)

    def is_quiet(self) -> bool:
        """Say whether nothing came that was not looked at."""
        return self._came.empty()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def subscription(criteria: str, endpoint: str, **channel: Any) -> dict[str, Any]:
    """Return a Subscription as a client asks for it."""
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "tests",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": endpoint, **channel},
    }
