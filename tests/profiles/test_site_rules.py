"""Rules of identifiers and of senders, as `validation = "profiles"` asks them of a write.

Spec: GB 11643, GB 32100, GB 11714; DOMAIN 3.1, 3.2; https://json-schema.org/draft/2020-12
"""

import json
from decimal import Decimal

import pytest
from parts import definitions
from profiles.cn_parts import package

from fhir_hub.identity import systems
from fhir_hub.identity.rules import IDENTIFIER_RULES
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.package_files import InvalidPackage
from fhir_hub.r4.packages import SchemaFile

RIGHT = "310229195304129989"  # female, 1953-04-12
WRONG = "310229195304129988"
ALIAS = "urn:oid:2.16.840.1.113883.2.23.1.19.1"


@pytest.fixture(scope="module")
def rules() -> SiteRules:
    return SiteRules(definitions(), IDENTIFIER_RULES, package().schemas)


def person(value: str, system: str = systems.RESIDENT_ID, **more):
    use = {"use": more.pop("use")} if "use" in more else {}
    identifier = [{"system": "urn:other", "value": "1"}, {"system": system, "value": value} | use]
    return {"resourceType": "Patient", "identifier": identifier} | more


def told(issues):
    return [(issue.severity, issue.code, issue.expression) for issue in issues]


@pytest.mark.parametrize(
    "value", [RIGHT, "31022919570930997X", "31022919570930997x", "310118201906019991"]
)
def test_a_right_resident_id_gives_no_issue(rules, value):
    assert rules.check(person(value)) == []


@pytest.mark.parametrize("system", [systems.RESIDENT_ID, ALIAS])
@pytest.mark.parametrize(
    ("value", "severity"),
    [
        (WRONG, "error"),
        ("31022919530412998", "error"),
        ("310229195302309986", "error"),
        ("3102291953041299A9", "error"),
        ("000000000000000000", "error"),
        ("991229195304129987", "warning"),
    ],
)
def test_a_wrong_resident_id_is_told_whatever_its_system_is_called(rules, value, severity, system):
    issues = rules.check(person(value, system))

    assert (severity, "value", "Patient.identifier[1].value") in told(issues)
    assert value not in " ".join(issue.diagnostics for issue in issues)


@pytest.mark.parametrize("use", ["temp", "old"])
def test_a_number_that_the_sender_does_not_rely_on_is_kept_with_a_warning(rules, use):
    issues = rules.check(person(WRONG, use=use))

    assert told(issues) == [("warning", "value", "Patient.identifier[1].value")]


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ({"birthDate": "1953-04-13"}, ["Patient.birthDate"]),
        ({"birthDate": "1953"}, []),
        ({"gender": "male"}, ["Patient.gender"]),
        ({"gender": "unknown"}, []),
        ({"gender": "male", "birthDate": "1954"}, ["Patient.birthDate", "Patient.gender"]),
        ({"gender": "female", "birthDate": "1953-04-12"}, []),
    ],
)
def test_what_the_number_says_otherwise_is_a_warning(rules, said, expression):
    issues = rules.check(person(RIGHT, **said))

    assert told(issues) == [("warning", "business-rule", each) for each in expression]


@pytest.mark.parametrize(
    ("value", "system", "is_right"),
    [
        ("12310118DEM0000149", systems.USCC, True),
        ("12310118DEM0000148", systems.USCC, False),
        ("12310118DEM000014", systems.USCC, False),
        ("D2143569-X", systems.INSTITUTION_CODE, True),
        ("D2143569X", systems.INSTITUTION_CODE, True),
        ("D21435690", systems.INSTITUTION_CODE, False),
        ("12345", systems.INSTITUTION_CODE, False),
        ("425014567310118-B100010", systems.INSTITUTION_CODE, True),
        ("425014567310118_B10001", systems.INSTITUTION_CODE, False),
    ],
)
def test_codes_of_institutions_are_checked(rules, value, system, is_right):
    identifier = [{"system": system, "value": value}]

    issues = rules.check({"resourceType": "Organization", "identifier": identifier})

    expected = [] if is_right else [("error", "value", "Organization.identifier[0].value")]
    assert told(issues) == expected


