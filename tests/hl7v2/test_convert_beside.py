"""What a message tells beside its subject: supplies, files, charges, authorisations, studies.

Spec: HL7v2 chapters 4 (RQD, BLG), 6 (FT1), 7 (CTI), 11 (AUT) and 13 (INV, SAC); the tables of
v2-to-FHIR are silent about these but for DG1[EpisodeOfCare] and AL1
"""

import pytest
from conversion_parts import (
    TABLE_MSH,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    target,
    values,
)

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.8"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def made(kind, *segments, by_table=True):
    conversion = converted(lines(MSH.format(kind), PID, *segments), by_table=by_table)
    assert errors(conversion) == []
    return conversion


def code(concept):
    return concept["coding"][0]["code"]


@pytest.mark.parametrize("by_table", [True, False])
def test_a_diagnosis_of_the_visit_is_one_of_its_episode(by_table):
    pv1 = "PV1|1|I" + "|" * 17 + "V1" + "|" * 35 + "E1"
    diagnosis = "DG1|1||I63.9^脑梗死^I10||20250301|F" + "|" * 9 + "2"
    conversion = made("ADT^A01^ADT_A01", pv1, diagnosis, by_table=by_table)
    (found,) = only(conversion, "EpisodeOfCare")["diagnosis"]
    assert target(conversion, found["condition"]) is only(conversion, "Condition")
    assert (code(found["role"]), found["rank"]) == ("DD", 2)


def test_a_visit_behind_its_diagnoses_says_what_each_is_for():
    diagnosis = "DG1|1||{}^病^I10|||{}" + "|" * 9 + "{}"
    told = [diagnosis.format("K63.3", "F", "1"), diagnosis.format("I10", "A", "")]
    pv1 = "PV1|1|I" + "|" * 17 + "V1"
    conversion = made("REF^I12^REF_I12", "RF1|P|R", "PRD|RP|李^明", *told, pv1)
    found = only(conversion, "Encounter")["diagnosis"]
    codes = [code(target(conversion, one["condition"])["code"]) for one in found]
    assert codes == ["K63.3", "I10"]
    assert [code(one["use"]) for one in found] == ["DD", "AD"]
    assert [one.get("rank") for one in found] == [1, None]


def test_through_whom_somebody_is_insured_may_be_asked():
    insured = segment("IN1", f1="1", f3="I1", f4="某保险", f11="某公司")
    told = segment("IN2", f49="李^明", f50="^^PH^^^21^5550001", f64="^^PH^^^21^5550002")
    conversion = made("ADT^A01^ADT_A01", "PV1|1|I", insured, told)
    holder = target(conversion, only(conversion, "Coverage")["policyHolder"])
    assert holder["name"] == "某公司"
    assert [one["value"][-4:] for one in holder["telecom"]] == ["0002"]
    (asked,) = holder["contact"]
    assert (asked["name"]["family"], asked["telecom"][0]["value"][-4:]) == ("李", "0001")


def test_the_severity_of_an_allergy_is_its_criticality_by_the_table():
    allergy = "AL1|1|DA|P^青霉素|SV|皮疹"
    found = only(made("ADT^A08^ADT_A01", allergy), "AllergyIntolerance")
    assert (found["criticality"], found["reaction"][0]["severity"]) == ("high", "severe")
    kept = only(made("ADT^A08^ADT_A01", allergy, by_table=False), "AllergyIntolerance")
    assert "criticality" not in kept


def test_a_charge_tells_of_a_procedure_and_a_medicine():
    fields = {1: "1", 2: "77", 4: "20250315", 6: "CG", 7: "71045^胸片"}
    fields |= {25: "71045^胸片^C4", 29: "0182-1061-05^阿司匹林^NDC", 42: "RX9", 43: "5^粒"}
    charge = "|".join(["FT1", *(fields.get(at, "") for at in range(1, 44))])
    conversion = made("DFT^P03^DFT_P03", charge)
    assert code(only(conversion, "Procedure")["code"]) == "71045"
    dispensed = only(conversion, "MedicationDispense")
    assert code(dispensed["medicationCodeableConcept"]) == "0182-1061-05"
    assert dispensed["quantity"]["value"] == 5
    assert dispensed["authorizingPrescription"][0]["identifier"]["value"] == "RX9"

    kept = made("DFT^P03^DFT_P03", charge, by_table=False)
    assert [of_type(kept, kind) for kind in ("Procedure", "MedicationDispense")] == [[], []]


