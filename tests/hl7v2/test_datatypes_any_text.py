"""Whatever a sender writes, a datatype answers nothing, or a value that R4 takes.

Spec: https://hl7.org/fhir/R4/json.html (no empty parts); HL7v2 chapter 2A
"""

import re
from decimal import Decimal

import datatype_parts as parts
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_hub.hl7v2.datatypes import observed, ranges, table, timings, units
from fhir_hub.hl7v2.parsing.er7 import Encoding, Value
from fhir_hub.r4.definitions import load_definitions

_PIECES = st.sampled_from(
    [
        "沈", "桂芳", "欧阳志明", "Shen", "", '""', "310229195304129989", "310229530412998",
        "2.16.156", "ISO", "20250314", "2025-03-14 08:10", "00000000", "9.80", "-1", "<0.5",
        "≥60", "148/92", "3.9-6.1", "mmol/L", "10", "9/L", "阴性", "↓", "LN", "L", "M",
        "HL70001", "ICD10CN", "E11.900", "&", "\\S\\", "\\X0D\\", "　", "\x00", "\x1f", "a b",
        "@", "x@y.z", "13000000001", "+1 555", "上海市青浦区朱家角镇1号", "BID", "Q6H", "Q0H",
        "Base64", "JVBERi0=", "HEX", "zz", "http://a b", "1e99", "9" * 40, "\u202e", "\ud7ff",
        "𬭎", "é", "😀", "-", "0", "1,234", "Y", "是", "王\ue863", "DR", "VN", "&2.16&ISO",
    ]
)  # fmt: skip
_RAW = st.one_of(
    st.lists(_PIECES, max_size=12).map("^".join),
    st.text(max_size=60),
    st.lists(st.text(max_size=12), max_size=10).map("^".join),
)
_SECRETS = st.tuples(st.integers(0, 26**6 - 1), st.integers(0, 10**9 - 1)).map(
    lambda made: "".join(chr(65 + made[0] // 26**at % 26) for at in range(6)) + f"{made[1]:09}"
)  # six letters and nine digits; a regular expression takes four times as long to draw
_VALUE_SETS = [
    "administrative-gender",
    "observation-status",
    "diagnostic-report-status",
    "appointmentstatus",
    "participationstatus",
    "encounter-status",
    "allergy-intolerance-category",
    "reaction-event-severity",
    "allergy-intolerance-criticality",
    "allergy-intolerance-type",
    "name-use",
    "address-use",
    "address-type",
    "contact-point-use",
    "contact-point-system",
    "medicationrequest-status",
    "request-status",
    "request-priority",
]
_OBSERVED = ("NM", "ST", "SN", "CWE", "TX", "FT", "TS", "TM", "DR", "CQ", "XPN", "XCN", "", "??")
_OTHER = Encoding("#", "*", "~", "\\", "&")


# One text is given to every datatype: to draw it takes longer than to read it.
@pytest.mark.no_cover  # many rounds of what other tests cover, as those below
@settings(max_examples=100)
@given(raw=_RAW)
def test_any_text_gives_nothing_or_what_r4_takes(raw):
    for encoding in (Encoding(), _OTHER):
        for name, read in table.DATATYPES.items():
            found = read(Value(raw, encoding), parts.context())

            if found is not None:
                assert parts.empty_parts(found) == [], name
                assert parts.judged(table.FHIR_TYPES[name], found) == [], name


@pytest.mark.no_cover
@settings(max_examples=100)
@given(raw=_RAW)
def test_any_code_through_a_table_gives_nothing_or_what_r4_takes(raw):
    for code_table in ("MaritalStatus", "TimingRepeat", "AdministrativeSex"):
        for name in table.CODED:
            found = parts.looked_up(name, code_table, raw)

            if found is not None:
                assert parts.empty_parts(found) == [], (name, code_table)
                assert parts.judged(name, found) == [], (name, code_table)


@pytest.mark.no_cover
@settings(max_examples=100)
@given(raws=st.lists(_RAW, max_size=3), unit=_RAW, text=_RAW)
def test_any_observation_has_a_value_that_r4_takes(raws, unit, text):
    values = [parts.value(raw) for raw in raws]
    bounds = ranges.reference_ranges(
        parts.value(text), parts.context(), units.unit_of(parts.value(unit))
    )
    for data_type in _OBSERVED:
        found = observed.observed_value(data_type, values, parts.value(unit), parts.context())

        observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        if found:
            observation[f"value{found.fhir_type}"] = found.value
        if bounds:
            observation["referenceRange"] = bounds
        assert parts.empty_parts(observation) == [], data_type
        assert parts.errors(observation) == [], data_type


@pytest.mark.parametrize("raw", ["", '""', "^^^", '""^""^""', " ", "&&^&"])
def test_nothing_and_null_give_nothing(raw):
    for name in table.DATATYPES:
        assert parts.made(name, raw) in (None, []), name


@pytest.mark.no_cover
@settings(max_examples=50)
@given(secret=_SECRETS, at=st.integers(0, 9))
def test_an_issue_never_holds_what_the_sender_wrote(secret, at):
    raw = "^".join([secret] * (at + 1))
    for name, read in table.DATATYPES.items():
        issues = parts.Issues()
        read(parts.value(raw), parts.context(issues))

        assert not any(secret in text for text in issues.texts), name


@pytest.mark.no_cover
@pytest.mark.parametrize("name", sorted(table.DATATYPES))
def test_a_quarter_of_a_megabyte_of_text_is_read_quickly(name):
    for raw in ("9" * 250_000, "市" * 50_000, "a b " * 50_000, "1-" * 100_000, "x@" * 75_000):
        found = table.DATATYPES[name](parts.value(raw), parts.context())
        assert found is None or parts.empty_parts(found) == []


def test_the_table_of_names_documents_every_name():
    documented = set(re.findall(r"`(\w+)`", table.__doc__ or ""))

    assert set(table.DATATYPES) | set(table.CODED) <= documented
    assert set(table.FHIR_TYPES) == set(table.DATATYPES)


def test_every_row_of_the_timing_table_is_a_valid_timing():
    for name, coded in parts.tables()[timings.TABLE].rows.items():
        found = parts.made("Timing", name.replace("^", " "))
        assert parts.judged("Timing", found) == [], coded.code


def test_every_table_says_codes_that_its_value_set_has():
    """Where R4 lists a system's codes, a table of that system writes none other."""
    listed: dict[str, set[str]] = {}
    codes = load_definitions()
    for url in _VALUE_SETS:
        for system, found in (codes.codes(f"http://hl7.org/fhir/ValueSet/{url}") or {}).items():
            listed.setdefault(system, set()).update(found)

    checked = 0
    for code_table in parts.tables().values():
        for coded in code_table.rows.values():
            if coded.system in listed:
                checked += 1
                assert coded.code in listed[coded.system], (code_table.name, coded.code)
    assert checked > 300


def test_numbers_keep_their_digits():
    assert str(parts.made("Quantity", "9.80")["value"]) == "9.80"
    assert parts.made("decimal", "1.10") == Decimal("1.10")
