"""What was answered survives `kill -9`: creates over REST and messages over MLLP.

DESIGN §5, promises 1 and 2.
"""

import threading

import httpx
import parts
from whole.running import RunningHub

PATIENT = "PID|1||T{who}^^^SHTH01^PI||沈^桂芳^^^^^L^I||19530412|F"


def oru(number: int) -> bytes:
    lines = [
        "MSH|^~\\&|LIS|SHTH01|FHIRHUB|QPRHP|20250314103000||ORU^R01^ORU_R01"
        f"|K{number}|P|2.4||||||UNICODE UTF-8",
        PATIENT.format(who=number % 3),
        f"OBR|1|P{number}^SHTH01|F{number}^LIS|CHEM^生化^L|||20250314081000"
        "|||||||||||||||20250314102800||CH|F",
        "OBX|1|NM|14771-0^空腹血糖^LN||9.8|mmol/L|3.9-6.1|H|||F|||20250314081000",
    ]
    return "\r".join(lines).encode() + b"\r"


class Load:
    """Clients that write until the hub dies, and remember what was answered."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub
        self.created: list[str] = []
        self.acknowledged: list[int] = []
        self.enough = threading.Event()
        self.threads = [threading.Thread(target=self._create, args=(n,)) for n in range(4)]
        self.threads += [threading.Thread(target=self._message, args=(n,)) for n in range(4)]

    def _create(self, number: int) -> None:
        try:
            with self.hub.client() as client:
                while True:
                    body = {"resourceType": "Patient", "identifier": [{"value": f"c{number}"}]}
                    answer = client.post("Patient", json=body)
                    assert answer.status_code == 201
                    self.created.append(answer.json()["id"])
                    self._look()
        except httpx.TransportError:
            return

    def _message(self, number: int) -> None:
        try:
            with self.hub.mllp() as mllp:
                while True:
                    number += 4
                    assert f"MSA|AA|K{number}".encode() in mllp.send(oru(number))
                    self.acknowledged.append(number)
                    self._look()
        except OSError:
            return

    def _look(self) -> None:
        if len(self.created) > 100 and len(self.acknowledged) > 40:
            self.enough.set()

    def run_until_killed(self) -> None:
        for thread in self.threads:
            thread.start()
        assert self.enough.wait(parts.PATIENCE_S)
        self.hub.kill()
        for thread in self.threads:
            thread.join(parts.PATIENCE_S)
            assert not thread.is_alive()


def test_a_kill_in_the_middle_of_the_load_loses_nothing_that_was_answered(tmp_path):
    store = f"sqlite:{tmp_path / 'hub.sqlite'}"
    with RunningHub(store) as hub:
        load = Load(hub)
        load.run_until_killed()

    with RunningHub(store) as hub, hub.client() as client, hub.mllp() as mllp:
        for logical_id in load.created:
            assert client.get(f"Patient/{logical_id}").status_code == 200
        for number in load.acknowledged:
            found = client.get(f"DiagnosticReport?identifier=F{number}").json()
            assert found["total"] == 1, number
        everything = client.get("DiagnosticReport?_count=0").json()["total"]
        for number in load.acknowledged:  # the sender restarts too, and sends it all again
            assert f"MSA|AA|K{number}".encode() in mllp.send(oru(number))
        assert client.get("DiagnosticReport?_count=0").json()["total"] == everything
        for who in range(3):  # three unknown patients, met by four connections at once
            assert client.get(f"Patient?identifier=T{who}&_count=0").json()["total"] == 1


def test_a_hub_that_is_asked_to_stop_drains_and_exits_0(tmp_path):
    with RunningHub(f"sqlite:{tmp_path / 'hub.sqlite'}") as hub, hub.client() as client:
        assert client.post("Patient", json={"resourceType": "Patient"}).status_code == 201
        assert hub.stop() == 0
