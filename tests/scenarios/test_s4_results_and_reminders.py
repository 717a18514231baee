"""DOMAIN 1.3, scenario S4: results of other hospitals with their source, and reminders."""

from decimal import Decimal

import pytest
from scenario_parts import LOINC, SHEN


@pytest.fixture(scope="module")
def told(hub):
    """The centre registered the resident (01); the hospital's laboratory reported (08)."""
    hub.tell("01")
    hub.clock.set("2025-03-14T10:30+08:00")
    hub.tell("08")
    return hub


def test_s4_the_family_doctor_sees_the_result_of_another_hospital(told):
    sugar = told.one(f"Observation?patient.identifier={SHEN}&code={LOINC}|4548-4")

    assert (Decimal(str(sugar["valueQuantity"]["value"])), sugar["valueQuantity"]["unit"]) == (
        Decimal("8.6"),
        "%",
    )
