"""Who takes part (ROL, PRT); accidents, deaths, consents (ACC, PDA, CON); numbers that move (MRG).

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (ROL, PRT); HL7v2 chapters 3, 6 and 9
"""

import pytest
from conversion_parts import converted, errors, every, lines, of_type, only, states, target

MSH = "MSH|^~\\&|HIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.5.1"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F||||||||||A7"
PV1 = "PV1|1|I|||||||||||||||||M1"
DOCTOR = "D1^周^明德^^^^^^TEST01"


def made(kind, *segments, by_table=False):
    conversion = converted(lines(MSH.format(kind), PID, *segments), by_table=by_table)
    assert errors(conversion) == []
    return conversion


def numbers(resource):
    return [one["value"] for one in resource["identifier"]]


def test_a_primary_care_provider_is_the_patients_general_practitioner():
    conversion = made("ADT^A01^ADT_A01", f"ROL|R1|AD|PP^家庭医生^HL70443|{DOCTOR}", PV1)
    (reference,) = only(conversion, "Patient")["generalPractitioner"]
    assert numbers(target(conversion, reference)) == ["D1"]
    assert "participant" not in only(conversion, "Encounter")


def test_a_role_beside_the_visit_takes_part_in_it_for_its_time():
    role = f"ROL|R1|AD|AT^主治^HL70443|{DOCTOR}|202503150800|202503160800"
    conversion = made("ADT^A01^ADT_A01", PV1, role)
    (participant,) = only(conversion, "Encounter")["participant"]
    assert participant["type"][0]["coding"][0]["code"] == "ATND"
    assert participant["period"]["start"] == "2025-03-15T08:00:00+08:00"
    assert numbers(target(conversion, participant["individual"])) == ["D1"]
    assert "generalPractitioner" not in only(conversion, "Patient")


def test_a_role_in_a_procedure_performs_it_and_is_none_of_the_visits():
    segments = (PV1, "PR1|1||29240004^尸检^SCT||20250315", f"ROL|R1|AD|SU|{DOCTOR}")
    conversion = made("ADT^A01^ADT_A01", *segments)
    (performer,) = only(conversion, "Procedure")["performer"]
    assert numbers(target(conversion, performer["actor"])) == ["D1"]
    assert "participant" not in only(conversion, "Encounter")


def test_a_role_that_ends_is_not_told_anew():
    conversion = made("ADT^A01^ADT_A01", f"ROL|R1|DE|PP|{DOCTOR}", PV1)
    assert "generalPractitioner" not in only(conversion, "Patient")


def test_by_the_tables_a_role_is_a_resource_with_place_time_and_phone():
    role = f"ROL|R1|AD|PP^PCP^HL70443|{DOCTOR}|2025|||||||^WPN^PH^^^021^5555|W1^2^3|甲院^^9"
    conversion = made("ADT^A01^ADT_A01", role, PV1, by_table=True)
    found = target(conversion, only(conversion, "Patient")["generalPractitioner"][0])
    assert found["resourceType"] == "PractitionerRole"
    assert (found["code"][0]["coding"][0]["code"], found["period"]["start"]) == ("PP", "2025")
    assert target(conversion, found["organization"])["name"] == "甲院"
    assert numbers(target(conversion, found["location"][0])) == ["3"]
    assert found["telecom"][0]["value"] == "0215555"


RESULT = ("OBR|1|P1|F1|X^Y", "OBX|1|NM|K^k||4|||||F")


def test_participants_of_a_result_are_its_performer_and_device():
    person = f"PRT|1|AD||RCT|{DOCTOR}"
    device = "PRT|2|AD||EQUIP||||||ANALYSER7^LIS"
    conversion = made("ORU^R01^ORU_R01", RESULT[0], RESULT[1], person, device)
    observation = only(conversion, "Observation")
    assert numbers(target(conversion, observation["performer"][-1])) == ["D1"]
    assert numbers(target(conversion, observation["device"])) == ["ANALYSER7"]


@pytest.mark.parametrize(
    ("role", "of"),
    [("RCT", "v2-0912 RCT"), ("PH", "practitioner-role pharmacist"), ("Z9", "local Z9")],
)
def test_by_the_tables_what_prt_calls_a_part_is_of_table_0912(role, of):
    person = f"PRT|1|AD||{role}|{DOCTOR}"
    found = of_type(made("ORU^R01^ORU_R01", *RESULT, person, by_table=True), "PractitionerRole")
    said = [one["code"][0]["coding"][0] for one in found if "code" in one]
    assert [f"{one['system'].rpartition('/')[2]} {one['code']}" for one in said] == [of]


