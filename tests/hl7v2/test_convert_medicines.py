"""Medicines in the forms of older versions, of several batches, and without the prescription.

Spec: HL7v2 chapter 4A; v2-to-FHIR IG, segment ORC[MedicationAdministration]
"""

import pytest
from conversion_parts import by_table, converted, errors, lines, of_type, only, segment, target

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|{}"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"
DRUG = "A^甲^L"
GIVEN = {
    "f1": "0",
    "f2": "1",
    "f3": "20250315",
    "f4": "20250315",
    "f5": DRUG,
    "f6": "1",
    "f7": "mg",
}
DETAILS = {
    "RAS": segment("RXA", **GIVEN),
    "RDS": segment("RXD", f1="1", f2=DRUG, f3="20250315", f4="5", f7="R1"),
    "RGV": segment("RXG", f1="1", f4=DRUG, f5="1", f7="mg"),
}
MADE = {
    "RAS": ("MedicationAdministration", "request"),
    "RDS": ("MedicationDispense", "authorizingPrescription"),
    "RGV": ("MedicationDispense", "authorizingPrescription"),
}
LOTS = {
    "RAS": segment("RXA", **GIVEN, f15="L1~L2", f16="20260101~20260201", f17="M^甲厂^MVX"),
    "RDS": segment(
        "RXD",
        f1="1",
        f2=DRUG,
        f3="20250315",
        f4="5",
        f18="L1~L2",
        f19="20260101~20260201",
        f20="M^甲厂^MVX",
    ),
    "RGV": segment(
        "RXG",
        f1="1",
        f4=DRUG,
        f5="1",
        f7="mg",
        f19="L1~L2",
        f20="20260101~20260201",
        f21="M^甲厂^MVX",
    ),
}


def made(kind, version, *segments):
    conversion = converted(lines(MSH.format(kind, version), PID, *segments))
    assert errors(conversion) == []
    return conversion


