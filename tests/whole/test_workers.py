"""`fhir-hub serve --workers 2`: two processes behave as one, and one may die.

DESIGN §5, promises 1 and 2.
"""

import asyncio
import os
import re
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import apsw
import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from running import END, START, RunningHub, message
from test_durability import oru

from fhir_hub.store.base import Key
from fhir_hub.store.open import open_backend

MESSAGES = Path(__file__).parents[2] / "examples" / "messages"
BASIC = {"resourceType": "Basic", "code": {"text": "load"}}
MLLP = 9
STARTS = count(1000, 100_000)  # of control ids
PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": "one"}]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("workers") / "hub.sqlite"


@pytest.fixture(scope="module")
def hub(path):
    config = path.with_name("hub.toml")
    config.write_text(f"mllp_connections = {MLLP}\n")
    with RunningHub(f"sqlite:{path}", "--workers", "2", "--config", str(config)) as hub:
        yield hub


def together(hub: RunningHub, work: Callable, count: int, clients: int = 200) -> list:
    """Run `work(client, number)` `count` times at once, over as many connections."""

    async def run() -> list:
        limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
        async with httpx.AsyncClient(base_url=f"{hub.fhir}/", timeout=60, limits=limits) as client:
            return await asyncio.gather(*(work(client, number) for number in range(count)))

    return asyncio.run(run())


def until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(2400):  # far beyond what it takes: the machine may be busy
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("it never came to hold")


