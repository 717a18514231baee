"""Records of one referral, as small as the rules allow. Names and numbers are made up."""

from fhir_hub.referral.states import STATES

BASE = "https://fhir-hub.example"
RESIDENT = {"system": "urn:oid:2.16.156.10011.1.3", "value": "310229195304129989"}


def concept(system, code):
    return {"coding": [{"system": system, "code": code}]}


def organization(name):
    return {"resourceType": "Organization", "id": name, "name": name}


PATIENT = {
    "resourceType": "Patient",
    "id": "shen",
    "identifier": [RESIDENT],
    "telecom": [{"system": "phone", "value": "13000000001"}],
}
CONDITION = {
    "resourceType": "Condition",
    "id": "diabetes",
    "subject": {"reference": "Patient/shen"},
    "code": concept("http://hl7.org/fhir/sid/icd-10", "E11.9"),
}
ALLERGY = {
    "resourceType": "AllergyIntolerance",
    "id": "none",
    "clinicalStatus": concept(
        "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"
    ),
    "patient": {"reference": "Patient/shen"},
    "code": concept("http://snomed.info/sct", "716186003"),
}
CONSENT = {
    "resourceType": "Consent",
    "id": "consent",
    "status": "active",
    "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
    "category": [concept("http://loinc.org", "59284-0")],
    "patient": {"reference": "Patient/shen"},
    "policyRule": concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
}
DOCTOR = {"resourceType": "Practitioner", "id": "dai", "name": [{"text": "戴慧"}]}
ORDER = {
    "resourceType": "ServiceRequest",
    "id": "order",
    "extension": [
        {
            "url": f"{BASE}/StructureDefinition/referral-direction",
            "valueCodeableConcept": concept(f"{BASE}/CodeSystem/referral-direction", "UP"),
        }
    ],
    "status": "draft",
    "intent": "order",
    "category": [concept(f"{BASE}/CodeSystem/service-request-category", "referral")],
    "priority": "routine",
    "subject": {"reference": "Patient/shen"},
    "requester": {"reference": "Practitioner/dai"},
    "performer": [{"reference": "Organization/SHTH01"}],
    "reasonReference": [{"reference": "Condition/diabetes"}],
    "supportingInfo": [
        {"reference": "AllergyIntolerance/none"},
        {"reference": "Consent/consent"},
    ],
    "note": [{"text": "请协助评估"}],
}
TASK = {
    "resourceType": "Task",
    "id": "task",
    "meta": {"profile": [f"{BASE}/StructureDefinition/cn-referral-task"]},
    "status": "requested",
    "intent": "order",
    "code": concept("http://hl7.org/fhir/CodeSystem/task-code", "fulfill"),
    "focus": {"reference": "ServiceRequest/order"},
    "for": {"reference": "Patient/shen"},
    "requester": {"reference": "Organization/ZJJCHC"},
    "owner": {"reference": "Organization/SHTH01"},
}
ROUTES = [
    {
        "resourceType": "OrganizationAffiliation",
        "id": f"route-{number}",
        "active": True,
        "organization": {"reference": f"Organization/{lead}"},
        "participatingOrganization": {"reference": f"Organization/{centre}"},
        "code": [concept(f"{BASE}/CodeSystem/affiliation", "contract-1-1-1")],
    }
    for number, (lead, centre) in enumerate([("SHTH01", "ZJJCHC"), ("QPDCH", "ZJJCHC")])
]
FRAME = [
    *(organization(name) for name in ("ZJJCHC", "QPDCH", "SHTH01", "JSPH01")),
    PATIENT,
    DOCTOR,
    CONDITION,
    ALLERGY,
    CONSENT,
    ORDER,
    *ROUTES,
]


def in_state(name, **elements):
    """Return the Task in a state."""
    state = STATES[name]
    shown = {"businessStatus": state.business_status} if state.business_status else {}
    return TASK | {"status": state.status} | shown | elements


async def stored(client, *resources):
    """Store the resources in one transaction."""
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    bundle["entry"] = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in resources
    ]
    answer = await client.post("", json=bundle)
    assert answer.status_code == 200, answer.text


async def joined(client, operation):
    """Have `$merge` join the records `shen` and `twin`, or `$unmerge` part them."""
    named = ("source-patient", "shen"), ("target-patient", "twin")
    given = [{"name": n, "valueReference": {"reference": f"Patient/{i}"}} for n, i in named]
    body = {"resourceType": "Parameters", "parameter": given}
    answer = await client.post(f"Patient/{operation}", json=body)
    assert answer.status_code == 200, answer.text
