"""Results that share the one number that each should have for itself (OBX-21).

Spec: HL7v2 chapter 7, OBX-21 (unique to the observation); R4 observation.html, obs-7
"""

import pytest
from meaning_parts import segment

PID = "PID|1||T1^^^SHTH01^PI||沈^桂芳"


def result(code, value, number="EI21^LIS"):
    return segment("OBX", f1="1", f2="NM", f3=f"{code}^x^LN", f5=value, f11="F", f21=number)


def report(*results):
    return [PID, "OBR|1|P1|F1|24323-8^panel^LN", *results]


def told(results):
    return {
        one["code"]["coding"][0]["code"]: str(one["valueQuantity"]["value"])
        if "valueQuantity" in one
        else [str(part["valueQuantity"]["value"]) for part in one["component"]]
        for one in results
    }


async def test_results_with_one_number_stay_results_of_their_own(say, every):
    await say("ORU^R01", "0900", *report(result("718-7", "120"), result("8867-4", "60~120")))
    assert told(await every("Observation")) == {"718-7": "120", "8867-4": ["60", "120"]}

    await say("ORU^R01", "0930", *report(result("718-7", "121"), result("8867-4", "61~120")))
    assert told(await every("Observation")) == {"718-7": "121", "8867-4": ["61", "120"]}


async def test_a_number_of_one_result_finds_it_under_another_order(say, only):
    await say("ORU^R01", "0900", PID, "OBR|1|P1|F1|A^a", result("718-7", "120", "R1^LIS"))
    await say("ORU^R01", "0930", PID, "OBR|1|P1|F2|A^a", result("718-7", "121", "R1^LIS"))
    assert str((await only("Observation"))["valueQuantity"]["value"]) == "121"


async def test_a_number_that_several_results_have_finds_none_of_them(say, every):
    await say("ORU^R01", "0900", *report(result("718-7", "120"), result("8867-4", "60")))
    await say("ORU^R01", "0930", PID, "OBR|1|P2|F2|A^a", result("718-7", "121"))
    found = [str(one["valueQuantity"]["value"]) for one in await every("Observation")]
    assert found == ["120", "60", "121"]


def asked(resources):
    return sorted(one["code"]["coding"][0]["code"] for one in resources)


async def test_what_is_ordered_under_one_number_is_each_an_order(say, every):
    order = [PID, "ORC|NW|P1", "OBR|1|||A^a", segment("OBX", f1="1", f2="NM", f3="K^k", f5="4")]
    more = [*order, "OBR|2|||B^b", "OBR|3|||B^b"]
    await say("ORM^O01", "0900", *order)
    await say("ORM^O01", "0910", *more)
    await say("ORM^O01", "0920", *more)
    first, second, third = await every("ServiceRequest")
    assert asked([first, second, third]) == ["A", "B", "B"]
    assert {one["identifier"][0]["value"] for one in (first, second, third)} == {"P1"}
    assert ["supportingInfo" in one for one in (first, second, third)] == [True, False, False]
    assert [one["meta"]["versionId"] for one in (second, third)] == ["1", "1"]


async def test_reports_of_one_tube_are_each_a_report_of_the_one_order(say, every, only):
    tube = [
        *("OBR|1|P1|F1|A^a", result("718-7", "120", "")),
        *("OBR|2|P1|F1|B^b", result("8867-4", "60", "")),
    ]
    await say("ORM^O01", "0800", PID, "ORC|NW|P1", "OBR|1|P1||PANEL^p")
    await say("ORU^R01", "0900", PID, *tube[:2])
    await say("ORU^R01", "0910", PID, *tube)
    await say("ORU^R01", "0920", PID, tube[2], result("8867-4", "61", ""))
    reports = await every("DiagnosticReport")
    assert asked(reports) == ["A", "B"]
    assert [len(one["result"]) for one in reports] == [1, 1]
    assert told(await every("Observation")) == {"718-7": "120", "8867-4": "61"}
    ordered = await only("ServiceRequest")
    assert asked([ordered]) == ["PANEL"]
    based = {one["basedOn"][0]["reference"] for one in reports}
    assert based == {f"ServiceRequest/{ordered['id']}"}


async def test_one_report_in_two_parts_is_one(say, only):
    parts = ["OBR|1|P1|F1|A^a", result("718-7", "120", ""), "OBR|2|P1|F1|A^a"]
    await say("ORU^R01", "0900", PID, *parts, result("8867-4", "60", ""))
    report = await only("DiagnosticReport")
    assert "tag" not in report["meta"]
    assert len(report["result"]) == 2


HANDS = [f"OBR|{at}|P1||CT^ct|||||||||{hand}" for at, hand in ((1, "left"), (2, "right"))]


def scan(filler, value):
    return [f"OBR|1|P1|{filler}|CT^ct", result("8867-4", value, "")]


@pytest.fixture
def values_by_hand(every):
    """Return for each order what its reports found."""

    async def run():
        hands = {
            f"ServiceRequest/{one['id']}": one["extension"][0]["valueString"]
            for one in await every("ServiceRequest")
        }
        values = {
            f"Observation/{one['id']}": str(one["valueQuantity"]["value"])
            for one in await every("Observation")
        }
        found = {hand: [] for hand in hands.values()}
        for report in await every("DiagnosticReport"):
            (order,) = report["basedOn"]
            found[hands[order["reference"]]] += [values[x["reference"]] for x in report["result"]]
        return found

    return run


