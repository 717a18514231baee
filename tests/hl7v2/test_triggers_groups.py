"""Each segment leads to the resource of its own group: the second order's results to the second.

Spec: HL7v2 chapters 3, 4, 6, 7, 10, 11 and 12 (message structures); v2-to-FHIR IG, message maps
"""

import pytest
from conversion_parts import converted, errors, lines, of_type, only, target, values

MSH = "MSH|^~\\&|HIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|{}"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F||||||||||A1"
PV1 = "PV1|1|I|||||||||||||||||M1"


def made(event, *segments, version="2.8", by_table=False):
    text = lines(MSH.format(event, version), PID, *segments)
    conversion = converted(text, by_table=by_table)
    assert errors(conversion) == []
    return conversion


def notes(resource):
    return [one["text"] for one in resource.get("note", ())]


def by_text(conversion, resource_type, element="code"):
    return {
        resource[element]["coding"][0]["code"]: resource
        for resource in of_type(conversion, resource_type)
    }


@pytest.mark.parametrize("structure", ["OML^O21^OML_O21", "OMG^O19^OMG_O19", "OML^O33^OML_O33"])
def test_a_result_of_before_has_its_own_order_and_the_order_its_own(structure):
    specimen = ["SPM|1|S1||BLD"] if "O33" in structure else []
    before = ["PID|1||T1^^^TEST01^PI", "OBR|1|||OLD^o", "OBX|1|NM|K^k||4|||||F", "NTE|1||before"]
    more = ["ORC|RE|P2|F2", "OBR|2|||OLDER^o", "OBX|1|NM|L^l||5|||||F"]
    order = ["ORC|NW|P1|F1", "OBR|1|||NEW^n", "NTE|1||now", *before, *more]
    conversion = made(structure, *specimen, *order)
    found = by_text(conversion, "ServiceRequest")
    assert values(found["NEW"]) == ["P1", "F1"]
    assert "identifier" not in found["OLD"]
    assert values(found["OLDER"]) == ["P2", "F2"]
    assert (notes(found["NEW"]), notes(found["OLD"])) == (["now"], [])
    assert notes(by_text(conversion, "Observation")["K"]) == ["before"]


@pytest.mark.parametrize("structure", ["OMG^O19^OMG_O19", "OMI^O23^OMI_O23", "ORM^O01^ORM_O01"])
def test_each_order_under_one_orc_has_what_was_observed_for_it(structure):
    order = ["ORC|NW|P1||G1^g", "NTE|1||of both", "OBR|1|P1||A^a", "NTE|1||of A"]
    order += ["OBX|1|ST|FOR-A^x||1||||||F", "OBR|2|P2||B^b", "OBX|1|ST|FOR-B^x||2||||||F"]
    conversion = made(structure, *order, "OBR|3|||C^c", "ORC|NW|P4", "OBR|1|||D^d")
    found = by_text(conversion, "ServiceRequest")
    observed = {
        code: [
            target(conversion, one)["code"]["coding"][0]["code"]
            for one in order.get("supportingInfo", ())
        ]
        for code, order in found.items()
    }
    assert observed == {"A": ["FOR-A"], "B": ["FOR-B"], "C": [], "D": []}
    assert [one["requisition"]["value"] for one in list(found.values())[:3]] == ["G1"] * 3
    assert [values(found[code])[0] for code in "ABCD"] == ["P1", "P2", "P1", "P4"]
    assert "of A" in notes(found["A"])
    assert "of A" not in notes(found["B"])


def test_notes_of_a_vaccination_and_of_what_was_observed_are_kept_apart():
    person = ["OBX|1|ST|P^p||x||||||F", "NTE|1||of the person"]
    dose = ["ORC|RE|P1|F1", "RXA|0|1|20250315|20250315|X^Y|1|mL", "NTE|1||of the dose"]
    seen = ["OBX|1|ST|O^o||y||||||F", "NTE|1||of the value"]
    conversion = made("VXU^V04^VXU_V04", *dose, *seen)
    assert notes(only(conversion, "Immunization")) == ["of the dose"]
    assert notes(only(conversion, "Observation")) == ["of the value"]
    found = by_text(made("VXU^V04^VXU_V04", *person, *dose[:2], *seen), "Observation")
    assert (notes(found["P"]), notes(found["O"])) == (["of the person"], ["of the value"])


