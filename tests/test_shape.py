"""The house keeps its shape: sizes, imports that go down only, one door a package, plain names.

STYLE §1: what a machine can check is checked here, and a fault names the file and the line.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fhir_hub"
LONGEST_FILE, LONGEST_FUNCTION = 400, 50

STEPS = (
    {"__init__", "errors", "clock", "fhirjson", "settings", "metric_sources", "telemetry"},
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
    "hl7apy": ("hl7v2/structure.py", "hl7v2/emit/validity.py"),
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


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


CODE = modules("fhir_hub", "tools", "bench")
each_module = pytest.mark.parametrize("path", CODE, ids=shown)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything that a module imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{shown(path)}:{node.lineno}: a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room(parts: list[str]) -> str:
    """Return the room of a path or dotted name below `fhir_hub`."""
    return parts[0].removesuffix(".py") if parts else "__init__"


def step(name: str) -> int:
    found = [number for number, names in enumerate(STEPS) if name in names]
    assert found, f"{name}: no room of the house (STYLE §1)"
    return found[0]


@each_module
def test_a_file_is_short_and_so_is_each_function(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} (line {node.lineno}) has {length}"


@pytest.mark.parametrize("path", modules("tests"), ids=shown)
def test_a_test_file_is_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE


@each_module
def test_a_module_says_what_it_is_for(path):
    said = ast.get_docstring(tree(path))
    assert said, "no module docstring"
    assert len(said) > 30


@pytest.mark.parametrize("path", modules("fhir_hub"), ids=shown)
def test_imports_go_down_only(path):
    own = room(list(path.relative_to(PACKAGE).parts))
    for line, name in imported(path):
        if not name.startswith("fhir_hub."):
            continue
        other = room(name.split(".")[1:])
        if other == "__version__":
            continue
        fine = other == own or step(other) < step(own) or step(other) == step(own) == 0
        assert fine, f"line {line}: {own} may not import from {other}"


@pytest.mark.parametrize("path", modules("fhir_hub"), ids=shown)
def test_an_outside_package_enters_by_its_door(path):
    here = path.relative_to(PACKAGE).as_posix()
    for line, name in imported(path):
        package = name.split(".")[0]
        if package == "fhir_hub" or package in sys.stdlib_module_names:
            continue
        assert package in DOORS, f"line {line}: {package} has no door"
        assert here.startswith(DOORS[package]), f"line {line}: the door of {package} is elsewhere"


@each_module
def test_names_are_words_in_full(path):
    assert path.stem not in SHORT_NAMES
    for node in ast.walk(tree(path)):
        name = getattr(node, "name", None) or getattr(node, "arg", None) or getattr(node, "id", "")
        assert name not in SHORT_NAMES, f"line {node.lineno}: {name}"


@each_module
def test_a_suppression_names_its_rule_and_the_reason(path):
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        assert not BARE.search(line), f"line {number}: {line.strip()}"


TEXTS = [
    path
    for pattern in ("*", ".ci/*", "docs/**/*", "tools/**/*", "bench/**/*", "fhir_hub/**/*.py")
    for path in sorted(ROOT.glob(pattern))
    if path.is_file()
    and path.suffix in ("", ".py", ".md", ".toml", ".txt", ".json", ".cfg")
    and not path.name.startswith((".cov", ".git"))
]


@pytest.mark.parametrize("path", [*TEXTS, *modules("tests")], ids=shown)
def test_no_file_names_a_machine(path):
    if path == Path(__file__):
        return
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        assert not MACHINE_PATH.search(line), f"line {number}: {line.strip()}"


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", "constraints.txt", "pyproject.toml"])
def test_the_build_names_no_registry(name):
    assert not REGISTRY.search((ROOT / name).read_text("utf-8"))
