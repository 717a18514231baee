"""Two pressures of blood in one text: `148/92`, with their unit, in full width.

Spec: https://hl7.org/fhir/R4/observation-vitalsigns.html; DOMAIN 4
"""

import datatype_parts as parts
import pytest

from fhir_hub.hl7v2.datatypes import observed


def test_a_blood_pressure_in_one_text_is_two_components():
    systolic, diastolic = observed.pressure_components(
        parts.value("148/92"), parts.value("mmHg"), parts.value("90/60-139/89"), parts.context()
    )

    assert systolic["code"]["coding"][0]["code"] == "8480-6"
    assert (systolic["valueQuantity"]["value"], diastolic["valueQuantity"]["value"]) == (148, 92)
    assert systolic["valueQuantity"]["code"] == "mm[Hg]"
    assert diastolic["referenceRange"][0]["high"]["value"] == 89
    without = observed.pressure_components(parts.value("148/92"), None, None, parts.context())
    assert without[0]["valueQuantity"]["unit"] == "mmHg"
    assert "referenceRange" not in without[0]


def test_a_pressure_by_its_code_may_be_one_that_cannot_be_true():
    assert observed.read_pressure("1480/92", is_named=True) == (1480, 92)
    assert observed.read_pressure("1480/92") is None


@pytest.mark.parametrize("raw", ["120/80mmHg", "１２０／８０", "120／80 毫米汞柱"])
def test_a_blood_pressure_may_have_its_unit_beside_it_and_be_in_full_width(raw):
    found = observed.pressure_components(parts.value(raw), None, None, parts.context())

    assert [(one["valueQuantity"]["value"], one["valueQuantity"]["code"]) for one in found] == [
        (120, "mm[Hg]"),
        (80, "mm[Hg]"),
    ]


@pytest.mark.parametrize("raw", ["148", "92/148", "148/92/3", "9/2", "400/90", "x"])
def test_other_texts_are_no_blood_pressure(raw):
    context = parts.context()

    assert observed.pressure_components(parts.value(raw), None, None, context) is None


def test_a_fraction_in_another_unit_is_no_blood_pressure():
    found = observed.pressure_components(
        parts.value("148/92"), parts.value("mg/L"), None, parts.context()
    )
    assert found is None