@pytest.mark.parametrize(
    ("event", "given"),
    [
        ("VXU^V04^VXU_V04", "RXA|0|1|20250315|20250315|X{}^Y|1|mL"),
        ("RDE^O11^RDE_O11", "RXE||X{}^Y|1||mg"),
        ("RAS^O17^RAS_O17", "RXA|0|1|20250315|20250315|X{}^Y|1|mg"),
    ],
)
def test_a_value_has_the_number_of_its_own_order_where_no_obr_names_one(event, given):
    orders = [
        text
        for number in (1, 2)
        for text in (f"ORC|RE|P{number}|F{number}", given.format(number), "OBX|1|NM|K^k||4|||||F")
    ]
    found = of_type(made(event, *orders), "Observation")
    assert [one["meta"]["tag"][0]["code"] for one in found] == ["F1/K", "F2/K"]


@pytest.mark.parametrize(
    ("event", "given", "kind"),
    [
        ("RAS^O17^RAS_O17", "RXA|0|1|20250315|20250315|X^Y|1|mg", "MedicationAdministration"),
        ("RDS^O13^RDS_O13", "RXD|1|X^Y|20250315|10|tab|||R1", "MedicationDispense"),
    ],
)
def test_notes_of_an_order_of_what_was_given_and_of_a_value_are_kept_apart(event, given, kind):
    order = ["ORC|RE|P1|F1", "RXO|X^Y|1||mg", "NTE|1||of the order"]
    seen = ["OBX|1|NM|K^k||4|||||F", "NTE|1||of the value"]
    conversion = made(event, *order, given, "NTE|1||of the gift", *seen)
    assert notes(only(conversion, "MedicationRequest")) == ["of the order"]
    assert notes(only(conversion, kind)) == ["of the gift"]
    assert notes(only(conversion, "Observation")) == ["of the value"]


def test_an_order_within_a_problem_has_its_notes_and_values():
    problem = ["PRB|AD|20250315|X^Y|PR1", "NTE|1||of the problem"]
    order = ["ORC|RE|P1|F1", "OBR|1|P1|F1|X^Y", "NTE|1||of the order"]
    seen = ["OBX|1|NM|K^k||4|||||F", "NTE|1||of the value"]
    conversion = made("PPR^PC1^PPR_PC1", *problem, *order, *seen)
    assert notes(only(conversion, "Condition")) == ["of the problem"]
    assert notes(only(conversion, "ServiceRequest")) == ["of the order"]
    assert notes(only(conversion, "Observation")) == ["of the value"]


def test_what_is_seen_of_a_goal_and_a_pathway_has_its_own_notes():
    goal = ["GOL|AD|20250315|X^Y|G1", "OBX|1|NM|K^k||4|||||F", "NTE|1||of the value"]
    conversion = made("PGL^PC6^PGL_PC6", *goal)
    assert notes(only(conversion, "Goal")) == []
    assert notes(only(conversion, "Observation")) == ["of the value"]
    pathway = made("PPP^PCB^PPP_PCB", "PTH|AD|X^Y|H1", "NTE|1||of the pathway")
    assert notes(only(pathway, "CarePlan")) == ["of the pathway"]


@pytest.mark.parametrize("event", ["PRR^PC5", "PPV^PCA", "PTR^PCF", "PPT^PCL"])
def test_an_answer_with_problems_and_goals_tells_them(event):
    told = ["PTH|AD|X^Y|H1", "PRB|AD|20250315|X^Y|PR1", "GOL|AD|20250315|X^Y|G1"]
    conversion = made(event, *told, version="2.5")
    found = {one.resource["resourceType"] for one in conversion.resources}
    assert {"CarePlan", "Condition", "Goal"} <= found


