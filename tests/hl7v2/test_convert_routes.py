"""By which way a medicine is given: several RXR of one order, and one of several doses.

Spec: HL7v2 chapter 4A, RXR and RXC; R4 Dosage.route
"""

import pytest
from conversion_parts import TABLE_MSH, converted, errors, lines, of_type, only, target

PID = "PID|1||T1^^^CLINIC^MR||Shen^Guifang||19530412|F"
VEIN, SKIN, MOUTH = "RXR|IV|LA", "RXR|SC|RT", "RXR|PO"
RXE, RXO = "RXE|^BID|M^Morphine|1||mg", "RXO|M^Morphine|1||mg"


def made(kind, *segments):
    conversion = converted(
        lines(f"MSH|^~\\&|A|CLINIC|||20250315||{kind}|C1|P|2.5.1", PID, *segments)
    )
    assert errors(conversion) == []
    return conversion


def first(concept):
    return concept["coding"][0]["code"]


def ways(resource):
    """Return the route and site of the one dosage, and of each that may be taken instead."""
    (dosage,) = resource["dosageInstruction"]
    others = [
        [first(part["valueCodeableConcept"]) for part in one["extension"]]
        for one in resource.get("extension", ())
        if one["url"].endswith("/alternative-route")
    ]
    return [[first(dosage[name]) for name in ("route", "site") if name in dosage], *others]


@pytest.mark.parametrize(
    ("kind", "segments"),
    [
        ("RDE^O11^RDE_O11", ("ORC|NW|P1", RXE)),
        ("RDE^O11^RDE_O11", ("ORC|NW|P1", RXO)),
        ("OMP^O09^OMP_O09", ("ORC|NW|P1", RXO)),
        ("ORM^O01^ORM_O01", ("ORC|NW|P1", RXO)),
    ],
)
def test_several_ways_of_one_order_are_alternatives_and_no_second_dose(kind, segments):
    found = only(made(kind, *segments, VEIN, SKIN, MOUTH), "MedicationRequest")
    assert ways(found) == [["IV", "LA"], ["SC", "RT"], ["PO"]]


def test_a_site_is_that_of_its_own_route():
    found = only(made("OMP^O09^OMP_O09", "ORC|NW|P1", RXO, MOUTH, SKIN), "MedicationRequest")
    assert ways(found) == [["PO"], ["SC", "RT"]]


def test_the_way_that_the_pharmacy_encoded_comes_before_the_one_asked_for():
    order = ("ORC|NW|P1", RXO, VEIN, RXE, SKIN)
    conversion = made("RDE^O11^RDE_O11", *order)
    assert ways(only(conversion, "MedicationRequest")) == [["SC", "RT"]]
    asked = [one for one in conversion.report.fields() if one.segment == 4]
    assert [(one.path, one.state) for one in asked] == [
        ("RXR-1", "preserved"),
        ("RXR-2", "preserved"),
    ]


def test_the_way_asked_for_holds_where_the_pharmacy_says_none_or_the_same():
    for behind in ((), (VEIN,)):
        conversion = made("RDE^O11^RDE_O11", "ORC|NW|P1", RXO, VEIN, RXE, *behind)
        assert ways(only(conversion, "MedicationRequest")) == [["IV", "LA"]]


def test_each_order_and_each_supply_has_its_own_ways():
    rxd = "RXD|1|M^Morphine|20250315|10|AMP||RX{}"
    orders = ("ORC|RE|P1", RXE, MOUTH, rxd.format(1), VEIN, SKIN)
    orders += ("ORC|RE|P2", RXE.replace("M^Mor", "N^Nor"), SKIN, rxd.format(2), MOUTH)
    conversion = made("RDS^O13^RDS_O13", *orders)
    assert [ways(one) for one in of_type(conversion, "MedicationRequest")] == [
        [["PO"]],
        [["SC", "RT"]],
    ]
    assert [ways(one) for one in of_type(conversion, "MedicationDispense")] == [
        [["IV", "LA"], ["SC", "RT"]],
        [["PO"]],
    ]


def test_a_way_behind_several_doses_is_that_of_each_and_none_of_those_before():
    rxa = "RXA|0|{0}|2025031508|2025031508|{1}^x|1|TAB"
    doses = (rxa.format(1, "A"), MOUTH, rxa.format(2, "B"), rxa.format(3, "C"), VEIN)
    conversion = made("RAS^O17^RAS_O17", "ORC|RE|P1", *doses)
    found = [
        [first(one["dosage"][name]) for name in ("route", "site") if name in one["dosage"]]
        for one in of_type(conversion, "MedicationAdministration")
    ]
    assert found == [["PO"], ["IV", "LA"], ["IV", "LA"]]


def test_a_way_behind_doses_of_unknown_amount_makes_each_a_valid_dosage():
    doses = ("RXA|0|1|2025031508||A^a|999", "RXA|0|2|2025031509||A^a|999", VEIN)
    conversion = made("RAS^O17^RAS_O17", "ORC|RE|P1", *doses)
    assert [
        "extension" in one["dosage"]["dose"]
        for one in of_type(conversion, "MedicationAdministration")
    ] == [True, True]


