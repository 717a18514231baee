"""What an observation was taken for: a dose, a supply, a prescription, what was found before.

Spec: HL7v2 chapters 4A (RAS, RDS, RGV, RDE, OMP) and 7 (OBR-26); R4 Observation.partOf, derivedFrom
"""

import pytest
from conversion_parts import by_code, converted, errors, lines, of_type, target

PID = "PID|1||T1^^^CLINIC^MR||Shen^Guifang||19530412|F"
WEIGHT = "OBX|1|NM|29463-7^Weight^LN||70|kg|||||F"
PULSE = "OBX|1|NM|8867-4^Pulse^LN||70|/min|||||F"


def made(kind, *segments):
    conversion = converted(
        lines(f"MSH|^~\\&|A|CLINIC|||20250315||{kind}|C1|P|2.5.1", PID, *segments)
    )
    assert errors(conversion) == []
    return conversion


@pytest.mark.parametrize(
    ("kind", "given", "again", "resource_type"),
    [
        (
            "RAS^O17^RAS_O17",
            "RXA|0|1|202503150800||MET^Metformin|500|mg||||||||||||CP",
            "RXA|0|2|202503152000||MET^Metformin|500|mg||||||||||||CP",
            "MedicationAdministration",
        ),
        (
            "RDS^O13^RDS_O13",
            "RXD|1|MET^Metformin|20250315|30|TAB||R1",
            "ORC|RE|P2\rRXD|2|MET^Metformin|20250415|30|TAB||R1",
            "MedicationDispense",
        ),
        (
            "RGV^O15^RGV_O15",
            "RXG|1|||MET^Metformin|500||mg",
            "ORC|RE|P2\rRXG|2|||MET^Metformin|500||mg",
            "MedicationDispense",
        ),
    ],
)
def test_what_was_observed_with_a_dose_is_part_of_that_dose(kind, given, again, resource_type):
    segments = (given, "RXR|PO", WEIGHT, again, "RXR|PO", PULSE)
    conversion = made(kind, "ORC|RE|P1", "RXO|MET^Metformin|500||mg", *segments)
    both = of_type(conversion, resource_type)
    found = by_code(conversion)
    for code, dose in zip(("29463-7", "8867-4"), both, strict=True):
        (whole,) = found[code]["partOf"]
        assert target(conversion, whole) == dose


@pytest.mark.parametrize(
    ("kind", "drug"),
    [
        ("RDE^O11^RDE_O11", "RXE||MET^Metformin|500||mg"),
        ("OMP^O09^OMP_O09", "RXO|MET^Metformin|500||mg"),
        ("ORM^O01^ORM_O01", "RXO|MET^Metformin|500||mg"),
    ],
)
def test_a_prescription_is_supported_by_what_was_observed_for_it(kind, drug):
    second = ("ORC|NW|P2", drug, PULSE)
    conversion = made(kind, "ORC|NW|P1", drug, "RXR|PO", WEIGHT, *second)
    assert len(by_code(conversion)) == 2
    for one, code in zip(
        of_type(conversion, "MedicationRequest"), ("29463-7", "8867-4"), strict=True
    ):
        (support,) = one["supportingInformation"]
        assert target(conversion, support)["code"]["coding"][0]["code"] == code


def test_a_problem_has_what_was_observed_of_it_and_what_is_ordered_for_it():
    goal = ("GOL|AD|20250315|G^Pulse < 80|G1", PULSE)
    orders = ("ORC|NW|P1", "OBR|1|P1||X^Y", "ORC|NW|P2", "RXO|MET^Metformin|500||mg")
    second = ("PRB|AD|20250315|B^b|PR2", "ORC|NW|P3", "OBR|1|P3||X^Y")
    conversion = made("PPR^PC1^PPR_PC1", "PRB|AD|20250315|A^a|PR1", WEIGHT, *goal, *orders, *second)
    first, other = of_type(conversion, "Condition")
    (goal,) = of_type(conversion, "Goal")
    found = by_code(conversion)
    (evidence,) = first["evidence"][0]["detail"]
    (outcome,) = goal["outcomeReference"]
    assert target(conversion, evidence) == found["29463-7"]
    assert target(conversion, outcome) == found["8867-4"]
    requests = of_type(conversion, "ServiceRequest") + of_type(conversion, "MedicationRequest")
    whole = [target(conversion, reason) for one in requests for reason in one["reasonReference"]]
    assert whole == [first, other, first]


GROWTH = (
    "OBR|1|P1|F1|BCX^Culture",
    "OBX|1|CE|ORG^Organism|1|ECO^E. coli||||||F",
    "OBX|2|CE|ORG^Organism|2|SAU^S. aureus||||||F",
)


def grown(*children):
    """Return for each antibiotic in what its susceptibility was found."""
    conversion = made("ORU^R01^ORU_R01", *GROWTH, *children)
    found = {}
    for code, one in by_code(conversion).items():
        for source in one.get("derivedFrom", ()):
            found[code] = target(conversion, source)["valueCodeableConcept"]["text"]
    return found, conversion


def child(number, parent, order="P1^F1", drug="AMP"):
    return (
        f"OBR|{number}|P1|F{number}|SUSC^Susceptibility||||||||||||||||||||||{parent}|||{order}",
        f"OBX|1|ST|{drug}^{drug}||<=4||||||F",
    )


def test_a_susceptibility_is_derived_from_the_organism_of_which_it_is():
    found, _ = grown(*child(2, "ORG&Organism^1^E. coli"), *child(3, "ORG^2", drug="OXA"))
    assert found == {"AMP": "E. coli", "OXA": "S. aureus"}


@pytest.mark.parametrize("order", ["", "P1", "^F1", "P1&HIS^F1&LIS"])
def test_the_order_of_the_organism_may_be_told_in_part(order):
    assert grown(*child(2, "ORG^2", order))[0] == {"AMP": "S. aureus"}


@pytest.mark.parametrize(
    ("parent", "order"), [("ORG^3", "P1^F1"), ("ORG", "P1^F1"), ("ORG^1", "P1^F9"), ("XXX^1", "")]
)
def test_an_organism_that_the_message_does_not_have_is_kept_word_for_word(parent, order):
    found, conversion = grown(*child(2, parent, order))
    assert found == {}
    kept = [
        one["valueString"]
        for provenance in of_type(conversion, "Provenance")
        for one in provenance.get("extension", ())
    ]
    assert any(parent in one for one in kept)
