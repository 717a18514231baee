"""The command line: one module a command; what a command needs is imported when it runs.

Every command ends with 0 (done), 1 (failed) or 2 (wrong usage), and says what went wrong in one
line on standard error. What is meant for programs goes to standard output alone, as UTF-8.
"""

import errno
import os
import sys
from collections.abc import Callable
from functools import cache
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.main import get_command

from fhir_hub import __version__
from fhir_hub.cli import (
    backup,
    check,
    codes,
    compact,
    convert,
    copy,
    emit,
    messages,
    outbox,
    reindex,
    replay,
    restore,
    send,
    serve,
    terminology,
    validate,
)
from fhir_hub.cli.say import say
from fhir_hub.collector import collect_rarely

EXIT_FAILED = 1
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

app = typer.Typer(
    name="fhir-hub",
    help="A FHIR R4 server and HL7v2 integration hub. FHIR R4 服务器与 HL7v2 集成平台。",
    epilog="Example: fhir-hub serve --store sqlite:data/hub.sqlite",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fhir-hub {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


COMMANDS = {
    "serve": serve,
    "send": send,
    "convert": convert,
    "emit": emit,
    "copy": copy,
    "validate": validate,
    "reindex": reindex,
    "replay": replay,
    "backup": backup,
    "restore": restore,
    "check": check,
    "compact": compact,
}
for _name, _module in COMMANDS.items():
    _class = getattr(_module, "Command", None)
    app.command(_name, cls=_class, epilog=f"Example: {_module.EXAMPLE}")(_module.command)


app.add_typer(outbox.app, name="outbox", epilog=f"Example: {outbox.EXAMPLE}")
app.add_typer(codes.app, name="codes", epilog=f"Example: {codes.EXAMPLE}")
app.add_typer(terminology.app, name="terminology", epilog=f"Example: {terminology.EXAMPLE}")
app.add_typer(messages.app, name="messages", epilog=f"Example: {messages.EXAMPLE}")


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    collect_rarely()
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        try:
            _built()()
        finally:
            sys.stdout.flush()  # else Python does at its end, and tells of it in its own words
    except Exception as error:
        _tell(error)
        sys.exit(EXIT_FAILED)


@cache
def _built() -> Callable[[], object]:
    """Return what the command line is called by, built once however often a process asks."""
    return get_command(app)


def _open_streams() -> None:
    """Open what the shell closed (`>&-`): what is written there goes nowhere, as it asked.

    Else a database or a connection would have the number of standard output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  it stays


def _tell(error: Exception) -> None:
    """Say what ended a command; what it still had to write goes nowhere."""
    if isinstance(error, OSError) and error.errno in (*_FULL, errno.EPIPE):
        if error.errno != errno.EPIPE:  # who reads no more of a pipe knows it
            say(f"cannot write: {error.strerror} / 无法写入：磁盘已满或超出限额")
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return
    from fhir_hub.store.open import explained

    # a fault of ours; its text may hold patient data
    say(f"internal error: {explained(error)} / 内部错误")
