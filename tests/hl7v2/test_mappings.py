"""Mapping files: what a site may write, and what it is told when it is wrong.

Spec: DESIGN 2a
"""

from pathlib import Path

import pytest
from conversion_parts import (
    every,
    lines,
    mappings,
    only,
    target,
    text_of,
)
from map_parts import load, sender

from fhir_hub import hl7v2
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.maps.map_files import (
    HUB,
    built_in_folder,
    entries_of,
    read_files,
)
from fhir_hub.hl7v2.parsing import er7, structure
from fhir_hub.hl7v2.parsing.path import parse_path

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def test_the_built_in_maps_are_found_and_load():
    assert (built_in_folder() / "segments" / "PID-Patient.toml").is_file()
    assert {"ADT_A01", "ADT_A39", "SIU_S12", "ORU_R01", "OMP_O09", "RDE_O11"} <= (
        mappings().structures
    )


def test_every_table_and_map_is_read():
    """A row reads a table, or the program by name; an entry of a message reads a segment's map."""
    files = read_files([built_in_folder()])
    rows = (row for one in files.segments.values() for row in one.get("field", ()))
    program = [one.read_text("utf-8") for one in Path(hl7v2.__file__).parent.rglob("*.py")]
    read = {row.get("table") for row in rows} | {
        name for name in files.tables for text in program if f'"{name}"' in text
    }
    assert files.tables.keys() - read == set()
    entries = (one for name in files.messages for _, one in entries_of(name, files))
    maps = [one.get("map", ()) for one in entries]
    used = {name for one in maps for name in ((one,) if isinstance(one, str) else one)}
    assert files.segments.keys() - used == set()


def test_a_hospital_service_is_of_hl7s_table_unless_the_sender_names_another():
    def service(written):
        visit = f"PV1|1|I||||||||{written}|||||||||V1"
        message = lines(MSH.format("ADT^A01"), "EVN|A01|20250315101500", PID, visit)
        return only(convert(er7.parse(message), mappings()), "Encounter")["serviceType"]["coding"]

    hl7 = "http://terminology.hl7.org/CodeSystem/v2-0069"
    assert [(one["system"], one["code"]) for one in service("内科")] == [
        (hl7, "MED"),
        ("http://terminology.hl7.org/CodeSystem/service-type", "382"),
    ]
    assert [one["system"] == hl7 for one in service("02.01^全科医疗科^WST-DEPT")] == [False]


def test_every_file_says_its_source():
    files = read_files([built_in_folder()])
    for document in (*files.segments.values(), *files.messages.values(), *files.senders.values()):
        assert document["source"]


def test_a_sites_map_replaces_the_built_in_one_of_the_same_name(tmp_path):
    text = (
        'source = "site"\nsegment = "AL1"\ntype = "AllergyIntolerance"\n'
        'field = [{ to = "code", from = "AL1-3", as = "CodeableConcept" }]\n'
    )
    maps = load(tmp_path, {"segments/AL1-AllergyIntolerance.toml": text})
    message = lines(MSH.format("ADT^A08^ADT_A01"), PID, "AL1|1|DA|J01CA^x^ATC")
    allergy = only(convert(er7.parse(message), maps), "AllergyIntolerance")
    assert set(allergy) == {"resourceType", "code", "patient"}


def test_a_senders_file_says_who_makes_fhir_of_its_messages(tmp_path):
    """The standard's Provenance of the transformation names who did it: no message knows that."""
    row = (
        'map = "MSH-Provenance-Transformation"\nto = "agent[hub].who"\nvalue = { resourceType = '
        '"Organization", name = "青浦区卫生健康信息中心", identifier = [{ value = "QPRHP" }] }'
    )
    message = er7.parse(lines(MSH.format("ADT^A08^ADT_A01"), PID))
    maps = load(tmp_path, {"senders/x.toml": sender(row)}, {**HUB, "name": "who runs the hub"})
    first, second = (convert(message, maps, by_table=True).resources for _ in range(2))
    assert first == second
    made = {one.full_url: one.resource for one in first}
    who = [
        made[agent["who"]["reference"]]
        for resource in made.values()
        if resource["resourceType"] == "Provenance"
        for agent in resource["agent"]
        if agent["type"]["coding"][0]["code"] == "assembler"
    ]
    names = str([one.get("name") for one in made.values()])
    assert "fhir-hub" not in names  # its place is taken
    assert "who runs the hub" not in names
    assert who == [
        {
            "resourceType": "Organization",
            "name": "青浦区卫生健康信息中心",
            "identifier": [{"value": "QPRHP"}],
        }
    ]


# structures


@pytest.mark.parametrize(
    ("written", "structure_name"),
    [
        ("ADT^A04^ADT_A01", "ADT_A01"),
        ("ADT^A04", "ADT_A01"),
        ("ADT^A04^ADT_A04", "ADT_A01"),
        ("ADT^A40", "ADT_A39"),
        ("ORU", "ORU_R01"),
        ("ORU^R01^ORU_R01", "ORU_R01"),
        ("ZZZ^Z01", "ZZZ_Z01"),
        ("ZZZ^Z01^ZZZ_Z99", "ZZZ_Z99"),
    ],
)
def test_the_structure_of_a_message(written, structure_name):
    assert mappings().structure_of(er7.parse(MSH.format(written))) == structure_name


def test_every_structure_of_an_event_is_one_of_hl7():
    for name in set(read_files([built_in_folder()]).structures.values()):
        assert structure.structure(name), name


def test_a_structure_is_that_of_the_newest_version_that_has_it():
    assert structure.structure("RDE_O01") is not None
    assert structure.structure("ZZZ_Z01") is None
    report = structure.structure("ORU_R01")
    inner = report.find("PATIENT_RESULT.ORDER_OBSERVATION")
    assert inner.holds >= {"OBR", "OBX", "SPM"}
    assert "OBR" in inner.firsts
    assert not report.demands("PID")
    assert structure.structure("ADT_A01").demands("PID")


@pytest.mark.parametrize(
    ("path", "is_known"),
    [("PID-3.4.2", True), ("PID-40", True), ("PID-41", False), ("ZAB-77", True), ("DG1-20", True)],
)
def test_a_path_that_no_message_can_have(path, is_known):
    assert (structure.problem(parse_path(path)) == "") is is_known


def test_a_named_reference_leads_to_what_was_made_under_that_name():
    text = text_of("03")
    survivor, prior = every(convert(er7.parse(text), mappings()), "Patient")
    conversion = convert(er7.parse(text), mappings())
    assert target(conversion, survivor.resource["link"][0]["other"]) == prior.resource
