"""Broken samples of the invariants that FHIRPath checks.

Each: the resource, the issue code and the element that the checks must name.
"""

from typing import Any

from r4.samples import LOINC, UCUM, Sample, extended


def questionnaire(*items: Any) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "status": "draft", "item": list(items)}


def item(**elements: Any) -> dict[str, Any]:
    return {"linkId": "1", "type": "string", **elements}


def profile(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": "https://a.example/StructureDefinition/x",
        "name": "X",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}]},
        **elements,
    }


def differential(**element: Any) -> dict[str, Any]:
    first = {"id": "Patient", "path": "Patient"}
    return profile(
        differential={"element": [first, {"id": "Patient.name", "path": "Patient.name"} | element]}
    )


def value_set(**include: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [include]}}


def report(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": "individual",
        "measure": "https://a.example/Measure/x",
        "period": {"start": "2024", "end": "2024"},
        **elements,
    }


def assessment(prediction: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "RiskAssessment", "status": "final"} | {
        "subject": {"reference": "Patient/1"},
        "prediction": [prediction],
    }


def script(action: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "TestScript",
        "url": "https://a.example/TestScript/x",
        "name": "X",
        "status": "draft",
        "setup": {"action": [action]},
    }


def capability(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "status": "draft",
        "date": "2024",
        "kind": "capability",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": "x"},
        "rest": [{"mode": "server"}],
        **elements,
    }


_ELEMENT = "StructureDefinition.differential.element[1]"
_ITEM = "Questionnaire.item[0]"
_ASSERTED = {"sourceId": "a", "encodeRequestUrl": True}
_REQUEST = {"resourceType": "RequestGroup", "status": "draft", "intent": "plan"}


