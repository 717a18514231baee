"""Packages of profiles load from folders and `.tgz` files, and a wrong file is told by its name.

Spec: https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

import gzip
import io
import json
import tarfile
import time

import pytest

from fhir_hub.r4.package_files import InvalidPackage, Limits, packages_at
from fhir_hub.r4.packages import Packages, built_in_profiles, load_profiles

URL = "https://profiles.example/ValueSet/tea"
MANIFEST = {"name": "example.tea", "version": "1.0.0", "canonical": "https://profiles.example"}


def value_set(url: str = URL, **more: object) -> dict[str, object]:
    return {"resourceType": "ValueSet", "url": url, "status": "active"} | more


def as_json(document: object) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def folder(path, **files):
    """Write files (`name` → document, `.json` is added) into the folder `path`."""
    path.mkdir(parents=True, exist_ok=True)
    for name, document in files.items():
        (path / f"{name}.json").write_bytes(as_json(document))
    return path


def archive(path, files, kind=tarfile.REGTYPE):
    """Write a `.tgz` of names → documents."""
    with tarfile.open(path, "w:gz") as made:
        for name, document in files.items():
            member = tarfile.TarInfo(name)
            member.type = kind
            content = as_json(document)
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            made.addfile(member, io.BytesIO(content))
    return path


def refused(*paths) -> str:
    with pytest.raises(InvalidPackage) as caught:
        load_profiles(paths)
    return "\n".join(caught.value.problems)


@pytest.fixture
def package(tmp_path):
    return folder(tmp_path / "tea", package=MANIFEST, tea=value_set(version="1.0.0"))


def test_a_folder_with_a_manifest_is_a_package(package):
    packages = load_profiles([package])

    assert packages.value_set(URL)["version"] == "1.0.0"
    assert packages.manifests[0].name == "example.tea"
    assert packages.defined[0].file == "tea/tea.json"


def test_a_folder_holds_packages_archives_and_single_files(package, tmp_path):
    archive(
        tmp_path / "b.tgz",
        {"package/package.json": MANIFEST | {"name": "b"}, "package/b.json": value_set("b")},
    )
    folder(tmp_path / "unpacked" / "package", package=MANIFEST | {"version": "2"}, c=value_set("c"))
    folder(tmp_path, d=value_set("d"))

    packages = load_profiles([tmp_path])

    assert all(packages.value_set(url) for url in (URL, "b", "c", "d"))


def test_an_archive_gives_its_definitions_and_not_its_examples(tmp_path):
    files = {
        "package/package.json": MANIFEST | {"dependencies": {"hl7.fhir.r4.core": "4.0.1"}},
        "package/.index.json": {"files": []},
        "package/ValueSet-tea.json": value_set(),
        "package/Patient-in-the-wrong-folder.json": {"resourceType": "Patient"},
        "package/example/ValueSet-other.json": value_set("https://profiles.example/other"),
        "package/other/spec.internals": b"not JSON",
    }

    packages = load_profiles([archive(tmp_path / "tea.tgz", files)])

    assert [one["url"] for one in packages.all()] == [URL]
    assert packages.manifests[0].dependencies == {"hl7.fhir.r4.core": "4.0.1"}


def test_a_canonical_names_a_version_or_means_the_latest(tmp_path):
    folder(
        tmp_path,
        a=value_set(version="1.9.0"),
        b=value_set(version="1.10.0"),
        c=value_set(version="1.2.0"),
    )
    packages = load_profiles([tmp_path])

    assert packages.value_set(URL)["version"] == "1.10.0"
    assert packages.value_set(f"{URL}|1.2.0")["version"] == "1.2.0"
    assert packages.value_set(f"{URL}|3") is None
    assert packages.value_set("https://profiles.example/none") is None
    assert packages.structure_definition(URL) is None


def test_schemas_stand_apart_from_definitions(tmp_path):
    folder(tmp_path, **{"sender.schema": {"type": "object"}, "tea": value_set()})

    packages = load_profiles([tmp_path])

    assert [each.file for each in packages.schemas] == [f"{tmp_path.name}/sender.schema.json"]
    assert len(packages.all()) == 1


def test_a_canonical_that_two_files_define_is_refused_with_both(package, tmp_path):
    manifest = MANIFEST | {"name": "example.other"}
    other = folder(tmp_path / "other", package=manifest, same=value_set(version="1.0.0"))

    told = refused(package, other)

    assert f"other/same.json: {URL} is defined in tea/tea.json too" in told


def test_a_package_that_is_loaded_twice_is_told_once(package, tmp_path):
    same = {"package/ValueSet-tea.json": value_set(), "package/package.json": MANIFEST}

    told = refused(package, archive(tmp_path / "again.tgz", same))

    assert told.splitlines() == [
        "again.tgz: example.tea 1.0.0 is loaded already: leave one out / 包重复加载"
    ]


def test_packages_that_others_need_are_noted_and_not_fetched(package):
    needed = {"hl7.fhir.r4.core": "4.0.1", "example.pot": "2.x", "example.tea": "1.0.0"}
    folder(package, package=MANIFEST | {"dependencies": needed})

    assert load_profiles([package]).missing() == ["example.pot 2.x"]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"{", "tea/wrong.json: not JSON"),
        (b'{"resourceType": "ValueSet", "url": "a", "url": "b"}', "tea/wrong.json"),
        ([], "tea/wrong.json: write a JSON object"),
        ({"url": "x"}, "tea/wrong.json: no resource: resourceType is missing"),
        (value_set(version=1), "tea/wrong.json: url and version are strings"),
        (b"[" * 5000, "tea/wrong.json"),
        (b'{"a": "\xff"}', "tea/wrong.json: not JSON"),
    ],
)
def test_a_wrong_file_is_told_by_its_name(package, document, told):
    folder(package, wrong=document)

    assert told in refused(package)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({"version": "1"}, "name, version and canonical are strings"),
        (MANIFEST | {"version": 1}, "name, version and canonical are strings"),
        (MANIFEST | {"dependencies": []}, "dependencies is an object"),
        (MANIFEST | {"fhirVersions": ["5.0.0"]}, "not for FHIR 4.0"),
    ],
)
def test_a_wrong_manifest_is_told(package, manifest, told):
    folder(package, package=manifest)

    assert f"tea/package.json: {told}" in refused(package)


def test_all_problems_are_told_at_once(package, tmp_path):
    folder(package, a=b"{", b=[])

    told = refused(package, tmp_path / "nowhere")

    assert told.count("tea/") == 2
    assert "nowhere: there is no such folder" in told


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "package/../../x.json", "package\\..\\x.json"]
)
def test_a_name_that_leads_out_of_the_package_is_refused(tmp_path, name):
    files = {"package/package.json": MANIFEST, name: value_set()}

    assert "leads out of the package" in refused(archive(tmp_path / "slip.tgz", files))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_is_refused(tmp_path, kind):
    path = archive(tmp_path / "link.tgz", {"package/package.json": b""}, kind)

    assert "is a link or a device" in refused(path)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(total_bytes=100_000), "unpacks to too much"),
        (Limits(file_bytes=100_000), "too large for a package"),
        (Limits(members=1), "more than 1 files"),
    ],
)
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, limits, told):
    files = {"package/package.json": MANIFEST, "package/bomb.json": b" " * 10_000_000}
    path = archive(tmp_path / "bomb.tgz", files)
    assert path.stat().st_size < 100_000

    with pytest.raises(InvalidPackage, match=told):
        packages_at(path, limits)


def test_a_bomb_in_a_file_that_is_not_wanted_counts_too(tmp_path):
    files = {"package/package.json": MANIFEST, "package/other/bomb": b"\0" * 10_000_000}

    with pytest.raises(InvalidPackage, match="unpacks to too much"):
        packages_at(archive(tmp_path / "bomb.tgz", files), Limits(total_bytes=1_000_000))


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"no tar" * 200, mtime=0)],
    ids=["nothing", "no gzip", "no tar"],
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "broken.tgz"
    path.write_bytes(content)

    assert "broken.tgz: " in refused(path)


def test_a_cut_archive_is_refused(tmp_path):
    files = {"package/package.json": MANIFEST, "package/tea.json": value_set()}
    path = archive(tmp_path / "cut.tgz", files)
    path.write_bytes(path.read_bytes()[:-40])

    assert "cut.tgz: no .tgz" in refused(path)


def test_an_archive_without_manifest_and_an_empty_folder_are_refused(tmp_path):
    path = archive(tmp_path / "bare.tgz", {"package/tea.json": value_set()})
    empty = folder(tmp_path / "empty")

    assert "no package/package.json in it" in refused(path)
    assert "no package.json, .tgz or resource" in refused(empty)


def test_no_packages_define_nothing():
    assert Packages().all() == []
    assert Packages().value_set(URL) is None


def test_the_built_in_packages_load_in_300_milliseconds_of_cpu():
    started = time.process_time()
    packages = load_profiles([built_in_profiles()])
    spent = time.process_time() - started

    assert packages.manifests[0].name == "fhir-hub.cn-yangtze"
    assert spent < 0.3