@pytest.mark.parametrize("by_table", [True, False])
def test_what_the_payer_authorised_is_the_answer_to_a_claim(by_table):
    authorised = "AUT|PPO|HC02|某保险|20250310|20250610|A77|175|||20250311" + "|" * 18 + "首诊"
    conversion = made("REF^I12^REF_I12", "RF1|P|R", authorised, by_table=by_table)
    found = only(conversion, "ClaimResponse")
    assert (found["preAuthRef"], found["created"]) == ("A77", "2025-03-11")
    assert found["preAuthPeriod"] == {"start": "2025-03-10", "end": "2025-06-10"}
    assert target(conversion, found["insurer"])["name"] == "某保险"
    assert found["total"][0]["amount"]["value"] == 175
    assert found["processNote"][0]["text"] == "首诊"


@pytest.mark.parametrize(("order", "status"), [("NW", "active"), ("CA", "cancelled")])
def test_a_requisition_is_a_supply_request(order, status):
    requisition = "RQD|1|I7^人工髋关节|||2|个|||ORSUP^手术部|20250320"
    conversion = made("ORM^O01^ORM_O01", f"ORC|{order}|P1", requisition, "RQ1||GPC^厂商")
    found = only(conversion, "SupplyRequest")
    assert (found["status"], code(found["itemCodeableConcept"])) == (status, "I7")
    assert (found["quantity"]["value"], found["occurrenceDateTime"]) == (2, "2025-03-20")
    assert target(conversion, found["supplier"][0])["name"] == "厂商"
    assert target(conversion, found["deliverTo"])["name"] == "手术部"


def test_an_order_that_is_charged_to_an_account_names_it():
    order = ("ORC|NW|P1", "OBR|1|P1||X^Y", "BLG||CR|A168^^^HIS")
    assert only(made("OML^O21^OML_O21", *order), "Account")["identifier"][0]["value"] == "A168"


def test_a_run_of_the_laboratory_names_substance_container_and_study():
    conversion = made(
        "OUL^R22^OUL_R22",
        "SPM|1|S1||BLD",
        "SAC||ACC7|BOX9" + "|" * 18 + "10|5||mL",
        "OBR|1|P1|F1|X^Y",
        "INV|RG1^试剂|OK|RC^校准品|BOX1|||50|25|||mL|20260131||||LOT7",
        "CTI|STUDY1|2^二期",
    )
    specimen = of_type(conversion, "Specimen")[0]
    assert specimen["accessionIdentifier"]["value"] == "ACC7"
    assert specimen["container"][0]["identifier"][0]["value"] == "BOX9"
    substance = only(conversion, "Substance")
    assert (substance["status"], code(substance["code"])) == ("active", "RG1")
    (held,) = substance["instance"]
    assert (held["quantity"]["value"], held["expiry"]) == (25, "2026-01-31")
    study = only(conversion, "ResearchStudy")
    assert (study["identifier"][0]["value"], code(study["phase"])) == ("STUDY1", "2")


def test_a_file_among_observations_is_the_form_of_a_report():
    obx = "OBX|1|ED|ECG^心电图||^application^pdf^Base64^QUJD||||||F|||20250315"
    conversion = made("ADT^A08^ADT_A01", obx)
    found = only(conversion, "DiagnosticReport")
    assert (found["status"], code(found["code"])) == ("final", "ECG")
    assert found["presentedForm"][0]["data"] == "QUJD"
    assert of_type(made("ADT^A08^ADT_A01", obx, by_table=False), "DiagnosticReport") == []


