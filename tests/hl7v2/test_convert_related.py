"""What ties orders, results and people to each other: CTD, IPC, OBX-4, ROL of problems, TQ2.

Spec: HL7v2 chapters 4, 7, 11 and 12; https://build.fhir.org/ig/HL7/v2-to-fhir (OG)
"""

import pytest
from conversion_parts import (
    BASE,
    PID,
    TABLE_MSH,
    by_code,
    codes,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    states,
    target,
    values,
)

V2 = "http://terminology.hl7.org/CodeSystem/v2-"


def made(kind, *segments):
    conversion = converted(lines(TABLE_MSH.format(kind), PID, *segments))
    assert errors(conversion) == []
    return conversion


def parts(resource, name):
    """Return what each extension of ours of that name holds, its values by their kind."""
    url = f"{BASE}/StructureDefinition/{name}"
    told = [one["extension"] for one in resource["extension"] if one["url"] == url]
    return [
        {part["url"]: value for part in held for key, value in part.items() if key != "url"}
        for held in told
    ]


@pytest.mark.parametrize(
    ("of", "written", "code", "told"),
    [
        ("code", "RP^Return Patient After Evaluation^HL70282", "RP", "0282"),
        ("code", "WR", "WR", "0282"),
        ("orderDetail", "Med", "Med", "0281"),
        ("locationCode", "O", "O", "0284"),
        ("locationCode", "住院", "I", "0284"),
        ("reasonCode", "S", "S", "0336"),
        ("reasonCode", "S^术后复查", "S", None),
    ],
)
def test_a_bare_code_of_a_referral_is_of_hl7s_table(of, written, code, told):
    at = {"orderDetail": "f3", "code": "f4", "locationCode": "f5", "reasonCode": "f10"}[of]
    rf1 = segment("RF1", f1="P", **{"f4": "AM", "f6": "Z1", at: written})
    order = only(made("REF^I12^REF_I12", rf1, "PRD|RP|戴^慧"), "ServiceRequest")
    concept = order[of] if of == "code" else order[of][0]
    system = f"{V2}{told}" if told else f"{BASE}/CodeSystem/TEST01/local"
    assert concept["coding"][0] | {"system": system, "code": code} == concept["coding"][0]


def test_whom_to_ask_about_a_referral_is_kept_with_it():
    ask = segment(
        "CTD", f1="PR", f2="李^护士", f3="^^青浦", f5="^WPN^PH^^^^59721234", f6="O", f7="N7"
    )
    prd = segment("PRD", f1="RP", f2="戴^慧", f5="^WPN^PH^^^^59220001")
    found = made("REF^I12^REF_I12", "RF1|P|||||Z1", prd, ask, "PRD|RT|王^芳", "CTD|BP|赵^协")
    order = only(found, "ServiceRequest")
    first, second = parts(order, "order-contact")
    assert codes(first["role"]) == {"PR": f"{V2}0131"}
    assert first["contact"]["name"] == "李护士"
    assert first["contact"]["telecom"][0]["value"] == "59721234"
    assert (first["address"]["city"], first["identifier"]["value"]) == ("青浦", "N7")
    assert codes(first["preferred"]) == {"O": f"{V2}0185"}
    assert second["contact"] == {"name": "赵协"}
    (call,) = [one for one in order["extension"] if "callback" in one["url"]]
    assert call["valueContactPoint"]["value"] == "59220001"