def figures(hub: RunningHub) -> dict[str, float]:
    """Return the metrics by name with labels, from a connection of its own."""
    text = httpx.get(f"{hub.fhir.removesuffix('fhir')}metrics").raise_for_status().text
    lines = (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def pids(hub: RunningHub) -> list[int]:
    """Return the workers' process ids as they are now: the children of the supervisor."""
    children = Path(f"/proc/{hub.ready['pid']}/task/{hub.ready['pid']}/children").read_text()
    return [int(pid) for pid in children.split()]


def processes(figures: dict[str, float]) -> set[str]:
    return set(re.findall(r'process_open_fds{process="([^"]*)"}', "\n".join(figures)))


def test_references_stay_whole_whichever_worker_deletes_or_refers(hub):
    async def one(client, number):
        address = f"Patient/whole{number % 20}"
        if number < 20:
            body = {"resourceType": "Patient", "id": f"whole{number}"}
            return await client.put(address, json=body)
        if (number + number // 20) % 2:
            return await client.post("Basic", json=BASIC | {"subject": {"reference": address}})
        return await client.delete(address)

    together(hub, one, 20)
    answers = together(hub, lambda client, number: one(client, number + 20), 180)
    assert {answer.status_code for answer in answers} <= {201, 204, 409, 422}
    with hub.client() as client:
        found = client.get("Basic?subject:missing=false&_count=1000").json().get("entry", [])
        for address in {one["resource"]["subject"]["reference"] for one in found}:
            assert client.get(address).status_code == 200


def test_200_clients_who_create_the_same_make_one_and_every_worker_counts(hub):
    before = figures(hub)

    async def create(client, number):
        headers = {"If-None-Exist": "identifier=urn:test|one"}
        answer = await client.post("Patient", json=PATIENT, headers=headers)
        return answer.status_code

    statuses = together(hub, create, 200)

    assert sorted(statuses) == [200] * 199 + [201]
    with hub.client() as client:
        assert client.get("Patient?identifier=urn:test|one").json()["total"] == 1
    for after in (figures(hub), figures(hub)):  # whoever answers tells the sum
        counted = [
            after[name] - before.get(name, 0)
            for status in ("200", "201")
            for name in [f'fhir_hub_http_requests_total{{interaction="create",status="{status}"}}']
        ]
        assert counted == [199, 1]
        assert processes(after) == {"supervisor", "worker-1", "worker-2"}


def test_200_clients_who_upsert_the_same_make_one_and_each_is_a_version_of_it(hub):
    async def upsert(client, number):
        body = PATIENT | {"identifier": [{"value": "up"}], "multipleBirthInteger": number}
        return (await client.put("Patient?identifier=up", json=body)).status_code

    assert sorted(together(hub, upsert, 200)) == [200] * 199 + [201]
    with hub.client() as client:
        [found] = client.get("Patient?identifier=up").json()["entry"]
    assert found["resource"]["meta"]["versionId"] == "200"


def test_no_update_is_lost(hub):
    with hub.client() as client:
        made = client.post("Patient", json=PATIENT | {"multipleBirthInteger": 0}).json()

    async def count_up(client, number):
        for _ in range(4):
            while True:
                read = await client.get(f"Patient/{made['id']}")
                patient = read.json()
                patient["multipleBirthInteger"] += 1
                headers = {"If-Match": read.headers["ETag"]}
                written = await client.put(f"Patient/{made['id']}", json=patient, headers=headers)
                if written.status_code == 200:
                    break
                assert written.status_code in (409, 412)

    together(hub, count_up, 8)

    with hub.client() as client:
        patient = client.get(f"Patient/{made['id']}").json()
    assert (patient["multipleBirthInteger"], patient["meta"]["versionId"]) == (32, "33")


def test_the_story_over_two_workers_tells_of_one_patient(hub):
    paths = sorted(MESSAGES.glob("*.hl7"))
    with hub.mllp() as one, hub.mllp() as other:  # one connection for each worker
        for number, path in enumerate(paths):
            assert b"MSA|AA|" in (one, other)[number % 2].send(message(path)), path.name
        first = message(paths[0])
        assert one.send(first).split(b"\rMSA")[1] == other.send(first).split(b"\rMSA")[1]

    with hub.client() as client:
        assert client.get("Patient", params={"name": "沈桂芳"}).json()["total"] == 1


def test_messages_about_unknown_patients_that_come_at_once_make_each_of_them_once(hub):
    def send(numbers: range) -> None:
        with hub.mllp() as mllp:
            for number in numbers:
                assert f"MSA|AA|K{number}".encode() in mllp.send(oru(number))

    threads = [
        threading.Thread(target=send, args=(range(start, start + 6),)) for start in range(0, 24, 6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    with hub.client() as client:
        assert client.get("DiagnosticReport?_count=0").json()["total"] >= 24
        for who in range(3):
            assert client.get(f"Patient?identifier=T{who}&_count=0").json()["total"] == 1


def test_a_search_parameter_is_known_to_every_worker_at_once_and_built_for_all(hub):
    with hub.client() as one, hub.client() as other:  # one connection for each worker
        body = {"resourceType": "Location", "name": "Ward", "alias": ["Third"]}
        assert one.post("Location", json=body).status_code == 201
        assert other.post("Location", json=body).status_code == 201
        body = {
            "resourceType": "SearchParameter",
            "url": "http://hospital.test/SearchParameter/alias",
            "name": "Alias",
            "status": "active",
            "description": "another name",
            "code": "alias",
            "base": ["Location"],
            "type": "string",
            "expression": "Location.alias",
        }
        made = one.post("SearchParameter", json=body)
        assert made.status_code == 201, made.text
        for client in (one, other):
            assert client.post("SearchParameter", json=body).status_code == 400  # it has the code
        state = f"SearchParameter/{made.json()['id']}/$status"
        for client in (one, other):
            until(lambda client=client: '"active"' in client.get(state).text)
            assert client.get("Location?alias=third").json()["total"] == 2
    assert figures(hub)["fhir_hub_index_left"] == 0


def test_the_limit_of_mllp_connections_is_that_of_all_workers_together(hub):
    def are_open(number: int) -> bool:
        return figures(hub)["fhir_hub_mllp_connections"] == number

    until(lambda: are_open(0))
    with ExitStack() as stack:
        opened = [stack.enter_context(hub.mllp()) for _ in range(MLLP)]
        until(lambda: are_open(MLLP))
        with hub.mllp() as one_more, pytest.raises(ConnectionError):
            one_more.receive()
        opened.pop().socket.close()
        until(lambda: are_open(MLLP - 1))
        with hub.mllp() as another:
            assert b"MSA|AA|K1" in another.send(oru(1))
    until(lambda: are_open(0))


class Sender(threading.Thread, ABC):
    """Writes until its connection breaks or it is told to stop; remembers what was answered."""

    def __init__(self, hub: RunningHub, number: int) -> None:
        super().__init__()
        self.hub, self.number = hub, number
        self.answered: list[str] = []
        self.has_begun, self.is_enough = threading.Event(), threading.Event()
        self.broke = False

    def run(self) -> None:
        try:
            self.work()
        except (httpx.TransportError, ConnectionError):
            self.broke = True

    @abstractmethod
    def work(self) -> None:
        """Send until it is enough."""

    def note(self, what: str) -> None:
        self.answered.append(what)
        if len(self.answered) == 5:
            self.has_begun.set()


class Creator(Sender):
    def work(self) -> None:
        with self.hub.client() as client:
            while not self.is_enough.is_set():
                answer = client.post("Basic", json=BASIC)
                assert answer.status_code == 201
                self.note(answer.json()["id"])


class Reporter(Sender):
    def work(self) -> None:
        with self.hub.mllp() as mllp:
            while not self.is_enough.is_set():
                self.number += 4
                assert f"MSA|AA|K{self.number}".encode() in mllp.send(oru(self.number))
                self.note(str(self.number))


def under_load(hub: RunningHub) -> list[Sender]:
    """Return four Creators and four Reporters at work, half of each kind in each worker."""
    until(lambda: len(processes(figures(hub))) == 3)
    first = next(STARTS)
    senders = [kind(hub, first + n) for kind in (Creator, Reporter) for n in range(4)]
    for sender in senders:
        sender.start()
        assert sender.has_begun.wait(60)
    return senders


def test_a_worker_that_is_killed_under_load_loses_nothing_and_the_other_goes_on(hub):
    senders = under_load(hub)
    os.kill(pids(hub)[0], signal.SIGKILL)
    known = {sender: len(sender.answered) for sender in senders}
    until(lambda: sum(not sender.is_alive() for sender in senders) >= 4)
    until(lambda: all(len(s.answered) > known[s] + 5 for s in senders if s.is_alive()))
    for sender in senders:
        sender.is_enough.set()
        sender.join(60)

    # each worker had half of the connections of each kind
    assert [s.broke for s in senders[:4]].count(True) == 2
    assert [s.broke for s in senders[4:]].count(True) == 2
    until(lambda: processes(figures(hub)) == {"supervisor", "worker-1", "worker-2"})
    until(lambda: figures(hub)["fhir_hub_journal_pending"] == 0)
    with hub.client() as client:
        for sender in senders[:4]:
            for logical_id in sender.answered:
                assert client.get(f"Basic/{logical_id}").status_code == 200
        for sender in senders[4:]:
            for number in sender.answered:
                found = client.get(f"DiagnosticReport?identifier=F{number}").json()
                assert found["total"] == 1, number
        health = client.get("../health/ready")
        assert health.json()["status"] == "ready"


def test_what_killed_workers_had_kept_is_done_when_they_are_back(hub, path):
    lines = oru(5000).decode().rstrip("\r").split("\r")
    many = [lines[3].replace("OBX|1|", f"OBX|{number}|") for number in range(1, 800)]
    journal = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)

    def pending() -> int:
        rows = journal.execute("SELECT count(*) FROM message WHERE state = 'received'")
        return rows.fetchall()[0][0]

    with hub.mllp() as mllp:
        mllp.socket.sendall(START + "\r".join([*lines[:3], *many]).encode() + b"\r" + END)
        until(lambda: pending() == 1)
        for pid in pids(hub):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            mllp.receive()
    assert pending() == 1
    until(lambda: pending() == 0)

    with hub.client() as client:
        assert client.get("DiagnosticReport?identifier=F5000").json()["total"] == 1
    journal.close()


def is_over(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stored(path: Path, senders: list[Sender]) -> tuple[set[str], int]:
    """Return which answered creates are missing, and how many messages are not finished."""

    async def ask() -> tuple[set[str], int]:
        async with open_backend(f"sqlite:{path}") as backend:
            wanted = {one for sender in senders[:4] for one in sender.answered}
            found = await backend.store.read_many(Key("Basic", one) for one in wanted)
            missing = wanted - {one.logical_id for one in found}
            return missing, len(await backend.journal.pending())

    return asyncio.run(ask())


def test_one_worker_that_is_asked_to_stop_drains_and_another_takes_its_place(hub):
    old = pids(hub)
    senders = under_load(hub)
    os.kill(old[0], signal.SIGTERM)
    until(lambda: len(set(pids(hub)) - set(old)) == 1 and is_over(old[0]))
    until(lambda: len(processes(figures(hub))) == 3)
    for sender in senders:
        sender.is_enough.set()
        sender.join(60)

    assert figures(hub)["fhir_hub_journal_pending"] == 0
    assert [sender.broke for sender in senders[4:]].count(True) == 2
    # a client of HTTP opens another connection; a request on its way to the old one may be lost
    assert [sender.broke for sender in senders[:4]].count(True) <= 2


def test_workers_end_with_their_supervisor_and_nothing_answered_is_lost(tmp_path):
    path = tmp_path / "hub.sqlite"
    with RunningHub(f"sqlite:{path}", "--workers", "2") as hub:
        senders = under_load(hub)
        workers = pids(hub)
        hub.kill()
        for sender in senders:
            sender.join(60)
        until(lambda: all(map(is_over, workers)))
        missing, _ = stored(path, senders)
        assert missing == set()


def test_workers_that_are_asked_to_stop_answer_what_is_under_way_and_exit_0(hub, path):
    senders = under_load(hub)
    assert hub.stop() == 0
    for sender in senders:
        sender.join(60)
        assert sender.broke
    assert stored(path, senders) == (set(), 0)
