"""The functions of FHIRPath: conversion, numbers, texts, collections, and those of FHIR.

Spec: http://hl7.org/fhirpath/N1/#functions and https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from typing import Any

import parts
import pytest

from fhir_hub.r4.expressions.evaluate import CannotCompile, Expressions, Node, Wrong
from fhir_hub.r4.expressions.values import system
from fhir_hub.r4.expressions.written import text_of

OWN = "https://a.example/"


def conforms(node: Node, url: str) -> bool | None:
    return {OWN + "women": node.value.get("gender") == "female"}.get(url)


def is_member(system_url: str, code: str, value_set: str) -> bool | None:
    return {OWN + "colours": code in ("red", "blue")}.get(value_set)


EXPRESSIONS = Expressions(
    parts.definitions(),
    conforms=conforms,
    is_member=is_member,
    now=lambda: "2024-02-29T10:11:12.345+08:00",
)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "gender": "female",
    "name": [{"family": "Li", "given": ["Na", "An"]}, {"text": "Li Na"}],
    "contained": [{"resourceType": "Organization", "id": "o"}],
    "maritalStatus": {"coding": [{"code": "green"}, {"code": "blue"}]},
    "managingOrganization": {"reference": "#"},
    "link": [
        {"other": {"reference": "Patient/1"}},
        {"other": {"reference": "urn:uuid:1", "type": "Patient"}},
        {"other": {"reference": "#nobody"}},
        {"other": {"display": "?"}},
    ],
}
ANSWERS: dict[str, Any] = {
    "resourceType": "QuestionnaireResponse",
    "status": "completed",
    "item": [{"linkId": "1", "item": [{"linkId": "1.1", "item": [{"linkId": "1.1.1"}]}]}],
}


def found(expression: str, resource: dict[str, Any] = PATIENT) -> list[Any]:
    items = EXPRESSIONS.values(EXPRESSIONS.compile(expression), resource)
    return [text_of(system(item)) for item in items]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("('T' | 'no' | '1.0' | 'maybe').select(toBoolean())", ["true", "false", "true"]),
        ("(1 | 0.0 | 7).select(toBoolean())", ["true", "false"]),
        ("true.toBoolean()", ["true"]),
        ("@2024.toBoolean()", []),
        ("true.toInteger() + '-3'.toInteger()", ["-2"]),
        ("'2147483648'.toInteger()", []),
        ("1.5.toInteger()", []),
        ("'x'.toDecimal()", []),
        ("(true.toDecimal() + 1) is Decimal", ["true"]),
        ("(true | 12 | 1.50 | @2024T).select(toString())", ["true", "12", "1.50", "2024"]),
        ("(2 'kg' | 3 days).select(toString())", ["2 'kg'", "3 day"]),
        ("@T10:30.toString()", ["10:30"]),
        ("'2024-02-29T10:00:00Z'.toDate()", ["2024-02-29"]),
        ("'2024-02-30'.toDate()", []),
        ("'2024-02'.toDateTime() is DateTime", ["true"]),
        ("@2024-02-29.toDateTime()", ["2024-02-29"]),
        ("'10:30'.toTime()", ["10:30"]),
        ("@2024.toTime()", []),
        ("'2024-02'.convertsToTime()", ["false"]),
        ("'2024-02'.convertsToDate()", ["true"]),
        ("{}.convertsToDate()", []),
        ("'4 days'.toQuantity()", ["4 day"]),
        ("'4.5 \\'mg\\''.toQuantity()", ["4.5 'mg'"]),
        ("'4'.toQuantity() = 4", ["true"]),
        ("(7 | true).select(toQuantity())", ["7 '1'", "1 '1'"]),
        ("1 'kg'.toQuantity('g')", ["1000 'g'"]),
        ("1 'kg'.toQuantity('m')", []),
        ("1 'kg'.convertsToQuantity('m')", ["false"]),
        ("'4 apples'.convertsToQuantity()", ["false"]),
        ("'four'.convertsToQuantity()", ["false"]),
        ("@2024.convertsToQuantity()", ["false"]),
        ("name[0].convertsToString()", ["false"]),
    ],
)
def test_conversions(expression: str, expected: list[Any]) -> None:
    assert found(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(-5).abs()", ["5"]),
        ("(-5.5 'mg').abs()", ["5.5 'mg'"]),
        ("{}.abs()", []),
        ("1.1.ceiling() + (-1.1).floor()", ["0"]),
        ("(-1.9).truncate()", ["-1"]),
        ("2.5.round()", ["3"]),
        ("(-1).sqrt()", []),
        ("81.sqrt()", ["9"]),
        ("0.exp()", ["1"]),
        ("0.ln()", []),
        ("16.log(2)", ["4"]),
        ("2.power(-1)", ["0.5"]),
        ("2.5.power(2)", ["6.25"]),
        ("(-1).power(0.5)", []),
        ("10.power(1001)", []),
        ("1.58700.precision()", ["5"]),
        ("12.precision()", ["0"]),
        ("{}.precision()", []),
        ("(@2014 | @2014-05).select(precision())", ["4", "6"]),
        ("@2014-01-05T10:30:00.000.precision()", ["17"]),
        ("@2014-01-05T10:30:00.precision()", ["14"]),
        ("@T10:30.precision()", ["4"]),
        ("@T10:30:00.000.precision()", ["9"]),
        ("{}.lowBoundary()", []),
        ("1.587.highBoundary()", ["1.58750000"]),
        ("1.587.lowBoundary(2)", ["1.58"]),
        ("1.587.highBoundary(2)", ["1.59"]),
        ("(-1.587).lowBoundary(2)", ["-1.59"]),
        ("12.lowBoundary(1)", ["11.5"]),
        ("1.lowBoundary(32)", []),
        ("123456789.highBoundary(31)", []),
        ("1.5 'm'.lowBoundary(2)", ["1.45 'm'"]),
        ("1.5 'm'.lowBoundary(40)", []),
        ("@2014.lowBoundary(6)", ["2014-01"]),
        ("@2024-02.highBoundary()", ["2024-02-29"]),
        ("@2014.lowBoundary(5)", []),
        ("@2014-01-01T08:05.lowBoundary(17)", ["2014-01-01T08:05:00.000+14:00"]),
        ("@2014-01-01T08:05.highBoundary(17)", ["2014-01-01T08:05:59.999-12:00"]),
        ("@2014-01-01T08:05Z.highBoundary(14)", ["2014-01-01T08:05:59Z"]),
        ("@2014.lowBoundary(17)", ["2014-01-01T00:00:00.000+14:00"]),
        ("@T10:30.lowBoundary()", ["10:30:00.000"]),
        ("@T10:30.highBoundary(9)", ["10:30:59.999"]),
        ("@T10:30.highBoundary(2)", ["10"]),
    ],
)
def test_numbers(expression: str, expected: list[Any]) -> None:
    assert found(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'abc'.startsWith('ab') and 'abc'.endsWith('bc')", ["true"]),
        ("'abcabc'.lastIndexOf('b')", ["4"]),
        ("'ab'.toChars()", ["a", "b"]),
        ("'ab'.split('')", ["a", "b"]),
        ("12.contains('2')", ["true"]),
        ("{}.upper()", []),
        ("'abc'.substring(3)", []),
        ("'abc'.substring({})", []),
        ("'abc'.substring(1)", ["bc"]),
        ("'abc'.substring(1, -1)", [""]),
        ("'abc'.replace('b', '')", ["ac"]),
        ("'abc'.replaceMatches('', 'x')", ["abc"]),
        ("name.given.join(', ')", ["Na, An"]),
        ("name.given.join()", ["NaAn"]),
        ("{}.join(',')", []),
        ("'~a?'.encode('hex')", ["7e613f"]),
        ("'7e613f'.decode('hex')", ["~a?"]),
        ("'>>>?'.encode('urlbase64')", ["Pj4-Pw=="]),
        ("'Pj4-Pw=='.decode('urlbase64')", [">>>?"]),
        ("'7'.decode('hex')", []),
        ("'/w=='.decode('base64')", []),
        ("'a'.encode('rot13') | 'a'.decode('rot13')", []),
        ("'\"1\"'.escape('json')", ['\\"1\\"']),
        ("'\\\\\"1'.unescape('json')", ['"1']),
        ("'a'.escape('xml') | 'a'.unescape('xml')", []),
        ("{}.length()", []),
        ("'abcd'.length()", ["4"]),
    ],
)
def test_texts(expression: str, expected: list[Any]) -> None:
    assert found(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("name.given.last()", ["An"]),
        ("name.given.tail()", ["An"]),
        ("(1 | 2 | 3).skip(-1).take(2)", ["1", "2"]),
        ("(1 | 2).take(0).empty()", ["true"]),
        ("(1 | 2 | 1).count()", ["2"]),
        ("{}.not()", []),
        ("{}.single()", []),
        ("(true | false).allTrue()", ["false"]),
        ("(true | false).anyTrue()", ["true"]),
        ("(true | false).allFalse()", ["false"]),
        ("(true | false).anyFalse()", ["true"]),
        ("{}.allTrue() and {}.allFalse()", ["true"]),
        ("{}.anyTrue() or {}.anyFalse()", ["false"]),
        ("(1 | 2).union(2 | 3)", ["1", "2", "3"]),
        ("name.hasValue()", ["false"]),
        ("gender.getValue() is String", ["true"]),
        ("name.getValue()", []),
        ("1 'kg'.comparable(1 'g')", ["true"]),
        ("1 'kg'.comparable(1 's')", ["false"]),
        ("1 'kg'.comparable('kg')", []),
        ("(1 | 2.5).sum()", ["3.5"]),
        ("name.combine(name).distinct().count()", ["2"]),
        # by an expression
        ("(1 | 2).trace('x').select($this * 2)", ["2", "4"]),
        ("(3 | 1 | 2).sort()", ["1", "2", "3"]),
        ("(3 | 1 | 2).sort(-$this)", ["3", "2", "1"]),
        ("(3 'g' | 2 'kg').sort()", ["3 'g'", "2 'kg'"]),
        ("name.sort(family).select(text | family)", ["Li Na", "Li"]),
        ("('bb' | 'a' | 'aa').sort(length(), $this)", ["a", "aa", "bb"]),
        ("(1 | 2).aggregate($this + iif($total.empty(), 10, $total))", ["13"]),
        ("iif(false, 1)", []),
        ("name[0].children().count()", ["3"]),
        ("name.all(family.exists())", ["false"]),
        ("today()", ["2024-02-29"]),
        ("timeOfDay()", ["10:11:12.345"]),
        ("name.checkModifiers('urn:x').count()", ["2"]),
        # of FHIR
        ("conformsTo('https://a.example/women')", ["true"]),
        ("contained.conformsTo('https://a.example/women')", ["false"]),
        ("name.conformsTo('https://a.example/women')", []),
        ("conformsTo('http://hl7.org/fhir/StructureDefinition/Group')", ["false"]),
        ("maritalStatus.memberOf('https://a.example/colours')", ["true"]),
        ("maritalStatus.coding[0].memberOf('https://a.example/colours')", ["false"]),
        ("gender.memberOf('https://a.example/colours')", ["false"]),
        ("gender.memberOf('https://a.example/others')", []),
        ("name.memberOf('https://a.example/colours')", []),
        ("text.htmlChecks()", ["true"]),
        ("managingOrganization.resolve().id", ["p"]),
        ("link[0].other.resolve() is Patient", ["true"]),
        ("link[1].other.resolve() is Patient", ["true"]),
        ("link[2 ].other.resolve() | link[3].other.resolve()", []),
        ("'#o'.resolve() is Organization", ["true"]),
        # types
        ("gender.type().namespace & '.' & gender.type().name", ["FHIR.code"]),
        ("name.type().nothing", []),
        ("gender is FHIR.code and 'a' is System.String", ["true"]),
        ("gender is System.String", ["false"]),
        ("'a' is FHIR.string", ["false"]),
        ("{} is string", []),
        ("(1 | 'a' | @2024 | @T10).type().name", ["Integer", "String", "Date", "Time"]),
        ("(1.5 | 1 'g' | true).type().name", ["Decimal", "Quantity", "Boolean"]),
        ("1.type().type().name", ["Any"]),
        ("Organization.id | gender.type().name", ["code"]),
        ("(gender as code) | gender.as(string)", ["female"]),
        ("%rootResource.id", ["p"]),
        ("%`vs-marital-status`", ["http://hl7.org/fhir/ValueSet/marital-status"]),
        ("%`ext-birthPlace`", ["http://hl7.org/fhir/StructureDefinition/birthPlace"]),
    ],
)
def test_collections_and_fhir(expression: str, expected: list[Any]) -> None:
    assert found(expression) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("urn:uuid:a", ["f"]), ("Patient/a", ["f"]), ("urn:uuid:b", []), ("#", [])],
)
def test_a_reference_in_a_bundle_leads_to_its_entry(reference: str, expected: list[str]) -> None:
    patient = {"resourceType": "Patient", "id": "a", "gender": "f"}
    basic = {"resourceType": "Basic", "subject": {"reference": reference}}
    entries = [{"fullUrl": "urn:uuid:a", "resource": patient}, {"resource": basic}, {}]
    bundle = {"resourceType": "Bundle", "entry": entries}
    assert found("entry.resource.subject.resolve().gender", bundle) == expected


def test_repeat_goes_down() -> None:
    assert found("repeat(item).linkId", ANSWERS) == ["1", "1.1", "1.1.1"]


@pytest.mark.parametrize(
    "expression",
    [
        "(1 | 2).single()",
        "(1 | 2).skip('a')",
        "('a' | 'b').allTrue()",
        "('a' | 'b').sum()",
        "'a'.abs()",
        "1.5.round(29)",
        "'a'.lowBoundary()",
        "'abc'.substring('a')",
        "name[0].upper()",
        "12.length()",
        "'abc'.replaceMatches('b', '$2')",
        "iif(1, 2)",
        "name.iif(true, 2)",
        "(1 | 'a').sort()",
        "(1 | 2) is Integer",
        "conformsTo('https://a.example/unknown')",
    ],
)
def test_what_a_function_cannot_take_is_told(expression: str) -> None:
    with pytest.raises(Wrong):
        found(expression)


@pytest.mark.parametrize("expression", ["active is 'a'", "name.ofType()", "name.as(1)", "%`vs`"])
def test_what_names_no_type_or_constant_is_not_compiled(expression: str) -> None:
    with pytest.raises(CannotCompile):
        EXPRESSIONS.compile(expression)
