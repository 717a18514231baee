"""`fhir-hub check` finds what disagrees in a database, and `fhir-hub reindex` mends it."""

import asyncio
import json
import shutil
from pathlib import Path

import apsw
import pytest

from fhir_hub.app import build
from fhir_hub.rest import routes
from fhir_hub.rest.message import FhirRequest
from fhir_hub.settings import load_settings
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs

EXAMPLES = Path(__file__).parents[2] / "examples"
TABLES = (
    "resource", "version", "entry", "by_code", "by_point", "by_low", "by_high", "shape",
    "shape_parameter", "message", "message_raw", "owed_answer", "note",
)  # fmt: skip
SOME = (
    "(SELECT min(rid) FROM resource WHERE shape <> 0"
    " AND type = (SELECT id FROM type WHERE name = '{0}'))"
)
PATIENT, REPORT = SOME.format("Patient"), SOME.format("DiagnosticReport")
PERIOD = "(SELECT min(rid) FROM by_high)"  # who has an interval that is no point


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A database of messages and of REST's writes: updates, a deletion, words kept."""
    path = tmp_path_factory.mktemp("check") / "hub.sqlite"
    settings = load_settings(None, {"store": f"sqlite:{path}", "full_text": True}, {})

    async def make() -> None:
        async with open_backend(settings.store) as backend:
            hub = build(settings, backend, Logs("error", "json"))
            await hub.prepare(EXAMPLES / "institutions.json")
            while await hub.indexing.step():
                pass
            for name in ("01_ADT_A04_chc_register", "08_ORU_R01_lab_tertiary"):
                raw = (EXAMPLES / "messages" / f"{name}.hl7").read_bytes()
                assert b"MSA|AA" in await hub.receiver.receive(raw.replace(b"\n", b"\r"))
            assert b"MSA|AA" not in await hub.receiver.receive(
                b"MSH|^~\\&|A|B|C|D|||ADT^A99|1|P|2.5"
            )

            async def ask(method, *path, **resource):
                request = FhirRequest(method, path, resource=resource or None)
                assert (await routes.dispatch(request, hub.service)).status < 300

            body = {"resourceType": "Basic", "id": "b", "code": {"text": "沈"}}
            await ask("PUT", "Basic", "b", **body)
            await ask("PUT", "Basic", "b", **(body | {"created": "2025"}))
            parts = [{"code": {"text": "x"}, "valueQuantity": {"value": value}} for value in (1, 2)]
            body = {"resourceType": "Observation", "id": "o", "status": "final", "component": parts}
            await ask("PUT", "Observation", "o", **body, code={"text": "x"})
            body = {"resourceType": "Basic", "code": {"text": "x"}}
            await ask("PUT", "Basic", "gone", **(body | {"id": "gone"}))
            await ask("DELETE", "Basic", "gone")

    asyncio.run(make())
    return path


@pytest.fixture
def path(sound, tmp_path, monkeypatch):
    monkeypatch.setenv("FHIR_HUB_FULL_TEXT", "true")
    return Path(shutil.copy(sound, tmp_path / "hub.sqlite"))


def damage(path: Path, *statements: str) -> None:
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
        assert connection.changes(), statement
    connection.close()


def rows(path: Path) -> dict[str, list]:
    connection = apsw.Connection(str(path))
    found = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in TABLES}
    connection.close()
    return found


def rules(ended) -> set[str]:
    return {json.loads(line)["rule"] for line in ended.out.splitlines()}


def test_what_is_sound_agrees_while_a_hub_has_it_open(run, path):
    opened = open_backend(f"sqlite:{path}")
    ended = run("check", "--store", f"sqlite:{path}")
    asyncio.run(opened.close())

    assert (ended.code, ended.out) == (0, ""), ended.out
    assert "everything agrees" in ended.err
    assert run("check", "--quick", "--store", f"sqlite:{path}").code == 0


MENDABLE = {
    "not-the-last-version": "UPDATE resource SET version_id = 1, sequence = 1"
    f" WHERE rid = {PATIENT}",
    "newest": "UPDATE version SET newest = newest - 1000000000000 WHERE sequence = 3",
    "entries-of-nobody": "INSERT INTO entry SELECT 999999, parameter, place, code, system, low,"
    " high, text, grouped FROM entry LIMIT 1",
    "by_code-missing": f"DELETE FROM by_code WHERE rid = {REPORT}",
    "by_code-surplus": "INSERT INTO by_code (parameter, code, rid, system)"
    " SELECT parameter, 'x', rid, 0 FROM by_code LIMIT 1",
    "by_code-says": "UPDATE by_code SET low = 7 WHERE code LIKE 'Patient/%' AND tokens <> ''",
    "by_point-missing": f"DELETE FROM by_point WHERE rid = {REPORT}",
    "by_point-surplus": "INSERT INTO by_point SELECT parameter, low, rid FROM by_low LIMIT 1",
    "by_low-missing": f"DELETE FROM by_low WHERE rid = {PERIOD}",
    "by_low-surplus": "INSERT INTO by_low SELECT parameter, 5, rid FROM by_low LIMIT 1",
    "by_high-missing": f"DELETE FROM by_high WHERE rid = {PERIOD}",
    "by_high-surplus": "INSERT INTO by_high SELECT parameter, 5, rid FROM by_high LIMIT 1",
    "width": "UPDATE parameter SET width = 0 WHERE width > 0",
    "many": "UPDATE parameter SET many = 0 WHERE many = 1",
    "shape-parameters": "DELETE FROM shape_parameter WHERE shape = (SELECT min(id) FROM shape)",
    "shape-surplus": "INSERT INTO shape_parameter SELECT id, 999999 FROM parameter LIMIT 1",
    "shape-count": "UPDATE shape SET resources = 77 WHERE id = (SELECT max(id) FROM shape)",
    "entries": "DELETE FROM entry WHERE rid = (SELECT rid FROM resource WHERE logical_id = 'b')",
    "shape": f"UPDATE resource SET shape = (SELECT min(id) FROM shape) WHERE rid = {REPORT}",
    "full-text": f"DELETE FROM full_text WHERE rowid = {REPORT}",
    "answer-of-nobody": "INSERT INTO owed_answer VALUES (999)",
}