def test_charges_orders_and_values_of_a_bill_have_their_own_notes_and_doctors():
    charge = ["FT1|1|T1||20250315||CG|X^Y", "NTE|1||of the charge"]
    done = ["PR1|1||P^p||20250315", "ROL|R1|AD|SU|D1^周^明德^^^^^^TEST01"]
    order = ["ORC|RE|P1|F1", "OBR|1|P1|F1|X^Y", "NTE|1||of the order"]
    seen = ["OBX|1|NM|K^k||4|||||F", "NTE|1||of the value"]
    conversion = made("DFT^P03^DFT_P03", *charge, *done, *order, *seen)
    assert notes(only(conversion, "ChargeItem")) == ["of the charge"]
    assert notes(only(conversion, "ServiceRequest")) == ["of the order"]
    assert notes(only(conversion, "Observation")) == ["of the value"]
    (performer,) = only(conversion, "Procedure")["performer"]
    assert values(target(conversion, performer["actor"])) == ["D1"]


@pytest.mark.parametrize("event", ["ADT^A18^ADT_A18", "ADT^A40^ADT_A39", "ADT^A36^ADT_A30"])
def test_a_merge_keeps_who_cares_and_names_the_visit(event):
    doctor = "PD1||||D1^周^明德^^^^^^TEST01"
    conversion = made(event, doctor, "MRG|T2^^^TEST01^PI", PV1, version="2.5")
    (survivor,) = [one for one in of_type(conversion, "Patient") if one.get("active", True)]
    assert values(target(conversion, survivor["generalPractitioner"][0])) == ["D1"]
    visits = of_type(conversion, "Encounter")
    assert event.startswith("ADT^A36") or values(visits[0]) == ["M1"]


@pytest.mark.parametrize("event", ["ADT^A06", "ADT^A07"])
def test_who_changes_between_in_and_out_keeps_the_account_of_before(event):
    conversion = made(event, "MRG|T1^^^TEST01^PI||A0", PV1, version="2.5")
    assert sorted(values(one)[0] for one in of_type(conversion, "Account")) == ["A0", "A1"]
    patient = next(one for one in conversion.resources if one.segment == "PID").full_url
    subjects = {one["subject"][0]["reference"] for one in of_type(conversion, "Account")}
    assert subjects == {patient}


@pytest.mark.parametrize("event", ["SIU^S12^SIU_S12", "ORU^R30^ORU_R30"])
def test_what_was_observed_of_the_patient_is_an_observation(event):
    seen = "OBX|1|NM|K^k||4|||||F"
    rest = ["SCH|P1|F1"] if "SIU" in event else ["ORC|RE|P1", "OBR|1|P1||X^Y", "NTE|1||of all"]
    text = [MSH.format(event, "2.8"), PID, seen, *rest]
    if "SIU" in event:
        text = [MSH.format(event, "2.8"), *rest, PID, seen]
    conversion = converted(lines(*text))
    patient = next(one for one in conversion.resources if one.segment == "PID").full_url
    assert only(conversion, "Observation")["subject"] == {"reference": patient}
    assert errors(conversion) == []


@pytest.mark.parametrize("event", ["ORU^R30^ORU_R30", "ORU^R01^ORU_R01"])
def test_each_note_of_a_report_is_the_reports_and_its_orders(event):
    conversion = made(event, "ORC|RE|P1", "OBR|1|P1||X^Y", "NTE|1||first", "NTE|2||second")
    told = [
        one["valueAnnotation"]["text"]
        for one in only(conversion, "DiagnosticReport")["extension"]
        if one["url"].endswith("DiagnosticReport.note")
    ]
    assert told == notes(only(conversion, "ServiceRequest")) == ["first", "second"]