def test_pictures_that_are_ordered_have_their_numbers_how_and_where():
    obr = "OBR|1|O1^P||CT^头颅CT"
    ipc = "IPC|ACC1^PACS|RP1^PACS|1.2.840.1|SPS1^PACS|CT|P1^平扫|CT1|R2^二号机房|AE_CT1"
    found = made("OMI^O23^OMI_O23", "ORC|NW|O1^P", obr, ipc)
    order = only(found, "ServiceRequest")
    assert values(order) == ["O1", "ACC1", "RP1", "SPS1", "urn:oid:1.2.840.1"]
    assert order["identifier"][1]["type"]["coding"][0]["code"] == "ACSN"
    modality, protocol = order["orderDetail"]
    assert modality["coding"][0]["system"] == "http://dicom.nema.org/resources/ontology/DCM"
    assert (protocol["text"], order["locationCode"][0]["text"]) == ("平扫", "二号机房")
    assert values(target(found, order["performer"][0])) == ["CT1"]
    assert "AE_CT1" in [one.get("valueString") for one in order["extension"]]
    at = [one for (path, _), one in states(found).items() if path.startswith("IPC")]
    assert set(at) == {"mapped"}


def test_what_is_no_uid_and_no_code_of_hl7_is_not_called_one():
    order = [
        "ORC|NW|O1^P",
        "TQ1|1",
        "TQ2|1|先做|O0^P",
        "OBR|1|O1^P||CT^头颅CT",
        "IPC|||STUDY7^PACS",
    ]
    made_of = only(made("OMI^O23^OMI_O23", *order), "ServiceRequest")
    (study,) = [one for one in made_of["identifier"] if one["value"] == "STUDY7"]
    assert study["system"] == f"{BASE}/sid/PACS"
    (told,) = parts(made_of, "related-order")
    assert V2 not in told["sequence"]["coding"][0]["system"]


@pytest.mark.parametrize(
    ("kind", "of", "order"),
    [
        ("ORM^O01^ORM_O01", "ServiceRequest", ["OBR|1|O1^P||X^Y"]),
        ("OMP^O09^OMP_O09", "MedicationRequest", ["RXO|D1^阿司匹林|100||mg"]),
        ("RDE^O11^RDE_O11", "MedicationRequest", ["RXE||D1^阿司匹林|100||mg"]),
    ],
)
def test_which_order_is_to_be_done_after_which_is_kept_with_it(kind, of, order):
    tq2 = "TQ2|1|S|O0^P|F0^F|G1^P|ES|F|10^min|3|T"
    body = ["TQ1|1||BID", tq2, *order] if of == "ServiceRequest" else [*order, "TQ1|1||BID", tq2]
    body = ["TQ1|1||BID", tq2, *order] if kind.startswith("OMP") else body
    found = only(made(kind, "ORC|NW|O1^P", *body), of)
    url = f"{BASE}/StructureDefinition/related-order"
    (told,) = [one["extension"] for one in found["extension"] if one["url"] == url]
    orders = [one["valueReference"] for one in told if one["url"] == "order"]
    assert [(one["type"], one["identifier"]["value"]) for one in orders] == [(of, "O0"), (of, "F0")]
    (told,) = parts(found, "related-order")
    assert (told["group"]["value"], told["repeats"]) == ("G1", 3)
    assert (str(told["interval"]["value"]), told["interval"]["code"]) == ("10", "min")
    tables = {"sequence": "0503", "condition": "0504", "cycle": "0505", "relationship": "0506"}
    for name, number in tables.items():
        assert told[name]["coding"][0]["system"] == f"{V2}{number}"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("1a", {"original-sub-identifier": "1a"}),
        (
            "2.1^2^1^X",
            {"original-sub-identifier": "2.1", "group": 2, "sequence": 1, "identifier": "X"},
        ),
        ("", None),
    ],
)
def test_results_that_belong_together_say_so(written, told):
    obx = f"OBX|1|NM|718-7^Hb^LN|{written}|130|g/L|||||F"
    found = by_code(made("ORU^R01^ORU_R01", "OBR|1||F1|X^Y", obx))["718-7"]
    url = "http://hl7.org/fhir/StructureDefinition/observation-v2-subid"
    held = [one["extension"] for one in found.get("extension", ()) if one["url"] == url]
    kept = [{part["url"]: v for part in one for k, v in part.items() if k != "url"} for one in held]
    assert kept == ([told] if told else [])