@pytest.mark.parametrize(
    ("roles", "kinds"),
    [
        (
            [f"ROL|{one}|AD|{one}|D{one}^王^二" for one in ("PP", "AT", "TN")],
            ["v2-0443 PP", "v3-ParticipationType ATND", "v2-0443 TN"],
        ),
        (
            [f"PRT|{one}|AD||{one}|D{one}^王^二" for one in ("OP", "AT", "RCT", "Z9")],
            ["v2-0912 OP", "v3-ParticipationType ATND", "v2-0912 RCT", "local Z9"],
        ),
    ],
)
def test_what_a_part_in_a_visit_is_called_is_of_the_table_of_its_segment(roles, kinds):
    visit = only(made("ADT^A01^ADT_A01", PV1, *roles), "Encounter")
    said = [one["type"][0]["coding"][0] for one in visit["participant"]]
    assert [f"{one['system'].rpartition('/')[2]} {one['code']}" for one in said] == kinds


def test_participants_of_an_order_order_it_and_interpret_its_results():
    orders = f"PRT|1|AD||OP|{DOCTOR}"
    reads = "PRT|2|AD||PRI|D2^王^二^^^^^^TEST01"
    conversion = made("ORU^R01^ORU_R01", RESULT[0], orders, reads, RESULT[1])
    order, report = only(conversion, "ServiceRequest"), only(conversion, "DiagnosticReport")
    assert numbers(target(conversion, order["requester"])) == ["D1"]
    assert numbers(target(conversion, report["resultsInterpreter"][0])) == ["D2"]


ACC = "ACC|20250301|T^traffic^L|城北路口||Y|N||追尾||Y|||AC1"


def test_an_accident_is_an_observation_of_what_happened():
    observation = only(made("ADT^A01^ADT_A01", PV1, ACC), "Observation")
    assert (observation["valueString"], observation["effectiveDateTime"]) == ("追尾", "2025-03-01")
    assert numbers(observation) == ["AC1"]
    said = {
        one["code"]["coding"][0]["code"]: one["valueCodeableConcept"]["coding"][0]["code"]
        for one in observation["component"]
    }
    assert said == {"AJRI": "Y", "ADI": "N", "PNI": "Y"}


PDA = (
    "PDA|I21.9^急性心肌梗死^I10|ICU^1^2|Y|202503011200|D1^周^明德|Y"
    "|202503021000^202503021100|D2^王^二|N"
)


def test_a_death_has_its_cause_its_certificate_and_its_autopsy():
    conversion = made("ADT^A03^ADT_A03", PV1, PDA)
    assert only(conversion, "Condition")["code"]["coding"][0]["code"] == "I21.9"
    certified, autopsy = of_type(conversion, "Procedure")
    assert certified["performedDateTime"] == "2025-03-01T12:00:00+08:00"
    assert autopsy["performedPeriod"]["end"] == "2025-03-02T11:00:00+08:00"
    said = [
        (one["code"]["coding"][0]["code"], one["valueCodeableConcept"]["coding"][0]["code"])
        for one in of_type(conversion, "Observation")
    ]
    assert said == [("certified", "Y"), ("85699-7", "Y"), ("74497-9", "N")]


@pytest.mark.parametrize(
    ("said", "status", "scope"),
    [
        ("CON|1|001^病历查阅|F1||同意||||||A||20250301", "active", "patient-privacy"),
        ("CON|1|002^手术|F1||||||||R||20250301", "rejected", "treatment"),
        ("CON|1|002^手术|F1", "proposed", "treatment"),
    ],
)
def test_a_consent_is_kept_with_its_state(said, status, scope):
    document = "TXA|1|CN|TX|||||||||DOC1^HIS|||||AU"
    consent = only(made("MDM^T02^MDM_T02", PV1, document, said, RESULT[1]), "Consent")
    assert (consent["status"], consent["scope"]["coding"][0]["code"]) == (status, scope)
    assert consent["patient"]


def test_a_number_of_the_wrong_patient_is_taken_off_there():
    conversion = made("ADT^A43^ADT_A43", "MRG|T9^^^TEST01^PI|||T2^^^TEST01^PI")
    right, wrong = every(conversion, "Patient")
    assert (numbers(right.resource), numbers(wrong.resource)) == (["T1", "T9"], ["T2"])
    assert [one["value"] for one in wrong.removes["identifier"]] == ["T9"]
    assert wrong.mode == "create"


