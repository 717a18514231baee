"""`fhir-hub validate`: check files of resources as `validation = "profiles"` checks writes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_hub.cli.say import count, progress, read

if TYPE_CHECKING:
    from fhir_hub.errors import Issue
    from fhir_hub.r4.definitions import Definitions

EXAMPLE = "fhir-hub validate examples/institutions.json"


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            exists=True,
            dir_okay=False,
            help="JSON or XML of a resource or a Bundle, or NDJSON: a resource a line.",
        ),
    ],
) -> None:
    """Check resources and print every issue; exit code 1 if one is an error. 校验资源。"""
    from fhir_hub.r4.definitions import load_definitions

    definitions = load_definitions()
    check = _check(definitions)
    resources = faulty = 0
    for file in progress(files, len(files), "validate"):
        for place, issues in _checked(read(file), check, definitions):
            resources += 1
            faulty += any(issue.severity == "error" for issue in issues)
            for issue in issues:
                at = f"{issue.expression}: " if issue.expression else ""
                where = f"{file}{place}"
                print(f"{where}: {issue.severity}: {at}{issue.diagnostics} [{issue.code}]")
    print(f"{count(resources, 'resource')}: {resources - faulty} valid, {faulty} not")
    if faulty:
        raise typer.Exit(1)


def _check(definitions: "Definitions") -> Callable[[Any], list["Issue"]]:
    from fhir_hub.identity.rules import IDENTIFIER_RULES
    from fhir_hub.r4.checks.run import Checks
    from fhir_hub.r4.checks.site_rules import SiteRules
    from fhir_hub.r4.packages import built_in_profiles, load_profiles

    checks = Checks(definitions)
    profiles = load_profiles([built_in_profiles()])
    site_rules = SiteRules(definitions, IDENTIFIER_RULES, profiles.schemas)
    return lambda resource: [*checks.check(resource), *site_rules.check(resource)]


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