@pytest.mark.parametrize(("code", "kind"), [("REF", "ServiceRequest"), ("RRI", "Task")])
def test_a_referral_and_its_answer_bring_findings_with_their_own_notes(code, kind):
    header = [MSH.format(f"{code}^I12^{code}_I12", "2.5"), "RF1|A|S|SP|||R1^TEST01"]
    found = ["DG1|1||I10^高血压^I10", "AL1|1|DA|X^Y", "PR1|1||P^p||20250315"]
    seen = ["OBR|1|||X^Y", "OBX|1|NM|K^k||4|||||F", "NTE|1||of the value"]
    conversion = converted(lines(*header, PID, *found, *seen, PV1, "NTE|1||of the whole"))
    assert errors(conversion) == []
    assert notes(only(conversion, kind)) == ["of the whole"]
    assert notes(only(conversion, "Observation")) == ["of the value"]
    for one in ("Condition", "AllergyIntolerance", "Procedure", "Encounter"):
        assert len(of_type(conversion, one)) == 1


@pytest.mark.parametrize(
    ("event", "given", "kind"),
    [
        ("RAS^O17^RAS_O17", "RXA|0|1|20250315|20250315|X^Y|1|mg", "MedicationAdministration"),
        ("RDS^O13^RDS_O13", "RXD|1|X^Y|20250315|10|tab|||R1", "MedicationDispense"),
    ],
)
def test_how_it_was_given_says_nothing_of_how_it_was_ordered(event, given, kind):
    first = ["ORC|RE|P1|F1", "RXO|X^Y|1||mg", "RXR|PO^口服^HL70162", given, "RXR|IV^静脉^HL70162"]
    second = ["ORC|RE|P2|F2", "RXO|X^Y|1||mg", "RXR|IM^肌注^HL70162", given.replace("|1|", "|2|")]
    conversion = made(event, *first, *second)
    ordered = [
        one["dosageInstruction"][0]["route"]["coding"][0]["code"]
        for one in of_type(conversion, "MedicationRequest")
    ]
    assert ordered == ["PO", "IM"]
    dosage = of_type(conversion, kind)[0]["dosage" if "Admin" in kind else "dosageInstruction"]
    one = dosage if isinstance(dosage, dict) else dosage[0]
    assert one["route"]["coding"][0]["code"] == "IV"


@pytest.mark.parametrize("by_table", [False, True])
def test_what_was_asked_with_the_order_is_no_result_of_the_report(by_table):
    order = ["ORC|RE|P1|F1", "OBR|1|P1|F1|X^Y", "OBX|1|NM|K^k||4|||||F", "NTE|1||of the value"]
    asked = ["OBX|2|ST|Q^q||no||||||F||||||||||||||||||QST", "NTE|1||of the answer"]
    conversion = made("ORU^R01^ORU_R01", *order, *asked, by_table=by_table)
    report, request = only(conversion, "DiagnosticReport"), only(conversion, "ServiceRequest")
    found = by_text(conversion, "Observation")
    assert [target(conversion, one) for one in report["result"]] == [found["K"]]
    assert [target(conversion, one) for one in request["supportingInfo"]] == [found["Q"]]
    assert (notes(found["K"]), notes(found["Q"])) == (["of the value"], ["of the answer"])


@pytest.mark.parametrize("order", ["SCH first", "PID first"])
def test_a_booking_is_of_all_its_patients_wherever_they_stand(order):
    people = [PID, PID.replace("T1", "T2")]
    booking = ["SCH|P1|F1|||||||||^^^202503200900^202503200930"]
    body = [*booking, *people] if order == "SCH first" else [*people, *booking]
    conversion = converted(lines(MSH.format("SIU^S12^SIU_S12", "2.5"), *body, "RGS|1", "AIS|1||X"))
    assert errors(conversion) == []
    came = [one["actor"] for one in only(conversion, "Appointment")["participant"]]
    assert [values(target(conversion, one))[0] for one in came] == ["T1", "T2"]


def test_a_deleted_person_is_not_active_and_an_account_that_moves_is():
    assert only(made("ADT^A29^ADT_A21", PV1, version="2.5"), "Patient")["active"] is False
    moved = made("ADT^A44^ADT_A43", "MRG|T2^^^TEST01^PI||A2|T2^^^TEST01^PI", version="2.5")
    account = only(moved, "Account")
    assert "A2" in values(account)
    assert account["status"] == "active"


