"""Backups: a folder each, whole or not there, with a manifest by which it is verified.

A backup holds the hub's database, the imported terminology and the local codes seen, each as
it was at one moment, and `backup.json`: what they hold and the SHA-256 of each. It is made
under another name and gets its own when every file has been read again and found whole.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from fhir_hub import __version__
from fhir_hub.clock import from_microseconds, instant
from fhir_hub.store.sqlite.files import (
    Facts,
    Progress,
    copy_database,
    damages,
    facts,
    no_progress,
    sync,
)

MANIFEST = "backup.json"
DATABASE, TERMINOLOGY, CODES = "hub.sqlite", "terminology.sqlite", "hub.codes"
_FORMAT = 1
_PARTIAL = ".partial"


class NoBackup(Exception):
    """A backup cannot be made or used; the text says why, for the person who asked."""


class Sources(NamedTuple):
    """The files of a hub: its database, and what lies beside it."""

    database: Path
    terminology: Path | None = None
    codes: Path | None = None

    def beside(self) -> Iterator[tuple[str, Path]]:
        """Yield what is to lie beside the database: its name in a backup, and where it is."""
        for name, path in ((TERMINOLOGY, self.terminology), (CODES, self.codes)):
            if path is not None:
                yield name, path


class Backup(NamedTuple):
    """A backup that was found whole: where, and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """Return the names of its files."""
        return list(self.manifest["files"])


def make_backup(
    sources: Sources,
    within: Path,
    moment: datetime,
    *,
    is_quick: bool = False,
    progress: Progress = no_progress,
) -> Backup:
    """Back the files up into a new folder in `within`, named by the moment, and verify it.

    Raises `NoBackup` if the folder is there or what was written is not whole, `CannotOpen` if a
    source cannot be read, `OSError`.
    """
    folder = within / moment.strftime("%Y%m%dT%H%M%SZ")
    partial = within / f"{folder.name}{_PARTIAL}"
    if folder.exists() or partial.exists():
        raise NoBackup(f"{folder} is there already / 备份目录已存在")
    partial.mkdir(parents=True, mode=0o700)
    try:
        copy_database(sources.database, partial / DATABASE, progress)
        for name, path in sources.beside():
            if path.is_file():
                copy_database(path, partial / name)
        manifest = _manifest(partial, moment, is_quick=is_quick)
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
        sync(partial / MANIFEST)
        sync(partial)
        partial.rename(folder)
        sync(within)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Backup(folder, manifest)


def open_backup(folder: Path, *, is_quick: bool = False) -> Backup:
    """Return the backup in `folder`, every byte of it verified. Raises `NoBackup`."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = {str(name): dict(one) for name, one in manifest["files"].items()}
        is_known = manifest["format"] == _FORMAT and DATABASE in files
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        within = sorted(one.parent.name for one in folder.glob(f"*/{MANIFEST}"))
        hint = f"; the newest in it is {within[-1]}" if within else ""
        raise NoBackup(f"{folder} is no backup: no {MANIFEST}{hint} / 不是备份目录") from None
    if not is_known or any(Path(name).name != name for name in files):
        raise NoBackup(f"{folder} is of another form of backup / 备份格式无法识别")
    for name, one in files.items():
        path = folder / name
        if not path.is_file() or digest(path) != one.get("sha256"):
            raise NoBackup(f"{path} is not what was backed up / 备份文件缺失或已损坏")
        _require_whole(path, is_quick=is_quick)
    return Backup(folder, manifest)


def remove_old(within: Path, keep: int) -> list[Path]:
    """Remove the oldest backups in `within` but `keep`; return which. Nothing else is touched."""
    found = sorted(path.parent for path in within.glob(f"*Z/{MANIFEST}"))
    removed = found[:-keep]
    for folder in removed:
        going = folder.with_name(f"{folder.name}{_PARTIAL}")
        folder.rename(going)  # half a backup must not look like one
        shutil.rmtree(going)
    return removed


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _require_whole(path: Path, *, is_quick: bool) -> None:
    if found := damages(path, is_quick=is_quick, most=1):
        raise NoBackup(f"{path} is damaged: {found[0]} / 数据库文件已损坏")


def _manifest(folder: Path, moment: datetime, *, is_quick: bool) -> dict[str, Any]:
    files = {}
    for path in sorted(folder.iterdir()):
        _require_whole(path, is_quick=is_quick)
        files[path.name] = {"sha256": digest(path), "bytes": path.stat().st_size}
    return {
        "format": _FORMAT,
        "program": __version__,
        "made": instant(moment),
        "store": _told(facts(folder / DATABASE)),
        "files": files,
    }


def _told(found: Facts) -> dict[str, Any]:
    return found._asdict() | {"newest": instant(from_microseconds(found.newest))}
