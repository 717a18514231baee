"""`fhir-hub validate` as a script uses it."""

import json

import pytest

GOOD = {"resourceType": "Patient", "active": True}
BAD = {"resourceType": "Patient", "active": "yes", "colour": "red"}


@pytest.fixture
def file(tmp_path):
    """Return a maker of a file."""

    def write(content: object, name: str = "resource.json"):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(json.dumps(content))
        return path

    return write


def test_a_valid_resource_ends_with_0(run, file):
    ended = run("validate", file(GOOD))

    assert ended == (0, "1 resource: 1 valid, 0 not\n", "")


def test_every_issue_is_printed_with_file_place_and_code(run, file):
    path = file(BAD)

    ended = run("validate", path)

    assert ended.code == 1
    *issues, summary = ended.out.splitlines()
    assert summary == "1 resource: 0 valid, 1 not"
    assert len(issues) == 2
    assert any(line.startswith(f"{path}: error: Patient.active: ") for line in issues)
    assert any("Patient.colour" in line for line in issues)
    assert all(line.endswith("]") for line in issues)


def test_a_bundle_is_checked_with_all_its_entries(run, file):
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": BAD}]}

    ended = run("validate", file(bundle))

    assert ended.code == 1
    assert "Bundle.entry[0].resource" in ended.out


def test_ndjson_is_checked_line_by_line(run, file):
    lines = [json.dumps(GOOD), "", json.dumps(BAD), "{"]
    path = file("\n".join(lines).encode(), "resources.ndjson")

    ended = run("validate", path)

    assert ended.out.splitlines()[-1] == "3 resources: 1 valid, 2 not"
    assert f"{path}:3: error: " in ended.out
    assert f"{path}:4: error: not JSON" in ended.out


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\xff\xfe", b"[]", b"null", b"[" * 5000, b'{"a":1,"a":1}', b"a\nb"]
)
def test_what_is_no_resource_is_told_and_ends_with_1(run, file, content):
    ended = run("validate", file(content))

    assert ended.code == 1
    assert ended.out.splitlines()[-1] == "1 resource: 0 valid, 1 not"
    assert ended.err == ""


def test_a_byte_order_mark_is_no_fault(run, file):
    assert run("validate", file(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())).code == 0


def test_several_files_are_summed(run, file):
    ended = run("validate", file(GOOD, "a.json"), file(BAD, "b.json"), file(GOOD, "c.json"))

    assert ended.out.splitlines()[-1] == "3 resources: 2 valid, 1 not"


@pytest.mark.parametrize("name", [".", "none.json"])
def test_a_folder_or_a_missing_file_is_wrong_usage(run, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)

    assert run("validate", name).code == 2


def test_xml_is_checked_as_json_is(run, file):
    good = '<Patient xmlns="http://hl7.org/fhir"><gender value="female"/></Patient>'

    assert run("validate", file(good.encode())).code == 0
    assert "Patient.gender" in run("validate", file(good.replace("female", "girl").encode())).out
    assert "not XML" in run("validate", file(good.removesuffix(">").encode())).out


def test_a_folder_is_checked_with_all_that_is_in_it(run, file, tmp_path):
    file(GOOD, "a.json")
    (tmp_path / "more").mkdir()
    file(BAD, "more/b.json")
    file(b"not a resource", "more/notes.txt")

    assert run("validate", tmp_path).out.splitlines()[-1] == "2 resources: 1 valid, 1 not"


def test_resources_are_held_against_profiles(run, file, tmp_path):
    profile = {
        "resourceType": "StructureDefinition",
        "url": "https://a.example/StructureDefinition/named",
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1}]},
    }
    (tmp_path / "package").mkdir()
    file(profile, "package/named.json")
    options = ("--package", tmp_path / "package", "--profile", profile["url"])

    ended = run("validate", file(GOOD), *options)

    assert ended.code == 1
    assert "error: Patient.name: give name at least 1 times" in ended.out
    assert "请至少提供 1 个 name" in ended.out
    assert run("validate", file(GOOD | {"name": [{"text": "x"}]}), *options).code == 0
    assert run("validate", file(GOOD), "--profile", "urn:nobody").code == 1


def test_the_packages_of_a_hub_are_known_by_its_settings(run, file, tmp_path):
    (tmp_path / "package").mkdir()
    file(b"{", "package/broken.json")
    config = file(f'profiles_folder = "{tmp_path / "package"}"'.encode(), "hub.toml")

    ended = run("validate", file(GOOD), "--config", config)
    assert (ended.code, "broken.json" in ended.err) == (2, True)


def test_a_package_that_cannot_be_read_is_wrong_usage(run, file, tmp_path):
    (tmp_path / "package").mkdir()
    file(b"{", "package/broken.json")

    assert run("validate", file(GOOD), "--package", tmp_path / "package").code == 2


def test_what_r4_recommends_is_told_when_it_is_asked(run, file):
    ended = run("validate", file(GOOD), "--advice")

    assert ended.code == 0
    assert "information: Patient: keep the rule dom-6" in ended.out
