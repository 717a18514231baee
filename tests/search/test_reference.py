"""Reference parameters, chains and reverse chains.

Spec: https://hl7.org/fhir/R4/search.html#reference
"""

import pytest

from fhir_hub.errors import InvalidParameter, UnknownParameter

BASE = "http://hub.test/fhir"


def about(subject, **more):
    return {"resourceType": "Observation", "subject": subject} | more


OBSERVATIONS = [
    about({"reference": "Patient/1"}),
    about({"reference": f"{BASE}/Patient/1/_history/2"}),
    about({"reference": "Group/1"}),
    about({"reference": "https://other.example/fhir/Patient/1"}),
    about({"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}),
    about({"identifier": {"system": "urn:i", "value": "7"}, "type": "Patient"}),
    about({"display": "somebody"}),
    about({"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p"}]),
    {"resourceType": "Observation"},
    about("odd"),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("subject=Patient/1", "1 2"),
        ("subject=1", "1 2 3"),
        ("subject:Patient=1", "1 2"),
        ("subject:Patient=Patient/1", "1 2"),
        ("subject:Group=1", "3"),
        (f"subject={BASE}/Patient/1", "1 2"),
        ("subject=Patient/1/_history/2", "2"),
        ("subject=https://other.example/fhir/Patient/1", "4"),
        ("subject=urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "5"),
        ("subject=Patient/1,Group/1", "1 2 3"),
        ("subject:missing=true", "9 10"),
        ("subject:missing=false", "1 2 3 4 5 6 7 8"),
        ("patient=1", "1 2"),
        ("patient=Patient/1", "1 2"),
        ("patient=https://other.example/fhir/Patient/1", "4"),
        ("patient:missing=false", "1 2 4 6"),
        ("patient:missing=true", "3 5 7 8 9 10"),
        ("subject:identifier=urn:i|7", "6"),
        ("patient:identifier=7", "6"),
        ("subject:identifier=8", ""),
    ],
)
def test_references_are_found(find, query, expected):
    assert " ".join(find(OBSERVATIONS, f"Observation?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "error", "named"),
    [
        ("subject=", InvalidParameter, "subject"),
        ("subject=a b", InvalidParameter, "subject"),
        ("patient=Group/1", InvalidParameter, "Patient only"),
        ("subject:Practitioner=1", InvalidParameter, "Practitioner"),
        ("subject:Nobody=1", UnknownParameter, "Nobody"),
        ("subject:exact=1", UnknownParameter, ":identifier"),
        ("subject:below=1", UnknownParameter, "not supported"),
        ("subject:identifier=|", InvalidParameter, "subject"),
    ],
)
def test_what_is_no_reference_is_refused(read, query, error, named):
    with pytest.raises(error, match=named):
        read(f"Observation?{query}")


def test_canonicals_are_references(find):
    questionnaires = [
        {"resourceType": "QuestionnaireResponse", "questionnaire": "http://q.example/1|2.0"},
        {"resourceType": "QuestionnaireResponse", "questionnaire": "http://q.example/1"},
        {"resourceType": "QuestionnaireResponse", "questionnaire": "#q"},
        {"resourceType": "QuestionnaireResponse", "questionnaire": 3},
    ]
    name = "QuestionnaireResponse?questionnaire"
    assert find(questionnaires, f"{name}=http://q.example/1") == ["1", "2"]
    assert find(questionnaires, f"{name}=http://q.example/1\\|2.0") == ["1"]


def test_the_first_entry_of_a_document_is_its_composition(find):
    document = {"resource": {"resourceType": "Composition", "id": "c"}}
    other = {"resource": {"resourceType": "Composition", "id": "d"}}
    bundles = [
        {"resourceType": "Bundle", "entry": [document, other]},
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Composition"}}]},
        {"resourceType": "Bundle", "entry": []},
    ]
    assert find(bundles, "Bundle?composition=Composition/c") == ["1"]
    assert find(bundles, "Bundle?composition=d") == []


WORLD = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:i", "value": "1"}],
        "name": [{"text": "沈桂芳"}],
        "managingOrganization": {"reference": "Organization/o1"},
    },
    {"resourceType": "Patient", "id": "p2", "name": [{"text": "王䶮"}]},
    {
        "resourceType": "Organization",
        "id": "o1",
        "name": "朱家角",
        "partOf": {"reference": "Organization/o2"},
    },
    {"resourceType": "Organization", "id": "o2", "name": "青浦"},
    about({"reference": "Patient/p1"}, id="b1", code={"coding": [{"code": "hba1c"}]}),
    about({"reference": "Patient/p2"}, id="b2", code={"coding": [{"code": "glucose"}]}),
    about({"reference": "Group/g1"}, id="b3"),
    {
        "resourceType": "Group",
        "id": "g1",
        "code": {"text": "x"},
        "member": [{"entity": {"reference": "Patient/p2"}}],
    },
    {
        "resourceType": "AuditEvent",
        "id": "a1",
        "agent": [{"who": {"reference": "Practitioner/d1"}}],
        "entity": [{"what": {"reference": "Patient/p1"}}],
    },
    {"resourceType": "Provenance", "id": "v1", "target": [{"reference": "Observation/b1"}]},
    {"resourceType": "List", "id": "l1", "entry": [{"item": {"reference": "Patient/p1"}}]},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Observation?patient.identifier=urn:i|1", "b1"),
        ("Observation?subject.identifier=1", "b1"),
        ("Observation?subject:Patient.name=王", "b2"),
        ("Observation?subject:Patient.name:contains=桂", "b1"),
        ("Observation?subject:Group.member=Patient/p2", "b3"),
        ("Observation?patient.organization.name=朱", "b1"),
        ("Observation?patient.organization.partof.name=青浦", "b1"),
        ("Observation?patient.organization.partof.partof.name=青浦", ""),
        ("Observation?patient._id=p2", "b2"),
        ("Observation?patient.name=沈&patient.identifier=1", "b1"),
        ("Observation?patient:Patient.name:missing=true", ""),
        ("Observation?subject.name=沈,王", "b1 b2"),
        ("Patient?_has:Observation:patient:code=hba1c", "p1"),
        ("Patient?_has:Observation:subject:code=hba1c,glucose", "p1 p2"),
        ("Patient?_has:Observation:patient:_has:Provenance:target:_id=v1", "p1"),
        ("Patient?_has:Group:member:_has:Observation:subject:_id=b3", "p2"),
        ("Patient?_has:AuditEvent:patient:_id=a1", "p1"),
        ("Patient?_has:AuditEvent:entity:agent=Practitioner/d1", "p1"),
        ("AuditEvent?patient=p1", "a1"),
        ("AuditEvent?patient.name=沈", "a1"),
        ("Organization?_has:Patient:organization:name=沈", "o1"),
        ("Observation?subject:Patient._has:Group:member:_id=g1", "b2"),
        ("Observation?subject._has:Group:member:_id=g1", "b2"),
        ("Observation?subject._list=l1", "b1"),
        ("Provenance?target.subject._list=l1", "v1"),
        ("Provenance?target:Observation.patient.name=沈", "v1"),
        ("Provenance?target.subject=Patient/p1", "v1"),
        ("?_has:Provenance:target:_id=v1", "b1"),
    ],
)
def test_chains_lead_from_resource_to_resource(find, query, expected):
    assert " ".join(find(WORLD, query)) == expected


