"""`fhir-hub convert`: HL7v2 messages as FHIR transaction Bundles, without a hub.

A file of one message gives its transaction Bundle; a file of several gives a collection Bundle
of their transaction Bundles, because each message is a transaction of its own.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from fhir_hub.cli.say import count, fail, progress, read, refuse, say

if TYPE_CHECKING:
    from fhir_hub.settings import Settings

EXAMPLE = "fhir-hub convert examples/messages/08_ORU_R01_lab_tertiary.hl7"
Json = dict[str, Any]


class Converted(NamedTuple):
    """The Bundle of a file, and the report of what became of each field (`messages` of several)."""

    bundle: Json
    report: Json


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="A message file; with --dir: IN OUT."),
    ],
    is_folder: Annotated[
        bool,
        typer.Option("--dir", help="Convert every .hl7 under IN; write OUT/<same path>.json."),
    ] = False,
    sender: Annotated[
        str, typer.Option(metavar="ID", help="Read the messages as those of this sender.")
    ] = "",
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help='Print {"bundle": …, "report": …}; with --dir also write OUT/<same path>'
            ".report.json. The report says of every field where it went.",
        ),
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings in TOML: timezone, mappings_folder.")
    ] = None,
) -> None:
    """Print the transaction Bundle of an HL7v2 message. 将 HL7v2 消息转换为 FHIR Bundle。"""
    if is_folder:
        if len(paths) != 2 or not paths[0].is_dir():
            refuse("--dir takes two folders: convert --dir IN OUT / --dir 需要两个目录")
        _convert_folder(paths[0], paths[1], _converter(sender, config), with_report=report)
        return
    if len(paths) != 1 or paths[0].is_dir():
        refuse("convert takes one file; a folder needs --dir IN OUT / 目录请使用 --dir")
    if not paths[0].exists():
        refuse(f"{paths[0]}: no such file / 没有该文件")
    from fhir_hub import fhirjson
    from fhir_hub.errors import FhirError

    converter = _converter(sender, config)
    try:
        converted = converter(read(paths[0]))
    except FhirError as error:
        fail(f"{paths[0]}: {error} / 无法转换")
    shown = converted._asdict() if report else converted.bundle
    sys.stdout.buffer.write(fhirjson.pretty(shown) + b"\n")


def _convert_folder(
    source: Path, target: Path, converter: Callable[[bytes], Converted], *, with_report: bool
) -> None:
    from fhir_hub import fhirjson
    from fhir_hub.errors import FhirError

    files = sorted(path for path in source.rglob("*.hl7") if path.is_file())
    failed = 0
    for file in progress(files, len(files), "convert"):
        out = target / file.relative_to(source).with_suffix(".json")
        try:
            converted = converter(file.read_bytes())
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(fhirjson.pretty(converted.bundle) + b"\n")
            if with_report:
                content = fhirjson.pretty(converted.report) + b"\n"
                out.with_suffix(".report.json").write_bytes(content)
        except (FhirError, OSError) as error:
            failed += 1
            say(f"{file}: {error.strerror if isinstance(error, OSError) else error}")
        except Exception as error:  # one bad message must not stop the rest
            from fhir_hub.telemetry import place

            failed += 1
            say(f"{file}: internal error: {type(error).__name__} at {place(error)}")
    print(f"{count(len(files), 'file')}: {len(files) - failed} converted, {failed} failed")
    if failed:
        raise typer.Exit(1)


def _converter(sender: str, config: Path | None) -> Callable[[bytes], Converted]:
    """Return what converts a file's bytes; ends the command if settings or maps are no good."""
    from fhir_hub.hl7v2.map_files import InvalidMapping, built_in_folder
    from fhir_hub.hl7v2.mappings import load_mappings
    from fhir_hub.r4.checks.run import Checks
    from fhir_hub.r4.definitions import load_definitions
    from fhir_hub.settings import InvalidSettings, load_settings

    try:
        settings = load_settings(config, {}, os.environ)
        folders = [settings.mappings_folder] if settings.mappings_folder else []
        definitions = load_definitions()
        mappings = load_mappings(definitions, folders)
    except InvalidSettings as error:
        refuse(str(error))
    except InvalidMapping as error:
        fail("the HL7v2 maps cannot be used / HL7v2 映射文件有误\n" + "\n".join(error.problems))
    known = {path.stem for folder in (built_in_folder(), *folders) for path in _senders(folder)}
    if sender and sender not in known:
        shown = ", ".join(sorted(known)) or "none"
        refuse(f"--sender: no file for this sender; there are: {shown} / 没有该发送方的配置")
    checks = Checks(definitions)
    return lambda raw: _convert(raw, mappings, sender, settings, checks)


def _invalid(bundle: dict[str, Any], checks: Any) -> dict[str, Any]:
    """Return what is wrong with a Bundle, for the report: a fault of a map; empty if nothing is."""
    from fhir_hub.errors import outcome_of

    issues = [issue for issue in checks.check(bundle) if issue.severity == "error"]
    return {"invalid": outcome_of(issues)["issue"]} if issues else {}


def _senders(folder: Path) -> list[Path]:
    return list((folder / "senders").glob("*.toml"))


def _convert(
    raw: bytes, mappings: Any, sender: str, settings: "Settings", checks: Any
) -> Converted:
    from fhir_hub.hl7v2 import charset, er7
    from fhir_hub.hl7v2.bundle import to_bundle
    from fhir_hub.hl7v2.convert import convert
    from fhir_hub.hl7v2.sender import split_messages

    done = []
    for each in split_messages(raw) or [raw]:
        decoded = charset.decode(each)
        message = er7.parse(decoded.text, decoded.charset, decoded.issues)
        conversion = convert(message, mappings, sender=sender, zone=settings.zone, by_table=True)
        bundle = to_bundle(conversion)
        done.append(Converted(bundle, conversion.report.as_data() | _invalid(bundle, checks)))
    if len(done) == 1:
        return done[0]
    entries = [{"resource": one.bundle} for one in done]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return Converted(bundle, {"messages": [one.report for one in done]})
