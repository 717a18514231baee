"""A record to make documents of, and what holds of every document."""

from xml.etree import ElementTree

import parts

from fhir_hub import fhirjson

BASE = "https://fhir-hub.example"
LOINC = "http://loinc.org"
UNKNOWN = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def coded(code, system=LOINC, text=""):
    return {"coding": [{"system": system, "code": code}], **({"text": text} if text else {})}


def reference(address):
    return {"reference": address}


class Record:
    """Puts resources of one resident, by REST; ids are as given."""

    def __init__(self, client):
        self.client = client

    async def put(self, resource_type, logical_id, **elements):
        address = f"{resource_type}/{logical_id}"
        body = {"resourceType": resource_type, "id": logical_id, **elements}
        answer = await self.client.put(address, json=body)
        assert answer.status_code in (200, 201), answer.text
        return address

    async def begin(self):
        for logical_id, name in (("zjj", "朱家角"), ("sh", "市级医院")):
            code = {"system": f"{BASE}/sid/organization", "value": logical_id.upper()}
            await self.put("Organization", logical_id, identifier=[code], name=name)
        await self.put("Practitioner", "dai", name=[{"text": "戴慧"}])
        await self.put("Patient", "shen", name=[{"text": "沈桂芳"}], birthDate="1953-04-12")

    async def observation(self, logical_id, **more):
        told = {
            "status": "final",
            "code": coded("4548-4", text="糖化血红蛋白"),
            "subject": reference("Patient/shen"),
            "effectiveDateTime": "2024-02-20T08:00:00+08:00",
            "performer": [reference("Organization/sh")],
            "valueQuantity": {"value": 8.6, "unit": "%"},
        }
        return await self.put("Observation", logical_id, **told | more)

    async def condition(self, logical_id, icd="E11.9", **more):
        told = {
            "clinicalStatus": coded(
                "active", "http://terminology.hl7.org/CodeSystem/condition-clinical"
            ),
            "code": coded(icd, "http://hl7.org/fhir/sid/icd-10", "2型糖尿病"),
            "subject": reference("Patient/shen"),
        }
        return await self.put("Condition", logical_id, **told | more)

    async def told(self, target, institution, logical_id):
        """Say that an institution told a resource."""
        agent = {"who": {"display": "HIS"}, "onBehalfOf": reference(f"Organization/{institution}")}
        elements = {"target": [reference(target)], "recorded": "2024-02-21T00:00:00Z"}
        await self.put("Provenance", logical_id, **elements, agent=[agent])

    async def ask(self, address, status=200, **more):
        answer = await self.client.get(address, **more)
        assert answer.status_code == status, answer.text
        return fhirjson.loads(answer.content)


def resources(document, resource_type):
    """Return the resources of a type in a document, by id (those without: by address)."""
    return {
        one["resource"].get("id", one["fullUrl"]): one["resource"]
        for one in document["entry"]
        if one["resource"]["resourceType"] == resource_type
    }


def section(document, code):
    """Return the section of a LOINC code, None if there is none."""
    for one in document["entry"][0]["resource"]["section"]:
        if one.get("code", {}).get("coding", [{}])[0].get("code") == code:
            return one
    return None


def entries(document, code):
    """Return the addresses of a section's entries, below the base."""
    found = section(document, code)
    listed = found.get("entry", []) if found else []
    return [one["reference"].removeprefix("http://hub.test/fhir/") for one in listed]


def words(document, code):
    """Return all text of a section's narrative."""
    return "".join(ElementTree.fromstring(section(document, code)["text"]["div"]).itertext())


def require_document(document):
    """Check what holds of every document: R4 with all invariants, and that references lead on."""
    parts.checks().require(document)
    assert document["type"] == "document"
    assert document["entry"][0]["resource"]["resourceType"] == "Composition"
    addresses = {one["fullUrl"] for one in document["entry"]}
    assert len(addresses) == len(document["entry"])
    for one in document["entry"]:
        root = one["fullUrl"].rsplit("/", 2)[0] + "/" if "://" in one["fullUrl"] else ""
        for found in _references(one["resource"]):
            if found.startswith("#"):
                continue
            is_absolute = ":" in found.partition("/")[0]
            assert (found if is_absolute else root + found) in addresses, found


def _references(node):
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)
