"""An order that another takes the place of (ORC-1 RP, RU or RQ, then RO).

Spec: HL7v2 chapter 4, table 0119: what is replaced is treated as though it were cancelled
"""

import pytest
from meaning_parts import person, segment

DRUG = "RXO|A10BA02^二甲双胍^ATC|0.5||g"
OTHER = "RXO|A10BB12^格列美脲^ATC|2||mg"


def glucose(number):
    return segment("OBR", f2=f"{number}^SHTH01", f4=f"GLU{number}^血糖")


def by_number(resources):
    return {one["identifier"][0]["value"]: one for one in resources}


def leads(reference, resource):
    return reference["reference"] == f"{resource['resourceType']}/{resource['id']}"


@pytest.mark.parametrize("code", ["RP", "RU"])
async def test_a_prescription_that_is_replaced_is_stopped_and_the_new_one_says_which(
    say, every, code
):
    await say("OMP^O09", "0900", person(), "ORC|NW|P1^SHTH01", DRUG)
    orders = (f"ORC|{code}|P1^SHTH01|||IP", DRUG, "ORC|RO|P2^SHTH01", OTHER)
    await say("OMP^O09", "1000", person(), *orders)

    found = by_number(await every("MedicationRequest"))
    assert (found["P1"]["status"], found["P2"]["status"]) == ("stopped", "active")
    assert leads(found["P2"]["priorPrescription"], found["P1"])
    assert "priorPrescription" not in found["P1"]


async def test_a_prescription_replaced_by_nothing_goes_on_under_its_number(say, only):
    await say("OMP^O09", "0900", person(), "ORC|NW|P1^SHTH01", DRUG)
    await say("OMP^O09", "1000", person(), "ORC|RP|P1^SHTH01", OTHER)

    found = await only("MedicationRequest")
    assert found["status"] == "active"
    assert found["medicationCodeableConcept"]["text"] == "格列美脲"


async def test_orders_replaced_by_others_are_revoked_and_each_new_one_says_which(say, every):
    await say("ORM^O01", "0900", person(), "ORC|NW|1^SHTH01", glucose(1))
    await say("ORM^O01", "0905", person(), "ORC|NW|2^SHTH01", glucose(2))
    replaced = ("ORC|RP|1^SHTH01", glucose(1), "ORC|RP|2^SHTH01")
    new = ("ORC|RO|3^SHTH01", glucose(3), "ORC|RO|4^SHTH01", glucose(4))
    after = ("ORC|NW|5^SHTH01", glucose(5), "ORC|RO|6^SHTH01", glucose(6))
    await say("ORM^O01", "1000", person(), *replaced, *new, *after)

    found = by_number(await every("ServiceRequest"))
    assert [found[one]["status"] for one in "123456"] == ["revoked"] * 2 + ["active"] * 4
    for number in "34":
        first, second = found[number]["replaces"]
        assert leads(first, found["1"])
        assert leads(second, found["2"])
    assert not {"replaces"} & {*found["5"], *found["6"]}


async def test_a_prescription_replaced_without_its_details_is_named_by_its_number(say, only):
    await say("ORM^O01", "1000", person(), "ORC|RP|P1^SHTH01", "ORC|RO|P2^SHTH01", OTHER)

    named = (await only("MedicationRequest"))["priorPrescription"]
    assert (named["type"], named["identifier"]["value"]) == ("MedicationRequest", "P1")


async def test_a_reflex_test_without_its_own_order_is_of_the_order_that_led_to_it(say, only):
    await say("ORM^O01", "0900", person(), "ORC|NW|1^SHTH01", glucose(1))
    reflex = segment("OBR", f3="F2^LIS", f4="C^尿培养^L", f7="20250315", f25="F", f29="1&SHTH01")
    await say("ORU^R01", "1000", person(), reflex)

    (based,) = (await only("DiagnosticReport"))["basedOn"]
    assert (based["type"], [based["identifier"]]) == (
        "ServiceRequest",
        (await only("ServiceRequest"))["identifier"],
    )
