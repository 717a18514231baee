"""A sender's tables: what cannot be one is told, and all that one says counts.

Spec: docs/senders.md
"""

import pytest
from conversion_parts import lines, only
from parts import definitions

from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.maps.map_files import InvalidMapping
from fhir_hub.hl7v2.maps.mappings import load_mappings
from fhir_hub.hl7v2.parsing import er7

HEAD = 'source = "t"\nmatch = { "MSH-3" = "XIS" }\n'
KINDS = "[table.IdentifierType]\n"
TIMES = "[table.TimingRepeat]\n"
MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.5"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def load(tmp_path, text):
    (tmp_path / "senders").mkdir()
    (tmp_path / "senders" / "own.toml").write_text(HEAD + text, "utf-8")
    return load_mappings(definitions(), [tmp_path])


def made_by(maps, text):
    return convert(er7.parse(text), maps)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{KINDS}finer = "x"', "IdentifierType: 'finer' must be a table / 应为表"),
        (f'{KINDS}finer = ["x"]', "'finer' must be a table"),
        (f'{KINDS}finer = {{ H = "HH" }}', "'finer H' must be a list / 应为列表"),
        (f"{KINDS}finer = {{ H = [3] }}", "'finer H' must be a text"),
        (f'{KINDS}map = "x"', "'map' must be a table"),
        (f"{KINDS}standard = [3]", "'standard 1' must be a text"),
        (f'{KINDS}standard = "x"', "'standard' must be a list"),
        (f'{KINDS}display = "x"', "'display' must be a table"),
        (f"{KINDS}display = {{ a = 3 }}", "'display a' must be a text"),
        (f"{KINDS}default = 3", "'default' must be a text"),
        (f'{KINDS}open = "x"', "'open' must be true or false / 应为 true 或 false"),
        (f'{KINDS}closed = "x"', "'closed' must be true or false"),
        (f'{TIMES}row = [{{ from = "x", code = "QD", repaet = {{}} }}]', "unknown key 'repaet'"),
        (f'{TIMES}row = [{{ from = "x", code = "QD", repeat = 3 }}]', "repeat' must be a table"),
        (
            f'{TIMES}row = [{{ from = "x", code = "QD", repeat = {{ frequency = "2" }} }}]',
            "'X': Timing.repeat.frequency cannot have such a value",
        ),
        ('[settings]\nzone = "+23:00"', "not an offset: '+23:00' (write +08:00) / 时区"),
        (
            f'{KINDS}row = [{{ from = "x", code = "MR" }}, {{ from = "x", code = "PI" }}]',
            "IdentifierType: row 2: source code 'x' is there twice / 源代码 'x' 重复",
        ),
        ('[settings]\nzone = "+08:99"', "not an offset: '+08:99' (write +08:00) / 时区"),
    ],
)
def test_what_cannot_be_a_table_is_told(tmp_path, text, said):
    with pytest.raises(InvalidMapping) as caught:
        load(tmp_path, text)

    (problem,) = caught.value.problems
    assert problem.startswith("senders/own.toml: ")
    assert said in problem


def test_a_row_without_a_system_is_of_the_tables(tmp_path):
    maps = load(tmp_path, '[table.MaritalStatus.map]\n"离" = "D"')
    status = only(made_by(maps, lines(MSH.format("ADT^A08"), f"{PID}||||||||离")), "Patient")[
        "maritalStatus"
    ]

    assert status["coding"] == [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
            "code": "D",
            "display": "Divorced",
        }
    ]


def test_any_number_in_a_senders_row_counts_where_the_table_has_none(tmp_path):
    row = 'row = [{ from = "日#服", code = "XD", repeat = { frequency = 3, period = 1 } }]'
    order = ["ORC|NW|P1", "RXE||M^药^L|1||mg", "TQ1|1||日3服"]
    maps = load(tmp_path, f"{TIMES}{row}")
    made = made_by(maps, lines(MSH.format("RDE^O11"), PID, *order))

    repeat = only(made, "MedicationRequest")["dosageInstruction"][0]["timing"]["repeat"]
    assert repeat == {"frequency": 3, "period": 1}
