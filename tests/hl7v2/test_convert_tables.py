"""A bare code of a field whose table HL7 has is one of that table, not one of the sender's own.

Spec: HL7v2 chapters 2C (tables 0141, 0277, 0305, 0364, 0384, 0411, 0496), 6, 9, 10, 13
"""

import pytest
from conversion_parts import PID, TABLE_MSH, codes, converted, errors, lines, only, segment

BOOKED = segment("SCH", f1="A1", f7="CHECKUP", f8="Normal", f11="^^^20250316090000^20250316093000")
ZHY = "ZHY|1|SLOT-1|COMMUNITY^社区优先号源^99QPSL"
BOOKING = (
    BOOKED,
    "NTE|1|P|bring films|PI",
    PID,
    "RGS|1",
    "AIL|1||R1^^^TEST01|C",
    "AIP|1||D1^顾",
    ZHY,
)
OBR = segment("OBR", f1="1", f2="P1", f4="X^Y", f46="LFT", f47="RGH")
COVER = (PID, "PV1|1|I", "IN1|1|H|P1|Payer", segment("IN2", f15="E5"))
CONSENT = (PID, "PV1|1|I", segment("CON", f1="1", f2="016", f11="A", f13="20250315"))
NOTE = ("extension", 0, "valueAnnotation", "extension", 0, "valueCodeableConcept")


@pytest.mark.parametrize(
    ("kind", "segments", "resource_type", "path", "coded"),
    [
        ("SIU^S12", BOOKING, "Appointment", ("participant", 0, "type", 0), "C 0305"),
        ("SIU^S12", BOOKING, "Appointment", NOTE, "PI 0364"),
        ("SIU^S12", BOOKING, "Slot", ("appointmentType",), "Normal 0277"),
        ("OML^O21", (PID, "ORC|NW|P1", OBR), "ServiceRequest", ("orderDetail", 0), "LFT 0411"),
        ("OML^O21", (PID, "ORC|NW|P1", OBR), "ServiceRequest", ("orderDetail", 1), "RGH 0411"),
        (
            "INU^U05^INU_U05",
            ("EQU|1|20250315", "INV|S1^Sub|OK|CO|C1"),
            "Substance",
            ("category", 0),
            "CO 0384",
        ),
        ("ADT^A01", COVER, "Coverage", ("extension", 0, "valueCodeableConcept"), "E5 0141"),
        ("ADT^A01", CONSENT, "Consent", ("category", 0), "016 0496"),
        ("ADT^A01", CONSENT, "Consent", ("policyRule",), "016 0496"),
    ],
)
def test_a_bare_code_is_one_of_hl7s_table(kind, segments, resource_type, path, coded):
    conversion = converted(lines(TABLE_MSH.format(kind), *segments), by_table=True)

    assert errors(conversion) == []
    found = only(conversion, resource_type)
    for step in path:
        found = found[step]
    code, table = coded.split()
    assert codes({"coding": found["coding"][:1]}) == {
        code: f"http://terminology.hl7.org/CodeSystem/v2-{table}"
    }