@pytest.mark.parametrize("early", ["ORC", "OBR"])
@pytest.mark.parametrize(("event", "seen"), [("ORU^R01^ORU_R01", True), ("ORM^O01^ORM_O01", False)])
def test_a_note_before_its_order_is_the_orders(event, seen, early):
    def order(number):
        rest = [f"OBX|1|NM|K{number}^k||4|||||F"] if seen else []
        note = f"NTE|1||of {number}"
        detail = [f"OBR|1|P{number}|F{number}|X^Y"]
        between = [note, *detail] if early == "OBR" else [*detail, note]
        return [f"ORC|RE|P{number}|F{number}", *between, *rest]

    conversion = made(event, PV1, *order(1), *order(2), version="2.5")
    for one in of_type(conversion, "ServiceRequest"):
        assert notes(one) == [f"of {values(one)[0][1:]}"]
    assert all(not notes(one) for one in of_type(conversion, "Observation"))


def test_what_comes_before_that_to_which_it_belongs_is_not_lost():
    text = ["OBX|1|TX|K^k||text||||||F", "TXA|1|CN|TX|20250315||||||||D1^HIS|||||AU"]
    document = only(made("MDM^T02^MDM_T02", PV1, *text, version="2.5"), "DocumentReference")
    assert document["content"][0]["attachment"]["contentType"] == "text/plain"
    visit = only(made("ADT^A01^ADT_A01", "PV2|||X^Y", PV1, version="2.5"), "Encounter")
    assert visit["reasonCode"][0]["coding"][0]["code"] == "X"


def test_two_timings_of_a_prescription_have_one_choice_of_bounds():
    order = ["ORC|NW|P1", "TQ1|1||BID|||5^d", "RXE||X^Y|1||mg", "TQ1|1||BID||||20250315|20250320"]
    request = only(made("RDE^O11^RDE_O11", *order, version="2.5"), "MedicationRequest")
    repeat = request["dosageInstruction"][0]["timing"]["repeat"]
    assert [name for name in repeat if name.startswith("bounds")] == ["boundsPeriod"]


def test_prescriptions_that_come_without_orc_are_each_one():
    said = [
        *("RXE|^BID|A^a|500||mg|||||20|CAP||||RX1", "RXR|PO^Oral", "NTE|1||first"),
        *("RXE|^TID|B^b|200||mg|||||30|CAP|||||", "NTE|1||second"),
    ]
    one, other = of_type(made("RDE^O11^RDE_O11", *said, version="2.5"), "MedicationRequest")
    assert (values(one), notes(one)) == (["RX1"], ["first"])
    assert one["dosageInstruction"][0]["route"]["coding"][0]["code"] == "PO"
    assert (notes(other), "route" in other["dosageInstruction"][0]) == (["second"], False)
    assert other["meta"]["tag"]


def test_a_container_and_what_obr_says_of_it_are_one_specimen():
    runs = [
        "SAC|||C1^LAB",
        "OBR|1|P1|F1|A^a|||||||||||BLD^Blood",
        "SAC|||C2^LAB",
        "OBR|2|P2|F2|B^b",
    ]
    conversion = made("OUL^R21^OUL_R21", *runs, version="2.5")
    one, other = of_type(conversion, "Specimen")
    assert [tube(one), tube(other)] == ["C1", "C2"]
    assert (one["type"]["coding"][0]["code"], "type" in other) == ("BLD", False)
    reports = of_type(conversion, "DiagnosticReport")
    assert [target(conversion, report["specimen"][0]) for report in reports] == [one, other]


def tube(specimen):
    return specimen["container"][0]["identifier"][0]["value"]


