"""`fhir-hub backup` and `restore`: of a hub that runs, verified, and to a point in time."""

import asyncio
import json
from pathlib import Path

import apsw
import pytest
from whole.running import RunningHub, message

from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds, instant
from fhir_hub.store.base import Key
from fhir_hub.store.open import open_backend

MESSAGES = Path(__file__).parents[2] / "examples" / "messages"
REPORT = message(MESSAGES / "08_ORU_R01_lab_tertiary.hl7")
NUMBER = b"LIS20250314-000781"


def oru(number: int) -> bytes:
    """Return a report of its own."""
    text = REPORT.replace(NUMBER, b"LIS-%d" % number)
    return text.replace(b"310229195304129989", b"").replace(b"OBR|1|", b"OBR|%d|" % number)


class Made:
    """A hub's database and a backup of it from the middle of its life."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "live" / "hub.sqlite"
        self.backup, self.ids, self.sequences = Path(), dict[str, str](), dict[str, int]()

    def sequence(self) -> int:
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        (number,) = connection.execute("SELECT max(sequence) FROM version").fetchone()
        connection.close()
        return number


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Live: one patient and a report, the backup, then updates, a deletion, two reports."""
    from fhir_hub.cli.backup import settings_of, sources_of
    from fhir_hub.clock import now
    from fhir_hub.store.backups import make_backup

    here = Made(tmp_path_factory.mktemp("backup"))
    running = RunningHub(f"sqlite:{here.path}", "--workers", "2")
    with running as hub, hub.client() as client, hub.mllp() as mllp:

        def create(name: str) -> None:
            body = {"resourceType": "Patient", "name": [{"family": name}]}
            here.ids[name] = client.post("Patient", json=body).raise_for_status().json()["id"]

        create("first")
        create("gone")
        assert b"MSA|AA" in mllp.send(oru(1))
        here.sequences["backup"] = here.sequence()
        sources = sources_of(settings_of(f"sqlite:{here.path}", None))
        here.backup = make_backup(sources, here.folder / "backups", now()).folder
        create("second")
        own = f"Patient/{here.ids['first']}"
        changed = client.get(own).json() | {"birthDate": "1953-04-12"}
        client.put(own, json=changed).raise_for_status()
        assert b"MSA|AA" in mllp.send(oru(2))
        here.sequences["middle"] = here.sequence()
        client.delete(f"Patient/{here.ids['gone']}").raise_for_status()
        create("third")
        assert b"MSA|AA" in mllp.send(oru(3))
        here.sequences["end"] = here.sequence()
    return here


def moment(made: Made, sequence: int) -> str:
    """Return when the commit after a sequence was, as a person writes it."""
    connection = apsw.Connection(str(made.path), flags=apsw.SQLITE_OPEN_READONLY)
    sql = "SELECT newest FROM version WHERE sequence = ?"
    (value,) = connection.execute(sql, (sequence + 1,)).fetchone()
    connection.close()
    return instant(from_microseconds(value))


def told(path: Path) -> dict:
    """Return what a database holds: versions, entries by table, the journal."""

    async def ask() -> dict:
        async with open_backend(f"sqlite:{path}") as backend:
            page = await backend.store.history(count=1000)
            entered = await backend.journal.recent(count=100)
            return {
                "versions": [tuple(one) for one in page.matches],
                "messages": [(e.number, e.message, e.state, e.ack, e.links) for e in entered[::-1]],
            }

    found = asyncio.run(ask())
    connection = apsw.Connection(str(path))
    sql = (
        "SELECT r.logical_id, p.name, e.place, e.code, s.uri, e.low, e.high, e.text FROM entry e"
        " JOIN resource r USING (rid) JOIN parameter p ON p.id = e.parameter"
        " LEFT JOIN system s ON s.id = e.system ORDER BY 1, 2, 3"
    )
    found["entries"] = connection.execute(sql).fetchall()
    for table, value in (
        ("by_code", "code"),
        ("by_point", "low"),
        ("by_low", "low"),
        ("by_high", "high"),
    ):
        sql = (
            f"SELECT p.name, w.{value}, w.rid FROM {table} w JOIN parameter p ON p.id = w.parameter"
            " ORDER BY 1, 2, 3"
        )
        found[table] = connection.execute(sql).fetchall()
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
    return found


def test_a_backup_of_a_running_hub_is_what_it_was_at_one_commit(run, made, tmp_path):
    manifest = json.loads((made.backup / "backup.json").read_text())
    assert manifest["store"]["sequence"] == made.sequences["backup"]
    assert manifest["store"]["resources"]["Patient"] == 3
    assert manifest["store"]["messages"] == {"done": 1}
    assert sorted(one.name for one in made.backup.parent.iterdir()) == [made.backup.name]

    target = tmp_path / "new" / "hub.sqlite"
    ended = run("restore", made.backup, "--store", f"sqlite:{target}")
    assert (ended.code, ended.out) == (
        0,
        f"sqlite:{target}: restored up to sequence {made.sequences['backup']}\n",
    )
    live, restored = told(made.path), told(target)
    assert restored["versions"] == live["versions"][-made.sequences["backup"] :]
    assert restored["messages"] == live["messages"][:1]


