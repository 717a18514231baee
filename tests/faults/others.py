"""A system beside the hub: it takes messages on a port and acknowledges them."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import parts

from fhir_hub.hl7v2.wire.mllp import Framer, frame
from fhir_hub.hl7v2.wire.sender import control_id


class Receiver(threading.Thread):
    """A system on a port that takes messages: `answers` one, `heard` has all that came."""

    def __init__(self, answers: Callable[[bytes], bytes | None]) -> None:
        super().__init__(daemon=True)
        self.heard: list[bytes] = []
        self._answers = answers
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.news = threading.Condition()
        self.start()

    def run(self) -> None:
        while True:
            connection, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        framer = Framer(1 << 20)
        with connection:
            while data := _received(connection):
                for block in framer.feed(data):
                    with self.news:
                        self.heard.append(block.raw)
                        self.news.notify_all()
                    answer = self._answers(block.raw)
                    if answer == b"":
                        return
                    with suppress(OSError):  # the hub is dead
                        connection.sendall(frame(answer) if answer else b"")

    def until(self, is_there: Callable[[bytes], bool]) -> None:
        """Wait for a message."""
        with self.news:
            assert self.news.wait_for(lambda: any(map(is_there, self.heard)), parts.PATIENCE_S)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def acknowledgment(code: str, raw: bytes, sender: str = "HIS", own: str = "A") -> bytes:
    head = f"MSH|^~\\&|{sender}|THERE|||20250315||ACK|{own}|P|2.4"
    return f"{head}\rMSA|{code}|{control_id(raw)}\r".encode()
