"""`fhir-hub backup`: copy what a hub keeps, while it runs, and verify the copy."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub.cli.say import count, fail, refuse, say

if TYPE_CHECKING:
    from fhir_hub.settings import Settings
    from fhir_hub.store.backups import Sources

EXAMPLE = "fhir-hub backup backups --store sqlite:data/hub.sqlite --keep 14"

Store = Annotated[str | None, typer.Option(help="sqlite:PATH (sqlite:data/hub.sqlite if not set)")]
Config = Annotated[Path | None, typer.Option(help="Settings in TOML, the same as the hub's.")]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="Do not compare indexes with their tables: large files."),
]


def command(
    folder: Annotated[Path, typer.Argument(help="Where backups are; each is a folder within.")],
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Remove the oldest backups there but so many, after this one."),
    ] = None,
    quick: Quick = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Back up the hub's files while it runs, verified; prints the new folder. 在线备份。"""
    from fhir_hub.clock import now
    from fhir_hub.store.backups import NoBackup, make_backup, remove_old
    from fhir_hub.store.base import CannotOpen

    settings = settings_of(store, config)
    sources = sources_of(settings)
    if not sources.database.is_file():
        fail(f"{settings.store}: there is no such database / 数据库文件不存在")
    try:
        made = make_backup(sources, folder, now(), is_quick=quick, progress=Told())
        removed = remove_old(folder, keep) if keep else []
    except (NoBackup, CannotOpen) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{folder}: {error.strerror or error} / 无法写入备份")
    held = made.manifest["store"]
    say(
        f"{count(held['versions'], 'version')} up to sequence {held['sequence']}, verified / 已校验"
    )
    if removed:
        say(f"{count(len(removed), 'old backup')} removed / 已删除旧备份")
    print(made.folder)


class Told:
    """Says every tenth of a long copy."""

    def __init__(self, most: int = 20_000) -> None:
        self._most, self._next = most, 10

    def __call__(self, done: int, total: int) -> None:
        """Hear of pages that are copied."""
        percent = done * 100 // total if total else 100
        if total > self._most and percent >= self._next:
            self._next = percent // 10 * 10 + 10
            say(f"{percent} % copied / 已复制 {percent}%")


def settings_of(store: str | None, config: Path | None) -> "Settings":
    """Return the settings, of a store in a file; ends the command if they are of no use."""
    from fhir_hub.settings import InvalidSettings, load_settings

    try:
        settings = load_settings(config, {"store": store}, os.environ)
    except InvalidSettings as error:
        refuse(str(error))
    if not settings.store.startswith("sqlite:"):
        refuse(
            f"{settings.store.partition(':')[0]}: only a store in a file is backed up so; by"
            " mongodump, or by fhir-hub copy into a file first: see docs/backup.md"
            " / 仅支持 sqlite 存储"
        )
    return settings


def sources_of(settings: "Settings") -> "Sources":
    """Return where the hub's files are."""
    from fhir_hub.store.backups import Sources

    database = Path(settings.store.removeprefix("sqlite:"))
    return Sources(database, settings.terminology_path, settings.local_codes_path)
