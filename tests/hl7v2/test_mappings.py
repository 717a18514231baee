"""Mapping files: what a site may write, and what it is told when it is wrong.

Spec: DESIGN 2a
"""

import pytest
from conversion_parts import (
    definitions,
    every,
    lines,
    mappings,
    only,
    target,
    text_of,
)

from fhir_hub.hl7v2 import er7, structure
from fhir_hub.hl7v2.convert import convert
from fhir_hub.hl7v2.map_files import InvalidMapping, built_in_folder, read_files
from fhir_hub.hl7v2.mappings import load_mappings
from fhir_hub.hl7v2.path import parse_path

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


@pytest.fixture
def site(tmp_path):
    """Return a function that writes files into a site's folder and loads the maps with them."""

    def load(**files):
        for name, text in files.items():
            kind, _, stem = name.partition("__")
            path = tmp_path / kind / f"{stem}.toml"
            if kind == "messages" and stem != "structures":
                path = tmp_path / "messages" / stem / "map.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return load_mappings(definitions(), [tmp_path])

    return load


def sender(*rows, match='{ "MSH-3" = "XIS" }', settings="", table=""):
    head = f'source = "test"\nmatch = {match}\n'
    if settings:
        head += f"[settings]\n{settings}\n"
    return head + table + "".join(f"[[field]]\n{row}\n" for row in rows)


def with_sender(site, *rows, **options):
    return site(senders__test=sender(*rows, **options))


def problems(site, **files):
    with pytest.raises(InvalidMapping) as caught:
        site(**files)
    return caught.value.problems


def row_problem(site, row):
    """Return what is said of a row of a segment map."""
    segment = f'source = "t"\nsegment = "PID"\ntype = "Patient"\nfield = [\n{row}\n]\n'
    message = (
        'source = "t"\nmessage = "ADT_A02"\n[[resource]]\ntype = "Patient"\nsegment = "PID"\n'
        'map = "PID-Test"\nmatch = "identity"\n'
    )
    found = problems(site, **{"segments__PID-Test": segment, "messages__ADT_A02": message})
    assert found[0].startswith("segments/PID-Test.toml row 1")
    return found[0]


def test_the_built_in_maps_are_found_and_load():
    assert (built_in_folder() / "segments" / "PID-Patient.toml").is_file()
    assert {"ADT_A01", "ADT_A39", "SIU_S12", "ORU_R01", "OMP_O09", "RDE_O11"} <= (
        mappings().structures
    )


