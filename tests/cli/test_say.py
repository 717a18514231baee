"""What every command says the same way."""

import os
import pty
import sys

import pytest
import typer

from fhir_hub.cli import app
from fhir_hub.cli.say import progress, read


def test_progress_is_shown_on_a_terminal_and_yields_everything(monkeypatch):
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with open(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert list(progress("abc", 3, "convert")) == ["a", "b", "c"]
        terminal.flush()
        shown = os.read(ours, 100_000)
    os.close(ours)

    assert b"convert" in shown


def test_every_command_reads_the_settings_of_the_hub_by_config():
    """But `send`, which has none, and what works on a hub through what stands before it."""

    def commands(command, *names):
        for name, one in getattr(command, "commands", {}).items():
            yield from commands(one, *names, name)
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield " ".join(names), {option for one in command.params for option in one.opts}

    found = dict(commands(typer.main.get_command(app)))
    assert [name for name, options in found.items() if "--config" not in options] == ["send"]


def test_a_file_that_cannot_be_read_fails_with_its_name(tmp_path, capsys):
    with pytest.raises(typer.Exit) as ended:
        read(tmp_path)

    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.startswith(f"fhir-hub: {tmp_path}: Is a directory")


def test_what_cannot_be_written_is_told_in_a_line(run, first, monkeypatch):
    with open("/dev/full", "w", buffering=1 << 20) as full:
        monkeypatch.setattr(sys, "stdout", full)
        ended = run("convert", first)

    told = "fhir-hub: cannot write: No space left on device / 无法写入：磁盘已满或超出限额\n"
    assert (ended.code, ended.err) == (1, told)


@pytest.mark.parametrize("arguments", [("--version",), ("convert", "{first}")])
def test_a_pipe_that_nobody_reads_ends_a_command_in_silence(run, first, monkeypatch, arguments):
    reads, writes = os.pipe()
    os.close(reads)
    with open(writes, "w", buffering=1 << 20) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        ended = run(*(str(first) if one == "{first}" else one for one in arguments))

    assert (ended.code, ended.err) == (1, "")


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_stream_that_the_shell_closed_is_none_that_is_missed(run, first, monkeypatch, closed):
    monkeypatch.setattr(sys, closed, None)
    ended = run("convert", first)
    getattr(sys, closed).close()

    assert (ended.code, ended.err) == (0, "")
    assert bool(ended.out) is (closed != "stdout")


def test_a_dash_is_standard_input(run, first, monkeypatch, tmp_path):
    def piped(content, *arguments):
        (tmp_path / "piped").write_bytes(content)
        with (tmp_path / "piped").open() as opened:
            monkeypatch.setattr(sys, "stdin", opened)
            return run(*arguments)

    bundle = piped(first.read_bytes(), "convert", "-").out
    assert bundle == run("convert", first).out
    assert piped(bundle.encode(), "validate", "-").out.endswith("\n1 resource: 1 valid, 0 not\n")
    emitted = piped(bundle.encode(), "emit", "-")
    assert "\rPID|1|" in emitted.out
    ended = piped(emitted.out.encode(), "send", "-", "--to", "mllp://127.0.0.1:1")
    assert (ended.code, "nobody answers" in ended.err) == (1, True)
    assert piped(b"", "convert", "-").code == 1