def test_a_container_before_its_order_is_that_orders():
    orders = [
        text
        for number in (1, 2)
        for text in (
            f"SAC|||C{number}^LAB",
            f"OBX|1|NM|V{number}^v||4|mL|||||F",
            f"ORC|NW|P{number}",
            f"OBR|1|P{number}||A{number}^a|||||||||||BLD^Blood",
        )
    ]
    conversion = made("OML^O21", *orders, version="2.4")
    found = by_text(conversion, "ServiceRequest")
    tubes = {code: tube(target(conversion, one["specimen"][0])) for code, one in found.items()}
    assert tubes == {"A1": "C1", "A2": "C2"}
    keys = [one["meta"]["tag"][0]["code"] for one in of_type(conversion, "Observation")]
    assert keys == ["P1/V1", "P2/V2"]


def test_who_cares_for_the_second_of_two_patients_is_not_of_the_first():
    second = ["PID|1||T2^^^TEST01^PI||李^四", "ROL|1|AD|RP^r|R3^Third^A"]
    first = ["ROL|1|AD|RP^r|R1^First^A", PV1, "ROL|1|AD|AT^a|R2^Second^A"]
    more = [*second, PV1.replace("M1", "M2"), "ROL|1|AD|AT^a|R4^Fourth^A"]
    conversion = made("ADT^A17^ADT_A17", *first, *more, version="2.5")
    teams = of_type(conversion, "CareTeam")
    assert [values(target(conversion, one["subject"]))[0] for one in teams] == ["T1", "T2"]
    members = [target(conversion, one["participant"][0]["member"]) for one in teams]
    assert [values(one) for one in members] == [["R1"], ["R3"]]
    visits = of_type(conversion, "Encounter")
    assert [len(one["participant"]) for one in visits] == [1, 1]


def test_the_answer_of_a_vaccination_register_has_its_vaccinations():
    seen = ["OBX|1|CE|69764-9^T^LN|1|D1^VIS||||||F", "OBX|2|DT|29769-7^V^LN|1|20240502||||||F"]
    doses = [
        text
        for code in ("08", "998")
        for text in (f"ORC|RE||I{code}^IIS", f"RXA|0|1|20240501||{code}^V^CVX|999", "RXR|IM", *seen)
    ]
    conversion = made("RSP^K11^RSP_K11", *doses, version="2.5.1")
    found = by_text(conversion, "Immunization", "vaccineCode")
    assert {code: values(one) for code, one in found.items()} == {"08": ["I08"], "998": ["I998"]}
    assert found["08"]["education"] == [{"documentType": "VIS", "presentationDate": "2024-05-02"}]
    assert found["08"]["route"]["coding"][0]["code"] == "IM"
    partly = [target(conversion, one["partOf"][0]) for one in of_type(conversion, "Observation")]
    assert partly == [found["08"]] * 2 + [found["998"]] * 2


def test_a_note_of_the_patient_begins_no_order_where_the_structure_is_unknown():
    said = ["NK1|1|李^梅|MTH", "ORC|RE||I1^IIS", "RXA|0|1|20240501||08^V^CVX|999"]
    for event in ("RSP^K11^RSP_K11", "ZZZ^Z01"):
        kinds = [
            [one.resource["resourceType"] for one in made(event, *note, *said).resources]
            for note in ((), ("NTE|1||过敏体质",))
        ]
        assert kinds[0] == kinds[1]
        assert {"RelatedPerson", "Immunization"} <= {*kinds[0]}


@pytest.mark.parametrize("event", ["OMI^O23^OMI_O23", "OPL^O37^OPL_O37"])
def test_when_a_service_is_wanted_stands_between_its_order_and_what_it_is(event):
    said = [
        "ORC|NW|P1|||||||20240512",
        "TQ1|1|||||||||R",
        "OBR|1|P1||A^a",
        "IPC|ACC1|RP1|1.2.3|S1",
    ]
    conversion = made(event, *said, version="2.5.1")
    order = only(conversion, "ServiceRequest")
    assert (order["status"], order["authoredOn"]) == ("active", "2024-05-12")
    pictures = ["ACC1", "RP1", "urn:oid:1.2.3", "S1"] if "OMI" in event else []
    assert set(values(order)) == {"P1", *pictures}
