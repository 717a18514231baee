"""The house keeps its shape: sizes, imports that go down only, one door a package, plain names.

STYLE §1: what a machine can check is checked here, and a fault names the file and the line.
Each file is read and parsed once, for all rules; each rule is one test, which tells every fault.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fhir_hub.telemetry import FIELDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fhir_hub"
LONGEST_FILE, LONGEST_FUNCTION = 400, 50

STEPS = (
    {
        "__init__",
        "errors",
        "clock",
        "nearest",
        "fhirjson",
        "settings",
        "metric_sources",
        "locking",
        "telemetry",
        "collector",
    },
    {"r4"},
    {"search"},
    {"store"},
    {"security"},
    {"repository"},
    {"identity", "subscriptions"},
    {"referral"},
    {"documents"},
    {"rest", "hl7v2", "exchange"},
    {"ops", "console"},
    {"connections"},
    {"server", "duties"},
    {"hub"},
    {"app"},
    {"workers"},
    {"cli"},
    {"__main__"},
)
DOORS = {
    "apsw": ("store/sqlite/", "store/terminology/"),
    "bson": ("store/mongo/",),
    "fastapi": ("ops/", "console/"),
    "fhir": ("r4/checks/models.py",),
    "hl7apy": ("hl7v2/parsing/structure.py", "hl7v2/emit/validity.py"),
    "jsonpatch": ("r4/json_patch.py",),
    "jsonpointer": ("r4/json_patch.py",),
    "jsonschema": ("r4/checks/schema.py",),
    "motor": ("store/mongo/",),
    "msgspec": ("fhirjson.py", "r4/packages.py", "rest/"),  # `Raw`: stored bytes as they are
    "prometheus_client": ("telemetry.py", "metric_sources.py"),
    "pydantic": ("settings/", "r4/checks/models.py"),
    "pydantic_settings": ("settings/",),
    "pymongo": ("store/mongo/",),
    "pypinyin": ("search/kinds/pinyin.py",),
    "re2": ("r4/expressions/patterns.py",),
    "rich": ("cli/",),
    "starlette": ("ops/", "console/"),
    "structlog": ("telemetry.py",),
    "typer": ("cli/",),
    "uvicorn": ("connections.py", "server.py"),
    "uvloop": ("server.py",),
}
SHORT_NAMES = {"obs", "pt", "req", "mgr", "utils", "util", "helper", "helpers", "misc", "common"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|work|Users|mnt)/\w|[A-Z]:\\\\?Users")
BARE = re.compile(r"# (?!noqa: [A-Z]+\d+\W+\w|type: ignore\[[\w-]+\]\W+\w)(noqa|type: ignore)")
REGISTRY = re.compile(r"(?:pypi|pythonhoste[d]|tuna|aliyun|mirrors?)\.\w", re.IGNORECASE)


def modules(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


CODE, HUB, TESTS = modules("fhir_hub", "tools", "bench"), modules("fhir_hub"), modules("tests")
TEXTS = [
    path
    for pattern in ("*", ".ci/*", "docs/**/*", "tools/**/*", "bench/**/*", "fhir_hub/**/*.py")
    for path in sorted(ROOT.glob(pattern))
    if path.is_file()
    and path.suffix in ("", ".py", ".md", ".toml", ".txt", ".json", ".cfg")
    and not path.name.startswith((".cov", ".git"))
]


class Said(NamedTuple):
    """What the rules ask of a module; what is found in it comes with its line."""

    docstring: str
    imports: list[tuple[int, str]]
    names: list[tuple[int, str]]
    functions: list[tuple[int, str, int]]  # and how many lines it has
    logged: list[tuple[int, str]]  # the fields of log lines


@cache
def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


@cache
def said(path: Path) -> Said:
    tree = ast.parse(path.read_text("utf-8"))
    found = Said(ast.get_docstring(tree) or "", [], [], [], [])
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        found.imports.extend((line, name) for name in imported(node))
        name = getattr(node, "name", None) or getattr(node, "arg", None) or getattr(node, "id", "")
        if name:
            found.names.append((line, name))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("log", "_log"):
            found.logged.extend((line, one.arg) for one in node.keywords if one.arg)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.functions.append((line, node.name, node.end_lineno - line + 1))
    return found


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the full name of everything that a statement imports; "." for a relative import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from ("." if node.level else f"{node.module}.{alias.name}" for alias in node.names)


def refuse(faults: Iterable[tuple[Path, int, str]]) -> None:
    """Fail with every fault, each with its file and line."""
    told = [f"{path.relative_to(ROOT).as_posix()}:{line}: {fault}" for path, line, fault in faults]
    assert not told, "\n".join(["", *told])


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def step(name: str) -> int:
    found = [number for number, names in enumerate(STEPS) if name in names]
    assert found, f"{name}: no room of the house (STYLE §1)"
    return found[0]


def below(own: str, name: str) -> bool:
    """Tell whether the room `own` may import `name`, a dotted name of ours."""
    other = name.split(".")[1]
    return other in ("__version__", own) or step(other) < step(own) or step(other) == step(own) == 0


def test_the_files_are_found():
    assert min(len(CODE), len(HUB), len(TESTS), len(TEXTS)) > 200


def test_a_file_is_short():
    lengths = ((path, len(lines(path))) for path in CODE + TESTS)

    refuse((path, n, "too long") for path, n in lengths if n > LONGEST_FILE)


def test_a_function_is_short():
    functions = ((path, *function) for path in CODE for function in said(path).functions)

    refuse(
        (path, line, f"{name} has {length} lines")
        for path, line, name, length in functions
        if length > LONGEST_FUNCTION
    )


def test_a_module_says_what_it_is_for():
    short = (path for path in CODE if len(said(path).docstring) <= 30)

    refuse((path, 1, "no module docstring") for path in short)


def test_no_import_is_relative():
    found = ((path, *name) for path in HUB for name in said(path).imports)

    refuse((path, line, name) for path, line, name in found if name == ".")


def test_imports_go_down_only():
    refuse(
        (path, line, f"{room(path)} may not import {name}")
        for path in HUB
        for line, name in said(path).imports
        if name.startswith("fhir_hub.") and not below(room(path), name)
    )


def test_an_outside_package_enters_by_its_door():
    found = (
        (path, line, name.split(".")[0])
        for path in HUB
        for line, name in said(path).imports
        if name.split(".")[0] not in ("", "fhir_hub")
    )

    refuse(
        (path, line, f"the door of {package} is elsewhere")
        for path, line, package in found
        if package not in sys.stdlib_module_names
        and not path.relative_to(PACKAGE).as_posix().startswith(DOORS.get(package, ("none",)))
    )


def test_a_log_line_has_known_fields_only():
    refuse(
        (path, line, f"telemetry.FIELDS has no {name}: the log would drop it")
        for path in HUB
        for line, name in said(path).logged
        if name not in FIELDS
    )


def test_names_are_words_in_full():
    files = ((path, 1, path.stem) for path in CODE)
    names = ((path, *name) for path in CODE for name in said(path).names)

    refuse(fault for fault in [*files, *names] if fault[2] in SHORT_NAMES)


def test_a_suppression_names_its_rule_and_the_reason():
    refuse_text(CODE, BARE)


def test_no_file_names_a_machine():
    refuse_text({*TEXTS, *TESTS} - {Path(__file__)}, MACHINE_PATH)


def test_the_build_names_no_registry():
    build = [ROOT / name for name in ("Makefile", ".ci/run", "constraints.txt", "pyproject.toml")]

    refuse_text(build, REGISTRY)


def refuse_text(paths: Iterable[Path], pattern: re.Pattern[str]) -> None:
    refuse(
        (path, number, line.strip())
        for path in paths
        for number, line in enumerate(lines(path), start=1)
        if pattern.search(line)
    )
