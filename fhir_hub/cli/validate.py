"""`fhir-hub validate`: check files of resources as `validation = "profiles"` checks writes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_hub.cli.say import count, progress, read, refuse, require

if TYPE_CHECKING:
    from fhir_hub.errors import Issue
    from fhir_hub.r4.definitions import Definitions

EXAMPLE = "fhir-hub validate examples/institutions.json"
_ENDINGS = (".json", ".xml", ".ndjson")


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="JSON or XML of a resource or a Bundle, NDJSON (a resource a line), or a folder; "
            "- for standard input.",
        ),
    ],
    profile: Annotated[
        list[str], typer.Option(help="A profile to hold every resource against. 规范地址。")
    ] = [],  # noqa: B006  # typer's way to say an option may be repeated
    package: Annotated[
        list[Path],
        typer.Option(exists=True, help="A folder or .tgz of profiles, value sets. 规范包。"),
    ] = [],  # noqa: B006  # as above
    config: Annotated[
        Path | None, typer.Option(help="Settings in TOML: also the hub's own packages.")
    ] = None,
    advice: Annotated[
        bool, typer.Option("--advice", help="Also print what R4 recommends. 同时显示建议。")
    ] = False,
) -> None:
    """Check resources and print every issue; exit code 1 if one is an error. 校验资源。"""
    require(files, may_be_folders=True)
    from fhir_hub.r4.definitions import load_definitions

    definitions = load_definitions()
    packages = [*_packages(config), *package]
    check = _check(definitions, profile, packages, advice=advice)
    resources = faulty = 0
    paths = list(_files(files))
    for file in progress(paths, len(paths), "validate"):
        for place, issues in _checked(read(file), check, definitions):
            resources += 1
            faulty += any(issue.severity == "error" for issue in issues)
            for issue in issues:
                _print(f"{file}{place}", issue)
    print(f"{count(resources, 'resource')}: {resources - faulty} valid, {faulty} not")
    if faulty:
        raise typer.Exit(1)


def _check(
    definitions: "Definitions", asked: list[str], packages: list[Path], *, advice: bool
) -> Callable[[Any], list["Issue"]]:
    from fhir_hub.identity.rules import IDENTIFIER_RULES
    from fhir_hub.r4.checks.run import make_checks
    from fhir_hub.r4.checks.site_rules import SiteRules
    from fhir_hub.r4.package_files import InvalidPackage
    from fhir_hub.r4.packages import built_in_profiles, load_profiles

    try:
        profiles = load_profiles([built_in_profiles(), *packages])
        site_rules = SiteRules(definitions, IDENTIFIER_RULES, profiles.schemas)
    except InvalidPackage as error:
        refuse(f"{error}")
    checks = make_checks(definitions, profiles)

    def check(resource: Any) -> list["Issue"]:
        issues = [
            *checks.check_profiles(resource, asked),
            *checks.advised_codes(resource),
            *site_rules.check(resource),
        ]
        return [*issues, *checks.advice(resource)] if advice else issues

    return check


def _packages(config: Path | None) -> tuple[Path, ...]:
    """Return the packages of the hub of those settings, beside the built-in ones."""
    from fhir_hub.settings import InvalidSettings, load_settings

    try:
        return load_settings(config, {}, os.environ).profiles_folder if config else ()
    except InvalidSettings as error:
        refuse(str(error))


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(each for each in path.rglob("*") if each.suffix in _ENDINGS)
        if not found:
            refuse(f"{path}: no {', '.join(_ENDINGS)} in this folder / 文件夹中没有资源文件")
        yield from found


def _print(where: str, issue: "Issue") -> None:
    at = f"{issue.expression}: " if issue.expression else ""
    chinese = f" / {issue.chinese}" if issue.chinese else ""
    print(f"{where}: {issue.severity}: {at}{issue.diagnostics}{chinese} [{issue.code}]")


def _checked(
    raw: bytes, check: Callable[[Any], list["Issue"]], definitions: "Definitions"
) -> Iterator[tuple[str, list["Issue"]]]:
    """Yield the issues of each resource, with `:LINE` of NDJSON."""
    from fhir_hub import fhirjson
    from fhir_hub.errors import InvalidResource
    from fhir_hub.r4.xml_read import from_xml

    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        is_xml = raw.lstrip().startswith(b"<")
        whole = from_xml(raw, definitions) if is_xml else fhirjson.loads(raw)
    except InvalidResource as error:
        lines = [(f":{n}", line) for n, line in enumerate(raw.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or not _is_line_of_json(lines[0][1]):
            yield "", list(error.issues)
            return
    else:
        yield "", check(whole)
        return
    for place, line in lines:
        try:
            yield place, check(fhirjson.loads(line))
        except InvalidResource as error:
            yield place, list(error.issues)


def _is_line_of_json(line: bytes) -> bool:
    return line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}")
