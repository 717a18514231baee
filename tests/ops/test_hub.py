"""The hub as one: it starts with what it is given, serves both sides, drains and ends."""

import asyncio
import gc
import json
import socket
import sys
from pathlib import Path

import httpx
import parts
import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from fhir_hub.errors import InvalidResource
from fhir_hub.hl7v2.maps.map_files import InvalidMapping
from fhir_hub.server import CannotListen, address, new_event_loop, open_socket
from fhir_hub.settings import InvalidSettings

EXAMPLES = Path(__file__).parents[2] / "examples"
FIRST = EXAMPLES / "messages" / "01_ADT_A04_chc_register.hl7"


async def test_a_message_sent_over_mllp_is_found_over_rest(start):
    async with start() as hub, hub.client() as client:
        answer = await hub.send(FIRST.read_bytes())
        found = (await client.get("/fhir/Patient", params={"name": "沈桂芳"})).json()

    assert b"\rMSA|AA|ZJJ20250310083015001" in answer
    assert found["total"] == 1
    assert found["link"][0]["url"].startswith(f"{hub.addresses.fhir}/Patient?")


async def test_the_demonstration_is_loaded_once_however_often_the_hub_starts(start, tmp_path):
    options = {"store": f"sqlite:{tmp_path / 'hub.sqlite'}", "load": EXAMPLES / "institutions.json"}
    totals = []
    for _ in range(2):
        async with start(**options) as hub, hub.client() as client:
            totals.append((await client.get("/fhir/Organization?_count=0")).json()["total"])

    assert totals == [7, 7]


async def test_what_comes_from_a_source_obeys_the_rules_of_that_source(start, tmp_path):
    file = tmp_path / "load.json"
    patient = {"resourceType": "Patient", "id": "p", "active": "yes"}
    entry = {"resource": patient, "request": {"method": "PUT", "url": "Patient/p"}}
    file.write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
    sources = {"load": {"validation": "off"}}
    async with start(load=file, sources=sources) as hub, hub.client() as client:
        stored = await client.get("/fhir/Patient/p")
        refused = await client.put("/fhir/Patient/q", json=patient | {"id": "q"})

    assert stored.json()["active"] == "yes"
    assert refused.status_code == 400


async def test_with_profiles_numbers_are_checked_and_each_sender_has_its_own_schema(
    start, tmp_path
):
    schema = {"appliesTo": {"resourceType": ["Patient"], "source": ["rest"]}, "required": ["name"]}
    (tmp_path / "rest.schema.json").write_text(json.dumps(schema))
    identifier = {"system": "urn:oid:2.16.156.10011.1.3", "value": "310229195304129988"}
    patient = {"resourceType": "Patient", "identifier": [identifier]}
    options = {"validation": "profiles", "profiles_folder": (tmp_path,)}
    async with start(**options) as hub, hub.client() as client:
        refused = await client.post("/fhir/Patient", json=patient)
        kiosk = (EXAMPLES / "messages" / "09_ORU_R01_kiosk_vitals_chc.hl7").read_bytes()
        accepted = await hub.send(kiosk)
        without_device = await hub.send(kiosk.replace(b"KIOSK-ZJJ-02", b"").replace(b"-17", b"-18"))

    told = {(each["code"], each["expression"][0]) for each in refused.json()["issue"]}
    assert refused.status_code == 400
    assert told == {("required", "Patient.name"), ("value", "Patient.identifier[0].value")}
    assert b"\rMSA|AA|" in accepted
    assert b"\rMSA|AE|" in without_device
    assert "say which device measured" in without_device.decode()


async def test_metadata_names_the_profiles_of_each_type(start):
    async with start() as hub, hub.client() as client:
        (rest,) = (await client.get("/fhir/metadata")).json()["rest"]

    named = {one["type"]: one.get("supportedProfile", []) for one in rest["resource"]}
    base = "https://fhir-hub.example/StructureDefinition"
    assert named["Slot"] == [f"{base}/cn-slot"]
    assert f"{base}/cn-long-prescription" in named["MedicationRequest"]
    assert f"{base}/cn-prescription" not in named["MedicationRequest"]  # it is abstract
    assert named["Account"] == []


