"""`fhir-hub serve --workers 2`: two processes behave as one.

DESIGN §5, promise 2. `test_workers_end.py` has what holds when one of them ends.
"""

import json
import os
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import parts
import pytest
from whole.running import Mllp, RunningHub, message
from whole.test_durability import oru
from whole.workers import BASIC, PATIENT, figures, pids, processes, together, until

MESSAGES = Path(__file__).parents[2] / "examples" / "messages"
MLLP = 9
# files are looked at when a test says so: else what it wrote may be counted twice
SETTINGS = f"""mllp_connections = {MLLP}
mappings_watch_s = 0
mappings_folder = '{{folder}}/maps'
profiles_folder = '{{folder}}/profiles'
"""
CODES = {"resourceType": "CodeSystem", "url": "urn:c", "status": "draft", "content": "not-present"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    config, maps, profiles = (folder / name for name in ("hub.toml", "maps", "profiles"))
    maps.mkdir()
    profiles.mkdir()
    (profiles / "codes.json").write_text(json.dumps(CODES))
    config.write_text(SETTINGS.format(folder=folder))
    store = f"sqlite:{folder / 'hub.sqlite'}"
    with RunningHub(store, "--workers", "2", "--config", str(config), is_measured=True) as hub:
        hub.config, hub.maps, hub.profiles = config, maps, profiles
        yield hub


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
        thread.join(parts.PATIENCE_S)

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


def change_channels(hub, text, outcome):
    """Write other channels into the settings, say so to the hub, and wait for what comes of it."""
    name = f'fhir_hub_channels_reloads_total{{outcome="{outcome}"}}'
    before, logged = figures(hub).get(name, 0), []
    hub.logged()
    hub.config.write_text(SETTINGS.format(folder=hub.maps.parent) + text)
    os.kill(hub.ready["pid"], signal.SIGHUP)
    until(lambda: figures(hub).get(name, 0) == before + 1)
    # who tells of maps has heard it too: else it would look only once other maps are written
    until(lambda: logged.append(hub.logged()) or "maps_unchanged" in "".join(logged))


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=parts.PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    return False


def test_channels_come_and_go_in_every_worker_while_the_hub_runs(hub):
    one, two = parts.free_ports(2)
    change_channels(hub, f"[channels.lab]\nport = {one}\nprocessing_ids = ['T']\n", "taken")
    with ExitStack() as opened:
        lab = [opened.enter_context(Mllp(one)) for _ in range(2)]  # one for each worker
        old = [opened.enter_context(hub.mllp()) for _ in range(2)]
        for number, mllp in enumerate((*lab, *old)):
            answer = "AR" if mllp in lab else "AA"  # oru() is production's
            assert f"MSA|{answer}|K7{number}".encode() in mllp.send(oru(70 + number))

        change_channels(hub, f"[channels.lab]\nport = {two}\nallow = 'x'\n", "refused")
        with socket.create_server(("127.0.0.1", two)):
            change_channels(hub, f"[channels.lab]\nport = {two}\n", "refused")
        assert b"MSA|AR|K75" in lab[0].send(oru(75))  # the mistakes changed nothing

        change_channels(hub, f"[channels.lab]\nport = {two}\n", "taken")
        assert is_refused(one)
        for mllp in lab:
            with pytest.raises(ConnectionError):
                mllp.receive()
        new = [opened.enter_context(Mllp(two)) for _ in range(2)]
        for number, mllp in enumerate((*new, *old)):
            assert f"MSA|AA|K8{number}".encode() in mllp.send(oru(80 + number))
    change_channels(hub, "", "taken")
    assert is_refused(two)


def maps_of_both(hub):
    """Return the maps that each worker has: what they are called, and what was refused since."""
    with hub.client() as one, hub.client() as other:  # one connection for each worker
        told = [client.get("../ops/maps").json() for client in (one, other)]
    return [(it["version"].partition("-")[0], it["refused"]) for it in told]


def change_maps(hub, text, outcome):
    """Write other maps, say so to the hub, and wait for what comes of it in every worker."""
    name = f'fhir_hub_maps_reloads_total{{outcome="{outcome}"}}'
    before = figures(hub).get(name, 0)
    (hub.maps / "version.toml").write_text(text)
    os.kill(hub.ready["pid"], signal.SIGHUP)
    until(lambda: all(bool(wrong) is (outcome == "refused") for _, wrong in maps_of_both(hub)))
    until(lambda: figures(hub).get(name, 0) == before + 1)


def test_changed_maps_hold_in_every_worker_and_are_told_once(hub):
    hub.logged()
    change_maps(hub, "version = 8\n", "refused")
    change_maps(hub, 'version = "8"\n', "taken")
    assert maps_of_both(hub) == [("8", [])] * 2
    logged = hub.logged()
    assert [logged.count(event) for event in ("maps_refused", "maps_taken")] == [1, 1], logged


def test_workers_that_start_anew_have_the_maps_that_hold_while_those_on_the_disk_are_wrong(hub):
    change_maps(hub, 'version = "held"\n', "taken")
    change_maps(hub, "version = 9\n", "refused")
    [(_, wrong), _] = maps_of_both(hub)
    assert wrong[0].startswith("maps/version.toml ")
    hub.logged()
    away, logged = hub.profiles.rename(hub.profiles.with_name("away")), []
    before = set(pids(hub))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: logged.append(hub.logged()) or "worker_not_started" in "".join(logged))
    away.rename(hub.profiles)  # for which nothing can stand in, so that is told with the file
    told = [line for line in "".join(logged).splitlines() if "worker_not_started" in line]
    assert json.loads(told[0])["problems"].startswith(f"{hub.profiles}: there is no such folder or")

    until(lambda: len(now := set(pids(hub))) == 2 and not now & before)
    until(lambda: processes(figures(hub)) == {"supervisor", "worker-1", "worker-2"})
    assert maps_of_both(hub) == [("held", wrong)] * 2
    with hub.mllp() as one, hub.mllp() as other:
        assert b"MSA|AA|K95" in one.send(oru(95))
        assert b"MSA|AA|K96" in other.send(oru(96))
    (hub.maps / "version.toml").write_text('version = "mended"\n')
    os.kill(hub.ready["pid"], signal.SIGHUP)
    until(lambda: maps_of_both(hub) == [("mended", [])] * 2)


