"""Mapping files: what a site may write, and what it is told when it is wrong.

Spec: DESIGN 2a
"""

from pathlib import Path

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

from fhir_hub import hl7v2
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.maps.chinese import WRONG
from fhir_hub.hl7v2.maps.map_files import (
    HUB,
    InvalidMapping,
    built_in_folder,
    entries_of,
    read_files,
)
from fhir_hub.hl7v2.maps.mappings import load_mappings
from fhir_hub.hl7v2.parsing import er7, structure
from fhir_hub.hl7v2.parsing.path import parse_path

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def load(folder, files, organization=None):
    """Write files into a site's folder and load the maps with them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return load_mappings(definitions(), [folder], organization)


def problems(folder, files):
    """Return what is told of the files, nothing if they load."""
    try:
        load(folder, files)
    except InvalidMapping as error:
        return error.problems
    return ()


def sender(*rows):
    head = 'source = "test"\nmatch = { "MSH-3" = "XIS" }\n'
    return head + "".join(f"[[field]]\n{row}\n" for row in rows)


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


ROWS = (
    ('{ to = "nonsense", from = "PID-3", as = "Identifier" }', "Patient has no element nonse"),
    ('{ to = "name.nonsense", from = "PID-5", as = "string" }', "HumanName has no element"),
    ('{ to = "gender.x", from = "PID-8", as = "string" }', "Patient.gender has no elements"),
    ('{ to = "gender[a]", value = "male" }', "no list"),
    ('{ to = "9", value = "male" }', "not an element"),
    ('{ to = "deceased.x", value = true }', "has several types"),
    ('{ to = "identifier", from = "PID-99", as = "Identifier" }', "fields 1 to 40"),
    ('{ to = "identifier", from = "PID-3.77", as = "Identifier" }', "PID-3 has 12 components"),
    ('{ to = "active", from = "PID-3.1.9", as = "boolean" }', "PID-3.1 has no subcomponents"),
    ('{ to = "active", from = "PID-3.4.4", as = "boolean" }', "PID-3.4 has 3 subcomponents"),
    ('{ to = "identifier", from = "PID-0", as = "Identifier" }', "not an HL7v2 path"),
    ('{ to = "identifier", from = "QQQ-3", as = "Identifier" }', "no segment QQQ"),
    ('{ to = "identifier", from = "ORO-5", as = "Identifier" }', "ORO has the fields 1 to 4"),
    ('{ to = "identifier", from = "ANYHL7SEGMENT-1", as = "Identifier" }', "HL7v2"),
    ('{ to = "identifier", from = "pid3", as = "Identifier" }', "not an HL7v2 path"),
    ('{ to = "identifier", from = "PID-3", as = "Nonsense" }', "no datatype Nonsense"),
    ('{ to = "identifier", from = "PID-3", as = "Identifer" }', "did you mean Identifier"),
    ('{ to = "gender", value = "mle" }', "'mle' is no code of gender; write one of female, male"),
    ('{ to = "gender", from = "PID-8", table = "Nonsense" }', "no table Nonsense"),
    ('{ to = "gender", from = "PID-8", table = "AdministrativeSex", as = "Money" }', "not Money"),
    ('{ to = "gender", call = "nonsense" }', "no function nonsense"),
    ('{ to = "birthDate", from = "PID-7", as = "Identifier" }', "birthDate is date, not"),
    ('{ to = "birthDate", value = 3 }', "cannot have such a value"),
    ('{ to = "maritalStatus", value = { codng = [] } }', "no element codng; did you mean coding"),
    ('{ to = "maritalStatus", value = { coding = { code = "D" } } }', "coding is a list"),
    ('{ to = "maritalStatus", value = { coding = [{ code = 1 }] } }', "code cannot have such"),
    ('{ to = "birthDate", links = "Patient" }', "is no Reference"),
    ('{ to = "managingOrganization", links = "Patient" }', "may not refer to Patient"),
    ('{ to = "managingOrganization", from = "PID-3", as = "Device" }', "may not refer to"),
    ('{ to = "managingOrganization", value = { resourceType = "Patient" } }', "may not refer to"),
    ('{ to = "gender", value = { resourceType = "Patient" } }', "may not refer to"),
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
    ('{ from = "PID-8", as = "code" }', ": to is missing"),
    ('{ to = "gender", value = "male", when = { "PID-8" = 3 } }', "PID-8"),
)

ENTRIES = (
    ('type = "Patient"\nsegment = "PID"\nmap = "nonsense"', "resource 1: there is no map"),
    ('type = "Nonsense"\nsegment = "PID"\nfield = [{ to = "x", value = "y" }]', "no resource"),
    ('type = "Pa-"\nsegment = "PID"\nfield = [{ to = "x", value = "y" }]', "not a resource"),
    ('type = "Patient"\nsegment = "PV1"\nmap = "PID-Patient"', "is a map of PID"),
    ('type = "Patient"\nsegment = "PID"\nmap = "PID-Patient"\ngroup = "X"', "no group X"),
    ('type = "Patient"\nsegment = "PID"\nmap = "PID-Patient"\nwhen = "PID-99"', "PID-99"),
    ('type = "Patient"\nsegment = "PID"', "is not valid under any"),
    ('type = "Patient"\nsegment = "PID"\nmap = "PID-Patient"\nmode = "x"', "mode"),
    ('type = "Patient"\nsegment = "PID"\nmap = "PID-Patient"\nlinks = { x = "Patient" }', "x"),
)

TYPES = 'source = "t"\n[[table.IdentifierType.row]]\n'
FILES = (
    ("segments/x.toml", "field = [", ": "),
    ("segments/y.toml", "a = 1", ": source is missing"),
    ("tables/x.toml", '[map]\nA = "b"', "table x: `source`"),
    ("messages/structures.toml", 'source = "t"\n[structure]\nA = 1', " /struct"),
    ("senders/a.toml", 'source = "t"\nmatch = { "PID-3" = "x" }', "not by PID-3"),
    ("senders/b.toml", 'source = "t"\nmatch = { "MSH" = "x" }', "not an HL7v2 path"),
    ("senders/c.toml", 'source = "t"\n[settings]\nzone = "east"', "not an offset"),
    ("senders/d.toml", 'source = "t"\n[settings]\nnulls = "maybe"', "nulls"),
    (
        "senders/q.toml",
        'source = "t"\n[settings]\nchrset = "GBK"',
        " /settings/chrset: there is no such key; did you mean charset?",
    ),
    (
        "senders/r.toml",
        sender('map = "PID-Patient"').replace("[[field]]", "[field]"),
        "r.toml /field: write [[field]], not [field] / 应写作 [[field]], 而不是 [field]",
    ),
    (
        "senders/s.toml",
        'source = "t"\n[[settings]]\ncharset = "GBK"',
        "s.toml /settings: write [settings], not [[settings]] / 应写作",
    ),
    ("segments/z.toml", 'source = "t"\nsegment = "PID"\ntype = "Patient"\n[field]', "[[field]]"),
    ("senders/e.toml", 'source = "t"\n[table.X.map]\nA = 1', "table X"),
    ("senders/i.toml", 'source = "t"\n[settings]\ncharset = "XX"', "no such character set"),
    ("senders/j.toml", 'source = "t"\n[table.IdentiferType.map]\nA = "B"', "IdentifierType"),
    ("senders/k.toml", f"{TYPES}from = ['A']\ncode = 5", "'row 1 code' must be a text"),
    ("senders/l.toml", f"{TYPES}from = [5]\ncode = 'A'", "'row 1 from' must be a text"),
    ("senders/m.toml", f"{TYPES}from = 5\ncode = 'A'", "row 1 needs `from` and `code`"),
    ("senders/n.toml", f"{TYPES}from = 'A'\ncode = 'A'\nsystem = 1", "'row 1 system' must be"),
    (
        "senders/o.toml",
        'source = "t"\n[table.AdministrativeSex.map]\nM = "mle"',
        "'mle' is no code",
    ),
    ("tables/CompletionStatus.toml", 'source = "t"\n[map]\nCP = "whole"', "'whole' is no code of"),
    ("senders/f.toml", sender('map = "PID-None"\nto = "x"\nvalue = "y"'), "no message uses"),
    ("senders/g.toml", sender('map = "PID-Patient"\nto = "nope"\nvalue = "y"'), " row 1"),
    ("senders/h.toml", sender('map = "PID-Patient"\nto = "gender"\nfrom = "p"'), " row 1"),
    (
        "segments/PID-Lost.toml",
        'source = "t"\nsegment = "PID"\ntype = "Patient"\n'
        'field = [{ to = "active", value = true }]',
        ": no message uses this map",
    ),
)

# a message map for each of ENTRIES, and one that uses the maps of all ROWS
MESSAGES = tuple(
    f"ADT_A{number}" for number in ("02", "06", "09", "12", "15", "16", "17", "18", "21")
)
USES = "messages/ADT_A03/map.toml"


def row_file(number):
    return f"segments/PID-Test{number}.toml"


def wrong_files():
    """Return the text of each file that is wrong, by its name."""
    files = {
        row_file(number): f'source = "t"\nsegment = "PID"\ntype = "Patient"\nfield = [\n{row}\n]\n'
        for number, (row, _) in enumerate(ROWS)
    }
    for name, (entry, _) in zip(MESSAGES, ENTRIES, strict=True):
        text = f'source = "t"\nmessage = "{name}"\n[[resource]]\n{entry}\n'
        files[f"messages/{name}/map.toml"] = text
    return files | {name: text for name, text, _ in FILES}


def using(files):
    """Return the message map that uses the segment maps of those files."""
    text = 'source = "t"\nmessage = "ADT_A03"\n'
    for number in range(len(ROWS)):
        if row_file(number) in files:
            text += '[[resource]]\ntype = "Patient"\nsegment = "PID"\nmatch = "identity"\n'
            text += f'map = "PID-Test{number}"\n'
    return text


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return all that is told of a site's folder in which every file is wrong.

    The form of files is looked at before their meaning: what was told of is taken away, and the
    rest is loaded again.
    """
    left, found = wrong_files(), []
    for _ in range(3):
        more = problems(tmp_path_factory.mktemp("site"), left | {USES: using(left)})
        found += more
        told_of = {name for name in left for one in more if one.startswith(name)}
        left = {name: text for name, text in left.items() if name not in told_of}
    return found


