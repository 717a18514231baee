"""`fhir-hub restore`: the hub's files from a backup, as it was or up to a later point in time."""

from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_hub.cli.backup import Config, Quick, Store, settings_of
from fhir_hub.cli.say import count, fail, refuse, say

EXAMPLE = "fhir-hub restore backups/20261125T020000Z --store sqlite:data/restored.sqlite"


def _file(told: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, help=told)


def command(
    backup: Annotated[Path, typer.Argument(help="A folder that `fhir-hub backup` has made.")],
    log: Annotated[
        Path | None, _file("The database that went on after the backup: do what it wrote since.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only what came before this time (of --log or --messages).")
    ] = None,
    sequence: Annotated[
        int | None, typer.Option(min=0, help="Only up to this commit sequence of --log.")
    ] = None,
    messages: Annotated[
        Path | None,
        _file("Do the HL7v2 messages that this database received since anew, by today's maps."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move files that are there aside; removes none.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only verify the backup; restore nothing.")
    ] = False,
    quick: Quick = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Restore a backup, to the point in time that is wanted, the hub stopped. 恢复备份。"""
    from fhir_hub.store.backups import NoBackup, open_backup
    from fhir_hub.store.base import CannotOpen
    from fhir_hub.store.sqlite.log import CannotGoOn

    _require_sense(log, until, sequence, messages)
    try:
        opened = open_backup(backup, is_quick=quick)
        if verify:
            held, made = opened.manifest["store"], opened.manifest["made"]
            print(f"{backup}: whole, made {made}, up to sequence {held['sequence']}")
            return
        settings = settings_of(store, config)
        moment = _moment(until, settings.zone)
        _restore((settings, opened, log, moment, sequence, messages), is_replacing=replace)
    except (NoBackup, CannotOpen, CannotGoOn) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or backup}: {error.strerror or error} / 无法恢复")


def _require_sense(
    log: Path | None, until: str | None, sequence: int | None, messages: Path | None
) -> None:
    if sequence is not None and (until is not None or log is None):
        refuse("--sequence: with --log, and without --until / --sequence 须与 --log 同用")
    if until is not None and log is None and messages is None:
        refuse("--until: of what? give --log or --messages / --until 须与 --log 或 --messages 同用")


def _restore(asked: tuple[Any, ...], *, is_replacing: bool) -> None:
    from fhir_hub.cli.restoring import Wanted, restore

    wanted = Wanted(*asked)
    done = restore(wanted, is_replacing=is_replacing)
    for path in done.aside:
        say(f"moved aside / 已移开: {path}")
    if wanted.messages is not None:
        say(f"{count(done.messages, 'message')}: {done.failed} not done / 重新处理的消息")
    print(f"{wanted.settings.store}: restored up to sequence {done.sequence}")
    raise typer.Exit(1 if done.failed else 0)


def _moment(text: str | None, zone: tzinfo) -> int | None:
    from fhir_hub.errors import InvalidResource
    from fhir_hub.r4.dates import date_interval

    try:
        return date_interval(text, zone).start if text else None
    except InvalidResource as error:
        refuse(f"--until: {error} / 时间格式有误")