async def test_two_orders_of_one_number_and_code_live_and_each_has_its_results(say, values_by_hand):
    await say("ORM^O01", "0800", PID, "ORC|NW|P1", HANDS[0], "ORC|NW|P1", HANDS[1])
    await say("ORM^O01", "0810", PID, "ORC|NW|P1", HANDS[0], "ORC|NW|P1", HANDS[1])
    assert await values_by_hand() == {"left": [], "right": []}
    await say("ORU^R01", "0900", PID, *scan("F1", "1"), *scan("F2", "2"))
    await say("ORU^R01", "0910", PID, *scan("F2", "4"))
    await say("ORU^R01", "0920", PID, *scan("F2", "5"), *scan("F1", "3"))
    assert await values_by_hand() == {"left": ["3"], "right": ["5"]}


async def test_results_that_come_apart_go_to_an_order_each(say, values_by_hand):
    await say("ORM^O01", "0800", PID, "ORC|NW|P1", HANDS[0], "ORC|NW|P1", HANDS[1])
    await say("ORU^R01", "0900", PID, *scan("F1", "1"))
    await say("ORU^R01", "0910", PID, *scan("F2", "2"))
    assert await values_by_hand() == {"left": ["1"], "right": ["2"]}


async def test_two_reports_of_one_order_are_both_its(say, only, every):
    await say("ORU^R01", "0900", PID, *scan("F1", "1"), *scan("F2", "2"))
    await say("ORM^O01", "0910", PID, "ORC|NW|P1", HANDS[0])
    order = f"ServiceRequest/{(await only('ServiceRequest'))['id']}"
    reports = await every("DiagnosticReport")
    assert [one["basedOn"][0]["reference"] for one in reports] == [order, order]


async def test_a_result_finds_its_order_by_the_number_that_obr_alone_has(say, every, only):
    orders = ["ORC|NW|P1", "OBR|1|P1||A^a", "OBR|2|P2||B^b"]
    await say("OMG^O19", "0800", PID, *orders)
    await say("ORU^R01", "0900", PID, "OBR|1|P2|F2|B^b", result("8867-4", "60", ""))
    ordered = {one["id"]: asked([one]) for one in await every("ServiceRequest")}
    based = (await only("DiagnosticReport"))["basedOn"][0]["reference"]
    assert (len(ordered), ordered[based.partition("/")[2]]) == (2, ["B"])


def called(resources, element):
    return [one[element]["text"] for one in resources]


async def test_two_vaccines_under_one_order_are_two_and_each_has_what_was_seen(say, every):
    doses = [
        text
        for code in ("HepB", "DTaP")
        for text in (
            f"RXA|0|1|20250314|20250314|{code}^{code}^CVX|1|mL",
            segment("OBX", f1="1", f2="ST", f3=f"{code}-seen^x^L", f5="well", f11="F"),
        )
    ]
    await say("VXU^V04", "0900", PID, "ORC|RE||I1", *doses)
    await say("VXU^V04", "0910", PID, "ORC|RE||I1", *doses)
    await say("VXU^V04", "0920", PID, "ORC|RE||I1", *doses[2:])
    given = await every("Immunization")
    assert called(given, "vaccineCode") == ["HepB", "DTaP"]
    seen = {
        f"Immunization/{one['id']}": asked_of for one, asked_of in zip(given, "HD", strict=True)
    }
    assert [
        (one["code"]["coding"][0]["code"][:1], seen[one["partOf"][0]["reference"]])
        for one in await every("Observation")
    ] == [("H", "H"), ("D", "D")]


async def test_each_supply_of_a_prescription_is_its_own(say, every):
    order, supply = "ORC|RE|P1", "RXD|{}|{}^{}^L|20250314|30|TAB|TAB|RX1"
    both = [supply.format(1, "A", "A"), supply.format(2, "B", "B")]
    await say("RDS^O13", "0900", PID, order, *both)
    await say("RDS^O13", "0910", PID, order, supply.format(3, "A", "A"))
    await say("RDS^O13", "0920", PID, order, both[1])
    found = await every("MedicationDispense")
    assert called(found, "medicationCodeableConcept") == ["A", "B", "A"]
    assert {one["identifier"][0]["value"] for one in found} == {"RX1"}


async def test_two_medicines_of_one_number_are_two_orders(say, every):
    drugs = [f"RXO|{one}^{one}^L|1||mg" for one in "AB"]
    await say("OMP^O09", "0900", PID, "ORC|NW|P1", drugs[0], "ORC|NW|P1", drugs[1])
    found = await every("MedicationRequest")
    assert called(found, "medicationCodeableConcept") == ["A", "B"]


@pytest.mark.parametrize("counted", ["1", ""])
async def test_supplies_that_nobody_counts_are_told_apart_by_day_and_drug(say, every, counted):
    supply = f"RXD|{counted}|{{0}}^{{0}}^L|{{1}}|{{2}}|TAB|TAB|RX1"
    both = [supply.format(drug, "202503140850", 30) for drug in "AB"]
    await say("RDS^O13", "0800", PID, "ORC|RE|P1", supply.format("A", "20250301", 30))
    await say("RDS^O13", "0900", PID, "ORC|RE|P1", *both)
    await say("RDS^O13", "0910", PID, "ORC|RE|P1", supply.format("A", "202503140855", 28))
    found = await every("MedicationDispense")
    assert called(found, "medicationCodeableConcept") == ["A", "A", "B"]
    assert [one["quantity"]["value"] for one in found] == [30, 28, 30]
