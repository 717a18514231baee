"""Creates, updates and reads of several clients over two processes are as if done one by one."""

import random
import threading
import time

import httpx
import parts
import pytest
from faults.linearizable import FOREVER, Call, is_linearizable
from faults.rounds import SECONDS, rounds
from whole.running import RunningHub

CLIENTS, CALLS = 6, 8
long_only = pytest.mark.skipif(not SECONDS, reason="for make test-faults: a server to start")


@pytest.mark.parametrize(
    ("calls", "verdict"),
    [
        ([Call("create", 0, 1, "a"), Call("read", 2, 3, "a", 1)], True),
        ([Call("create", 0, 1, "a"), Call("read", 2, 3, "", 0)], False),
        ([Call("create", 0, 3, "a"), Call("read", 1, 2, "", 0)], True),
        ([Call("create", 0, 3, "a"), Call("create", 1, 2, "b")], False),
        ([Call("create", 0, 3, "a"), Call("create", 1, 2, "b", is_done=False)], True),
        ([Call("write", 0, 9, "a"), Call("read", 1, 2, "a", 1), Call("read", 3, 4, "", 0)], False),
        ([Call("write", 0, FOREVER, "a"), Call("read", 1, 2, "a", 1)], True),
        ([Call("write", 0, FOREVER, "a"), Call("read", 1, 2, "", 0)], True),
        (
            [
                Call("create", 0, 1, "a"),
                Call("swap", 2, 5, "b", 1),
                Call("swap", 3, 6, "c", 1),
            ],
            False,
        ),
        (
            [
                Call("create", 0, 1, "a"),
                Call("swap", 2, 5, "b", 1),
                Call("swap", 3, 6, "c", 1, is_done=False),
                Call("write", 4, 8, "d"),
                Call("read", 9, 10, "d", 3),
            ],
            True,
        ),
    ],
)
def test_the_checker_tells_a_history_that_could_be_from_one_that_could_not(calls, verdict):
    assert is_linearizable(calls) is verdict


class Client(threading.Thread):
    """Does calls on one resource and notes what it saw."""

    def __init__(self, base: str, name: str, number: int) -> None:
        super().__init__()
        self.base, self.name_, self.number = base, name, number
        self.calls: list[Call] = []
        self.faults: list[str] = []

    def run(self) -> None:
        rng = random.Random(f"{self.name_} {self.number}")
        with httpx.Client(verify=False, timeout=parts.PATIENCE_S) as client:
            for turn in range(CALLS):
                value, version = f"{self.number}.{turn}", self._known()
                kind = rng.choice(("create", "write", "swap", "read", "read"))
                kind = "create" if turn == 0 else kind
                self._call(client, kind, value, version)

    def _known(self) -> int:
        return max((call.version for call in self.calls if call.kind == "read"), default=1)

    def _call(self, client: httpx.Client, kind: str, value: str, version: int) -> None:
        address = f"{self.base}/Basic/{self.name_}"
        body = {"resourceType": "Basic", "id": self.name_, "code": {"text": value}}
        own = f"{self.name_}"
        begin = time.monotonic()
        if kind == "read":
            answer = client.get(address)
        elif kind == "write":
            answer = client.put(address, json=body)
        elif kind == "swap":
            answer = client.put(address, json=body, headers={"If-Match": f'W/"{version}"'})
        else:  # at most one makes it: the others find that it is there
            answer = client.put(address, json=body, headers={"If-None-Match": "*"})
        end = time.monotonic()
        status = answer.status_code
        if kind == "read":
            seen = answer.json() if status == 200 else {}
            number = int(seen["meta"]["versionId"]) if seen else 0
            text = seen["code"]["text"] if seen else ""
            self.calls.append(Call("read", begin, end, text, number))
        else:
            self.calls.append(Call(kind, begin, end, value, version, status in (200, 201)))
        if status not in (200, 201, 404, 409, 412):
            self.faults.append(f"{kind} of {own}: {status}")


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("mongo", marks=long_only)])
def test_histories_over_two_processes_are_linearizable(address, kind):
    with RunningHub(address, "--workers", "2") as hub:
        for number in rounds(4):
            clients = [Client(hub.fhir, f"r{number}", one) for one in range(CLIENTS)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            assert [fault for client in clients for fault in client.faults] == []
            calls = [call for client in clients for call in client.calls]
            assert len(calls) == CLIENTS * CALLS
            assert is_linearizable(calls), calls