def test_who_cares_for_a_problem_is_a_team_of_its_own():
    first, second = "PRB|AD|20250301|I10^高血压^I10|P1", "PRB|AD|20250301|E11^糖尿病^I10|P2"
    roles = ["ROL||AD|PP^Primary^HL70443|D1^李^明", "ROL||AD|AT^Attending^HL70443|D2^王^芳"]
    found = made("PPR^PC1^PPR_PC1", first, *roles, second, "ROL||AD|AT|D3^赵^强")
    teams = of_type(found, "CareTeam")
    assert [len(one["participant"]) for one in teams] == [2, 1]
    why = [target(found, one["reasonReference"][0])["code"]["text"] for one in teams]
    assert why == ["高血压", "糖尿病"]


def test_who_cares_for_a_pathway_is_the_team_of_its_plan():
    found = made("PPP^PCB^PPP_PCB", "PTH|AD|P^路径|T1|20250301", "ROL||AD|AT|D3^赵^强")
    plan = only(found, "CarePlan")
    assert target(found, plan["careTeam"][0]) == only(found, "CareTeam")


STF = (
    "STF|S1^^^TEST01|S1~ZY310^^^WJW^LN|戴^慧|P|F|19800101|A|NK^内科|MED||^WPN^PH^^^^59220001"
    "|青浦|20100101^TEST01||||||主治医师"
)
STF = STF.replace("||^WPN", "|^WPN", 1)
PRA = "PRA|S1|G1^全科团队|GP|I|呼吸内科^^^|L99^MD"


@pytest.mark.parametrize("kind", ["MFN^M02^MFN_M02", "PMU^B01^PMU_B01"])
def test_staff_are_practitioners_and_what_they_do(kind):
    head = ["MFI|PRA||UPD|||NE", "MFE|MAD|1||S1"] if kind.startswith("MFN") else ["EVN|B01|2025"]
    found = converted(lines(TABLE_MSH.format(kind), *head, STF, PRA))
    assert errors(found) == []
    person, role = only(found, "Practitioner"), only(found, "PractitionerRole")
    assert values(person) == ["S1", "ZY310", "L99"]
    assert (person["name"][0]["text"], person["gender"], person["active"]) == (
        "戴慧",
        "female",
        True,
    )
    assert person["telecom"][0]["value"] == "59220001"
    assert target(found, role["practitioner"]) == person
    assert target(found, role["organization"])["name"] == "全科团队"
    assert [one["coding"][0]["code"] for one in role["specialty"]] == ["呼吸内科", "MED"]
    assert role["period"] == {"start": "2010-01-01"}


def test_who_is_deleted_of_a_staff_file_is_not_active():
    message = lines(TABLE_MSH.format("MFN^M02^MFN_M02"), "MFI|PRA||UPD", "MFE|MDL|1||S1", STF)
    assert only(converted(message), "Practitioner")["active"] is False


@pytest.mark.parametrize("kind", ["ADT^A08^ADT_A01", "SIU^S12^SIU_S12", "REF^I12^REF_I12"])
def test_a_value_of_which_nothing_is_said_is_an_observation_by_the_tables(kind):
    around = {
        "ADT": ["EVN|A08", PID, "PV1|1|O", "OBX|1|ST|||+||||||F"],
        "SIU": ["SCH|A1|F1|||||||||^^^20250315101500", PID, "OBX|1|ST|||+||||||F"],
        "REF": ["RF1|P|||||Z1", "PRD|RP|戴^慧", PID, "OBR|1||F1|X^Y", "OBX|1|ST|||+||||||F"],
    }[kind[:3]]
    found = converted(lines(TABLE_MSH.format(kind), *around), by_table=True)
    assert errors(found) == []
    (absent,) = only(found, "Observation")["code"]["extension"]
    assert absent["valueCode"] == "unknown"