def test_a_merge_is_a_linkage_by_the_table():
    conversion = made("ADT^A40^ADT_A39", "MRG|T2^^^TEST01^PI")
    numbers = [
        target(conversion, one["resource"])["identifier"][0]["value"]
        for one in only(conversion, "Linkage")["item"]
    ]
    assert numbers == ["T1", "T2"]


def test_a_diagnosis_is_due_to_its_parent():
    diagnosis = "DG1|1||K63.3^溃疡^I10|||F" + "|" * 14 + "D2||{}"
    conversion = made("ADT^A01^ADT_A01", diagnosis.format("D1"))
    first, parent = of_type(conversion, "Condition")
    (due,) = first["extension"]
    assert target(conversion, due["valueReference"]) is parent
    assert parent["identifier"][0]["value"] == "D1"
    kept = only(made("ADT^A01^ADT_A01", diagnosis.format("D1"), by_table=False), "Condition")
    assert kept["extension"][0]["valueReference"]["identifier"]["value"] == "D1"
    unnumbered = made("ADT^A01^ADT_A01", diagnosis.format("^^1.2.3^ISO"))
    assert of_type(unnumbered, "Condition")[1]["identifier"] == [{"system": "urn:oid:1.2.3"}]


@pytest.mark.parametrize(
    ("kin", "kind"), [("SPO", "RelatedPerson"), ("SEL", "Patient"), ("", "Practitioner")]
)
def test_who_told_of_an_allergy_is_who_records_it(kin, kind):
    told = f"IAM|1|FA|1^花生^L|||A|A7||||||20250301|李^明|{kin}||C" + "|" * 10 + "91935009^过敏^SCT"
    conversion = made("ADT^A60^ADT_A60", told)
    found = only(conversion, "AllergyIntolerance")
    assert target(conversion, found["recorder"])["resourceType"] == kind
    assert code(found["verificationStatus"]) == "confirmed"
    assert [one["code"] for one in found["code"]["coding"]] == ["1", "91935009"]


def test_an_order_after_a_specimen_is_not_a_result_of_before():
    orders = [
        segment
        for number in (1, 2)
        for segment in (f"ORC|NW|P{number}", f"OBR|1|P{number}||X^Y", f"SPM|1|S{number}||BLD")
    ]
    conversion = made("OML^O21^OML_O21", *orders, by_table=False)
    found = [
        [target(conversion, one)["identifier"][0]["value"] for one in order["specimen"]]
        for order in of_type(conversion, "ServiceRequest")
    ]
    assert found == [["S1"], ["S2"]]


@pytest.mark.parametrize(
    ("trigger", "ended", "status"),
    [("C01", "", "on-study"), ("C01", "20250401", "off-study"), ("C02", "", "not-registered")],
)
def test_who_takes_part_in_a_study_is_its_subject(trigger, ended, status):
    said = segment("CSR", f1="PROTO-1^S", f4="SUBJ-7^^^S", f6="20250310", f12="A^Arm A", f15=ended)
    conversion = made(f"CRM^{trigger}^CRM_C01", said)
    subject = only(conversion, "ResearchSubject")
    assert (subject["status"], subject["assignedArm"]) == (status, "Arm A")
    assert subject["period"] == {"start": "2025-03-10"} | ({"end": "2025-04-01"} if ended else {})
    assert values(target(conversion, subject["study"])) == ["PROTO-1"]
    assert target(conversion, subject["individual"])["resourceType"] == "Patient"


def test_a_bed_has_its_state():
    place = only(converted(lines(MSH.format("ADT^A20"), "EVN|A20", "NPU|3W^301^2^H|H")), "Location")
    visit = converted(lines(MSH.format("ADT^A01"), PID, "PV1|1|I|3W^301^2^H"))
    assert place["identifier"] == only(visit, "Location")["identifier"]
    assert place["operationalStatus"]["code"] == "H"