async def test_the_package_answers_for_its_codes(start):
    base = "https://fhir-hub.example"
    sex = {"url": f"{base}/ConceptMap/sex-to-gender", "system": "urn:oid:2.16.156.10011.2.3.3.4"}
    pools = {"url": f"{base}/ValueSet/slot-pool", "filter": "社区"}
    async with start() as hub, hub.client() as client:
        translated = await client.get("/fhir/ConceptMap/$translate", params=sex | {"code": "2"})
        expanded = await client.get("/fhir/ValueSet/$expand", params=pools)

    match = next(one for one in translated.json()["parameter"] if one["name"] == "match")
    concept = next(one for one in match["part"] if one["name"] == "concept")
    codes = [one["code"] for one in expanded.json()["expansion"]["contains"]]
    assert concept["valueCoding"]["code"] == "female"
    assert codes == ["COMMUNITY", "COMMUNITY", "PRI"]


async def test_validate_warns_of_a_code_that_r4_advises_against_and_a_write_does_not_mind(start):
    married = {"coding": [{"system": "urn:local", "code": "10"}]}
    resource = {"resourceType": "Patient", "maritalStatus": married}

    async with start() as hub, hub.client() as client:
        told = (await client.post("/fhir/Patient/$validate", json=resource)).json()["issue"]
        stored = await client.post("/fhir/Patient", json=resource)

    assert [(i["severity"], i["code"], i["expression"]) for i in told] == [
        ("warning", "code-invalid", ["Patient.maritalStatus"])
    ]
    assert stored.status_code == 201


async def test_a_source_that_does_not_exist_stops_the_start(start):
    with pytest.raises(InvalidSettings, match="did you mean iot-gateway"):
        async with start(sources={"iot-gate": {"references": "off"}}):
            pass


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"resourceType": "Patient"}',
        '{"resourceType": "Bundle", "type": "batch", "entry": [{"resource": {"resourceType":'
        ' "Patient", "active": "yes"}, "request": {"method": "POST", "url": "Patient"}}]}',
    ],
)
async def test_what_cannot_be_loaded_stops_the_start_and_says_why(start, tmp_path, content):
    file = tmp_path / "load.json"
    file.write_text(content)

    with pytest.raises(InvalidResource):
        async with start(load=file):
            pass


async def test_a_message_that_a_crash_interrupted_is_finished_at_the_start(start, tmp_path):
    from fhir_hub.store.journal import Received
    from fhir_hub.store.open import open_backend

    store = f"sqlite:{tmp_path / 'hub.sqlite'}"
    async with open_backend(store) as backend:
        await backend.journal.keep(Received("mllp", "k", "d", 1, FIRST.read_bytes()))

    async with start(store=store) as hub, hub.client() as client:
        assert '"event": "messages_replayed"' in hub.logged.getvalue()
        assert (await client.get("/fhir/Patient?name=沈桂芳")).json()["total"] == 1


async def test_links_name_the_public_address_where_one_is_set(start):
    async with start(base_url="https://hub.example.org/r4/") as hub, hub.client() as client:
        bundle = (await client.get("/fhir/Patient")).json()

    assert bundle["link"][0]["url"] == "https://hub.example.org/r4/Patient"


async def test_times_without_an_offset_are_read_in_the_zone_of_the_settings(start):
    async with start(timezone="-03:00") as hub, hub.client() as client:
        await client.post("/fhir/Patient", json={"resourceType": "Patient"})
        # its sender's own file says in which zone it writes; nobody has a file of this one
        await hub.send(FIRST.read_bytes().replace(b"ZJJCHC", b"ANYCHC"))
        visit = (await client.get("/fhir/Encounter")).json()["entry"][0]["resource"]

    assert visit["period"]["start"] == "2025-03-10T08:30:10-03:00"


async def test_what_was_answered_is_no_garbage_that_only_the_collector_finds(start):
    async with start() as hub, hub.client() as client:
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                assert (await client.get("/fhir/Patient")).status_code == 200
            left = [one for one in gc.get_objects() if type(one) is RequestResponseCycle]
        finally:
            gc.enable()

    assert len(left) <= 2


