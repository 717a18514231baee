"""`fhir-hub terminology`: import code systems that cannot be shipped, list them, remove them.

They go to a file beside the hub's database; a running hub sees what is imported at its next
question, without a restart.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fhir_hub.cli.say import count, fail, refuse

if TYPE_CHECKING:
    from fhir_hub.store.terminology.importing import Options
    from fhir_hub.store.terminology.writer import Entry

EXAMPLE = "fhir-hub terminology import Loinc_2.78.zip"
Format = Literal["auto", "loinc", "snomed", "icd10", "table", "fhir"]

app = typer.Typer(
    help="Import, list and remove code systems such as LOINC and SNOMED CT. 导入术语。",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Config = Annotated[
    Path | None,
    typer.Option("--config", exists=True, dir_okay=False, help="The settings of the hub (TOML)."),
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--terminology-store", help="The file; else that of the settings, beside the database."
    ),
]


@app.command("import", epilog=f"Example: {EXAMPLE}")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            exists=True,
            help="Files, folders or zips: LOINC csv, SNOMED CT RF2, a table, or FHIR JSON.",
        ),
    ],
    format_: Annotated[Format, typer.Option("--format", help="What it is.")] = "auto",
    version: Annotated[str, typer.Option(help="The version, if the files do not say it.")] = "",
    url: Annotated[str, typer.Option(help="The address of a table's code system.")] = "",
    name: Annotated[str, typer.Option(help="The name of a table's code system.")] = "",
    language: Annotated[str, typer.Option(help="The language of a table's names.")] = "",
    code_column: Annotated[str, typer.Option(help="The column of the code.")] = "",
    display_column: Annotated[str, typer.Option(help="The column of the name.")] = "",
    parent_column: Annotated[str, typer.Option(help="The column of the code above.")] = "",
    config: Config = None,
    terminology_store: Store = None,
) -> None:
    """Import a code system; the same version that was there is replaced. 导入。"""
    from fhir_hub.store.terminology.importing import Options
    from fhir_hub.store.terminology.tables import Columns

    columns = Columns(code_column, display_column, parent_column)
    options = Options(format_, url, version, name, language, columns)
    written, left_out = _imported(files, options, _path(config, terminology_store))
    for one in written:
        concepts = f": {count(one.concepts, 'concept')}" if one.kind == "CodeSystem" else ""
        print(f"{one.kind} {one.url}{'|' if one.version else ''}{one.version}{concepts}")
    if left_out:
        print(f"{left_out} links or names of codes that are not there were left out")


def _imported(files: list[Path], options: "Options", path: Path) -> tuple[list["Entry"], int]:
    """Import a release into the file at `path`; ends with exit code 1 if it cannot be."""
    from dataclasses import replace

    from fhir_hub.clock import instant, now
    from fhir_hub.errors import InvalidResource
    from fhir_hub.store.base import CannotOpen
    from fhir_hub.store.terminology.database import open_to_write
    from fhir_hub.store.terminology.importing import format_of, import_release, read_files
    from fhir_hub.store.terminology.release_files import files_of

    try:
        found = files_of(files)
        if options.format == "auto":
            options = replace(options, format=format_of(found))
        found = read_files(found, options.format)
        connection = open_to_write(path)
        with _bar(sum(file.size for file in found)) as advance:
            return import_release(connection, found, options, instant(now()), advance)
    except (InvalidResource, CannotOpen) as error:
        fail(str(error))


@app.command("list", epilog="Example: fhir-hub terminology list")
def list_(config: Config = None, terminology_store: Store = None) -> None:
    """List what is imported. 列出。"""
    from fhir_hub.store.base import CannotOpen
    from fhir_hub.store.terminology.database import open_to_read
    from fhir_hub.store.terminology.writer import entries

    try:
        connection = open_to_read(_path(config, terminology_store))
    except CannotOpen as error:
        fail(str(error))
    found = entries(connection) if connection is not None else []
    for one in found:
        version = f"|{one.version}" if one.version else ""
        print(f"{one.kind}\t{one.url}{version}\t{one.concepts}\t{one.imported}")
    if not found:
        print("nothing is imported / 尚未导入术语")


@app.command("remove", epilog="Example: fhir-hub terminology remove http://loinc.org")
def remove_(
    canonical: Annotated[
        str, typer.Argument(metavar="URL[|VERSION]", help="What to remove; all its versions.")
    ],
    config: Config = None,
    terminology_store: Store = None,
) -> None:
    """Remove what was imported. 删除。"""
    from fhir_hub.store.base import CannotOpen
    from fhir_hub.store.terminology.database import open_to_write
    from fhir_hub.store.terminology.writer import remove

    url, bar, version = canonical.partition("|")
    try:
        connection = open_to_write(_path(config, terminology_store))
    except CannotOpen as error:
        fail(str(error))
    removed = remove(connection, url, version if bar else None)
    if not removed:
        fail(f"{canonical} is not imported / 没有导入该术语")
    print(f"{count(removed, 'version')} removed")


def _path(config: Path | None, given: Path | None) -> Path:
    """Return the file of the terminology, by the option or the settings."""
    import os

    from fhir_hub.settings import InvalidSettings, load_settings

    if given is not None:
        return given
    try:
        path = load_settings(config, {}, os.environ).terminology_path
    except InvalidSettings as error:
        refuse(str(error))
    if path is None:
        refuse("say --terminology-store: a store in memory has no file beside it / 请指定文件")
    return path


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar by bytes on standard error, if that is a terminal."""
    import sys

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("import", total=total)
        yield lambda size: progress.update(task, advance=size)