def test_an_identifier_is_checked_wherever_it_stands(rules):
    wrong = {"system": systems.RESIDENT_ID, "value": WRONG}
    contained = {
        "resourceType": "Patient",
        "gender": "male",
        "identifier": [wrong | {"value": RIGHT}],
    }
    resource = {
        "resourceType": "Task",
        "contained": [contained],
        "for": {"identifier": wrong},
        "input": [{"type": {"text": "person"}, "valueIdentifier": wrong}],
    }
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}

    task = "Bundle.entry[0].resource"
    assert told(rules.check(bundle)) == [
        ("warning", "business-rule", f"{task}.contained[0].gender"),
        ("error", "value", f"{task}.for.identifier.value"),
        ("error", "value", f"{task}.input[0].value.value"),
    ]


@pytest.mark.parametrize(
    "resource",
    [
        None,
        [],
        {"resourceType": 1},
        {"resourceType": "Patient", "identifier": {"system": systems.USCC}},
        {"resourceType": "Patient", "identifier": [None, {"system": systems.USCC, "value": 5}]},
        {"resourceType": "Patient", "identifier": [{"system": ["x"], "value": 5}]},
        {"resourceType": "Patient", "contained": [{"resourceType": ["Patient"]}]},
    ],
)
def test_what_is_no_resource_at_all_makes_no_fault(rules, resource):
    assert all(issue.code == "value" for issue in rules.check(resource))


# ---- a sender's schemas


def measurement(**more):
    return {
        "resourceType": "Observation",
        "device": {"reference": "Device/1"},
        "effectiveDateTime": "2025-03-10T08:44:12+08:00",
        "valueQuantity": {"value": Decimal("76.0"), "code": "/min"},
    } | more


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, []),
        ({"device": ...}, [("error", "required", "Observation.device")]),
        (
            {"effectiveDateTime": "2025-03-10"},
            [("error", "business-rule", "Observation.effective")],
        ),
        (
            {"valueQuantity": {"value": Decimal("1480.50"), "code": "mm[Hg]"}},
            [("warning", "business-rule", "Observation.value.value")],
        ),
        (
            {"component": [{"valueQuantity": {"value": 7}}]},
            [("error", "required", "Observation.component[0].value.code")],
        ),
    ],
)
def test_the_gateway_of_the_health_stations_has_rules_of_its_own(rules, more, expected):
    resource = {key: value for key, value in measurement(**more).items() if value is not ...}

    assert told(rules.check(resource, ("hl7v2", "iot-gateway"))) == expected
    assert rules.check(resource, ("rest",)) == []
    assert rules.check(resource | {"resourceType": "DiagnosticReport"}, ("iot-gateway",)) == []


def of_schema(schema):
    files = [SchemaFile(schema, "tea/x.schema.json")]
    return SiteRules(definitions(), {}, files, ("rest", "hl7v2", "iot-gateway"))


def test_a_schema_without_source_is_for_everybody_and_tells_no_value():
    schema = {
        "appliesTo": {"resourceType": ["Patient"]},
        "properties": {"birthDate": {"pattern": "^19"}, "gender": False},
        "additionalProperties": {"type": "string"},
    }
    rules = of_schema(json.loads(json.dumps(schema)))

    issues = rules.check(
        {"resourceType": "Patient", "birthDate": "2001", "gender": "male", "active": True}
    )

    assert sorted(told(issues)) == [
        ("error", "business-rule", "Patient"),  # of `false`, jsonschema names the parent
        ("error", "business-rule", "Patient.birthDate"),
        ("error", "structure", "Patient.active"),
    ]
    assert "2001" not in str(issues)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({}, "say appliesTo"),
        ({"appliesTo": {"resourceType": []}}, "resourceType and source are arrays of names"),
        ({"appliesTo": {"resourceType": "Patient"}}, "arrays of names"),
        ({"appliesTo": {"resourceType": ["Pateint"]}}, "Pateint is no type of R4"),
        ({"appliesTo": {"resourceType": ["Patient"], "sender": ["x"]}}, "say appliesTo"),
        (
            {"appliesTo": {"resourceType": ["Patient"], "source": ["iot-gatway"]}},
            "iot-gatway is no source of rest, hl7v2, iot-gateway",
        ),
        ({"appliesTo": {"resourceType": ["Patient"]}, "type": "objekt"}, "/type: 'objekt'"),
        (
            {"appliesTo": {"resourceType": ["Patient"]}, "$ref": "https://x.example/s"},
            "refer to a part of the same schema",
        ),
        (
            {"appliesTo": {"resourceType": ["Patient"]}, "not": {"$ref": "#/$defs/none"}},
            "refer to a part of the same schema",
        ),
    ],
)
def test_a_schema_that_is_no_good_is_told_with_its_file(schema, problem):
    with pytest.raises(InvalidPackage, match=r"tea/x\.schema\.json") as caught:
        of_schema(schema)

    assert problem in str(caught.value)
