"""`fhir-hub codes`: local codes without a standard one, the messages they stand in, and mapping.

A table that people fill in becomes a ConceptMap, the form in which the hub reads it.
"""

import csv
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from fhir_hub.cli import journal
from fhir_hub.cli.say import count, fail, refuse, say
from fhir_hub.nearest import did_you_mean

if TYPE_CHECKING:
    from fhir_hub.hub import Hub

EXAMPLE = "fhir-hub codes list --store sqlite:data/hub.sqlite"
IMPORT = "fhir-hub codes import lab.csv --facility SHTH01 --target http://loinc.org --out lab.json"
_COLUMNS = ("code", "target")
_EQUIVALENCES = frozenset({"equal", "equivalent", "wider", "subsumes", "unmatched"})
Result = TypeVar("Result")

app = typer.Typer(
    help="See which local codes have no standard one, and map them. 本地编码对照。",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
Store = Annotated[str | None, typer.Option(help="sqlite:PATH (sqlite:data/hub.sqlite if not set)")]
Config = Annotated[Path | None, typer.Option(help="Settings in TOML, the same as the hub's.")]


@app.command("list", epilog=f"Example: {EXAMPLE}")
def list_(
    sender: Annotated[
        str, typer.Option(help="Only this sender's: APPLICATION@FACILITY, as listed.")
    ] = "",
    mapped: Annotated[bool, typer.Option("--mapped", help="Also those mapped since.")] = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """List local codes without a standard one, the most frequent first. 列出未对照的编码。"""

    async def work(hub: "Hub") -> None:
        found = await hub.codes.tasks(sender, with_mapped=mapped)
        if sender and not found:
            known = {one.sender for one in await hub.codes.tasks(with_mapped=True)}
            say(f"{sender} has no such codes{_nearest(sender, known)} / 该发送方没有此类编码")
        for one in found:
            state = "  mapped" if one.is_mapped else ""
            called = f"  {one.display}" if one.display else ""
            print(f"{one.times}  {one.sender}  {one.field}  {one.system}|{one.code}{called}{state}")
        print(count(len(found), "code"))

    _with_hub(store, config, work)


@app.command("messages", epilog="Example: fhir-hub codes messages LIS@SHTH01 UPRO")
def messages(
    sender: Annotated[str, typer.Argument(metavar="SENDER", help="As listed.")],
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code, without its system.")],
    store: Store = None,
    config: Config = None,
) -> None:
    """Print the numbers of the messages that a code stands in, for `replay`. 列出相关消息。"""
    from fhir_hub.hl7v2.senders.affected import affected

    async def work(hub: "Hub") -> list[int] | str:
        his = await hub.codes.tasks(sender, with_mapped=True)
        found = [one for one in his if one.code == code]
        kept, read = hub.backend.journal, hub.receiver.reading.message
        numbers = {n for one in found for n in await affected(kept, read, one)}
        if his:
            return sorted(numbers) or did_you_mean(code, {one.code for one in his})
        every = await hub.codes.tasks(with_mapped=True)
        return _nearest(sender, {one.sender for one in every})

    numbers = _with_hub(store, config, work)
    if isinstance(numbers, str):
        fail(f"no message of {sender} has a code {code}{numbers} / 没有相关消息")
    print(*numbers)


@app.command("import", epilog=f"Example: {IMPORT}")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A CSV with columns code, target; and display of the code, name of the target, "
            "equivalence.",
        ),
    ],
    target: Annotated[str, typer.Option(help="The system of the standard codes.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write; else one in conceptmaps/ of mappings_folder."),
    ] = None,
    facility: Annotated[str, typer.Option(help="Whose codes they are (MSH-4).")] = "",
    system: Annotated[str, typer.Option(help="The system of the codes, if it has one.")] = "",
    config: Config = None,
) -> None:
    """Make a ConceptMap of a table; without a target a code has no standard one. 导入对照表。"""
    from fhir_hub import fhirjson
    from fhir_hub.hl7v2.datatypes.coding_systems import local

    if bool(facility) == bool(system):
        refuse("give --facility or --system / 请指定 --facility 或 --system")
    for name, address in (("--target", target), ("--system", system)):
        if address and ":" not in address:
            refuse(f"{name}: write a system's address, such as http://loinc.org / 请写系统地址")
    out = out or _place(file, config)
    elements = [_element(file, number, row) for number, row in _rows(file)]
    if not elements:
        fail(f"{file}: there is no code in it / 文件中没有编码")
    group = {"source": system or local(facility), "target": target, "element": elements}
    resource = {"resourceType": "ConceptMap", "status": "active", "group": [group]}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(fhirjson.pretty(resource) + b"\n")
    print(f"{out}: {count(len(elements), 'code')} mapped")


def _place(file: Path, config: Path | None) -> Path:
    """Return where the hub of those settings reads the ConceptMap of a table."""
    from fhir_hub.settings import InvalidSettings, load_settings

    try:
        folder = load_settings(config, {}, os.environ).mappings_folder
    except InvalidSettings as error:
        refuse(str(error))
    if folder is None:
        refuse("give --out, or --config with a mappings_folder / 请指定 --out 或 mappings_folder")
    return folder / "conceptmaps" / f"{file.stem}.json"


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    raw = file.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("gb18030", "replace")
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        return _read(file, reader)
    except csv.Error as error:
        fail(f"{file} line {reader.line_num}: {error} / 第 {reader.line_num} 行格式有误")


def _read(file: Path, reader: "csv.DictReader[str]") -> list[tuple[int, dict[str, str]]]:
    if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
        fail(f"{file}: there is no column {missing[0]} / 缺少列 {missing[0]}")
    return [
        (number, {name: (value or "").strip() for name, value in row.items() if name})
        for number, row in enumerate(reader, start=2)
    ]


def _element(file: Path, number: int, row: dict[str, str]) -> dict[str, Any]:
    if not row["code"]:
        fail(f"{file} line {number}: no code / 第 {number} 行缺少编码")
    equivalence = row.get("equivalence") or ("equivalent" if row["target"] else "unmatched")
    if equivalence not in _EQUIVALENCES:
        known = ", ".join(sorted(_EQUIVALENCES))
        fail(f"{file} line {number}: equivalence is one of {known} / equivalence 只能是其中之一")
    target = {"code": row["target"], "display": row.get("name", ""), "equivalence": equivalence}
    kept = {name: value for name, value in target.items() if value}
    called = {"display": row["display"]} if row.get("display") else {}
    return {"code": row["code"]} | called | {"target": [kept]}


def _nearest(sender: str, known: set[str]) -> str:
    return did_you_mean(sender, known, f"there are codes of {', '.join(sorted(known)) or 'nobody'}")


def _with_hub(
    store: str | None, config: Path | None, work: Callable[["Hub"], Awaitable[Result]]
) -> Result:
    async def refreshed(hub: "Hub") -> Result:
        await hub.service.stored_terminology.refresh()
        return await work(hub)

    return journal.run(journal.settings_of(store, config), refreshed, only_reads=True)
