"""`fhir-hub messages`: what the journal holds; show, correct, give up and remove messages."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_hub.cli import journal
from fhir_hub.cli.say import count, read, refuse, say
from fhir_hub.cli.selecting import selecting

if TYPE_CHECKING:
    from fhir_hub.hub import Hub as Built
    from fhir_hub.store.open import Backend

EXAMPLE = "fhir-hub messages --state failed --since 2026-11-25"

app = typer.Typer(help="List messages of the journal, newest first. 查询消息日志。")

Store = Annotated[
    str | None, typer.Option("--store", help="sqlite:PATH (sqlite:data/hub.sqlite if not set)")
]
Config = Annotated[
    Path | None, typer.Option("--config", help="Settings in TOML, the same as the hub's.")
]
Hub = Annotated[
    str | None, typer.Option("--hub", metavar="URL", help="Through the hub that runs there.")
]
Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1)]


@app.callback(invoke_without_command=True)
@selecting
def command(
    context: typer.Context,
    asked: dict[str, str],
    text: Annotated[
        str | None, typer.Option("--text", help="These letters are in the decoded text.")
    ] = None,
    most: Annotated[int, typer.Option("--count", min=1, max=1000, help="How many at most.")] = 50,
    beyond: Annotated[int, typer.Option("--beyond", help="Go on after this number.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """List messages of the journal, newest first, without patient data. 查询消息日志。"""
    if context.invoked_subcommand is not None:
        return
    from fhir_hub.hl7v2.journal.asked import read_selection
    from fhir_hub.hl7v2.journal.listing import Page, listed

    settings = journal.settings_of(store, config)

    async def search(hub: "Built") -> Page:
        selection = read_selection(asked, settings.zone)
        return await hub.desk().listed(selection, text=text or "", count=most, beyond=beyond)

    async def select(backend: "Backend") -> Page:
        selection = read_selection(asked, settings.zone)
        return await listed(backend.journal, selection, most, beyond)

    if text:
        page = journal.run(settings, search, only_reads=True)
    else:
        page = journal.run_on_store(settings, select)
    for row in page.rows:
        print(json.dumps(row, ensure_ascii=False) if as_json else journal.line(row))
    if not page.rows and not beyond:
        say(page.note or journal.NOTHING)
    if page.beyond:
        say(f"there may be more: --beyond {page.beyond} / 还有更多")


@app.command(epilog="Example: fhir-hub messages show 12")
def show(
    number: Number,
    raw: Annotated[
        bool, typer.Option("--raw", help="The bytes as they came; patient data.")
    ] = False,
    fhir: Annotated[
        bool, typer.Option("--fhir", help="The resources that it is about; patient data.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="What became of each part; no patient data.")
    ] = False,
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="The text with patient data; this is logged.")
    ] = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Show a message with its text, masked if not asked otherwise. 查看一条消息。"""
    from fhir_hub import fhirjson
    from fhir_hub.errors import NotFound
    from fhir_hub.hl7v2.reports.text import as_text
    from fhir_hub.hub import Hub

    async def work(hub: Hub) -> dict[str, Any] | bytes:
        desk = hub.desk()
        if report:
            return as_text((await hub.trials.again(hub.backend.journal, number)).report).encode()
        if not raw and not fhir:
            return await desk.message(number, is_masked=not unmasked, who=journal.who())
        entered = await desk.found(number)
        if raw and entered.size_bytes and not entered.message.raw:
            raise NotFound("the bytes of this message are not kept any more")
        hub.logs.get_logger("journal").info("message_shown", number=number, who=journal.who())
        if raw:
            return entered.message.raw
        stored = await hub.backend.store.read_many(entered.links)
        entries = [{"resource": fhirjson.loads(one.content)} for one in stored]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        return fhirjson.dumps(bundle) + b"\n"

    shown = journal.run(journal.settings_of(store, config), work, only_reads=True)
    if isinstance(shown, bytes):
        sys.stdout.buffer.write(shown)
        sys.stdout.flush()
        return
    text = shown.pop("text")
    for name, value in shown.items():
        print(f"{name:<12} {_written(value)}")
    print(f"\n{text}".rstrip() or "(its bytes are not kept any more / 原文已清除)")


def _written(value: Any) -> str:
    if isinstance(value, dict):  # why it failed, as a listing says it
        return journal.why(value)
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


@app.command(epilog="Example: fhir-hub messages edit 12 --file corrected.hl7")
def edit(
    number: Number,
    file: Annotated[
        Path, typer.Option("--file", exists=True, dir_okay=False, help="The corrected text.")
    ],
    hub: Hub = None,
    store: Store = None,
    config: Config = None,
) -> None:
    """Do a corrected text in the stead of one that failed or does not end. 更正并重新处理。"""
    correct(number, file, hub, store, config)


def correct(
    number: int, file: Path, hub: str | None, store: str | None, config: Path | None
) -> None:
    """Do the text in `file` in the stead of a message; print how it ended."""
    raw = read(file)
    if not raw.strip():
        refuse(f"{file}: it is empty / 文件为空")
    if hub is not None:
        _end(journal.ask(hub, f"{number}/$correct", raw))
    from fhir_hub.hub import Hub

    async def work(opened: Hub) -> dict[str, Any]:
        return await opened.desk().correct(number, raw, who=journal.who())

    _end(journal.run(journal.settings_of(store, config), work))


def _end(row: dict[str, Any]) -> None:
    print(journal.line(row))
    raise typer.Exit(0 if row["state"] in ("done", "ignored") else 1)


@app.command(epilog="Example: fhir-hub messages ignore 12")
def ignore(number: Number, hub: Hub = None, store: Store = None, config: Config = None) -> None:
    """Let a message that failed, or is tried on and on, rest. 忽略一条失败或久未完成的消息。"""
    if hub is not None:
        _end(journal.ask(hub, f"{number}/$ignore", b" "))
    from fhir_hub.hub import Hub

    async def work(opened: Hub) -> dict[str, Any]:
        return await opened.desk().ignore(number, who=journal.who())

    _end(journal.run(journal.settings_of(store, config), work))


@app.command(epilog="Example: fhir-hub messages prune --store sqlite:data/hub.sqlite")
def prune(store: Store = None, config: Config = None) -> None:
    """Remove what is older than journal_days and duplicate_days say. 清理过期消息。"""
    from fhir_hub.hub import Hub
    from fhir_hub.store.journal import Pruned

    async def work(opened: Hub) -> Pruned:
        return await opened.retention.prune()

    pruned = journal.run(journal.settings_of(store, config), work, only_reads=True)
    print(f"{count(pruned.emptied, 'message')} emptied, {pruned.forgotten} forgotten")
