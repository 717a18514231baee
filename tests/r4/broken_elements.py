"""Broken samples of the shape: elements, cardinality, choices, references, extensions.

Each: the resource, the issue code and the element that the checks must name.
"""

from r4.samples import ABSENT, LOINC, Sample, bundle, extended, observation, patient, timing

ELEMENTS: list[Sample] = [
    # what a resource is
    ([], "structure", ""),
    (None, "structure", ""),
    ("Patient", "structure", ""),
    ({}, "invalid", "resourceType"),
    ({"resourceType": "patient"}, "invalid", "resourceType"),
    ({"resourceType": "DomainResource"}, "invalid", "resourceType"),
    ({"resourceType": "HumanName"}, "invalid", "resourceType"),
    ({"resourceType": ["Patient"]}, "invalid", "resourceType"),
    # elements
    (patient(nme=[]), "structure", "Patient.nme"),
    (patient(**{"no name": 1}), "structure", "Patient"),
    (patient(name=[{"first": "x"}]), "structure", "Patient.name[0].first"),
    (patient(name=[{"resourceType": "HumanName"}]), "structure", "Patient.name[0].resourceType"),
    (patient(fhir_comments=["x"]), "structure", "Patient"),
    (
        patient(contact=[{"name": {"text": "x"}, "nick": "y"}]),
        "structure",
        "Patient.contact[0].nick",
    ),
    # cardinality
    (patient(name={"text": "x"}), "structure", "Patient.name"),
    (patient(gender=["male"]), "structure", "Patient.gender"),
    (patient(maritalStatus=[{"text": "x"}]), "structure", "Patient.maritalStatus"),
    (patient(name=[]), "invalid", "Patient.name"),
    (patient(name=[{}]), "invalid", "Patient.name[0]"),
    (patient(name=[None]), "structure", "Patient.name[0]"),
    (patient(name=[{"text": ""}]), "invalid", "Patient.name[0].text"),
    (patient(name=[{"text": " \t"}]), "invalid", "Patient.name[0].text"),
    (patient(name=None), "structure", "Patient.name"),
    (patient(birthDate=None), "structure", "Patient.birthDate"),
    (patient(meta="boo"), "structure", "Patient.meta"),
    (patient(meta={}), "invalid", "Patient.meta"),
    (patient(meta={"id": "1"}), "invariant", "Patient.meta"),
    ({"resourceType": "Observation", "code": LOINC}, "required", "Observation.status"),
    ({"resourceType": "Observation", "status": "final"}, "required", "Observation.code"),
    (patient(link=[{"type": "refer"}]), "required", "Patient.link[0].other"),
    (timing(), "invalid", "MedicationRequest.dosageInstruction[0].timing.repeat"),
    # choice elements
    (observation(valueString="x", valueInteger=1), "structure", "Observation.value"),
    (
        observation(valueString="x", _valueInteger={"extension": [ABSENT]}),
        "structure",
        "Observation.value",
    ),
    (observation(valueDistance={"value": 1}), "structure", "Observation.valueDistance"),
    (observation(value="x"), "structure", "Observation.value"),
    (observation(valuequantity={"value": 1}), "structure", "Observation.valuequantity"),
    (observation(valueQuantity="x"), "structure", "Observation.value"),
    # references
    (
        observation(subject={"reference": "Practitioner/1"}),
        "invalid",
        "Observation.subject.reference",
    ),
    (
        observation(subject={"reference": "https://a.example/fhir/Medication/1"}),
        "invalid",
        "Observation.subject.reference",
    ),
    (observation(subject={"reference": "patient/1"}), "invalid", "Observation.subject.reference"),
    (observation(subject={"reference": "Patient"}), "invalid", "Observation.subject.reference"),
    (observation(subject={"reference": "Patient/a_b"}), "invalid", "Observation.subject.reference"),
    (
        observation(subject={"reference": "Practitioner?name=x"}),
        "invalid",
        "Observation.subject.reference",
    ),
    (observation(subject={"reference": "#p"}), "invalid", "Observation.subject.reference"),
    (
        observation(subject={"reference": "Patient/1", "type": "Group"}),
        "invalid",
        "Observation.subject.reference",
    ),
    (observation(subject={"type": "Practitioner"}), "invalid", "Observation.subject.type"),
    (observation(subject="Patient/1"), "structure", "Observation.subject"),
    # extensions of primitives
    (patient(_birthDate={}), "invalid", "Patient.birthDate"),
    (patient(_birthDate={"id": "x"}), "invariant", "Patient.birthDate"),
    (patient(_birthDate=[{"extension": [ABSENT]}]), "structure", "Patient.birthDate"),
    (patient(birthDate="2024", _birthDate={"value": "x"}), "structure", "Patient.birthDate.value"),
    (patient(birthDate="boo", _birthDate={"extension": [ABSENT]}), "value", "Patient.birthDate"),
    (patient(birthDate=None, _birthDate={"extension": [ABSENT]}), "structure", "Patient.birthDate"),
    (patient(_name=[{"extension": [ABSENT]}]), "structure", "Patient.name"),
    (patient(_boo={"extension": [ABSENT]}), "structure", "Patient.boo"),
    (patient(name=[{"given": ["a", None]}]), "structure", "Patient.name[0].given[1]"),
    (
        patient(name=[{"given": ["a", None], "_given": [None, None]}]),
        "invalid",
        "Patient.name[0].given[1]",
    ),
    (
        patient(name=[{"given": ["a"], "_given": [None, {"extension": [ABSENT]}]}]),
        "structure",
        "Patient.name[0].given",
    ),
    (
        patient(name=[{"given": "a", "_given": [{"extension": [ABSENT]}]}]),
        "structure",
        "Patient.name[0].given",
    ),
    (
        patient(name=[{"given": None, "_given": [{"extension": [ABSENT]}]}]),
        "structure",
        "Patient.name[0].given",
    ),
    (patient(name=[{"_given": {"extension": [ABSENT]}}]), "structure", "Patient.name[0].given"),
    (patient(name=[{"_given": []}]), "invalid", "Patient.name[0].given"),
    (
        patient(name=[{"given": [None], "_given": [{"id": "x"}]}]),
        "invariant",
        "Patient.name[0].given[0]",
    ),
    # extensions
    (extended({"valueString": "x"}), "required", "Patient.extension[0].url"),
    (extended({"url": "x:y"}), "invariant", "Patient.extension[0]"),
    (
        extended(
            {"url": "x:y", "valueString": "x", "extension": [{"url": "z", "valueString": "x"}]}
        ),
        "invariant",
        "Patient.extension[0]",
    ),
    (
        extended({"url": "x:y", "valueString": "x", "valueCode": "y"}),
        "structure",
        "Patient.extension[0].value",
    ),
    (
        extended({"url": "x:y", "valuePatient": {}}),
        "structure",
        "Patient.extension[0].valuePatient",
    ),
    # a content reference
    (
        {
            "resourceType": "Questionnaire",
            "status": "active",
            "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "texts"}]}],
        },
        "code-invalid",
        "Questionnaire.item[0].item[0].type",
    ),
    # contained resources
    (patient(contained={"resourceType": "Patient", "id": "x"}), "structure", "Patient.contained"),
    (patient(contained=["x"]), "structure", "Patient.contained[0]"),
    (patient(contained=[{"id": "x"}]), "invalid", "Patient.contained[0].resourceType"),
    (patient(contained=[{"resourceType": []}]), "invalid", "Patient.contained[0].resourceType"),
    (patient(contained=[{"resourceType": {}}]), "invalid", "Patient.contained[0].resourceType"),
    (
        observation(
            contained=[{"resourceType": "Patient", "id": "p", "nme": 1}],
            subject={"reference": "#p"},
        ),
        "structure",
        "Observation.contained[0].nme",
    ),
    (
        observation(
            contained=[{"resourceType": "Device", "id": "p"}], performer=[{"reference": "#p"}]
        ),
        "invalid",
        "Observation.performer[0].reference",
    ),
    (observation(contained=[{"resourceType": "Patient"}]), "invariant", "Observation.contained[0]"),
    (
        observation(contained=[{"resourceType": "Patient", "id": "p"}]),
        "invariant",
        "Observation.contained[0]",
    ),
    (
        observation(
            contained=[{"resourceType": "Patient", "id": "p"}] * 2, subject={"reference": "#p"}
        ),
        "invariant",
        "Observation.contained[1]",
    ),
    (
        observation(
            contained=[{"resourceType": "Patient", "id": "p", "contained": [patient(id="q")]}],
            subject={"reference": "#p"},
        ),
        "invariant",
        "Observation.contained[0]",
    ),
    (
        observation(
            contained=[patient(id="p", meta={"versionId": "1"})], subject={"reference": "#p"}
        ),
        "invariant",
        "Observation.contained[0]",
    ),
    (
        observation(
            contained=[patient(id="p", meta={"security": [{"code": "R"}]})],
            subject={"reference": "#p"},
        ),
        "invariant",
        "Observation.contained[0]",
    ),
    # resources in resources
    (
        bundle("collection", {"resource": patient(gender="x")}),
        "code-invalid",
        "Bundle.entry[0].resource.gender",
    ),
    (
        bundle("collection", {"resource": {"resourceType": "X"}}),
        "invalid",
        "Bundle.entry[0].resource.resourceType",
    ),
    (bundle("collection", {"resource": 1}), "structure", "Bundle.entry[0].resource"),
    (
        {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": patient(id="_")}]},
        "value",
        "Parameters.parameter[0].resource.id",
    ),
    # a resource in a Bundle does not see what another one contains
    (
        bundle("collection", {"resource": observation(subject={"reference": "#p"})}),
        "invalid",
        "Bundle.entry[0].resource.subject.reference",
    ),
]