RULES: list[Sample] = [
    # Questionnaire
    (questionnaire(item(), item()), "invariant", "Questionnaire"),
    (questionnaire(item(type="display", code=[{"code": "x"}])), "invariant", _ITEM),
    (questionnaire(item(type="display", readOnly=True)), "invariant", _ITEM),
    (questionnaire(item(type="display", required=True)), "invariant", _ITEM),
    (questionnaire(item(type="boolean", answerValueSet="urn:x")), "invariant", _ITEM),
    (questionnaire(item(type="date", maxLength=3)), "invariant", _ITEM),
    (
        questionnaire(
            item(enableWhen=[{"question": "2", "operator": "=", "answerString": "a"}] * 3)
        ),
        "invariant",
        _ITEM,
    ),
    (
        questionnaire(
            item(enableWhen=[{"question": "2", "operator": "exists", "answerString": "a"}])
        ),
        "invariant",
        f"{_ITEM}.enableWhen[0]",
    ),
    (
        questionnaire(item(type="group", item=[item(linkId="2")], initial=[{"valueString": "a"}])),
        "invariant",
        _ITEM,
    ),
    (
        questionnaire(item(initial=[{"valueString": "a"}, {"valueString": "b"}])),
        "invariant",
        _ITEM,
    ),
    # StructureDefinition and its elements
    (profile(differential={"element": [{"path": "Patient"}]}), "invariant", "StructureDefinition"),
    (profile(type="Extension"), "invariant", "StructureDefinition.differential"),
    (profile(contextInvariant=["true"]), "invariant", "StructureDefinition"),
    (profile(mapping=[{"identity": "x"}]), "invariant", "StructureDefinition.mapping[0]"),
    (differential(sliceName="a b"), "invariant", _ELEMENT),
    (differential(min=2, max="1"), "invariant", _ELEMENT),
    (differential(max="many"), "invariant", f"{_ELEMENT}.max"),
    (differential(sliceIsConstraining=True), "invariant", _ELEMENT),
    (differential(isModifier=True), "invariant", _ELEMENT),
    (
        differential(slicing={"rules": "open"}),
        "invariant",
        f"{_ELEMENT}.slicing",
    ),
    (
        differential(type=[{"code": "string", "targetProfile": ["urn:x"]}]),
        "invariant",
        f"{_ELEMENT}.type[0]",
    ),
    (
        differential(type=[{"code": "string"}, {"code": "string"}]),
        "invariant",
        _ELEMENT,
    ),
    (
        differential(fixedString="a", patternString="a"),
        "invariant",
        _ELEMENT,
    ),
    (
        differential(binding={"strength": "required", "valueSet": "x"}),
        "invariant",
        f"{_ELEMENT}.binding",
    ),
    # terminology
    (
        {"resourceType": "CodeSystem", "status": "draft", "content": "complete"}
        | {"concept": [{"code": "a", "concept": [{"code": "b"}]}, {"code": "b"}]},
        "invariant",
        "CodeSystem",
    ),
    (
        {"resourceType": "ConceptMap", "status": "draft"}
        | {"group": [{"element": [{"target": [{"code": "a", "equivalence": "narrower"}]}]}]},
        "invariant",
        "ConceptMap.group[0].element[0].target[0]",
    ),
    (
        {"resourceType": "ConceptMap", "status": "draft"}
        | {"group": [{"element": [{"code": "a"}], "unmapped": {"mode": "fixed"}}]},
        "invariant",
        "ConceptMap.group[0].unmapped",
    ),
    (value_set(concept=[{"code": "a"}]), "invariant", "ValueSet.compose.include[0]"),
    (value_set(version="1"), "invariant", "ValueSet.compose.include[0]"),
    # others, one a rule
    (capability(rest=[]) | {"rest": None}, "structure", "CapabilityStatement.rest"),
    (capability(kind="instance"), "invariant", "CapabilityStatement"),
    (
        capability(
            rest=[{"mode": "server", "resource": [{"type": "Patient"}, {"type": "Patient"}]}]
        ),
        "invariant",
        "CapabilityStatement.rest[0]",
    ),
    (
        report(type="data-collection", group=[{"id": "x", "code": LOINC}]),
        "invariant",
        "MeasureReport",
    ),
    (
        assessment({"probabilityDecimal": 101}),
        "invariant",
        "RiskAssessment.prediction[0]",
    ),
    (
        assessment({"probabilityRange": {"low": {"value": 1, "code": "kg", "system": UCUM}}}),
        "invariant",
        "RiskAssessment.prediction[0].probability",
    ),
    (_REQUEST | {"action": [{"title": "x"}]}, "invariant", "RequestGroup.action[0]"),
    (
        {"resourceType": "NutritionOrder", "status": "active", "intent": "order"}
        | {"patient": {"reference": "Patient/1"}, "dateTime": "2024"},
        "invariant",
        "NutritionOrder",
    ),
    (
        {"resourceType": "InsurancePlan", "status": "active"},
        "invariant",
        "InsurancePlan",
    ),
    (
        {"resourceType": "NamingSystem", "name": "X", "status": "draft", "kind": "root"}
        | {"date": "2024", "uniqueId": [{"type": "uuid", "value": "x"}]},
        "invariant",
        "NamingSystem",
    ),
    (
        {"resourceType": "MolecularSequence", "coordinateSystem": 2},
        "invariant",
        "MolecularSequence",
    ),
    (
        {"resourceType": "SearchParameter", "url": "urn:x", "name": "X", "status": "draft"}
        | {"description": "x", "code": "x", "base": ["Patient"], "type": "token", "chain": ["a"]},
        "invariant",
        "SearchParameter",
    ),
    (
        {"resourceType": "SearchParameter", "url": "urn:x", "name": "x y", "status": "draft"}
        | {"description": "x", "code": "x", "base": ["Patient"], "type": "token"},
        "invariant",
        "SearchParameter",
    ),
    (
        script({"operation": _ASSERTED, "assert": {"warningOnly": True}}),
        "invariant",
        "TestScript.setup.action[0]",
    ),
    (
        {"resourceType": "CareTeam"}
        | {
            "participant": [
                {
                    "member": {"reference": "Patient/1"},
                    "onBehalfOf": {"reference": "Organization/1"},
                }
            ]
        },
        "invariant",
        "CareTeam.participant[0]",
    ),
    (
        extended(
            {
                "url": "x:y",
                "valueDataRequirement": {
                    "type": "Patient",
                    "dateFilter": [{"id": "a", "valueDateTime": "2024"}],
                },
            }
        ),
        "invariant",
        "Patient.extension[0].value.dateFilter[0]",
    ),
]