def test_every_file_says_its_source():
    files = read_files([built_in_folder()])
    for document in (*files.segments.values(), *files.messages.values(), *files.senders.values()):
        assert document["source"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{ to = "nonsense", from = "PID-3", as = "Identifier" }', "Patient has no element nonse"),
        ('{ to = "name.nonsense", from = "PID-5", as = "string" }', "HumanName has no element"),
        ('{ to = "gender.x", from = "PID-8", as = "string" }', "Patient.gender has no elements"),
        ('{ to = "gender[a]", value = "male" }', "no list"),
        ('{ to = "9", value = "male" }', "not an element"),
        ('{ to = "deceased.x", value = true }', "has several types"),
        ('{ to = "identifier", from = "PID-99", as = "Identifier" }', "fields 1 to 40"),
        ('{ to = "identifier", from = "PID-3.77", as = "Identifier" }', "PID-3 has 12 components"),
        ('{ to = "identifier", from = "PID-0", as = "Identifier" }', "not an HL7v2 path"),
        ('{ to = "identifier", from = "QQQ-3", as = "Identifier" }', "no segment QQQ"),
        ('{ to = "identifier", from = "pid3", as = "Identifier" }', "not an HL7v2 path"),
        ('{ to = "identifier", from = "PID-3", as = "Nonsense" }', "no datatype Nonsense"),
        ('{ to = "gender", from = "PID-8", table = "Nonsense" }', "no table Nonsense"),
        ('{ to = "gender", from = "PID-8", table = "Priority", as = "Money" }', "not Money"),
        ('{ to = "gender", call = "nonsense" }', "no function nonsense"),
        ('{ to = "birthDate", from = "PID-7", as = "Identifier" }', "birthDate is date, not"),
        ('{ to = "birthDate", value = 3 }', "cannot have such a value"),
        ('{ to = "birthDate", links = "Patient" }', "is no Reference"),
        ('{ to = "managingOrganization", links = "Patient" }', "may not refer to Patient"),
        ('{ to = "managingOrganization", from = "PID-3", as = "Device" }', "may not refer to"),
        ('{ to = "gender" }', "write one of"),
        ('{ to = "gender", value = "male", call = "dose" }', "write one of"),
        ('{ to = "gender", as = "code", from = ["PID-8", "PID-7"] }', "one path in `from`"),
        ('{ to = "gender", value = "male", when = "PID-77" }', "fields 1 to 40"),
        ('{ to = "gender", value = "male", unless = { "x" = true } }', "not an HL7v2 path"),
        (
            '{ to = "multipleBirth", from = "PID-25", as = { by = "OBX-99", NM = "integer" } }',
            "OBX",
        ),
        ('{ to = "gender", value = "male", sometimes = true }', "sometimes"),
        ('{ from = "PID-8", as = "code" }', "'to' is a required property"),
        ('{ to = "gender", value = "male", when = { "PID-8" = 3 } }', "PID-8"),
    ],
)
def test_a_wrong_row_is_told_with_its_file_and_number(site, row, said):
    assert said in row_problem(site, row)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('type = "Patient"\nsegment = "PID"\nmap = "nonsense"', "resource 1: there is no map"),
        ('type = "Nonsense"\nsegment = "PID"\nfield = [{ to = "x", value = "y" }]', "no resource"),
        ('type = "Pa-"\nsegment = "PID"\nfield = [{ to = "x", value = "y" }]', "not a resource"),
        ('type = "Patient"\nsegment = "PV1"\nmap = "PID-Patient"', "is a map of PID"),
        ('type = "Patient"\nsegment = "PID"\nmap = "PID-Patient"\ngroup = "X"', "no group X"),
        ('type = "Patient"\nsegment = "PID"\nmap = "PID-Patient"\nwhen = "PID-99"', "PID-99"),
        ('type = "Patient"\nsegment = "PID"', "is not valid under any"),
        ('type = "Patient"\nsegment = "PID"\nmap = "PID-Patient"\nmode = "x"', "mode"),
        ('type = "Patient"\nsegment = "PID"\nmap = "PID-Patient"\nlinks = { x = "Patient" }', "x"),
    ],
)
def test_a_wrong_entry_of_a_message_is_told_with_its_number(site, entry, said):
    text = f'source = "t"\nmessage = "ADT_A02"\n[[resource]]\n{entry}\n'
    found = problems(site, messages__ADT_A02=text)
    assert any("messages/ADT_A02/map.toml" in one and said in one for one in found)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"segments__x": "field = ["}, "segments/x.toml"),
        ({"segments__x": "a = 1"}, "'source' is a required property"),
        ({"tables__x": '[map]\nA = "b"'}, "tables/x.toml: table x: `source`"),
        ({"messages__structures": 'source = "t"\n[structure]\nA = 1'}, "structures.toml /struct"),
        ({"senders__x": 'source = "t"\nmatch = { "PID-3" = "x" }'}, "not by PID-3"),
        ({"senders__x": 'source = "t"\nmatch = { "MSH" = "x" }'}, "not an HL7v2 path"),
        ({"senders__x": 'source = "t"\n[settings]\nzone = "east"'}, "not an offset"),
        ({"senders__x": 'source = "t"\n[settings]\nnulls = "maybe"'}, "nulls"),
        ({"senders__x": 'source = "t"\n[table.X.map]\nA = 1'}, "senders/x.toml: table X"),
        ({"senders__x": sender('map = "nonsense"\nto = "x"\nvalue = "y"')}, "no message uses"),
        ({"senders__x": sender('map = "PID-Patient"\nto = "nope"\nvalue = "y"')}, "x.toml row 1"),
        ({"senders__x": sender('map = "PID-Patient"\nto = "gender"\nfrom = "p"')}, "x.toml row 1"),
        (
            {
                "segments__PID-Lost": 'source = "t"\nsegment = "PID"\ntype = "Patient"\n'
                'field = [{ to = "active", value = true }]'
            },
            "segments/PID-Lost.toml: no message uses this map",
        ),
    ],
)
def test_a_wrong_file_is_told_by_name(site, files, said):
    found = problems(site, **files)
    assert any(said in one for one in found), found


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidMapping, match="no such folder"):
        load_mappings(definitions(), [tmp_path / "nowhere"])


def test_all_that_is_wrong_is_told_at_once(site):
    rows = [
        'map = "PID-Patient"\nto = "nope"\nvalue = "y"',
        'map = "PID-Patient"\nto = "also"\nvalue = "y"',
    ]
    assert len(problems(site, senders__x=sender(*rows))) == 2


def test_a_sites_map_replaces_the_built_in_one_of_the_same_name(site):
    text = (
        'source = "site"\nsegment = "AL1"\ntype = "AllergyIntolerance"\n'
        'field = [{ to = "code", from = "AL1-3", as = "CodeableConcept" }]\n'
    )
    maps = site(**{"segments__AL1-AllergyIntolerance": text})
    message = lines(MSH.format("ADT^A08^ADT_A01"), PID, "AL1|1|DA|J01CA^x^ATC")
    allergy = only(convert(er7.parse(message), maps), "AllergyIntolerance")
    assert set(allergy) == {"resourceType", "code", "patient"}


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