async def test_page_sizes_are_those_of_the_settings(start):
    async with start(page_size=2, max_page_size=3) as hub, hub.client() as client:
        for _ in range(5):
            await client.post("/fhir/Patient", json={"resourceType": "Patient"})
        plain = (await client.get("/fhir/Patient")).json()["entry"]
        most = (await client.get("/fhir/Patient?_count=100")).json()["entry"]

    assert (len(plain), len(most)) == (2, 3)


async def test_a_body_over_the_limit_gets_413(start):
    async with start(max_body_bytes=2048) as hub, hub.client() as client:
        body = {"resourceType": "Patient", "name": [{"text": "x" * 4000}]}

        assert (await client.post("/fhir/Patient", json=body)).status_code == 413


async def test_with_validation_off_only_the_type_is_checked(start):
    loose = {"resourceType": "Patient", "colour": "red", "active": True}
    async with start(validation="off") as hub, hub.client() as client:
        assert (await client.post("/fhir/Patient", json=loose)).status_code == 201
        for odd in ({"name": "x"}, {"identifier": [1, "x", None]}, {"birthDate": {"a": []}}):
            answer = await client.post("/fhir/Patient", json={"resourceType": "Patient", **odd})
            assert answer.status_code == 201
        for broken in ({"resourceType": "Colour"}, {"resourceType": ["Patient"]}, {"meta": "boo"}):
            body = {"resourceType": "Patient", **broken}
            assert (await client.post("/fhir/Patient", json=body)).status_code == 400
    async with start() as hub, hub.client() as client:
        assert (await client.post("/fhir/Patient", json=loose)).status_code == 400


async def test_with_validation_of_profiles_a_claim_has_to_be_kept(start, tmp_path):
    profile = {
        "resourceType": "StructureDefinition",
        "url": "https://a.example/StructureDefinition/named",
        "name": "Named",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1}]},
    }
    (tmp_path / "named.json").write_text(json.dumps(profile))
    claims = {"resourceType": "Patient", "meta": {"profile": [profile["url"]]}}
    other = {"resourceType": "Patient", "meta": {"profile": ["https://a.example/nobody"]}}
    own = {"profiles_folder": [tmp_path]}

    async with start(validation="profiles", **own) as hub, hub.client() as client:
        refused = await client.post("/fhir/Patient", json=claims)
        taken = await client.post("/fhir/Patient", json=claims | {"name": [{"text": "x"}]})
        unknown = await client.post("/fhir/Patient", json=other)
    async with start(**own) as hub, hub.client() as client:
        by_r4 = await client.post("/fhir/Patient", json=claims)
    strict = {"validation": "profiles", "unknown_profiles": "refuse"}
    async with start(**strict) as hub, hub.client() as client:
        strictly = await client.post("/fhir/Patient", json=other)

    issue = refused.json()["issue"][0]
    assert (refused.status_code, issue["expression"]) == (400, ["Patient.name"])
    assert "请至少提供 1 个 name" in issue["details"]["text"]
    assert (taken.status_code, unknown.status_code, by_r4.status_code) == (201, 201, 201)
    assert strictly.status_code == 400