def test_each_vaccine_under_one_order_has_its_own_way():
    rxa = "RXA|0|1|20250315||{}^x^CVX|0.5|mL"
    conversion = made(
        "VXU^V04^VXU_V04", "ORC|RE||F1", rxa.format("08"), VEIN, rxa.format("133"), SKIN
    )
    found = of_type(conversion, "Immunization")
    assert [(first(one["route"]), first(one["site"])) for one in found] == [
        ("IV", "LA"),
        ("SC", "RT"),
    ]


@pytest.mark.parametrize(
    ("components", "drug"),
    [
        (("RXC|B|NS^Saline|100|mL",), {"text": "Saline"}),
        (
            ("RXC|B|NS^Saline|100|mL", "RXC|A|K^Potassium|20|mmol", "RXC|A|^维生素C|1|g"),
            {"text": "Saline + Potassium + 维生素C"},
        ),
    ],
)
@pytest.mark.parametrize("kind", ["OMP^O09^OMP_O09", "RDE^O11^RDE_O11"])
def test_a_prescription_of_components_alone_is_stored_and_named_by_them(kind, components, drug):
    found = only(made(kind, "ORC|NW|P1", "RXR|IV", *components), "MedicationRequest")
    medication = found["medicationCodeableConcept"]
    assert medication["text"] == drug["text"]
    assert ("coding" in medication) == (len(components) == 1)
    assert len(found["extension"]) == len(components)
    assert ways(found) == [["IV"]]


def test_components_of_what_is_supplied_are_the_supplys():
    rxd = ("RXD|1|M^Mix|20250315|1|BAG||RX1", "RXR|IV", "RXC|B|NS^Saline|100|mL")
    conversion = made("RDS^O13^RDS_O13", "ORC|RE|P1", RXE, "RXC|A|K^Potassium|20|mmol", *rxd)
    told = {
        kind: [
            part["valueCodeableConcept"]["text"]
            for one in only(conversion, kind)["extension"]
            for part in one["extension"][:1]
        ]
        for kind in ("MedicationRequest", "MedicationDispense")
    }
    assert told == {"MedicationRequest": ["Potassium"], "MedicationDispense": ["Saline"]}


@pytest.mark.parametrize(
    ("answer", "told", "resource_type", "basis"),
    [
        ("RSP^K31^RSP_K31", "RXD|1|M^Morphine|20250315|10|AMP||RX1", "MedicationDispense", None),
        ("RSP^Z88^RSP_Z88", "RXD|1|M^Morphine|20250315|10|AMP||RX1", "MedicationDispense", RXE),
        ("RSP^Z86^RSP_Z86", "RXG|1||202503150800|M^Morphine|10||mg", "MedicationDispense", RXE),
        ("RSP^Z84", "RXA|0|1|202503150800||M^Morphine|10", "MedicationAdministration", RXE),
    ],
)
def test_a_pharmacys_answer_tells_of_prescriptions_and_what_came_of_them(
    answer, told, resource_type, basis
):
    asked = ("MSA|AA|Q1", "QAK|Q1|OK", "QPD|Z86^x|Q1|T1", PID)
    segments = [one for one in ("ORC|RE|P1", basis, told, VEIN) if one]
    text = lines(TABLE_MSH.format(answer), *asked, *segments)
    for table in (True, False):
        conversion = converted(text, by_table=table)
        assert errors(conversion) == []
        came = only(conversion, resource_type)
        name = "authorizingPrescription" if resource_type.endswith("Dispense") else "request"
        (order,) = came[name] if isinstance(came[name], list) else [came[name]]
        if basis:
            prescription = only(conversion, "MedicationRequest")
            assert target(conversion, order) is prescription
            assert prescription["status"] == "active"  # the answer says nothing of its end
        else:
            assert order["identifier"]["value"] == "P1"


def test_where_a_dose_was_given_may_be_an_institution_alone():
    for where, name in (("^^^Clinic1", "Clinic1"), ("R1^^^Clinic1", "R1")):
        rxa = f"RXA|0|1|20250315||08^HepB^CVX|0.5|mL||||{where}"
        for kind in ("VXU^V04^VXU_V04", "RAS^O17^RAS_O17"):
            conversion = made(kind, "ORC|RE||F1", rxa)
            found = only(conversion, "Location")
            assert (found["name"], found["identifier"][0]["value"]) == (name, name)
    dose = only(made("VXU^V04^VXU_V04", "ORC|RE||F1", rxa), "Immunization")
    assert dose["location"]["reference"]


def test_which_dose_of_a_series_a_vaccine_was_is_its_protocol():
    rxa = "RXA|0|1|20250315||08^HepB^CVX|0.5|mL"
    told = ("OBX|1|NM|30973-2^dose number^LN|1|2||||||F", "OBX|2|NM|59781-5^valid^LN|1|1||||||F")
    found = only(made("VXU^V04^VXU_V04", "ORC|RE||F1", rxa, *told), "Immunization")
    assert found["protocolApplied"] == [{"doseNumberPositiveInt": 2}]