def test_the_other_files_log_leads_to_its_end(run, made, tmp_path):
    target = tmp_path / "hub.sqlite"
    ended = run("restore", made.backup, "--store", f"sqlite:{target}", "--log", made.path)

    assert ended.code == 0, ended.err
    assert told(target) == told(made.path)


@pytest.mark.parametrize("by", ["time", "sequence", "a sequence within a commit"])
def test_a_point_in_time_is_what_was_true_then(run, made, tmp_path, by):
    target, middle = tmp_path / "hub.sqlite", made.sequences["middle"]
    if by == "time":
        options = ("--until", moment(made, middle))
    elif by == "sequence":
        options = ("--sequence", middle)
    else:
        options = ("--sequence", made.sequences["end"] - 1)
        connection = apsw.Connection(str(made.path), flags=apsw.SQLITE_OPEN_READONLY)
        sql = "SELECT last_updated FROM version ORDER BY sequence DESC"
        moments = [row[0] for row in connection.execute(sql)]
        connection.close()
        middle = made.sequences["end"] - next(n for n, m in enumerate(moments) if m != moments[0])
    ended = run("restore", made.backup, "--store", f"sqlite:{target}", "--log", made.path, *options)

    assert ended.out.endswith(f"restored up to sequence {middle}\n"), ended.err
    live, restored = told(made.path), told(target)
    assert restored["versions"] == live["versions"][-middle:]
    if by != "a sequence within a commit":
        assert restored["messages"] == live["messages"][:2]
        gone = [one for one in restored["versions"] if one[1] == made.ids["gone"]]
        assert [one[5] for one in gone] == ["POST"]
    else:  # the last message had come and was not done
        assert [one[2] for one in restored["messages"]] == ["done", "done", "received"]


def test_messages_since_the_backup_are_done_anew_and_rest_writes_are_not(run, made, tmp_path):
    target = tmp_path / "hub.sqlite"
    ended = run("restore", made.backup, "--store", f"sqlite:{target}", "--messages", made.path)

    assert (ended.code, "2 messages: 0 not done" in ended.err) == (0, True), ended.err
    live, restored = told(made.path), told(target)
    assert [one[:3] for one in restored["messages"]] == [one[:3] for one in live["messages"]]
    reports = [one for one in restored["versions"] if one[0] == "DiagnosticReport"]
    assert len(reports) == len([one for one in live["versions"] if one[0] == "DiagnosticReport"])
    assert made.ids["third"] not in {one[1] for one in restored["versions"]}


def test_history_to_a_point_and_the_messages_after_it_by_the_maps_of_today(run, made, tmp_path):
    target = tmp_path / "hub.sqlite"
    ended = run(
        "restore", made.backup, "--store", f"sqlite:{target}",
        "--log", made.path, "--sequence", made.sequences["middle"], "--messages", made.path,
    )  # fmt: skip
    assert (ended.code, "1 message: 0 not done" in ended.err) == (0, True), ended.err
    assert [one[2] for one in told(target)["messages"]] == ["done", "done", "done"]


def test_what_is_there_is_moved_aside_only_if_that_is_asked_for(run, made, tmp_path):
    target = tmp_path / "hub.sqlite"
    arguments = ("restore", made.backup, "--store", f"sqlite:{target}")
    assert run(*arguments, "--log", made.path).code == 0
    before = told(target)

    ended = run(*arguments)
    assert (ended.code, ended.out) == (1, "")
    assert "hub.sqlite is there: --replace" in ended.err
    assert told(target) == before

    opened = open_backend(f"sqlite:{target}")
    assert "is in use: stop the hub" in run(*arguments, "--replace").err
    asyncio.run(opened.close())
    assert run(*arguments, "--replace").code == 0
    (aside,) = tmp_path.glob("hub.sqlite.before-*Z")
    assert told(aside) == before
    assert len(told(target)["versions"]) == made.sequences["backup"]
    assert not list(tmp_path.glob("*.restoring*"))


def test_a_backup_that_is_damaged_is_told_and_nothing_is_restored(run, made, tmp_path):
    assert (
        f"up to sequence {made.sequences['backup']}" in run("restore", made.backup, "--verify").out
    )
    bad = tmp_path / "bad"
    bad.mkdir()
    for path in made.backup.iterdir():
        content = bytearray(path.read_bytes())
        if path.suffix == ".sqlite":
            content[5000] ^= 1
        (bad / path.name).write_bytes(content)

    ended = run("restore", bad, "--store", f"sqlite:{tmp_path}/hub.sqlite")
    assert (ended.code, ended.out) == (1, "")
    assert "is not what was backed up" in ended.err
    assert not (tmp_path / "hub.sqlite").exists()


