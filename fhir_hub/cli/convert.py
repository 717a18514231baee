"""`fhir-hub convert`: HL7v2 messages as FHIR transaction Bundles, without a hub.

A file of one message gives its transaction Bundle, one of several a collection of theirs; one
that cannot be converted is told, with exit code 1, and the others are printed.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from fhir_hub.cli.say import count, fail, progress, read, refuse, require, say

if TYPE_CHECKING:
    from fhir_hub.hl7v2.reports.trial import Trial

EXAMPLE = "fhir-hub convert examples/messages/08_ORU_R01_lab_tertiary.hl7"
Converter = Callable[[bytes], "Trial"]
FORMS = ("json", "text")


class Command(TyperCommand):
    """The command; `--report` alone means `--report=json`, so that a file may follow it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        args = ["--report=json" if one == "--report" else one for one in args]
        return super().parse_args(ctx, args)


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="A message file, - for standard input; with --dir: IN OUT."
        ),
    ],
    is_folder: Annotated[
        bool,
        typer.Option("--dir", help="Convert every .hl7 under IN; write OUT/<same path>.json."),
    ] = False,
    sender: Annotated[
        str, typer.Option(metavar="ID", help="Read the messages as those of this sender.")
    ] = "",
    report: Annotated[
        str,
        typer.Option(
            "--report",
            metavar="[json|text]",
            help='Print {"bundle": …, "report": …}; with --dir also write OUT/<same path>'
            ".report.json. The report says of every field where it went. --report=text: the "
            "report alone, for people.",
        ),
    ] = "",
    config: Annotated[
        Path | None, typer.Option(help="Settings in TOML: timezone, mappings_folder, organization.")
    ] = None,
) -> None:
    """Print the transaction Bundle of an HL7v2 message. 将 HL7v2 消息转换为 FHIR Bundle。"""
    if report and report not in FORMS:
        refuse("--report takes json or text / --report 可取 json 或 text")
    if is_folder:
        if len(paths) != 2:
            refuse("--dir takes two folders: convert --dir IN OUT / --dir 需要两个目录")
        if not paths[0].is_dir():
            refuse(f"{paths[0]}: no such folder / 没有该目录")
        _convert_folder(paths[0], paths[1], _converter(sender, config, report), report)
        return
    if len(paths) != 1 or paths[0].is_dir():
        refuse("convert takes one file; a folder needs --dir IN OUT / 目录请使用 --dir")
    require(paths)
    _convert_file(paths[0], _converter(sender, config, report), report)


def _convert_file(file: Path, converter: Converter, report: str) -> None:
    from fhir_hub import fhirjson
    from fhir_hub.errors import FhirError

    try:
        converted = converter(read(file))
    except FhirError as error:
        fail(f"{file}: {error} / 无法转换")
    is_whole = _tell_faults(file, converted)
    if report == "text":
        from fhir_hub.hl7v2.reports.text import as_text

        sys.stdout.buffer.write(as_text(converted.report).encode())
    else:
        shown = converted._asdict() if report else converted.bundle
        sys.stdout.buffer.write(fhirjson.pretty(shown) + b"\n")
    if not is_whole:
        raise typer.Exit(1)


def _convert_folder(source: Path, target: Path, converter: Converter, report: str) -> None:
    from fhir_hub import fhirjson
    from fhir_hub.errors import FhirError
    from fhir_hub.hl7v2.reports.text import as_text

    files = sorted(path for path in source.rglob("*.hl7") if path.is_file())
    failed = 0
    for file in progress(files, len(files), "convert"):
        out = target / file.relative_to(source).with_suffix(".json")
        try:
            converted = converter(file.read_bytes())
            failed += not _tell_faults(file, converted)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(fhirjson.pretty(converted.bundle) + b"\n")
            if report == "text":
                out.with_suffix(".report.txt").write_text(as_text(converted.report), "utf-8")
            elif report:
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


def _tell_faults(file: Path, converted: "Trial") -> bool:
    """Say what is wrong in a file of several messages; return whether each was converted."""
    for fault in converted.report.get("batch", {}).get("faults", ()):
        say(f"{file}: {fault['text']} / {fault['chinese']}")
    made = [one["resource"] for one in converted.bundle.get("entry", ())]
    refused = {
        number: one["issue"][0]["diagnostics"]
        for number, one in enumerate(made, start=1)
        if one["resourceType"] == "OperationOutcome"
    }
    for number, told in refused.items():
        say(f"{file}: message {number} / 第 {number} 条消息: {told}")
    return not refused


def _converter(sender: str, config: Path | None, report: str) -> Converter:
    """Return what converts a file's bytes; ends the command if settings or maps are no good."""
    from fhir_hub.clock import now
    from fhir_hub.hl7v2.maps.map_files import InvalidMapping
    from fhir_hub.hl7v2.maps.mappings import load_mappings
    from fhir_hub.hl7v2.reports.trial import Trials
    from fhir_hub.identity.organization import own_organization
    from fhir_hub.r4.checks.run import Checks
    from fhir_hub.r4.definitions import load_definitions
    from fhir_hub.settings import InvalidSettings, load_settings

    try:
        settings = load_settings(config, {}, os.environ)
        folders = [settings.mappings_folder] if settings.mappings_folder else []
        definitions = load_definitions()
        checks = Checks(definitions)
        mappings = load_mappings(definitions, folders, own_organization(settings, checks))
    except InvalidSettings as error:
        refuse(str(error))
    except InvalidMapping as error:
        fail("the HL7v2 maps cannot be used / HL7v2 映射文件有误\n" + "\n".join(error.problems))
    trials = Trials(mappings, checks, settings.zone, now)
    if sender and sender not in mappings.senders:
        shown = ", ".join(mappings.senders) or "none"
        refuse(f"--sender: no file for this sender; there are: {shown} / 没有该发送方的配置")
    return partial(trials.run, sender=sender, by_table=True, with_report=bool(report))
