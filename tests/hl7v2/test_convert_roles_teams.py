"""Who cares for a patient together: the CareTeam of ROL and PRT.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (ADT_A01: ROL[CareTeam], PRT[CareTeam])
"""

import pytest
from conversion_parts import (
    PID,
    TABLE_MSH,
    by_table,
    converted,
    errors,
    lines,
    of_type,
    only,
    target,
)

NURSE = "ROL|1|AD|RN^Nurse^HL70443|7^王^芳|20250101|20251231||||||||甲院^^^^^^^^^77"
GP = "ROL|2|AD|PP^Primary^HL70443|8^李^明"
AFTER = "ROL|3|AD|AT^Attending^HL70443|9^赵^强"
PRT = "PRT|1|AD||AT^Attending^HL70912|9^赵^强|||乙院^^^^^^^^^78"


def admitted(*patient, visit=()):
    message = lines(TABLE_MSH.format("ADT^A01^ADT_A01"), PID, *patient, "PV1|1|I", *visit)
    return converted(message, by_table=True)


def members(conversion):
    team = only(conversion, "CareTeam")
    return {
        target(conversion, one["member"])["name"][0]["text"]: one for one in team["participant"]
    }


def test_all_who_care_for_a_patient_are_one_team():
    conversion = admitted(NURSE, GP, PRT)
    found = members(conversion)
    assert list(found) == ["王芳", "赵强"]  # the general practitioner is the patient's own
    nurse = found["王芳"]
    assert nurse["role"][0]["coding"][0]["code"] == "RN"
    assert nurse["period"]["end"][:10] == "2025-12-31"
    assert target(conversion, nurse["onBehalfOf"])["name"] == "甲院"
    assert target(conversion, found["赵强"]["onBehalfOf"])["name"] == "乙院"
    subject = only(conversion, "CareTeam")["subject"]
    assert target(conversion, subject)["resourceType"] == "Patient"
    assert errors(conversion) == []


def test_who_acts_in_the_visit_is_its_participant_alone():
    conversion = admitted(GP, visit=(AFTER,))
    assert of_type(conversion, "CareTeam") == []
    assert len(only(conversion, "Encounter")["participant"]) >= 1


def test_who_is_taken_out_was_in_the_team_until_then():
    leaves = NURSE.replace("|AD|", "|DE|", 1).replace("|20251231|", "|20250315|")
    assert members(admitted(leaves))["王芳"]["period"]["end"][:10] == "2025-03-15"


def test_a_patients_will_is_an_observation():
    pd1 = "PD1|||||||Y^Yes^HL70315"
    will = only(admitted(pd1), "Observation")
    assert will["code"]["coding"][0]["code"] == "75320-2"
    assert will["valueCodeableConcept"]["coding"][0]["code"] == "Y"


def test_an_answer_says_to_what_and_how():
    conversion = by_table("ORL^O22^ORL_O22", "MSA|AE|C9", "ORC|OK|P1", "OBR|1|P1||X^Y")
    header = only(conversion, "MessageHeader")
    assert header["response"] == {"identifier": "C9", "code": "transient-error"}


def test_a_charge_tells_who_cares_for_the_patient_too_and_not_who_did_the_procedure():
    account = lines(TABLE_MSH.format("BAR^P01^BAR_P01"), PID, PRT, "PV1|1|I")
    assert list(members(converted(account, by_table=True))) == ["赵强"]

    charge = lines(
        TABLE_MSH.format("DFT^P03^DFT_P03"), PID, "FT1|1|||20250310||CG|A^a", "PR1|1||B^b"
    )
    conversion = converted(f"{charge}{AFTER}\r", by_table=True)
    assert of_type(conversion, "CareTeam") == []
    assert len(only(conversion, "Procedure")["performer"]) == 1


@pytest.mark.parametrize("number", ["MSG_1", "1:2", "A" * 65, "询问1"])
def test_what_is_answered_by_a_number_that_is_no_fhir_id_is_left_out(number):
    conversion = by_table("ORL^O22^ORL_O22", f"MSA|AA|{number}", "ORC|OK|P1", "OBR|1|P1||X^Y")

    assert "response" not in only(conversion, "MessageHeader")
    assert errors(conversion) == []


def test_of_a_number_that_is_there_twice_the_first_is_answered():
    conversion = by_table("ORL^O22^ORL_O22", "MSA|AA|M1~M1", "ORC|OK|P1", "OBR|1|P1||X^Y")

    assert only(conversion, "MessageHeader")["response"] == {"identifier": "M1", "code": "ok"}