def listed(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("kind", ["{}^O01", "{}^O01^{}_O01", "{}"])
@pytest.mark.parametrize("message", ["RAS", "RDS", "RGV"])
def test_until_2_3_the_event_of_what_a_pharmacy_tells_is_o01(message, kind):
    kind = kind.replace("{}", message)
    conversion = made(kind, "2.3", "ORC|RE|P1", f"RXO|{DRUG}|1||mg", DETAILS[message])
    resource_type, element = MADE[message]
    (reference,) = listed(only(conversion, resource_type)[element])
    prescription = target(conversion, reference)
    assert prescription["identifier"][0]["value"] == "P1"


@pytest.mark.parametrize(
    ("numbers", "known"), [("P1^HIS|F1^PIS", "P1"), ("|F1^PIS", "F1"), ("|", "")]
)
@pytest.mark.parametrize("message", ["RAS", "RDS", "RGV"])
def test_a_prescription_that_is_not_told_is_known_by_its_number(message, numbers, known):
    conversion = made(f"{message}^O01", "2.3", f"ORC|RE|{numbers}", DETAILS[message])
    resource_type, element = MADE[message]
    references = listed(only(conversion, resource_type).get(element, []))
    told = [(one["type"], one["identifier"]["value"]) for one in references]
    assert told == ([("MedicationRequest", known)] if known else [])


@pytest.mark.parametrize("message", ["RAS", "RDS", "RGV"])
@pytest.mark.parametrize("is_by_table", [True, False])
def test_of_several_batches_each_is_a_medication(message, is_by_table):
    text = lines(MSH.format(f"{message}^O01", "2.3"), PID, "ORC|RE|P1", LOTS[message])
    conversion = converted(text, by_table=is_by_table)
    assert errors(conversion) == []
    found = only(conversion, MADE[message][0])["supportingInformation"]
    medications = [target(conversion, one) for one in found]
    assert [one["batch"] for one in medications] == [
        {"lotNumber": "L1", "expirationDate": "2026-01-01"},
        {"lotNumber": "L2", "expirationDate": "2026-02-01"},
    ]
    assert all(one["manufacturer"] and one["code"]["text"] == "甲" for one in medications)
    keys = {one["meta"]["tag"][0]["code"] for one in medications}
    assert len(keys) == 2


def test_a_dose_without_a_batch_has_none_of_the_one_before():
    first = segment("RXA", **GIVEN, f15="L1")
    second = segment("RXA", **(GIVEN | {"f2": "2", "f3": "20250316", "f4": "20250316"}))
    conversion = made("RAS^O17^RAS_O17", "2.5", "ORC|RE|P1", first, second)
    one, two = of_type(conversion, "MedicationAdministration")
    assert len(one["supportingInformation"]) == 1
    assert "supportingInformation" not in two


def test_each_dose_has_the_numbers_of_its_order_and_is_found_by_its_own_key():
    text = lines(
        MSH.format("RAS^O17^RAS_O17", "2.5"),
        PID,
        "ORC|RE|P1^HIS|F1^PIS",
        segment("RXA", **GIVEN),
        segment("RXA", **(GIVEN | {"f2": "2"})),
    )
    doses = [
        one
        for one in converted(text).resources
        if one.resource["resourceType"] == "MedicationAdministration"
    ]
    numbers = [
        (one["type"]["coding"][0]["code"], one["value"]) for one in doses[0].resource["identifier"]
    ]
    assert numbers == [("PLAC", "P1"), ("FILL", "F1")]
    assert len({one.match for one in doses}) == 2
    assert all("natural-key" in system for one in doses for system, _ in one.match)


def test_a_component_that_the_pharmacy_says_again_is_one():
    component, other = "RXC|B|D5W^葡萄糖|500|mL|5|%", "RXC|A|KCL^氯化钾|20|meq"
    order = (
        f"RXO|{DRUG}|1||mg",
        "RXR|IV",
        component,
        f"RXE||{DRUG}|1||mg",
        "RXR|IV",
        component,
        other,
    )
    conversion = by_table("RDE^O11^RDE_O11", "ORC|NW|P1", *order)
    held = [
        {part["url"]: part for part in one["extension"]}
        for one in only(conversion, "MedicationRequest")["extension"]
        if one["url"].endswith("medication-component")
    ]
    assert [one["medication"]["valueCodeableConcept"]["text"] for one in held] == [
        "葡萄糖",
        "氯化钾",
    ]
    assert [one["kind"]["valueCode"] for one in held] == ["B", "A"]
    assert (
        held[0]["amount"]["valueQuantity"]["unit"],
        held[0]["strength"]["valueQuantity"]["value"],
    ) == ("mL", 5)


ORDERED = [
    "ORC|NW|P1^HIS|F1^RX",
    "TQ1|1||BID||||20250301|20250305",
    "TQ1|2||HS||||20250301|20250305",
    "RXO|AMX^阿莫西林^L|500||mg",
    "RXR|PO^口服^L",
    "RXC|A|KCL^氯化钾^L|10|mL",
]
ENCODED = [
    "RXE||AMX^阿莫西林^L|250||mg",
    "TQ1|1||QID||||20250301|20250306",
    "RXR|IV^静脉^L",
    "RXC|A|KCL^氯化钾^L|20|mL",
]


def dosages(resource):
    return [
        (
            one["timing"]["code"]["text"],
            [str(each["doseQuantity"]["value"]) for each in one["doseAndRate"]],
            one["route"]["text"],
        )
        for one in resource["dosageInstruction"]
    ]


@pytest.mark.parametrize("kind", ["RDE", *DETAILS])
def test_what_the_pharmacy_made_of_an_order_is_not_mixed_with_the_order(kind):
    event = {"RDE": "RDE^O11", "RAS": "RAS^O17", "RDS": "RDS^O13", "RGV": "RGV^O15"}[kind]
    segments = [*ORDERED, *ENCODED, *filter(None, [DETAILS.get(kind)])]
    conversion = made(event, "2.5.1", *segments)
    request = only(conversion, "MedicationRequest")
    assert dosages(request) == [("QID", ["250"], "静脉")]
    period = {"start": "2025-03-01", "end": "2025-03-06"}
    assert request["dosageInstruction"][0]["timing"]["repeat"]["boundsPeriod"] == period
    assert request["dispenseRequest"]["validityPeriod"] == period
    parts = [one for one in request["extension"] if one["url"].endswith("medication-component")]
    (amount,) = [one for one in parts[0]["extension"] if one["url"] == "amount"]
    assert (len(parts), str(amount["valueQuantity"]["value"])) == (1, "20")
    kept = {one.path: one for one in conversion.report.fields() if one.segment == 3}
    assert (kept["TQ1-3"].state, kept["TQ1-3"].reason) == (
        "preserved",
        "what the pharmacy made of the order (RXE) has its own",
    )


def test_an_rxe_without_an_order_of_its_own_sets_nothing_of_another_aside():
    further = ["RXE||AMX^阿莫西林^L|1||g", "TQ1|1||QD"]
    (first, *_) = of_type(
        made("RDE^O11", "2.5.1", *ORDERED, *ENCODED, *further), "MedicationRequest"
    )
    (whole,) = of_type(made("RDE^O11", "2.5.1", *ORDERED, *ENCODED), "MedicationRequest")
    assert dosages(first)[0] == dosages(whole)[0] == ("QID", ["250"], "静脉")


def test_what_the_pharmacy_does_not_say_anew_is_as_it_was_ordered():
    request = only(made("RDE^O11", "2.5.1", *ORDERED, ENCODED[0]), "MedicationRequest")
    assert dosages(request) == [("BID", ["250"], "口服"), ("HS", ["250"], "口服")]
    old = ["ORC|NW|P1^HIS|||||1^BID^D5^20250301^20250305", ORDERED[3]]
    request = only(
        made("RDE^O11", "2.4", *old, "RXE|1^QID^D6^20250301^20250306|A^甲^L|1||mg"),
        "MedicationRequest",
    )
    assert request["dispenseRequest"]["validityPeriod"]["end"] == "2025-03-06"


def test_when_each_dose_is_to_be_given_is_of_that_dose_alone():
    given = [
        *("RXG|1|||AMX^阿莫西林^L|1||CAP", "TQ1|1||TID||||20250302", "TQ1|2||HS||||20250302"),
        *("RXR|IM^肌肉^L", "RXG|2|||AMX^阿莫西林^L|2||CAP", "TQ1|1||Q6H||||20250304"),
        "RXR|SC^皮下^L",
    ]
    conversion = made("RGV^O15", "2.5.1", *ORDERED, *ENCODED, *given)
    assert dosages(only(conversion, "MedicationRequest")) == [("QID", ["250"], "静脉")]
    assert [dosages(one) for one in of_type(conversion, "MedicationDispense")] == [
        [("TID", ["1"], "肌肉"), ("HS", ["1"], "肌肉")],
        [("Q6H", ["2"], "皮下")],
    ]


def test_a_further_schedule_that_ends_before_it_starts_has_no_end():
    schedules = ["TQ1|1||BID", "TQ1|2||TID||||20250305|20250301"]
    conversion = made("OMG^O19", "2.5.1", "ORC|NW|P1", "OBR|1|P1||X^Y", *schedules)
    assert "20250301" not in str(only(conversion, "ServiceRequest"))
