"""DOMAIN 2.5: a referral has arrived when the system of who is asked acknowledged it."""

import queue
import re
import socket
import threading

import parts
import pytest
from scenario_parts import scenario_hub

START, END = b"\x0b", b"\x1c\r"


class Hospital:
    """Listens on a socket, keeps what comes and answers each message as it is told to."""

    def __init__(self, ack_code):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._ack_code = ack_code
        self._came = queue.Queue()
        threading.Thread(target=self._serve, daemon=True).start()

    def next(self):
        return self._came.get(timeout=parts.PATIENCE_S)

    def close(self):
        self._listening.close()

    def _serve(self):
        try:
            connection, _ = self._listening.accept()
        except OSError:
            return
        rest = b""
        with connection:
            while part := connection.recv(65536):
                rest += part
                while END in rest:
                    block, _, rest = rest.partition(END)
                    connection.sendall(START + self._ack(block.split(b"|")[9]) + END)
                    self._came.put(re.search(rb"\|(\w+\^\w+)", block)[1].decode())

    def _ack(self, number):
        header = b"MSH|^~\\&|T|T|||20250310||ACK|9|P|2.4"
        return header + b"\rMSA|" + self._ack_code + b"|" + number + b"\r"


@pytest.fixture
def hospital(request):
    made = Hospital(request.param)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("hospital", "status"), [(b"AA", "received"), (b"AR", "requested")], indirect=["hospital"]
)
def test_a_referral_that_the_hospitals_system_acknowledged_is_received(hospital, status):
    partner = {
        "address": f"mllp://127.0.0.1:{hospital.port}",
        "facility": "SHTH01",
        "sends": {"Task": "", "ServiceRequest": ""},
    }
    with scenario_hub(partners={"hospital": partner}) as hub:
        hub.tell("01", "13")
        assert hospital.next() == "REF^I12"
        order = hub.one("ServiceRequest?category=referral")

        hub.put(f"ServiceRequest/{order['id']}", order | {"priority": "stat"})

        assert hospital.next() == "REF^I13"  # so the answer to the first was taken before
        task = hub.one("Task?identifier=ZZ20250310-0001")
        assert task["status"] == status
        trail = hub.found(f"AuditEvent?entity=Task/{task['id']}")
        steps = [one["subtype"][0]["code"] for one in trail]
        assert ("deliver" in steps) == (status == "received")