async def unended(port):
    """Return what a request that does not end is answered, nothing if it was cut off before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /fhir/Patient HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\n{")
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_request_that_takes_too_long_gets_503_and_the_hub_goes_on(start):
    async with start(request_timeout_s=0.2) as hub, hub.client() as client:
        # a machine that is busy may need more than the 0.2 s for anything else, too
        async with asyncio.timeout(parts.PATIENCE_S):
            while not (told := await unended(_port(hub.addresses.fhir))).startswith(
                b"HTTP/1.1 503 "
            ):
                pass
            while (await client.get("/fhir/Patient")).status_code != 200:
                pass

        assert json.loads(told.partition(b"\r\n\r\n")[2])["resourceType"] == "OperationOutcome"


async def test_a_fault_of_ours_is_logged_by_its_place_and_told_without_detail(start):
    async with start() as hub, hub.client() as client:
        await hub.hub.backend.close()
        answer = await client.get("/fhir/Patient/1", headers={"X-Request-Id": "r1"})

        assert answer.status_code in (500, 503)
        assert answer.json()["resourceType"] == "OperationOutcome"


async def test_debug_logs_a_line_for_every_request_without_its_content(start):
    async with start(log_level="debug") as hub, hub.client() as client:
        await client.get("/fhir/Patient?name=沈桂芳", headers={"X-Request-Id": "r1"})
        line = next(json.loads(one) for one in hub.logged.getvalue().splitlines() if '"r1"' in one)

    assert line["interaction"] == "search-type"
    assert (line["status"], line["resource_type"]) == (200, "Patient")
    assert "沈" not in hub.logged.getvalue()


async def test_a_hub_that_is_asked_to_stop_answers_what_is_under_way_and_takes_no_more(start):
    async with start() as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(hub.addresses.fhir))
        body = b'{"resourceType": "Patient"}'
        head = b"POST /fhir/Patient HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body[:5])
        await writer.drain()
        while not hub.hub.is_taking:  # it is; the loop is what a watcher would do
            await asyncio.sleep(0)
        async with hub.client() as client:
            await client.get("/health/live")  # the server has read the half request by now
        hub.stop.set()
        while hub.hub.is_taking:
            await asyncio.sleep(0)
        writer.write(body[5:])
        answer = await reader.read()
        writer.close()
        await hub.ended

        assert answer.startswith(b"HTTP/1.1 201 ")
        with pytest.raises(httpx.ConnectError):
            async with hub.client() as client:
                await client.get("/health/live")
        with pytest.raises(OSError, match=r".+"):
            await hub.send(FIRST.read_bytes())


@pytest.mark.parametrize("option", ["port", "mllp_port"])
async def test_a_port_in_use_stops_the_start_and_is_named(start, option):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {taken}"):
            async with start(**{option: taken}):
                pass


def test_a_host_that_does_not_exist_cannot_be_listened_on():
    with pytest.raises(CannotListen, match=r"cannot listen on 203\.0\.113\.7 port 0"):
        open_socket("203.0.113.7", 0)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/fhir"),
        ("0.0.0.0", "http://127.0.0.1:80/fhir"),
        ("::", "http://[::1]:80/fhir"),
        ("hub.example.org", "http://hub.example.org:80/fhir"),
    ],
)
def test_the_address_shown_is_one_that_a_client_can_use(host, shown):
    assert address(host, 80) == shown


def test_where_there_is_no_uvloop_the_hub_runs_on_the_loop_of_python(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)

    loop = new_event_loop()
    loop.close()

    assert isinstance(loop, asyncio.SelectorEventLoop)


async def test_a_map_that_is_no_good_stops_the_start_with_file_and_row(start, tmp_path):
    (tmp_path / "senders").mkdir()
    (tmp_path / "senders" / "LAB.toml").write_text('colour = "red"\n')

    with pytest.raises(InvalidMapping, match=r"senders/LAB\.toml"):
        async with start(mappings_folder=tmp_path):
            pass


async def test_a_map_that_makes_what_r4_forbids_is_told_and_the_message_is_kept(start, tmp_path):
    (tmp_path / "senders").mkdir()
    (tmp_path / "senders" / "KIOSK.toml").write_text(
        'source = "a mistake"\nmatch = { "MSH-3" = ["CHIS"] }\n'
        '[[field]]\nmap = "PID-Patient"\nto = "maritalStatus.text"\nvalue = ""\n'
    )
    async with start(mappings_folder=tmp_path) as hub, hub.client() as client:
        answer = await hub.send(FIRST.read_bytes())
        metrics = (await client.get("/metrics")).text
        found = (await client.get("/fhir/Patient?_summary=count")).json()

    assert (b"\rMSA|AE" in answer, found["total"]) == (True, 0)
    assert "fhir_hub_conversion_invalid_total 1.0" in metrics
    assert "invalid Patient.maritalStatus.text" in hub.logged.getvalue()


def _port(fhir: str) -> int:
    return int(fhir.split(":")[2].split("/")[0])