def test_the_files_that_are_told_of_are_those_that_are_wrong(told):
    names = {name for name in wrong_files() if any(one.startswith(name) for one in told)}
    assert names == set(wrong_files())
    other = [one for one in told if not one.startswith((*names, USES))]
    assert other == []


@pytest.mark.parametrize(("number", "said"), [(n, said) for n, (_, said) in enumerate(ROWS)])
def test_a_wrong_row_is_told_with_its_file_and_number(told, number, said):
    (found,) = [one for one in told if one.startswith(f"{row_file(number)} row 1")]
    assert said in found


@pytest.mark.parametrize(
    ("name", "said"), [(name, said) for name, (_, said) in zip(MESSAGES, ENTRIES, strict=True)]
)
def test_a_wrong_entry_of_a_message_is_told_with_its_number(told, name, said):
    found = [one for one in told if one.startswith(f"messages/{name}/map.toml resource 1")]
    assert any(said in one for one in found), found


@pytest.mark.parametrize(("name", "said"), [(name, said) for name, _, said in FILES])
def test_a_wrong_file_is_told_by_name(told, name, said):
    found = [one for one in told if one.startswith(name)]
    assert any(said in one for one in found), found


def test_what_is_wrong_is_told_in_chinese_too(told):
    assert [one for one in told if " / " not in one or one.endswith(WRONG)] == []


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidMapping, match="no such folder"):
        load_mappings(definitions(), [tmp_path / "nowhere"])


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    rows = [
        'map = "PID-Patient"\nto = "nope"\nvalue = "y"',
        'map = "PID-Patient"\nto = "also"\nvalue = "y"',
    ]
    with pytest.raises(InvalidMapping) as caught:
        load(tmp_path, {"senders/x.toml": sender(*rows)})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("name", ["senders/X.TOML", "messages/x/map.Toml", "conceptmaps/l.JSON"])
def test_a_file_that_is_not_read_for_its_capitals_is_a_mistake(tmp_path, name):
    (problem,) = problems(tmp_path, {name: "", "senders/x.toml.old": "", "README.TXT": ""})
    assert problem.startswith("/".join(name.split("/")[-2:]) + ": write .")


def test_a_mistake_in_a_map_that_many_messages_use_is_told_once(tmp_path):
    row = 'map = "OBX-Observation"\nto = "status"\nvalue = "final"\nwhen = { "OBX-11.x" = false }'
    with pytest.raises(InvalidMapping) as caught:
        load(tmp_path, {"senders/x.toml": sender(row)})
    (problem,) = caught.value.problems
    assert problem.startswith("senders/x.toml row 1: not an HL7v2 path: 'OBX-11.x'")


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