def test_what_a_backup_cannot_go_on_with_is_told(run, made, tmp_path):
    other = tmp_path / "other.sqlite"
    asyncio.run(open_backend(f"sqlite:{other}").close())
    target = f"sqlite:{tmp_path / 'hub.sqlite'}"
    for arguments, why in (
        (("--log", other), "the file does not go on from this backup"),
        (("--messages", other), "the file's journal does not go on"),
        (("--log", made.path, "--until", "2020"), "the backup is later"),
        (("--until", "2020"), "--until: of what?"),
        (("--log", made.path, "--until", "soon"), "--until: "),
        (("--sequence", "5"), "--sequence: with --log"),
        (("--log", "none.sqlite"), "does not exist"),
    ):
        ended = run("restore", made.backup, "--store", target, *arguments)
        assert (ended.code in (1, 2), ended.out, why in ended.err) == (True, "", True), ended.err
        assert not list(tmp_path.glob("hub.sqlite*"))


def test_a_log_that_is_broken_is_gone_on_with_as_far_as_it_is_whole(run, made, tmp_path):
    broken, last = tmp_path / "broken.sqlite", made.sequences["middle"]
    broken.write_bytes(made.path.read_bytes())
    connection = apsw.Connection(str(broken))
    connection.execute("DELETE FROM version WHERE sequence = ?", (last + 1,))
    connection.close()
    target = tmp_path / "hub.sqlite"
    arguments = ("restore", made.backup, "--store", f"sqlite:{target}", "--log", broken)

    ended = run(*arguments)
    assert (ended.code, ended.out) == (1, "")
    assert f"the log is whole up to sequence {last} only: --sequence {last}" in ended.err
    assert not list(tmp_path.glob("hub.sqlite*"))
    ended = run(*arguments, "--sequence", last)
    assert ended.out.endswith(f"restored up to sequence {last}\n"), ended.err


def test_the_command_keeps_the_newest_backups_and_names_the_new_one(run, made, tmp_path):
    (tmp_path / "20200101T000000Z").mkdir()
    (tmp_path / "20200101T000000Z" / "backup.json").write_text("{}")
    (tmp_path / "other").mkdir()

    ended = run("backup", tmp_path, "--store", f"sqlite:{made.path}", "--keep", 1, "--quick")
    assert ended.code == 0, ended.err
    assert "1 old backup removed" in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        Path(ended.out.strip()).name,
        "other",
    ]
    assert run("restore", ended.out.strip(), "--verify").code == 0
    above = run("restore", Path(ended.out.strip()).parent, "--verify")
    assert f"; the newest in it is {Path(ended.out.strip()).name} / " in above.err


@pytest.mark.parametrize(
    ("store", "code", "why"),
    [
        ("sqlite:none.sqlite", 1, "there is no such database"),
        ("memory:", 2, "only a store in a file"),
        ("sqlite:junk.sqlite", 1, "cannot read junk.sqlite"),
    ],
)
def test_what_cannot_be_backed_up_is_told(run, tmp_path, monkeypatch, store, code, why):
    monkeypatch.chdir(tmp_path)
    Path("junk.sqlite").write_bytes(bytes(range(256)) * 40)

    ended = run("backup", "backups", "--store", store)
    assert (ended.code, ended.out) == (code, "")
    assert why in ended.err
    assert not list(Path().glob("backups/*"))


def test_a_backup_holds_terminology_and_codes_seen(run, made, tmp_path):
    live = tmp_path / "live"
    live.mkdir()
    assert run("restore", made.backup, "--store", f"sqlite:{live}/hub.sqlite").code == 0
    for name in ("terminology.sqlite", "hub.codes"):
        connection = apsw.Connection(str(live / name))
        connection.execute("CREATE TABLE IF NOT EXISTS own (x); INSERT INTO own VALUES (1)")
        connection.close()
    folder = run("backup", tmp_path / "b", "--store", f"sqlite:{live}/hub.sqlite").out.strip()
    names = sorted(path.name for path in Path(folder).iterdir())
    assert names == ["backup.json", "hub.codes", "hub.sqlite", "terminology.sqlite"]

    assert run("restore", folder, "--store", f"sqlite:{tmp_path}/again/ward.sqlite").code == 0
    for name in ("terminology.sqlite", "ward.codes"):
        connection = apsw.Connection(str(tmp_path / "again" / name))
        assert connection.execute("SELECT x FROM own").fetchall() == [(1,)]
        connection.close()


def test_what_is_restored_is_found_and_read_as_before(run, made, tmp_path):
    target = tmp_path / "hub.sqlite"
    run("restore", made.backup, "--store", f"sqlite:{target}", "--log", made.path)

    async def read() -> dict:
        async with open_backend(f"sqlite:{target}") as backend:
            stored = await backend.store.read(Key("Patient", made.ids["first"]))
            return fhirjson.loads(stored.content)

    assert asyncio.run(read())["birthDate"] == "1953-04-12"
