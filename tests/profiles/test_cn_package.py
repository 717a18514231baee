"""The package `cn-yangtze` is whole: valid R4, every canonical and code resolves, nothing missing.

Spec: DOMAIN 2 and 3; https://hl7.org/fhir/R4/profiling.html
"""

import re

import pytest
from profiles.cn_parts import FOLDER, PROFILES, ROOT, package, read, walk

from fhir_hub.hl7v2.maps.map_files import built_in_folder, read_files
from fhir_hub.identity import systems
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.r4.expressions.evaluate import Expressions
from fhir_hub.r4.packages import Package

R4 = "http://hl7.org/fhir/"
V3_OR_V2 = "http://terminology.hl7.org/"
OID = "urn:oid:2.16.156.10011.2.3.3."
OURS = rf"(?:{re.escape(PROFILES)}|BASE\}}/StructureDefinition/)([\w-]+)"
MAPS = package().concept_maps()


@pytest.fixture(scope="module")
def terminology():
    """Return the CodeSystems of R4 and of the package by url, each as a set of codes."""
    systems = read(ROOT / "fhir_hub/r4/data/terminology/code-systems.json")
    known = {url: codes(system) for url, system in systems.items()}
    return known | {one["url"]: codes(one) for one in package().all("CodeSystem")}


def codes(system) -> set[str]:
    return {each["code"] for each in walk(system.get("concept", [])) if "code" in each}


def test_every_resource_is_valid_r4_and_stands_in_a_file_of_its_name():
    checks = Checks(load_definitions())
    for each in package().defined:
        assert checks.check(each.resource) == [], each.file
        name = f"{each.resource['resourceType']}-{each.resource['id']}.json"
        assert each.file == f"{FOLDER.name}/{name}"


def test_every_resource_has_the_version_of_the_package_and_both_languages():
    for each in package().defined:
        one = each.resource
        assert re.search(r" / .*[\u4e00-\u9fff]", one.get("title", one["description"])), each.file
        if one["resourceType"] != "NamingSystem":
            assert one["version"] == package().manifests[0].version, each.file


def test_every_canonical_resolves(terminology):
    definitions = load_definitions()
    for each in package().defined:
        for canonical in canonicals(each.resource):
            is_r4 = canonical.startswith(R4) and definitions.is_type(canonical.rpartition("/")[2])
            is_value_set = canonical.startswith(f"{R4}ValueSet/") and definitions.codes(canonical)
            known = package().find(canonical) or canonical in terminology
            assert known or is_r4 or is_value_set, (each.file, canonical)


def canonicals(resource) -> list[str]:
    found = [
        resource[key]
        for key in ("baseDefinition", "sourceCanonical", "targetCanonical")
        if key in resource
    ]
    for each in walk(resource):
        found += each.get("profile", []) if "code" in each else []
        found += each.get("targetProfile", [])
        found += [each["valueSet"]] if "strength" in each else []
    return found


def test_every_code_of_a_value_set_or_map_is_in_its_code_system(terminology):
    for each in package().defined:
        for system, code in listed(each.resource):
            listing = terminology.get(system)
            if listing is None:
                assert system in (
                    *("http://loinc.org", "http://snomed.info/sct"),
                    *("http://hl7.org/fhir/sid/icd-10",),
                    "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS",
                ), (each.file, system)
            elif code:
                assert code in listing, (each.file, system, code)


def listed(resource):
    for include in resource.get("compose", {}).get("include", []):
        yield include["system"], ""
        for concept in include.get("concept", []):
            yield include["system"], concept["code"]
    for group in resource.get("group", []):
        for element in group["element"]:
            yield group["source"], element["code"]
            for target in element["target"]:
                yield group["target"], target["code"]


def test_every_element_of_a_profile_is_one_of_its_type():
    definitions = load_definitions()
    for one in package().all("StructureDefinition"):
        known = set(definitions.structure(one["type"]).elements)
        for element in one["differential"]["element"]:
            path = element["path"]
            while path != one["type"] and path not in known:
                path = path.rpartition(".")[0]  # within a datatype: checked by the engine
            assert path != one["type"] or element["path"] == one["type"], element["path"]
            assert element["id"].replace(f":{element.get('sliceName')}", "").count(".") == element[
                "path"
            ].count("."), element["id"]


def test_every_invariant_has_a_key_of_its_own_both_languages_and_parses():
    keys = {}
    expressions = Expressions(load_definitions())
    for one in package().all("StructureDefinition"):
        for constraint in walk(one["differential"]):
            if "severity" in constraint:
                key, human = constraint["key"], constraint["human"]
                assert keys.setdefault(key, human) == human
                assert re.search(r"[a-z].* / .*[\u4e00-\u9fff]", human), key
                expressions.compile(constraint["expression"])
    assert len(keys) > 25


def test_every_extension_of_ours_that_the_maps_emit_is_defined():
    files = read_files([built_in_folder()])
    emitted = set()
    for path in [*built_in_folder().rglob("*.toml"), *(ROOT / "fhir_hub").rglob("*.py")]:
        emitted |= set(re.findall(OURS, path.read_text("utf-8")))

    assert files.problems == []
    assert len(emitted) > 10
    assert [name for name in sorted(emitted) if not package().find(PROFILES + name)] == []


@pytest.mark.parametrize(
    ("table", "concept_map"),
    [
        ("AdministrativeSex", "sex-to-gender"),
        ("MaritalStatus", "marital-status-to-v3"),
        ("EthnicGroup", "ethnic-group-to-letters"),
        ("Relationship", "relationship-to-v3"),
        ("IdentifierType", "certificate-type-to-v2"),
    ],
)
def test_a_concept_map_says_what_the_table_of_the_messages_says(table, concept_map):
    rows = read_files([built_in_folder()]).tables[table]
    document = next(each for each in MAPS if each["id"] == concept_map)
    for group in document["group"]:
        for element in group["element"]:
            coded = rows.rows[element["code"]]
            said = [(group["target"], target["code"]) for target in element["target"]]
            assert said == [(coded.system, coded.code)], element["code"]


def test_the_naming_systems_say_what_identity_says():
    same = {}
    for one in package().all("NamingSystem"):
        uris = [each["value"] for each in one["uniqueId"] if each["type"] == "uri"]
        same |= dict.fromkeys(uris, uris[0])
        oids = [each["value"] for each in one["uniqueId"] if each["type"] == "oid"]
        assert not oids or [f"urn:oid:{oid}" for oid in oids] == uris

    assert {uri: first for uri, first in same.items() if uri != first} == systems.ALIASES
    assert set(systems.STRONG) <= set(same)
    assert {systems.USCC, systems.INSTITUTION_CODE, systems.CONTRACT, systems.SLOT} <= set(same)


def test_no_canonical_of_r4_is_defined_again():
    known = Package().codes()
    for one in package().all():
        assert not one.get("url", "").startswith((R4, V3_OR_V2))
        assert one.get("url") not in known
