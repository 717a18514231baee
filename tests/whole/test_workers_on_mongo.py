"""Several processes on one MongoDB behave as one, on whatever machines, and one may die.

A hub of two workers and, in `make test-mongo`, a hub of one process share a database, as two
machines do: what they know of each other they know from there.

DESIGN §5, promises 1 and 2.
"""

import asyncio
import os
import random
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack

import httpx
import mongo_server
import parts
import pytest
from faults.load import Load, require_everything
from whole.running import END, START, RunningHub
from whole.test_durability import oru
from whole.workers import PATIENT, figures, pids, until

CLIENTS = 200
IS_LONG = "mongo" in os.environ.get("FHIR_HUB_TEST_STORES", "")
long_only = pytest.mark.skipif(not IS_LONG, reason="starts more processes: make test-mongo")


@pytest.fixture(scope="module")
def hubs(mongodb, tmp_path_factory) -> Iterator[list[RunningHub]]:
    config = tmp_path_factory.mktemp("mongo") / "hub.toml"
    config.write_text(f"lease_s = 2\nmessage_answer_s = {parts.PATIENCE_S}\n")
    with mongo_server.fresh(mongodb) as url, ExitStack() as stack:
        one = stack.enter_context(
            RunningHub(url, "--workers", "2", "--config", str(config), is_measured=True)
        )
        if not IS_LONG:
            yield [one, one]
            return
        other = stack.enter_context(RunningHub(url, "--config", str(config)))
        yield [one, other]


def pending(hub: RunningHub) -> float:
    return figures(hub)["fhir_hub_journal_pending"]


def send(hub: RunningHub, numbers: range, answers: dict[int, bytes]) -> None:
    with hub.mllp() as mllp:
        for number in numbers:
            answers[number] = mllp.send(oru(number))


def on_all(hubs: list[RunningHub], work: Callable[..., Awaitable[int]]) -> list[int]:
    """Run `work(client, number)` 200 times at once, half on each hub; return the statuses."""

    async def run() -> list[int]:
        limits = httpx.Limits(max_connections=CLIENTS)
        async with (
            httpx.AsyncClient(
                base_url=f"{hubs[0].fhir}/", verify=False, timeout=parts.PATIENCE_S, limits=limits
            ) as one,
            httpx.AsyncClient(
                base_url=f"{hubs[1].fhir}/", verify=False, timeout=parts.PATIENCE_S, limits=limits
            ) as other,
        ):
            calls = (work((one, other)[number % 2], number) for number in range(CLIENTS))
            return await asyncio.gather(*calls)

    return asyncio.run(run())


def test_200_clients_who_create_the_same_on_all_processes_make_one(hubs):
    async def create(client: httpx.AsyncClient, number: int) -> int:
        headers = {"If-None-Exist": "identifier=urn:test|one"}
        return (await client.post("Patient", json=PATIENT, headers=headers)).status_code

    assert sorted(on_all(hubs, create)) == [200] * (CLIENTS - 1) + [201]
    with hubs[1].client() as client:
        assert client.get("Patient?identifier=urn:test|one").json()["total"] == 1


@long_only
def test_200_clients_who_upsert_the_same_on_all_processes_make_one_of_200_versions(hubs):
    async def upsert(client: httpx.AsyncClient, number: int) -> int:
        body = {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": "up"}]}
        body["multipleBirthInteger"] = number
        return (await client.put("Patient?identifier=urn:test|up", json=body)).status_code

    assert sorted(on_all(hubs, upsert)) == [200] * (CLIENTS - 1) + [201]
    with hubs[1].client() as client:
        found = client.get("Patient?identifier=urn:test|up").json()
    assert found["total"] == 1
    assert found["entry"][0]["resource"]["meta"]["versionId"] == str(CLIENTS)


def test_messages_about_unknown_patients_that_come_everywhere_make_each_of_them_once(hubs):
    answers: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=send, args=(hubs[n % 2], range(6 * n, 6 * n + 6), answers))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(parts.PATIENCE_S)

    assert [f"MSA|AA|K{number}".encode() in answers[number] for number in range(24)] == [True] * 24
    with hubs[0].client() as client:
        for who in range(3):
            assert client.get(f"Patient?identifier=T{who}&_count=0").json()["total"] == 1
        assert client.get("DiagnosticReport?_count=0").json()["total"] == 24
    again: dict[int, bytes] = {}
    send(hubs[1], range(2), again)
    assert [again[n].split(b"\rMSA")[1] for n in (0, 1)] == [
        answers[n].split(b"\rMSA")[1] for n in (0, 1)
    ]


def test_a_process_killed_at_a_random_moment_under_load_loses_nothing_that_was_answered(hubs):
    moment, reached = random.randint(5, 25), threading.Event()
    load = Load(hubs[0], "7", lambda number: number >= moment and reached.set())
    load.start()
    assert reached.wait(parts.PATIENCE_S)
    os.kill(random.choice(pids(hubs[0])), signal.SIGKILL)
    load.stop.set()
    load.join()

    until(lambda: len(pids(hubs[0])) == 2)
    require_everything(load, hubs[1])


@long_only
def test_what_a_killed_process_had_kept_another_does_and_its_hub_goes_on(hubs):
    lines = oru(5000).decode().rstrip("\r").split("\r")
    many = [lines[3].replace("OBX|1|", f"OBX|{number}|") for number in range(1, 60)]
    with hubs[0].mllp() as mllp:
        mllp.socket.sendall(START + "\r".join([*lines[:3], *many]).encode() + b"\r" + END)
        until(lambda: pending(hubs[1]) == 1)
        for pid in pids(hubs[0]):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            mllp.receive()

    until(lambda: pending(hubs[1]) == 0)
    with hubs[1].client() as client:
        found = client.get("DiagnosticReport?identifier=F5000").json()
        assert found["total"] == 1
    until(lambda: len(pids(hubs[0])) == 2)
    with hubs[0].mllp() as mllp:
        assert b"MSA|AA|K5000" in mllp.send("\r".join([*lines[:3], *many]).encode() + b"\r")


@long_only
def test_a_hub_that_is_stopped_drains_and_the_other_goes_on(hubs):
    answers: dict[int, bytes] = {}
    with hubs[0].mllp() as mllp:
        mllp.socket.sendall(START + oru(6000) + END)
        until(lambda: bool(mllp.socket.recv(1, 2)))  # MSG_PEEK: it is answered
        assert hubs[0].stop() == 0
        assert b"MSA|AA|K6000" in mllp.receive()
    send(hubs[1], range(6001, 6003), answers)
    assert all(b"MSA|AA" in answer for answer in answers.values())
    with hubs[1].client() as client:
        assert client.get("../health/ready").json()["status"] == "ready"
