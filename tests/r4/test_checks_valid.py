"""What the checks let through: right resources, at the edges of the rules.

Spec: https://hl7.org/fhir/R4/json.html
"""

from decimal import Decimal
from typing import Any

import parts
import pytest
from r4.samples import (
    ABSENT,
    CLINICAL,
    LOINC,
    UCUM,
    XHTML,
    appointment,
    bundle,
    concept,
    condition,
    extended,
    narrative,
    observation,
    patient,
    timing,
)

from fhir_hub import fhirjson

CHECKS = parts.checks()

PERSON = patient(id="p")
OTHER_CODE = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
ABATED = condition(
    abatementDateTime="2024",
    clinicalStatus=concept(CLINICAL, "resolved"),
)
INLINE_IMAGE = f'<div {XHTML}><img src="data:image/png;base64,aGk=" alt=""/></div>'

VALID = [
    patient(),
    patient(name=[{"text": "张三", "family": "张", "given": ["三"]}], birthDate="1950-02"),
    patient(birthDate="2024-02-29", deceasedBoolean=False, multipleBirthInteger=2),
    patient(_birthDate={"extension": [ABSENT]}),
    patient(birthDate="2024", _birthDate={"id": "x"}),
    patient(name=[{"given": ["a", None], "_given": [None, {"extension": [ABSENT]}]}]),
    patient(name=[{"_given": [{"extension": [ABSENT]}]}]),
    patient(name=[{"given": ["a", "b"], "_given": [{"id": "1"}, None]}]),
    patient(contact=[{"_gender": {"extension": [ABSENT]}, "name": {"text": "x"}}]),
    patient(identifier=[{"system": "urn:oid:2.16.156.10011.1.3", "value": "1"}]),
    patient(photo=[{"contentType": "image/png", "data": "aGVs\nbG8="}]),
    patient(name=[{"period": {"start": "2024-02-29", "end": "2024-02"}}]),
    patient(name=[{"period": {"start": "2024-02-29", "end": "2024-02-28T20:00:00-08:00"}}]),
    patient(
        name=[{"period": {"start": "2024-02-29T10:00:00+08:00", "end": "2024-02-29T02:00:00Z"}}]
    ),
    patient(name=[{"period": {"_start": {"extension": [ABSENT]}, "end": "2024"}}]),
    extended({"url": "x:y", "extension": [{"url": "z", "valueDecimal": Decimal("1.10")}]}),
    extended({"url": "x:y", "valueUuid": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}),
    extended({"url": "x:y", "valueOid": "urn:oid:1.2.156"}),
    extended({"url": "x:y", "_valueString": {"extension": [ABSENT]}}),
    narrative(f"<div {XHTML}>x &lt; y &#160; <b>z</b></div>"),
    narrative(INLINE_IMAGE),
    narrative(f'<div {XHTML}><a href="https://a.example/?q=javascript:x">x</a></div>'),
    observation(valueString="x", component=[{"code": OTHER_CODE, "valueTime": "10:00:00.5"}]),
    observation(valueQuantity={"value": Decimal("72.50"), "comparator": "<"}),
    observation(valueRange={"low": {"value": 1, "unit": "g"}, "high": {"value": 1, "unit": "kg"}}),
    observation(valueRange={"low": {"value": 1}}),
    observation(effectiveDateTime="2016-12-31T23:59:60Z", issued="2024-02-29T10:00:00.123456789Z"),
    observation(effectivePeriod={"start": "2016-12-31T23:59:60Z", "end": "2016-12-31T23:59:60Z"}),
    observation(_status={"extension": [ABSENT]}) | {"status": "final"},
    observation(subject={"reference": "Patient/1/_history/2", "type": "Patient"}),
    observation(subject={"reference": "Patient?identifier=x|1"}),
    observation(subject={"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}),
    observation(subject={"reference": "https://a.example/fhir/Patient/1/_history/3"}),
    observation(subject={"reference": "https://a.example/other/thing"}),
    observation(subject={"display": "x", "type": "Patient"}),
    observation(subject={"type": "https://a.example/StructureDefinition/Thing", "display": "x"}),
    observation(contained=[PERSON], subject={"reference": "#p"}),
    observation(contained=[PERSON], subject={"reference": "#p", "type": "Patient"}),
    observation(
        contained=[
            {"resourceType": "Provenance", "id": "q"}
            | {"target": [{"reference": "#"}], "recorded": "2024-02-29T10:00:00Z"}
            | {"agent": [{"who": {"reference": "Practitioner/1"}}]}
        ]
    ),
    {k: v for k, v in observation(_status={"extension": [ABSENT]}).items() if k != "status"},
    appointment(),
    appointment(status="cancelled", cancelationReason={"text": "x"}),
    ABATED,
    condition(onsetAge={"value": 3, "system": UCUM, "code": "a"}),
    condition(onsetAge={"extension": [ABSENT]}, clinicalStatus={"extension": [ABSENT]}),
    extended({"url": "x:y", "valueCount": {"value": 3, "code": "1", "system": UCUM}}),
    extended({"url": "x:y", "valueDuration": {"value": 3, "code": "h", "system": UCUM}}),
    extended({"url": "x:y", "valueDuration": {"value": 3, "unit": "h"}}),
    condition(stage=[{"summary": {"text": "x"}}], evidence=[{"code": [LOINC]}]),
    timing(frequency=3, period=1, periodUnit="d", when=["AC"], offset=15),
    {"resourceType": "Organization", "name": "x", "telecom": [{"use": "work"}]},
    # two of R4's own examples are not as its definitions say; both are accepted
    {"resourceType": "DeviceMetric", "parent": {"reference": "DeviceDefinition/1"}}
    | {"type": {"text": "x"}, "category": "measurement"},
    {"resourceType": "QuestionnaireResponse", "status": "completed"}
    | {"id": "questionnaireresponse-extensions-QuestionnaireResponse-item-subject"},
    {"resourceType": "Account", "status": "active"},
    bundle("collection", {"fullUrl": "urn:x:1", "resource": patient()}),
    bundle("searchset", {"resource": patient(), "search": {"mode": "match"}}, total=1),
    bundle("transaction", {"resource": patient(), "request": {"method": "POST", "url": "Patient"}}),
    bundle(
        "collection", {"resource": observation(contained=[PERSON], subject={"reference": "#p"})}
    ),
    {"resourceType": "Bundle", "type": "batch-response"},
    {"resourceType": "Parameters", "parameter": [{"name": "x", "valueMoney": {"currency": "CNY"}}]},
    {
        "resourceType": "Parameters",
        "parameter": [{"name": "x", "part": [{"name": "y", "valueUri": "x:y"}]}],
    },
]


@pytest.mark.parametrize("resource", VALID)
def test_a_right_resource_has_no_issue(resource: dict[str, Any]) -> None:
    assert CHECKS.check(resource) == []


def test_every_type_of_r4_is_known() -> None:
    types = parts.definitions().resource_types

    assert len(types) == 146
    for name in sorted(types):
        found = CHECKS.check({"resourceType": name, "id": "a"})
        assert {issue.code for issue in found} <= {"required", "invariant"}, name


def test_a_check_leaves_the_resource_as_it_was() -> None:
    resource = observation(valueQuantity={"value": Decimal("72.50")}, contained=[PERSON])
    before = fhirjson.dumps(resource)

    CHECKS.check(resource)

    assert fhirjson.dumps(resource) == before


def test_decimals_as_they_are_read_are_decimals() -> None:
    observed = fhirjson.loads(fhirjson.dumps(observation(valueQuantity={"value": 1})))
    observed["valueQuantity"] = fhirjson.loads(b'{"value": 1e3}')

    assert CHECKS.check(observed) == []
    CHECKS.require(observed)