def test_a_worker_that_starts_anew_has_the_channels_of_now(hub):
    (port,) = parts.free_ports()
    change_channels(hub, f"[channels.ris]\nport = {port}\n", "taken")
    before = set(pids(hub))
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(now := set(pids(hub))) == 2 and now != before)

    def is_taken_by_both():
        try:
            with Mllp(port) as one, Mllp(port) as other:
                answers = (one.send(oru(90)), other.send(oru(91)))
        except ConnectionError:
            return False
        return b"MSA|AA|K90" in answers[0] and b"MSA|AA|K91" in answers[1]

    until(lambda: processes(figures(hub)) == {"supervisor", "worker-1", "worker-2"})
    until(is_taken_by_both)


def test_the_limit_of_mllp_connections_is_that_of_all_workers_together(hub):
    def are_open(number: int) -> bool:
        return figures(hub)["fhir_hub_mllp_connections"] == number

    until(lambda: are_open(0))
    with ExitStack() as stack:
        opened = [stack.enter_context(hub.mllp()) for _ in range(MLLP)]
        until(lambda: are_open(MLLP))
        with hub.mllp() as one_more, pytest.raises(ConnectionError):
            one_more.receive()
        told = [line for line in hub.logged().splitlines() if "mllp_connection_refused" in line]
        assert [json.loads(line)["channel"] for line in told] == ["mllp"]
        opened.pop().socket.close()
        until(lambda: are_open(MLLP - 1))
        with hub.mllp() as another:
            assert b"MSA|AA|K1" in another.send(oru(1))
    until(lambda: are_open(0))


def test_an_absolute_reference_to_the_hub_itself_is_its_own_to_every_worker(hub):
    body = BASIC | {"subject": {"reference": f"{hub.fhir}/Group/none"}}
    with hub.client() as one, hub.client() as other:
        answers = [client.post("Basic", json=body).status_code for client in (one, other)]
    assert answers == [422, 422]
