"""What is wrong with maps is told by file, row and what to write, in both languages.

Spec: DESIGN 2a
"""

import pytest
from conversion_parts import definitions
from map_parts import load, problems, sender

from fhir_hub.hl7v2.maps.chinese import WRONG
from fhir_hub.hl7v2.maps.map_files import InvalidMapping
from fhir_hub.hl7v2.maps.mappings import load_mappings

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
    (
        '{ to = "gender", from = "PID-8", table = "AdministrativSex" }',
        "did you mean AdministrativeSex, AdministrationMethod? / 没有码表 AdministrativSex",
    ),
    ('{ to = "gender", from = "PID-8", table = ["x"] }', "is not of type 'string'"),
    (
        '{ to = "gender", from = 8, as = "code" }',
        "8 is not of type 'string', 'array' / 类型应为文本或列表",
    ),
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


def test_of_a_senders_file_form_and_meaning_are_told_at_once(tmp_path):
    rows = [
        'map = "PID-Patient"\ntoo = "gender"\nvalue = "y"',
        'map = "PID-Patient"\nto = "nope"\nvalue = "y"',
        'map = "PID-None"\nto = "gender"\nvalue = "y"',
    ]
    more = (
        '[settings]\ncharset = "XX"\nzone = "east"\n[table.AdministrativeSex.map]\nA = 1\n',
        '[settings]\nnulls = "x"\n',
    )
    first, second = (
        "\n".join(problems(tmp_path, {"senders/x.toml": sender(*rows) + one})) for one in more
    )

    for one in ("row 1: /too", "row 2: ", "row 3: ", "charset: ", "offset: ", "table Admin"):
        assert f"x.toml {one}" in first or f"x.toml: {one}" in first or f": not an {one}" in first
    assert ["nulls" in second, "row 2: " in second, "row 3: " in second] == [True] * 3


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