@pytest.mark.parametrize(
    ("query", "error", "named"),
    [
        ("Observation?code.name=x", UnknownParameter, "code is no reference"),
        ("Observation?patient.nmae=x", UnknownParameter, "did you mean name"),
        ("Observation?subject.nmae=x", UnknownParameter, "did you mean name of Location, Patient"),
        (
            "Observation?subject.xyzzy=x",
            UnknownParameter,
            "Device, Group, Location, Patient have no",
        ),
        ("Provenance?target.xyzzy=x", UnknownParameter, "145 types have no parameter 'xyzzy'"),
        ("Observation?subject._text=x", UnknownParameter, "not"),
        ("Observation?subject:Nobody.name=x", UnknownParameter, "Nobody"),
        ("Observation?subject:Pateint.name=x", UnknownParameter, "did you mean Patient"),
        ("Observation?subject:Pateint=1", UnknownParameter, "there are :ident.*mean :Patient"),
        ("Observation?subject:identifer=1", UnknownParameter, "did you mean :identifier"),
        ("Observation?subject:Practitioner.name=x", InvalidParameter, "Practitioner"),
        ("Observation?patient.birthdate=x", InvalidParameter, "birthdate"),
        ("Observation?patient.=x", UnknownParameter, "Patient"),
        ("Patient?_has:Observation:patient=x", InvalidParameter, "_has:Type:reference:parameter"),
        ("Patient?_has:Observation::code=x", InvalidParameter, "_has:Type:reference:parameter"),
        ("Patient?_has:Nothing:patient:code=x", UnknownParameter, "Nothing' is no .* of R4$"),
        ("Patient?_has:Observatoin:patient:code=x", UnknownParameter, "did you mean Observation"),
        ("Patient?_has:Observation:patiend:code=x", UnknownParameter, "did you mean patient"),
        ("Patient?_has:Observation:code:code=x", UnknownParameter, "no reference"),
        ("Group?_has:Observation:patient:code=x", UnknownParameter, "does not refer to Group"),
        ("Patient?_has:Observation:patient:cod=x", UnknownParameter, "code"),
        ("Patient?_has=x", UnknownParameter, "_has"),
        ("Organization?" + "partof." * 9 + "name=x", InvalidParameter, "at most 8 links"),
        (
            "Provenance?target" + ".subject" * 7 + ":missing=true",
            InvalidParameter,
            "too many types",
        ),
        ("Provenance?target" + ".subject" * 7 + "=x", InvalidParameter, "values|too many types"),
    ],
)
def test_a_chain_that_leads_nowhere_is_refused(read, query, error, named):
    with pytest.raises(error, match=named):
        read(query)