def test_an_account_of_the_wrong_patient_becomes_the_right_ones():
    conversion = made("ADT^A44^ADT_A43", "MRG|T2^^^TEST01^PI||A9")
    (account,) = every(conversion, "Account")
    # the number that it has now, and that of MRG-3: either finds it
    assert numbers(account.resource) == [value for _, value in account.match] == ["A7", "A9"]
    right, wrong = (one.resource for one in every(conversion, "Patient"))
    assert (numbers(right), numbers(wrong)) == (["T1"], ["T2"])
    assert target(conversion, account.resource["subject"][0]) is right


def test_a_visit_with_a_new_number_is_found_by_either():
    conversion = made("ADT^A50^ADT_A50", "MRG|T1^^^TEST01^PI||||M0", PV1)
    (visit,) = every(conversion, "Encounter")
    assert [value for _, value in visit.match] == ["M1", "M0"]


@pytest.mark.parametrize("trigger", ["A35", "A41", "A49"])
def test_an_account_that_changes_merges_no_patients(trigger):
    conversion = made(f"ADT^{trigger}", "MRG|T1^^^TEST01^PI||A3")
    patient = only(conversion, "Patient")
    assert patient["active"]
    assert "link" not in patient
    kept, merged = of_type(conversion, "Account")
    assert (numbers(kept), numbers(merged)) == (["A7"], ["A3"])
    assert (merged["status"], target(conversion, merged["partOf"])) == ("inactive", kept)


@pytest.mark.parametrize(
    ("phone", "values"),
    [
        ("5551^PRN^PH^^86^021^5552^^^^^5553", ["5553"]),
        ("5551^PRN^PH^^86^021^5552", ["0215552"]),
        ("5551^PRN^PH", ["5551"]),
        ("^NET^Internet^a@b.example", ["a@b.example"]),
        ("5551^PRN^PH^a@b.example", ["5551", "a@b.example"]),
    ],
)
def test_by_the_tables_a_phone_is_its_whole_number_before_its_pieces(phone, values):
    patient = f"PID|1||T1^^^TEST01^PI||沈^桂芳||||||||{phone}"
    message = lines(MSH.format("ADT^A01^ADT_A01"), patient, PV1)
    found = only(converted(message, by_table=True), "Patient")["telecom"]
    assert [one["value"] for one in found] == values


@pytest.mark.parametrize("by_table", [False, True])
def test_since_when_staff_has_a_name_is_in_the_zone_of_the_message(by_table):
    doctor = f"{DOCTOR}{'^' * 10}20200101080000"
    found = []
    for offset in ("-0500", "+0800"):
        header = MSH.format("ADT^A01^ADT_A01").replace("20250315101500", f"20250315101500{offset}")
        visit = f"PV1|1|I|||||{doctor}||||||||||||M1"
        conversion = converted(lines(header, PID, visit), by_table=by_table)
        named = [one["name"][0].get("period") for one in of_type(conversion, "Practitioner")]
        found.append(next(period["start"] for period in named if period))

    assert found == ["2020-01-01T08:00:00-05:00", "2020-01-01T08:00:00+08:00"]


@pytest.mark.parametrize("by_table", [True, False])
def test_a_participation_that_ends_before_it_begins_has_no_end(by_table):
    visit = made("ADT^A01^ADT_A01", PV1, f"ROL|R1|AD|AT|{DOCTOR}|2026|2025", by_table=by_table)
    (participant,) = only(visit, "Encounter")["participant"]
    assert participant["period"] == {"start": "2026"}
    order = ("ORC|RE|P1", "OBR|1|P1||X^Y", "OBX|1|NM|K^k||4|||||F", f"PRT|1|AD||AT|{DOCTOR}")
    result = made("ORU^R01^ORU_R01", *order, by_table=by_table)
    assert errors(result) == []


def test_the_facility_that_orders_is_kept_beside_who_orders():
    orc = "ORC|NW|P9^HIS||||||||||D7^李^强" + "|" * 9 + "朱家角卫生院^^ZJJ"
    stored = made("OML^O21^OML_O21", orc, "OBR|1|P9^HIS||GLU^血糖^L")
    order = only(stored, "ServiceRequest")
    assert target(stored, order["requester"])["resourceType"] == "Practitioner"
    named = [one for one in order["extension"] if one["url"].endswith("/order-facility")]
    assert [target(stored, one["valueReference"])["name"] for one in named] == ["朱家角卫生院"]
    assert {state for (path, _), state in states(stored).items() if path == "ORC-21.1"} == {
        "mapped"
    }