def test_how_a_record_may_be_seen_is_its_label():
    labels = ["ARV|1|A|||||R", "PV1|1|I", "ARV|1|A|||||V~PSY", "ARV|2|D|||||N"]
    conversion = made("ADT^A01^ADT_A01", *labels)
    found = [
        [one["code"] for one in only(conversion, kind)["meta"]["security"]]
        for kind in ("Patient", "Encounter")
    ]
    assert found == [["R"], ["V", "PSY"]]


def test_a_variance_is_a_note_of_what_went_otherwise():
    problem = ["PRB|AD|20250301|I10^高血压^I10|PB1^HIS", "VAR|V1|20250302||D1^戴|M^Med|no sleep"]
    goal = ["GOL|AD|20250301|G1^less^L|GI1^HIS", "VAR|V2|20250303||D1^戴|PAT^Patient refused"]
    conversion = made("PPR^PC1^PPR_PC1", *problem, *goal)
    (first,), (second,) = (only(conversion, kind)["note"] for kind in ("Condition", "Goal"))
    assert (first["text"], first["time"]) == ("no sleep", "2025-03-02")
    assert target(conversion, first["authorReference"])["resourceType"] == "Practitioner"
    assert second["text"] == "Patient refused"


def test_each_reaction_of_an_allergy_is_one():
    allergy = only(made("ADT^A60^ADT_A60", "AL1|1|DA|P^p|SV|hives~swelling"), "AllergyIntolerance")
    (reaction,) = allergy["reaction"]
    assert reaction["manifestation"] == [{"text": "hives"}, {"text": "swelling"}]
    assert reaction["severity"] == "severe"


def test_whoever_is_insured_herself_is_the_subscriber():
    said = segment("IN1", f1="1", f2="P^Plan", f3="I1", f16="沈^桂芳", f17="SLF")
    conversion = made("ADT^A01^ADT_A01", said)
    cover = only(conversion, "Coverage")
    assert target(conversion, cover["subscriber"]) is only(conversion, "Patient")


@pytest.mark.parametrize("kind", ["BAR^P01^BAR_P01", "ADT^A04^ADT_A01"])
def test_an_account_says_who_answers_for_it_and_what_pays(kind):
    account = segment("PID", f3="T1^^^TEST01^PI", f5="沈^桂芳", f18="A1^^^TEST01^AN")
    first = segment("GT1", f1="1", f2="G1", f3="沈^一", f13="20250101")
    other = segment("GT1", f1="2", f2="G2", f3="沈^二")
    cover = segment("IN1", f1="1", f2="城乡居民", f3="YB", f22="1", f36="P1")
    message = lines(TABLE_MSH.format(kind), account, first, other, cover)
    conversion = converted(message)
    found = only(conversion, "Account")

    named = [target(conversion, one["party"])["name"][0]["text"] for one in found["guarantor"]]
    assert named == ["沈一", "沈二"]
    assert found["guarantor"][0]["period"] == {"start": "2025-01-01"}
    assert [one["priority"] for one in found["coverage"]] == [1]
    assert target(conversion, found["coverage"][0]["coverage"])["resourceType"] == "Coverage"
    assert errors(conversion) == []


def test_a_consent_of_an_admission_is_one():
    con = segment("CON", f1="1", f2="001^知情同意^HL70496", f4="C1", f11="A", f13="20250310")
    conversion = made("ADT^A04^ADT_A01", con, by_table=False)
    assert only(conversion, "Consent")["status"] == "active"
    assert errors(conversion) == []


def test_everyone_who_has_a_copy_of_the_results_is_named():
    copies = [segment("PRT", f1=one, f2="AD", f4="RCT", f5=f"{one}^医") for one in ("D2", "D3")]
    obr = segment("OBR", f1="1", f2="P1", f3="F1", f4="A^a", f28="D1^医")
    conversion = made("ORU^R01^ORU_R01", obr, *copies)
    held = only(conversion, "ServiceRequest")["extension"]
    assert [one["url"].rsplit("/", 1)[1] for one in held] == ["result-copies-to"] * 3
    assert len({one["valueReference"]["reference"] for one in held}) == 3
    assert errors(conversion) == []
