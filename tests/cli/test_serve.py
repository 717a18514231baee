"""`fhir-hub serve`: what it prints, how it ends, what it says of what it cannot use."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import threading
import tomllib
from pathlib import Path

import apsw
import httpx
import parts
import pytest

from fhir_hub import __version__
from fhir_hub.cli import COMMANDS
from fhir_hub.hl7v2.maps import map_files
from fhir_hub.store.open import open_backend


def stop_when_ready(port: int, number: signal.Signals) -> threading.Thread:
    """Send this process a signal once a hub answers on the port."""

    def work() -> None:
        pause = threading.Event()
        for _ in range(2400):
            try:
                url = f"http://127.0.0.1:{port}/health/ready"
                httpx.get(url, verify=False, timeout=parts.PATIENCE_S).raise_for_status()
                break
            except httpx.HTTPError:
                pause.wait(0.05)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_json_is_one_line_and_a_signal_ends_with_0(run, number):
    (port,) = parts.free_ports()
    thread = stop_when_ready(port, number)
    ended = run("serve", "--port", port, "--mllp-port", 0, "--store", "memory:", "--ready-json")
    thread.join()

    assert ended.code == 0
    (line,) = ended.out.splitlines()
    ready = json.loads(line)
    assert list(ready) == ["fhir", "mllp", "pid"]
    assert ready["fhir"] == f"http://127.0.0.1:{port}/fhir"
    assert ready["pid"] == os.getpid()
    assert "every local client is allowed" in ended.err


@pytest.mark.parametrize("is_on_path", [True, False])
def test_for_people_it_says_where_everything_is_and_how_to_send_the_first_message(
    run, tmp_path, monkeypatch, is_on_path
):
    monkeypatch.setenv("FHIR_HUB_PROT", "1")
    monkeypatch.setenv("PATH", path := str(tmp_path))
    if is_on_path:
        shutil.copy("/bin/sh", Path(path) / "fhir-hub")
    (port,) = parts.free_ports()
    config = tmp_path / "hub.toml"
    config.write_text(
        f'store = "sqlite:{tmp_path}/hub.sqlite"\nport = {port}\nmllp_port = 0\n'
        f'channels.lab = {{ transport = "folder", folder = "{tmp_path}" }}\n'
        'channels.web = { transport = "http", match = { "MSH-4" = "A" } }\n'
        'channels.off = { transport = "http", enabled = false }\n'
    )
    thread = stop_when_ready(port, signal.SIGTERM)
    ended = run("serve", "--config", config)
    thread.join()

    assert ended.code == 0
    assert f"http://127.0.0.1:{port}/fhir" in ended.out
    assert "fhir-hub send examples/messages/01_" in ended.out
    assert ("\n  fhir-hub send" in ended.out) == is_on_path
    assert re.findall(r"\n  (lab|web|off|HL7v2 HTTP) +(.*)", ended.out) == [
        ("HL7v2 HTTP", f"POST http://127.0.0.1:{port}/hl7v2"),
        ("lab", f"folder {tmp_path}"),
        ("web", f"POST http://127.0.0.1:{port}/hl7v2/web"),
    ]
    assert "every local client" not in ended.err
    assert "FHIR_HUB_PROT is no setting" in ended.err
    assert (tmp_path / "hub.sqlite").exists()


def newer(path: Path) -> None:
    """Make a database of a program that is newer than this one."""
    asyncio.run(open_backend(f"sqlite:{path}").close())
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 999999")
    connection.close()


TAKEN = "Address already in use: another program has it, stop that or take another port / 端口已"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--store", "sqlite:junk.db"], "junk.db"),
        (["--store", "sqlite:newer.db"], "sqlite:newer.db: the database is of a newer version"),
        (["--store", "sqlite:."], "."),
        (["--load", "junk.db"], "junk.db: not JSON"),
        (["--port", "{taken}"], "cannot listen on 127.0.0.1 port {taken}: " + TAKEN),
        (["--mllp-port", "{taken}"], "cannot listen on 127.0.0.1 port {taken}: " + TAKEN),
        (["--host", "203.0.113.7"], "port 0: Cannot assign requested address: no interface of"),
        (["--config", "maps.toml"], "/nowhere: there is no such folder / 没有该目录"),
    ],
)
def test_what_it_cannot_use_is_told_in_a_line_and_ends_with_1(
    run, tmp_path, monkeypatch, arguments, told
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk.db").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "maps.toml").write_text('mappings_folder = "nowhere"\n')
    newer(tmp_path / "newer.db")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        given = [one.replace("{taken}", taken) for one in arguments]
        defaults = ["--port", 0, "--mllp-port", 0, "--store", "memory:"]
        ended = run("serve", *defaults, *given)

    assert (ended.code, ended.out) == (1, "")
    assert told.replace("{taken}", taken) in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "99999"], "--port: input should be less than or equal to 65535"),
        (["--port", "x"], "valid integer"),
        (["--store", "mongo"], "--store: write sqlite:PATH, mongodb://HOST/DATABASE or memory:"),
        (["--config", "none.toml"], "none.toml: No such file"),
        (["--load", "none.json"], "does not exist"),
        (["--colour"], "No such option"),
    ],
)
def test_wrong_usage_ends_with_2(run, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)

    ended = run("serve", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


@pytest.mark.parametrize("rest", ["127.0.0.1:1/hub?serverSelectionTimeoutMS=10", "host:x/hub"])
def test_a_password_of_the_store_is_not_shown(run, rest):
    ended = run("serve", "--store", f"mongodb://user:secret@{rest}")

    assert ended.code == 1
    assert f"mongodb://…@{rest}: " in ended.err
    assert "secret" not in ended.err


def test_version_is_printed(run):
    assert run("--version") == (0, f"fhir-hub {__version__}\n", "")


def test_without_a_command_the_help_is_shown(run):
    ended = run()

    assert ended.code == 2
    assert all(name in ended.out + ended.err for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help_with_an_example(run, name, option):
    ended = run(name, option)

    assert ended.code == 0
    assert f"Example: fhir-hub {name} " in ended.out


def test_a_fault_of_ours_is_told_by_its_place_and_not_by_its_text(run, monkeypatch, first):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("沈桂芳")

    map_files.parsed.cache_clear()  # what was read before is not read again
    monkeypatch.setattr(tomllib, "loads", broken)

    ended = run("convert", first)

    assert ended.code == 1
    assert "internal error: ZeroDivisionError at " in ended.err
    assert "沈" not in ended.err


def test_a_package_that_is_no_good_stops_the_start_and_is_told(run, monkeypatch, tmp_path):
    (tmp_path / "ValueSet-x.json").write_text("{")
    monkeypatch.setenv("FHIR_HUB_PROFILES_FOLDER", os.pathsep.join([str(tmp_path), "nowhere.tgz"]))

    ended = run("serve", "--store", "memory:", "--port", 0, "--mllp-port", 0)

    assert ended.code == 1
    assert "the profiles cannot be used" in ended.err
    assert f"{tmp_path.name}/ValueSet-x.json: not JSON" in ended.err
    assert "nowhere.tgz: there is no such folder or .tgz" in ended.err
