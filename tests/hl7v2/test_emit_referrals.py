"""A referral that an application wrote, told by REF: whose it is stands in PRD.

Spec: HL7v2 chapter 11, PRD; docs/outbound.md
"""

import emit_parts
import pytest
from emit_parts import OF_HER, REFERRAL

from fhir_hub.hl7v2.emit.emit import Receiver
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.validity import faults

BASE = "https://fhir-hub.example"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": "310229195304129989"}],
    "name": [{"text": "沈桂芳"}],
}
DOCTOR = {
    "resourceType": "Practitioner",
    "id": "d1",
    "name": [{"text": "顾文"}],
    "identifier": [{"system": f"{BASE}/sid/QPDCH/practitioner", "value": "D1"}],
}
TASK = {
    "resourceType": "Task",
    "id": "t1",
    "status": "requested",
    "intent": "order",
    "focus": {"reference": "ServiceRequest/s1"},
    "for": OF_HER,
    "requester": {"reference": "Organization/zjjchc"},
    "owner": {"reference": "Organization/shth01"},
}


def institution(code):
    number = {"system": f"{BASE}/sid/organization", "value": code}
    return {"resourceType": "Organization", "id": code.lower(), "identifier": [number]}


@pytest.mark.parametrize(
    ("of_order", "of_task", "lines"),
    [
        pytest.param({}, {}, ["RT|||^^^SHTH01"], id="by the Task alone"),
        pytest.param(
            {"performer": [{"reference": "Organization/shth01"}]}, {}, ["RT|||^^^SHTH01"], id="both"
        ),
        pytest.param(
            {"performer": [{"reference": "Practitioner/d1"}]},
            {},
            ["RT|||^^^SHTH01", "RT|顾^文||^^^QPDCH|||D1^QPDCH"],
            id="the doctor's number is another's",
        ),
        pytest.param(
            {"requester": {"reference": "Practitioner/d1"}},
            {},
            ["RP|||^^^ZJJCHC", "RP|顾^文||^^^QPDCH|||D1^QPDCH", "RT|||^^^SHTH01"],
            id="so is that of who asks",
        ),
        pytest.param(
            {"performer": [{"reference": "Organization/shth01"}]},
            {
                "owner": {"reference": "Practitioner/d1"},
                "restriction": {"recipient": [{"reference": "Organization/shth01"}]},
            },
            ["RT|||^^^SHTH01"],
            id="taken up by somebody",
        ),
    ],
)
def test_a_referral_says_whose_it_is_though_it_goes_to_a_hub_between(of_order, of_task, lines):
    institutions = (institution("SHTH01"), institution("ZJJCHC"))
    resources = (PATIENT, REFERRAL | of_order, TASK | of_task, DOCTOR, *institutions)
    given = Resources(("", one) for one in resources)

    emitted = emit_parts.written(given, "REF^I12", Receiver(facility="QPRHP"))

    lines_of = [line.split("|") for line in emitted.text.split("\r")]
    assert faults(emitted.text) == []
    assert ["|".join(one[1:]) for one in lines_of if one[0] == "PRD"] == lines
    assert lines_of[0][5] == "QPRHP"
    assert not {one for one in emitted.left_out if one.startswith(("Task.owner", "Task.req"))}
    by_url = {one.full_url: one.resource for one in emit_parts.read(emitted.raw).resources}
    (task,) = (one for one in by_url.values() if one["resourceType"] == "Task")
    parties = [by_url[task[name]["reference"]] for name in ("requester", "owner")]
    assert [one["identifier"][0]["value"] for one in parties] == ["ZJJCHC", "SHTH01"]


@pytest.mark.parametrize("code", ["I", "O", "E", "A"])
def test_where_it_is_to_be_is_told_by_the_code_of_the_table(code):
    where = {"system": "http://terminology.hl7.org/CodeSystem/v2-0284", "code": code}
    given = Resources(
        ("", one) for one in (PATIENT, REFERRAL | {"locationCode": [{"coding": [where]}]})
    )

    emitted = emit_parts.written(given, "REF^I12")

    (rf1,) = (line.split("|") for line in emitted.text.split("\r") if line.startswith("RF1"))
    assert rf1[5].partition("^")[0] == code
