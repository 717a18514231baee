"""Two records of one fact are told once, two facts twice: who takes a list for whole ends the rest.

Spec: HL7v2 chapter 2, 2.10.4; docs/outbound.md
"""

import emit_parts
import pytest
from hl7v2.test_emit_states import PATIENT, given, segments

HER = {"patient": {"reference": "Patient/p1"}}
STATE = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ALLERGY = {"resourceType": "AllergyIntolerance", **HER}
ALLERGY |= {"clinicalStatus": {"coding": [{"system": STATE, "code": "active"}]}}
COVER = {"resourceType": "Coverage", "status": "active"}
COVER |= {"beneficiary": HER["patient"], "subscriberId": "310229195304129989"}
KIN = {"resourceType": "RelatedPerson", **HER}
INSURERS = [{"resourceType": "Organization", "id": one, "name": one} for one in ("nhsa", "picc")]


def allergy(code="", text="", system="urn:local"):
    coding = {"coding": [{"system": system, "code": code}]} if code else {}
    return ALLERGY | {"code": coding | ({"text": text} if text else {})}


def cover(kind="", number="", payor="nhsa"):
    said = COVER | {"payor": [{"reference": f"Organization/{payor}"}]}
    said |= {"type": {"text": kind}} if kind else {}
    return said | ({"identifier": [{"value": number}]} if number else {})


def relative(name, *codes):
    roles = {"relationship": [{"coding": [{"code": one}]} for one in codes]} if codes else {}
    return KIN | {"name": [{"text": name}]} | roles


@pytest.mark.parametrize(
    ("segment", "one", "other", "count"),
    [
        pytest.param("AL1", allergy("99", "芒果"), allergy("99", "海鲜"), 2, id="other: what"),
        pytest.param("AL1", allergy("J01", "青霉素"), allergy("J01"), 1, id="a code"),
        pytest.param("AL1", allergy(text="Latex"), allergy("2", "latex"), 1, id="a text"),
        pytest.param("IN1", cover("城镇职工"), cover("商业保险"), 2, id="two kinds of cover"),
        pytest.param("IN1", cover(number="P1"), cover(number="P2"), 2, id="two policies"),
        pytest.param("IN1", cover(payor="nhsa"), cover(payor="picc"), 2, id="two insurers"),
        pytest.param("IN1", cover("城镇职工", "P1"), cover(), 1, id="one cover"),
        pytest.param("NK1", relative("未知", "FTH"), relative("未知", "MTH"), 2, id="no name"),
        pytest.param("NK1", relative("沈明", "SON"), relative("沈明"), 1, id="one relative"),
        pytest.param("NK1", relative("沈明", "SON", "C"), relative("沈明", "SON"), 1, id="role"),
    ],
)
def test_of_two_records_is_told(segment, one, other, count):
    kin = (one | {"id": "k1"}, other | {"id": "k2"})

    emitted = emit_parts.written(given(PATIENT, *INSURERS, *kin))

    assert len(segments(emitted, segment)) == count
