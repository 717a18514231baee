"""The tool that compares the maps with HL7's tables, on tables made up here.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html
"""

import csv
import importlib.util
import tomllib
from pathlib import Path

import pytest
from conversion_parts import mappings

from fhir_hub.hl7v2.parsing.path import parse_path
from fhir_hub.hl7v2.parsing.structure import problem

ROOT = Path(__file__).parents[2]
HEAD = ["HL7 v2,,,,,,,,,HL7 FHIR", "Sort Order,Identifier,Name,,,,,,,FHIR Attribute"]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("try_tables", ROOT / "tools" / "try_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compare(tool, tmp_path):
    """Compare one sheet of (field, element) with one map of Encounter that reads PV1-2."""
    (tmp_path / "segments").mkdir()
    (tmp_path / "maps").mkdir()
    rows = '[{ to = "class", from = "PV1-2.1", as = "Coding" }]'
    text = f'type = "Encounter"\nsegment = "PV1"\nfield = {rows}\n'
    (tmp_path / "maps" / "PV1-Encounter.toml").write_text(text, "utf-8")

    def run(*cells, table="PV1[Encounter]", left_out=None):
        sheet = tmp_path / "segments" / f"HL7 Segment - FHIR R4_ {table} - PV1.csv"
        lines = [f"{at},{field},name,,,,,,,{element}" for at, (field, element) in enumerate(cells)]
        sheet.write_text("\n".join([*HEAD, *lines]), "utf-8")
        return tool.problems(tmp_path, tmp_path / "maps", left_out or {})

    return run


def test_a_field_that_a_map_of_its_resource_reads_is_built(compare):
    assert compare(("PV1-2", "class"), ("PV1-3", "")) == []


def test_a_field_that_only_a_map_of_another_resource_reads_is_missing(compare):
    assert compare(("PV1-2", "type"), table="PV1[Coverage]") == ["PV1[Coverage] PV1-2 -> type"]


def test_a_field_may_be_read_by_a_map_of_what_the_row_names_in_brackets(compare):
    assert compare(("PV1-2", "context(Encounter.class)"), table="PV1[Coverage]") == []


def test_a_reason_holds_for_a_row_that_is_there_and_not_built(compare):
    reasons = dict.fromkeys(["PV1[Encounter] PV1-4", "PV1[Encounter] PV1-2", "PV1[X] PV1-9"], "why")
    assert compare(("PV1-2", "class"), ("PV1-4", "type"), left_out=reasons) == [
        "PV1[X] PV1-9: a reason for a row that the tables have not",
        "PV1[Encounter] PV1-2: a reason for a row that is built",
    ]


def test_each_reason_names_a_field_that_hl7_has_and_that_no_map_of_ours_reads(tool):
    reasons = tomllib.loads(tool.LEFT_OUT.read_text("utf-8"))["segments"]
    reads = tool.reads_of(ROOT / "mappings")
    for key, reason in reasons.items():
        table, field = key.split()
        assert not problem(parse_path(field)), key
        row = tool.Row(table, field, "")
        assert not reads.get(field, set()) & row.types, key
        assert len(reason) > 20


@pytest.fixture
def compare_message(tool, tmp_path):
    """Compare rows (place, target, map, references) of the table of ORU_R01 with the maps."""
    (tmp_path / "messages").mkdir()

    def run(*rows, left_out=None):
        sheet = tmp_path / "messages" / "HL7 Message - FHIR R4_ ORU_R01 - Sheet1.csv"
        with sheet.open("w", encoding="utf-8", newline="") as file:
            for place, made, by, references in rows:
                cells = ["1", f"ORU_R01.{place}", *[""] * 7, made, by, references]
                csv.writer(file).writerow(cells)
        return tool.problems_of_messages(tmp_path, mappings(), left_out or {})

    return run


ORDER = "PATIENT_RESULT.ORDER_OBSERVATION"


def test_a_segment_in_its_group_with_its_references_is_built(compare_message):
    refers = (
        "DiagnosticReport[1].result.reference=Observation[2].id\nObservation.subject=Patient[PID]"
    )
    rows = [
        (f"{ORDER}.OBSERVATION.OBX", "Observation[2]", "OBX[Observation]", refers),
        (f"{ORDER}.COMMON_ORDER.ORC", "ServiceRequest[1]", "ORC[ServiceRequest]", ""),
        (f"{ORDER}.OBSERVATION.PRT", "PractitionerRole[7]", "PRT[PractitionerRole]", ""),
    ]
    assert compare_message(*rows) == ([], 3)


def test_a_segment_that_makes_no_such_thing_there_is_missing(compare_message):
    rows = [
        (f"{ORDER}.OBSERVATION.OBX", "Condition[1]", "OBX[Condition]", ""),
        (
            f"{ORDER}.OBSERVATION.NTE",
            "DiagnosticReport[1]",
            "NTE[X]",
            "Goal.note=Patient[1].id",
        ),
    ]
    place = f"ORU_R01 {ORDER}.OBSERVATION"
    expected = [f"OBX Condition ({place})", f"NTE DiagnosticReport ({place})"]
    assert compare_message(*rows) == ([*expected, f"Goal.note -> Patient ({place})"], 2)


def test_a_reason_holds_for_a_row_of_a_message_that_is_not_built(compare_message):
    reasons = dict.fromkeys(["PID Basic", "PID Patient", "PID Group"], "why")
    rows = [("PATIENT.PID", made, "PID[X]", "") for made in ("Patient[1]", "Basic")]
    assert compare_message(*rows, left_out=reasons) == (
        [
            "PID Group: a reason for a row that the tables have not",
            "PID Patient: a reason for a row that is built",
        ],
        2,
    )


def test_each_reason_for_a_row_of_a_message_says_enough(tool):
    reasons = tomllib.loads(tool.LEFT_OUT.read_text("utf-8"))["messages"]
    assert all(len(reason) > 20 for reason in reasons.values())
