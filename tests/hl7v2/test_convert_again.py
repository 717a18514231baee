"""What was converted before changes nothing: the hub remembers what codes make, not what they told.

The same messages are converted by maps that have forgotten everything, and by maps that have seen
many like them: every resource, issue and local code is the same, element for element in order.

Spec: DESIGN 2a
"""

import pytest
from conversion_parts import lines, mappings, of_type
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.making.memory import Memories
from fhir_hub.hl7v2.parsing import er7

OFTEN = 6
KINDS = ("NM", "ST", "SN", "CE", "TX", "")
CODES = (
    "718-7^血红蛋白^LN",
    "8480-6^收缩压^LN",
    "85354-9^血压^LN",
    "HB^血红蛋白^L",
    "^只有名字",
    '""',
)
VALUES = (
    "5.0",
    "7.25",
    "148/92",
    "<0.5",
    "1~2",
    "阴性",
    '""',
    "",
    "12 ",
    "^1^-^2",
    "+",
    "N^正常^L",
)
UNITS = ("g/L", "mmHg", "斤", "10^9/L", "g/L~%", "")
RANGES = ("110-150", "<5", "", "阴性")
FLAGS = ("N", "H", "XX", "H~A", "")
STATUSES = ("F", "C", "X", "N", "?", '""', "")
results = st.tuples(*map(st.sampled_from, (KINDS, CODES, VALUES, UNITS, RANGES, FLAGS, STATUSES)))


@pytest.fixture(scope="module")
def maps():
    return mappings()


def message(result, order="CH|F", code="S^生化^L"):
    kind, what, value, unit, bounds, flag, status = result
    return lines(
        "MSH|^~\\&|LIS|SHTH01|HUB|QPRHP|20250314103000||ORU^R01^ORU_R01|B1|P|2.4",
        "PID|1||T1^^^SHTH01^PI||李^芳",
        f"OBR|1|P1|F1|{code}|||20250314081000{'|' * 17}{order}",
        f"OBX|1|{kind}|{what}||{value}|{unit}|{bounds}|{flag}|||{status}|||20250314081000",
    )


def told(text, maps):
    conversion = convert(er7.parse(text), maps)
    made = [(one.full_url, one.match, one.nulls, one.removes) for one in conversion.resources]
    resources = [fhirjson.dumps(one.resource) for one in conversion.resources]
    return made, resources, conversion.report.issues(), conversion.local_codes


@settings(max_examples=15)
@given(feed=st.lists(results, min_size=1, max_size=4))
def test_a_result_that_came_often_is_told_as_the_first_time(maps, feed):
    texts = [message(one) for one in feed]
    expected = []
    for text in texts:
        maps.learn([])  # forgets what codes made
        expected.append(told(text, maps))
    for _ in range(OFTEN):
        assert [told(text, maps) for text in texts] == expected


@pytest.mark.parametrize(
    ("often", "then", "element", "expected"),
    [
        pytest.param("5.0", "5.10", "valueQuantity", "5.10 g/L", id="digits"),
        pytest.param("5.0", "<0.5", "valueQuantity", "0.5 g/L", id="comparison"),
        pytest.param("5.0", "阴性", "valueString", "阴性", id="text"),
        pytest.param("阴性", "5.0", "valueQuantity", "5.0 g/L", id="number"),
        pytest.param("5.0", "1~2", "component", 2, id="several"),
    ],
)
def test_another_value_of_the_same_codes_is_read_for_itself(maps, often, then, element, expected):
    def result(value):
        return message(("NM", "718-7^血红蛋白^LN", value, "g/L", "110-150", "N", "F"))

    for _ in range(OFTEN):
        told(result(often), maps)
    (found,) = of_type(convert(er7.parse(result(then)), maps), "Observation")

    made = found[element]
    if element == "valueQuantity":
        made = f"{made['value']} {made['unit']}"
    assert (len(made) if element == "component" else made) == expected


def test_what_the_order_says_decides_too(maps):
    result = ("NM", "718-7^血红蛋白^LN", "5.0", "g/L", "110-150", "N", "F")
    for _ in range(OFTEN):
        told(message(result), maps)
    found = [
        of_type(convert(er7.parse(message(result, order)), maps), "Observation")[0]["category"]
        for order in ("CH|F", "RAD|F", "CH|F")
    ]
    codes = [category[0]["coding"][0]["code"] for category in found]
    assert codes == ["laboratory", "imaging", "laboratory"]


def test_who_changes_a_resource_changes_no_other(maps):
    text = message(("NM", "718-7^血红蛋白^LN", "5.0", "g/L", "110-150", "N", "F"))
    expected = told(text, maps)
    for _ in range(OFTEN):
        for one in convert(er7.parse(text), maps).resources:
            for value in one.resource.values():
                if isinstance(value, dict | list):
                    value.clear()
    assert told(text, maps) == expected


def test_what_never_comes_again_and_long_texts_are_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr("fhir_hub.hl7v2.making.memory._IN_ALL", 50)
    memories, made = Memories(), []

    def ask(code):
        memory = memories.of("SHTH01", er7.Encoding(), None)
        return memory.get(("row", code), lambda: made.append(code) or {"code": code}, [], None)

    first, last, long = "X0", "X119", "长" * 2000
    for code in [f"X{number}" for number in range(120)] + [last, first, long, long]:
        assert ask(code) == {"code": code}
    assert [made.count(code) for code in (first, last, long)] == [2, 1, 2]
