"""The same message written otherwise: quirks of real senders, other delimiters and line ends.

Spec: HL7v2 chapter 2, 2.5; DOMAIN 4
"""

from decimal import Decimal

import pytest
from conversion_parts import (
    BASE,
    MESSAGES,
    by_code,
    converted,
    errors,
    every,
    identifiers,
    mappings,
    only,
    story,
    text_of,
)

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire import charset
from fhir_hub.r4.checks.models import as_model


def resources(conversion):
    return [one.resource for one in conversion.resources]


# quirks of real senders


def test_q1_a_message_without_control_id_is_converted():
    conversion = story("quirks/q1")
    assert "330421199108179964" in identifiers(only(conversion, "Patient"))
    assert only(conversion, "Encounter")["class"]["code"] == "AMB"
    assert only(conversion, "Provenance")["entity"][0]["what"]["identifier"]["value"]


def test_q2_byte_order_mark_and_line_feeds_change_nothing():
    assert story("quirks/q2").resources == story("01").resources


def test_q3_other_delimiters_are_legal():
    patient = only(story("quirks/q3"), "Patient")
    assert patient["name"][0]["text"] == "周思媛"
    assert identifiers(patient)["330421199108179964"] == "urn:oid:2.16.156.10011.1.3"


def test_q4_units_flags_and_comparators_as_they_are_meant():
    conversion = story("quirks/q4")
    found = by_code(conversion)
    white = found["WBC"]
    assert (white["valueQuantity"]["value"], white["valueQuantity"]["code"]) == (
        Decimal("3.1"),
        "10*9/L",
    )
    assert white["interpretation"][0]["coding"][0]["code"] == "L"
    assert found["HGB"]["interpretation"][0]["coding"][0]["code"] == "L"
    protein = found["CRP"]["valueQuantity"]
    assert (protein["comparator"], protein["value"], protein["code"]) == (
        "<",
        Decimal("0.5"),
        "mg/L",
    )
    patient = only(conversion, "Patient")
    assert patient["gender"] == "male"
    assert "310229194811059976" in identifiers(patient)


def test_q5_a_resident_id_that_cannot_be_right_matches_nobody():
    conversion = story("quirks/q5")
    (patient,) = every(conversion, "Patient")
    bad = next(one for one in patient.resource["identifier"] if one.get("use") == "temp")
    assert bad["value"] == "310229195304129988"
    assert patient.match == ((f"{BASE}/sid/ZJJCHC/patient-id", "ZJJ00099999"),)
    assert [one.code for one in conversion.report.issues()] == ["invalid-resident-id"]


def test_q7_names_whose_bytes_hold_delimiters():
    raw = (MESSAGES / "wire" / "q7_gbk_delimiter_bytes.gbk.hl7").read_bytes()
    decoded = charset.decode(raw, "")
    patient = only(converted(decoded.text), "Patient")
    assert [name["text"] for name in patient["name"]] == ["李珅", "孙玘"]


@pytest.mark.parametrize(
    ("wire", "twin"),
    [("02_ADT_A08_tertiary_quirky.gbk", "02"), ("10_ORU_R01_nat_wujiang.gb18030", "10")],
)
def test_the_character_set_on_the_wire_changes_nothing(wire, twin):
    raw = (MESSAGES / "wire" / f"{wire}.hl7").read_bytes()
    assert resources(converted(charset.decode(raw, "").text)) == resources(story(twin))


# the same message written otherwise

STORY = [f"{number:02}" for number in range(1, 24)]


@pytest.mark.parametrize("name", STORY)
def test_line_ends_change_nothing(name):
    text = text_of(name)
    for end in ("\n", "\r\n"):
        assert converted(text.replace("\r", end)).resources == story(name).resources


# 13 has a bare ~ in a text; the others hold none of the other delimiters
@pytest.mark.parametrize("name", [one for one in STORY if one != "13"])
def test_delimiters_change_nothing(name):
    text = text_of(name).replace("10\\S\\9/L", "10*9/L")  # \S\ is the delimiter, whatever it is
    table = str.maketrans({"|": "\x01", "^": "\x02", "~": "\x03", "&": "\x04", "\\": "\x05"})
    back = str.maketrans({"\x01": "#", "\x02": "@", "\x03": "!", "\x04": "$", "\x05": "?"})
    assert set("#@!$?").isdisjoint(text)
    other = converted(text.translate(table).translate(back))
    assert resources(other) == resources(converted(text))


@pytest.mark.parametrize("charset_name", ["gb18030", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", STORY)
def test_the_character_set_changes_nothing(name, charset_name):
    text = text_of(name)
    decoded = charset.decode(text.encode(charset_name))
    assert convert(er7.parse(decoded.text), mappings()).resources == story(name).resources


@pytest.mark.parametrize("name", STORY)
def test_what_the_tables_say_in_full_is_valid_too(name):
    message = er7.parse(text_of(name))
    assert errors(convert(message, mappings(), by_table=True)) == []


@pytest.mark.parametrize("name", STORY)
def test_a_z_segment_changes_nothing_but_where_it_is_kept(name):
    text = text_of(name).rstrip("\r\n")
    first, rest = text.split("\r", 1)
    added = converted(f"{first}\rZZZ|1|x^y\r{rest}\rZZY|something\r")
    expected = story(name)
    assert [one.full_url for one in added.resources] == [o.full_url for o in expected.resources]
    for one, other in zip(added.resources, expected.resources, strict=True):
        if one.resource["resourceType"] == "Provenance":
            kept = [e["valueString"] for e in one.resource.pop("extension", ())]
            already = [e["valueString"] for e in other.resource.pop("extension", ())]
            assert not kept or set(kept) - set(already) == {"ZZZ|1|x^y", "ZZY|something"}
        assert one == other
    told = {one.path: one.state for one in added.report.fields()}
    assert told["ZZZ-2.1"] == told["ZZY-1"] == "preserved"


def test_the_same_message_gives_the_same_full_urls():
    assert story("08").resources == story("08").resources
    other = converted(text_of("08").replace("LIS20250314-000781", "LIS20250314-000782"))
    urls = {one.full_url for one in story("08").resources}
    assert urls.isdisjoint(one.full_url for one in other.resources)


def test_every_reference_leads_to_a_resource_of_the_message_or_has_an_identifier():
    for name in STORY:
        conversion = story(name)
        urls = {one.full_url for one in conversion.resources}
        for one in conversion.resources:
            for reference in _references(one.resource):
                assert reference["reference"] in urls


def _references(node):
    if isinstance(node, dict):
        if "reference" in node:
            yield node
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def test_a_second_opinion_takes_every_resource_of_the_story():
    for name in STORY:
        for resource in resources(story(name)):
            as_model(fhirjson.loads(fhirjson.dumps(resource)))
