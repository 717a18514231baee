"""Clients that write to a hub and remember what was answered, to ask for it afterwards.

Creates that many want at once, transactions of three, a chain of conditional updates, HL7v2
messages. After a fault: what was answered is there, once, and nothing is half.
"""

import itertools
import threading
from collections.abc import Callable

import httpx
import parts
from whole.running import RunningHub
from whole.test_durability import oru

_PASSING = (500, 503, 504)


class Load:
    """Runs until the hub dies or `stop` is set; `enough` is called after each answer."""

    def __init__(self, hub: RunningHub, mark: str, enough: Callable[[int], None]) -> None:
        self.hub, self.mark, self._enough = hub, mark, enough
        self.stop = threading.Event()
        self.created: dict[str, str] = {}
        self.bundles: list[int] = []
        self.versions: dict[str, int] = {}
        self.messages: list[int] = []
        self.refused = 0
        self._answered = itertools.count(1)
        works = [self._create, self._create, self._bundle, self._update, self._message]
        self.threads = [
            threading.Thread(target=self._guarded, args=(work, number))
            for number, work in enumerate(works)
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(parts.PATIENCE_S)
            assert not thread.is_alive()

    def _guarded(self, work, number: int) -> None:
        try:
            with httpx.Client(
                base_url=f"{self.hub.fhir}/", verify=False, timeout=parts.PATIENCE_S
            ) as client:
                for turn in itertools.count():
                    if self.stop.is_set():
                        return
                    if work(client, number, turn):
                        self._enough(next(self._answered))
                    else:
                        self.refused += 1
        except (httpx.TransportError, OSError):
            return  # it was killed

    def _asked(self, answer: httpx.Response, *good: int) -> bool:
        assert answer.status_code in (*good, *_PASSING), answer.text
        return answer.status_code in good

    def _create(self, client: httpx.Client, number: int, turn: int) -> bool:
        value = f"{self.mark}-{turn}"  # two threads want the same
        body = {"resourceType": "Patient", "identifier": [{"system": "urn:k", "value": value}]}
        header = {"If-None-Exist": f"identifier=urn:k|{value}"}
        answer = client.post("Patient", json=body, headers=header)
        if self._asked(answer, 200, 201):
            logical_id = answer.headers["location"].split("/Patient/")[1].split("/")[0]
            assert self.created.setdefault(value, logical_id) == logical_id
            return True
        return False

    def _bundle(self, client: httpx.Client, number: int, turn: int) -> bool:
        code = {"coding": [{"system": "urn:k", "code": f"{self.mark}-{turn}"}]}
        entry = {
            "resource": {"resourceType": "Basic", "code": code},
            "request": {"method": "POST", "url": "Basic"},
        }
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 3}
        if self._asked(client.post("", json=bundle), 200):
            self.bundles.append(turn)
            return True
        return False

    def _update(self, client: httpx.Client, number: int, turn: int) -> bool:
        name = f"u{self.mark}"
        body = {"resourceType": "Basic", "id": name, "code": {"text": str(turn)}}
        answer = client.put(f"Basic/{name}", json=body)
        if self._asked(answer, 200, 201):
            self.versions[str(turn)] = int(answer.json()["meta"]["versionId"])
            return True
        return False

    def _message(self, client: httpx.Client, number: int, turn: int) -> bool:
        own = int(self.mark) * 100_000 + turn
        with self.hub.mllp() as mllp:
            answer = mllp.send(oru(own))
        if f"MSA|AA|K{own}".encode() in answer:
            self.messages.append(own)
            return True
        assert b"MSA|AE|" in answer, answer
        return False


def require_everything(load: Load, hub: RunningHub) -> None:
    """Ask `hub` for all that was answered to `load`."""
    with (
        httpx.Client(base_url=f"{hub.fhir}/", verify=False, timeout=parts.PATIENCE_S) as client,
        hub.mllp() as mllp,
    ):

        def total(query: str) -> int:
            return client.get(f"{query}&_count=0&_total=accurate").json()["total"]

        for value, logical_id in load.created.items():
            assert client.get(f"Patient/{logical_id}").status_code == 200
            assert total(f"Patient?identifier=urn:k|{value}") == 1, value
        last = max(load.bundles, default=-1)
        for turn in range(last + 3):
            found = total(f"Basic?code=urn:k|{load.mark}-{turn}")
            assert found in ((3,) if turn in load.bundles else (0, 3)), turn
        for text, version_id in load.versions.items():
            told = client.get(f"Basic/u{load.mark}/_history/{version_id}").json()
            assert told["code"]["text"] == text
        for number in load.messages:
            assert f"MSA|AA|K{number}".encode() in mllp.send(oru(number))
            assert total(f"DiagnosticReport?identifier=F{number}") == 1, number
