"""`fhir-hub replay`: do messages again, a selection of them or by number."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_hub.cli import journal
from fhir_hub.cli.messages import Config, Hub, Store, correct
from fhir_hub.cli.say import count, refuse, say
from fhir_hub.cli.selecting import selecting

EXAMPLE = "fhir-hub replay --state dead --since 2026-11-25 --hub http://127.0.0.1:8000"
_PAGE = 100


@selecting
def command(
    asked: dict[str, str],
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[NUMBER]…", help="Only these messages.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what is done: after maps have changed.")
    ] = False,
    with_file: Annotated[
        Path | None,
        typer.Option("--with", exists=True, dir_okay=False, help="A corrected text for one."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be done.")
    ] = False,
    hub: Hub = None,
    store: Store = None,
    config: Config = None,
) -> None:
    """Do failed and dead messages again, oldest first; 1 if one fails. 重新处理消息。"""
    if with_file is not None:
        if not numbers or len(numbers) != 1:
            refuse("--with: name the one message that it corrects / 请指定一条消息")
        return correct(numbers[0], with_file, hub, store, config)
    options = dict(asked)
    if numbers:
        options["number"] = ",".join(map(str, numbers))
    if hub is not None:
        rows = _through(hub, options, again=again, dry_run=dry_run)
    else:
        rows = _in_file(options, again=again, dry_run=dry_run, store=store, config=config)
    # one that is done under another number is let rest
    kinds = [(row["state"], "refused" in row) for row in rows]
    ended = kinds.count(("done", False)) + kinds.count(("ignored", True))
    if dry_run:
        print(f"{count(len(rows), 'message')} would be done again")
        return
    print(f"{count(len(rows), 'message')}: {ended} done, {len(rows) - ended} not")
    if not again and any(row["state"] == "done" and "refused" in row for row in rows):
        say("what is done is done again with --again / 已完成的消息需加 --again")
    raise typer.Exit(0 if ended == len(rows) else 1)


def _through(
    hub: str, options: dict[str, str], *, again: bool, dry_run: bool
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    body: dict[str, Any] = {**options, "again": again, "dry_run": dry_run, "who": journal.who()}
    beyond = 0
    while True:
        page = journal.ask(hub, "$replay", body | {"count": _PAGE, "beyond": beyond})
        # what comes while it works is not meant: under load there would be no end of it
        body |= {"until": page["until"]} if "until" in page else {}
        _tell(page["messages"], rows, page.get("note", ""))
        beyond = page.get("beyond", 0)
        if not beyond:
            return rows


def _in_file(
    options: dict[str, str], *, again: bool, dry_run: bool, store: str | None, config: Path | None
) -> list[dict[str, Any]]:
    from fhir_hub.hl7v2.journal.asked import read_selection
    from fhir_hub.hub import Hub

    settings = journal.settings_of(store, config)

    async def work(opened: Hub) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        selection, beyond = read_selection(options, settings.zone), 0
        await opened.indexing.refresh()
        await opened.service.stored_terminology.refresh()
        while True:
            page = await opened.desk().replay(
                selection,
                who=journal.who(),
                again=again,
                dry_run=dry_run,
                count=_PAGE,
                beyond=beyond,
            )
            _tell(page.rows, rows, page.note)
            beyond = page.beyond
            if not beyond:
                return rows

    return journal.run(settings, work)


def _tell(page: list[dict[str, Any]], rows: list[dict[str, Any]], note: str) -> None:
    if not page and not rows:
        say(note or journal.NOTHING)
        return
    for row in page:
        print(journal.line(row), flush=True)
    rows += page
    say(f"{count(len(rows), 'message')} / 已处理 {len(rows)} 条")
