"""Fields that R4 has a place for and few senders fill: of pharmacies, goals and pathways.

Spec: HL7v2 chapter 4A (RXE, RXO, RXD, RXG, RXA), chapter 12 (GOL, PTH)
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
    segment,
    target,
)

ORDER = "ORC|NW|P1"
DRUG = "M1^阿莫西林^L"


def test_an_encoded_order_says_who_is_to_dispense_how_much_first():
    rxe = segment(
        "RXE",
        f1="1",
        f2=DRUG,
        f3="1",
        f5="g",
        f11="盒",
        f32="20250301",
        f39="2",
        f40="YF1^门诊药房",
    )
    conversion = by_table("RDE^O11^RDE_O11", ORDER, rxe)
    order = only(conversion, "MedicationRequest")
    assert order["authoredOn"] == "2025-03-01"
    assert order["dispenseRequest"]["initialFill"]["quantity"]["value"] == 2
    assert target(conversion, order["dispenseRequest"]["performer"])["name"] == "门诊药房"


@pytest.mark.parametrize(
    ("code", "allowed"), [("1", False), ("7", False), ("3", True), ("G", True), ("0", None)]
)
def test_an_encoded_order_says_whether_another_product_may_be_given(code, allowed):
    rxe = segment("RXE", f1="1", f2=DRUG, f9=code)
    order = only(by_table("RDE^O11^RDE_O11", ORDER, rxe), "MedicationRequest")
    assert order.get("substitution", {}).get("allowedBoolean") is allowed


@pytest.mark.parametrize(
    ("per", "value", "unit"), [("H8", 8, "h"), ("H", 1, "h"), ("m30", 30, "min"), ("often", 0, "")]
)
def test_a_dose_over_a_time_is_a_rate(per, value, unit):
    rxe = segment("RXE", f1="1", f2=DRUG, f3="500", f5="mL", f22=per)
    order = only(by_table("RDE^O11^RDE_O11", ORDER, rxe), "MedicationRequest")
    ((amount,),) = [one["doseAndRate"] for one in order["dosageInstruction"]]
    if not value:
        assert "rateRatio" not in amount
        return
    assert amount["rateRatio"]["numerator"]["value"] == 500
    assert amount["rateRatio"]["denominator"] == {
        "value": value,
        "unit": unit,
        "system": "http://unitsofmeasure.org",
        "code": unit,
    }


def test_a_request_for_a_medicine_says_where_and_how_often_it_is_dispensed():
    rxo = segment("RXO", f1=DRUG, f2="1", f4="g", f17="D", f28="30", f32="YF2^住院药房")
    conversion = by_table("OMP^O09^OMP_O09", ORDER, rxo)
    order = only(conversion, "MedicationRequest")
    assert order["dispenseRequest"]["dispenseInterval"]["value"] == 30
    assert target(conversion, order["dispenseRequest"]["performer"])["name"] == "住院药房"
    (amount,) = order["dosageInstruction"][0]["doseAndRate"]
    assert amount["rateRatio"]["denominator"]["code"] == "d"


DISPENSED = segment(
    "RXD",
    f1="1",
    f2=DRUG,
    f3="20250315",
    f4="1",
    f18="LOT7",
    f19="20270101",
    f20="SH^上药",
    f33="FF",
)
GIVEN = segment(
    "RXA", f1="0", f2="1", f3="20250315", f5=DRUG, f6="1", f15="LOT7", f16="20270101", f17="SH^上药"
)
BROUGHT = segment(
    "RXG",
    f1="1",
    f3="1^BID",
    f4=DRUG,
    f5="1",
    f7="g",
    f11="W3",
    f19="LOT7",
    f20="20270101",
    f21="SH^上药",
)


@pytest.mark.parametrize(
    ("kind", "told", "resource_type"),
    [
        pytest.param("RDS^O13^RDS_O13", DISPENSED, "MedicationDispense", id="RXD"),
        pytest.param("RGV^O15^RGV_O15", BROUGHT, "MedicationDispense", id="RXG"),
        pytest.param("RAS^O17^RAS_O17", GIVEN, "MedicationAdministration", id="RXA"),
    ],
)
def test_what_was_given_names_its_code_and_the_batch_that_it_is_from(kind, told, resource_type):
    conversion = by_table(kind, ORDER, segment("RXO", f1=DRUG), told)
    found = only(conversion, resource_type)
    assert found["medicationCodeableConcept"]["coding"][0]["code"] == "M1"
    (batch,) = (target(conversion, one) for one in found["supportingInformation"])
    assert batch["batch"] == {"lotNumber": "LOT7", "expirationDate": "2027-01-01"}
    assert target(conversion, batch["manufacturer"])["name"] == "上药"
    stored = converted(lines(TABLE_MSH.format(kind), PID, ORDER, segment("RXO", f1=DRUG), told))
    assert errors(stored) == []


def test_a_dispense_says_of_which_kind_it_is():
    found = only(by_table("RDS^O13^RDS_O13", ORDER, DISPENSED), "MedicationDispense")
    assert found["type"]["coding"][0]["code"] == "FF"


def test_what_is_brought_to_be_given_says_when_and_where():
    found = only(by_table("RGV^O15^RGV_O15", ORDER, BROUGHT), "MedicationDispense")
    (dose,) = found["dosageInstruction"]
    assert dose["timing"]["code"]["coding"][0]["code"] == "BID"
    assert dose["doseAndRate"][0]["doseQuantity"]["value"] == 1
    assert "destination" in found


@pytest.mark.parametrize(
    ("told", "status"),
    [("", "active"), ("已达成", "completed"), ("Cancelled", "cancelled"), ("unheard of", "active")],
)
def test_a_goal_is_in_the_state_that_its_life_cycle_says_whatever_its_class(told, status):
    gol = segment(
        "GOL",
        f1="AD",
        f2="20250301",
        f3="G^血糖达标",
        f4="G1",
        f9="C^慢病",
        f16="P^部分达到",
        f17="继续",
        f18=told,
        f19="20250310",
    )
    goal = only(by_table("PGL^PC6^PGL_PC6", gol), "Goal")
    assert (goal["lifecycleStatus"], goal["statusDate"]) == (status, "2025-03-10")
    assert goal["category"][0]["text"] == "慢病"
    assert goal["achievementStatus"]["text"] == "部分达到"
    assert [one["text"] for one in goal["note"]] == ["继续"]


@pytest.mark.parametrize(
    ("action", "told", "status"),
    [
        ("AD", "", "active"),
        ("AD", "Suspended", "on-hold"),
        ("UP", "已取消", "revoked"),
        ("DE", "Active", "entered-in-error"),
    ],
)
def test_a_pathway_is_in_the_state_that_its_life_cycle_says(action, told, status):
    pth = segment("PTH", f1=action, f2="CP^临床路径", f3="PW1", f4="20250301", f5=told)
    conversion = by_table("PPP^PCB^PPP_PCB", pth)
    assert [one["status"] for one in of_type(conversion, "CarePlan")] == [status]


def test_an_encoded_order_says_in_whose_name_it_is_given_and_for_whom():
    orc = segment("ORC", f1="NW", f2="P1", f12="D1^李^强", f15="20250302", f21="甲院", f29="I")
    rxe = segment("RXE", f1="1", f2=DRUG, f7="^饭后服")
    conversion = by_table("RDE^O11^RDE_O11", orc, rxe)
    order = only(conversion, "MedicationRequest")
    role = target(conversion, order["requester"])
    assert target(conversion, role["organization"])["name"] == "甲院"
    assert target(conversion, role["practitioner"])["name"][0]["family"] == "李"
    assert order["authoredOn"] == "2025-03-02"
    assert order["category"][0]["coding"][0]["code"] == "inpatient"
    assert order["dosageInstruction"][0]["additionalInstruction"] == [{"text": "饭后服"}]
    stored = converted(lines(TABLE_MSH.format("RDE^O11^RDE_O11"), PID, orc, rxe))
    assert errors(stored) == []
    doctor = only(stored, "MedicationRequest")["requester"]
    assert target(stored, doctor)["resourceType"] == "Practitioner"


@pytest.mark.parametrize(
    ("volume", "kind"), [({}, "valueQuantity"), ({"f25": "5", "f26": "mL"}, "valueRatio")]
)
def test_the_strength_asked_for_may_be_in_a_volume(volume, kind):
    rxo = segment("RXO", f1=DRUG, f18="250", f19="mg", **volume)
    order = only(by_table("OMP^O09^OMP_O09", ORDER, rxo), "MedicationRequest")
    assert [one for one in order["extension"] if kind in one]


def test_what_is_given_has_its_form_and_strength():
    rxg = segment("RXG", f1="1", f3="1", f4=DRUG, f5="1", f8="TAB^片^L", f17="250", f18="mg")
    given = only(by_table("RGV^O15^RGV_O15", ORDER, rxg), "MedicationDispense")
    values = [value for one in given["extension"] for name, value in one.items() if name != "url"]
    assert [one.get("text", one.get("unit")) for one in values] == ["片", "mg"]