def test_what_can_be_mended_is_found_and_mended_to_what_it_was(run, sound, path):
    before = rows(sound)
    damage(path, *MENDABLE.values())

    found = run("check", "--store", f"sqlite:{path}", "--json")
    assert found.code == 1
    assert set(MENDABLE) - rules(found) == set()
    assert "沈" not in found.out + found.err
    assert "fhir-hub reindex mends it" in found.err

    ended = run("reindex", "--store", f"sqlite:{path}")
    assert ended.code == 0, ended.err
    assert "mended" in ended.err
    ended = run("check", "--store", f"sqlite:{path}")
    assert (ended.code, ended.out) == (0, "")
    assert rows(path) == before


LOST = {
    "sequence-gap": "DELETE FROM version WHERE sequence = 2",
    "no-version": "SELECT 1",
    "version-chain": "DELETE FROM version WHERE version_id = 1 AND rid ="
    " (SELECT rid FROM resource WHERE logical_id = 'b')",
    "version-of-nobody": f"DELETE FROM resource WHERE rid = {REPORT}",
    "content": "UPDATE version SET content = x'7b7d' WHERE sequence = 5",
    "message-size": "UPDATE message_raw SET raw = x'00' WHERE number = 1",
    "bytes-of-nobody": "INSERT INTO message_raw VALUES (999, x'00')",
    "link-to-nothing": "SELECT 1",
    "message-state": "UPDATE message SET ack = x'' WHERE number = 2",
    "done-twice": "INSERT INTO message SELECT 50, channel, key, digest, received, type,"
    " application, facility, control_id, direction, replaces, state, ack, error, links, finished,"
    " attempts, maps, replaced_by, size FROM message WHERE number = 1",
    "replaced-by-nothing": "UPDATE message SET state = 'replaced', replaced_by = 88"
    " WHERE number = 3",
}


def test_what_is_lost_is_told_by_who_and_not_mended(run, path):
    damage(path, *(one for one in LOST.values() if one != "SELECT 1"))
    damage(path, "INSERT INTO message SELECT 60, 'c', 'k', 'd', 1, '', '', '', '', 'in', 0,"
           " 'received', x'', '', '[]', 0, 0, '', 0, 9")  # fmt: skip

    found = run("check", "--store", f"sqlite:{path}", "--json")
    assert found.code == 1
    assert set(LOST) | {"message-without-bytes"} <= rules(found)
    lines = [json.loads(line) for line in found.out.splitlines()]
    assert {"rule": "sequence-gap", "told": "the commit sequence has a gap before it",
            "where": "sequence 3", "mended": False} in lines  # fmt: skip
    assert "a backup has it, or nobody" in found.err
    assert "Basic/b" in {line["where"] for line in lines if line["rule"] == "version-chain"}
    shown = run("check", "--store", f"sqlite:{path}")
    assert "sequence-gap: the commit sequence has a gap before it: sequence 3\n" in shown.out


def test_a_page_that_is_damaged_is_told(run, path):
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = DELETE")
    sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'by_code'"
    page = connection.execute(sql).fetchall()[0][0]
    connection.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(content)

    ended = run("check", "--store", f"sqlite:{path}")
    assert ended.code == 1
    assert ended.out.startswith("file: ")


def test_a_reindex_that_was_stopped_is_gone_on_with(run, path, monkeypatch):
    from fhir_hub.repository import indexing

    monkeypatch.setattr(indexing, "_BATCH", 5)
    before = rows(path)
    damage(path, "DELETE FROM entry")

    async def some() -> None:
        settings = load_settings(None, {"store": f"sqlite:{path}"}, {"FHIR_HUB_FULL_TEXT": "true"})
        async with open_backend(settings.store) as backend:
            hub = build(settings, backend, Logs("error", "json"))
            await hub.indexing.rebuild((await backend.store.status()).resources)
            for _ in range(3):
                assert await hub.indexing.step()

    asyncio.run(some())
    assert (
        "not compared while they are being indexed" in run("check", "--store", f"sqlite:{path}").err
    )
    assert run("reindex", "--resume", "--store", f"sqlite:{path}").code == 0
    assert rows(path) == before


def test_the_tables_of_an_older_hub_are_not_changed_by_a_look(run, path):
    damage(path)
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 3")
    connection.close()

    ended = run("check", "--store", f"sqlite:{path}")
    assert (ended.code, "are an older hub's" in ended.err) == (1, True)
    connection = apsw.Connection(str(path))
    assert connection.pragma("user_version") == 3
    connection.close()


def test_an_index_that_another_hub_made_is_told_and_reindexed(run, path, monkeypatch):
    monkeypatch.setenv("FHIR_HUB_TIMEZONE", "+09:00")
    ended = run("check", "--store", f"sqlite:{path}")
    assert "made by another version of the hub or by other settings" in ended.err
    assert "entries" in ended.out  # of the days that begin at another moment

    assert run("reindex", "--store", f"sqlite:{path}").code == 0
    ended = run("check", "--store", f"sqlite:{path}")
    assert (ended.code, ended.err) == (0, "fhir-hub: everything agrees / 检查通过\n")
