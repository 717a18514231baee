"""An order of which a message has ORC alone (CA, DC, HD …), or says what it does to a stored one.

Spec: HL7v2 chapter 4, ORC-1 and ORC-5, tables 0119 and 0038
"""

import pytest
from meaning_parts import person, segment

DRUG = "RXO|A10BA02^二甲双胍^ATC|0.5||g"
ENCODED = "RXE||A10BA02^二甲双胍^ATC|0.5||g"
DIET = "ODS|D|||1400^流质^L"
SUPPLY = "RQD|1|G7^纱布^L|||2|包"
GLUCOSE = segment("OBR", f2="P1^SHTH01", f4="GLU^血糖")


@pytest.fixture
def one_order(every):
    """Return the only order of any kind that is stored."""

    async def run():
        kinds = ("MedicationRequest", "ServiceRequest", "NutritionOrder", "SupplyRequest")
        (found,) = [one for kind in kinds for one in await every(kind)]
        return found

    return run


@pytest.mark.parametrize(
    ("event", "detail"), [("ORM^O01", DRUG), ("OMP^O09", DRUG), ("RDE^O11", ENCODED)]
)
async def test_an_order_control_without_details_changes_the_prescription_of_its_number(
    say, one_order, event, detail
):
    await say(event, "0900", person(), "ORC|NW|P1^SHTH01|F1^PHA||||||20250314090000", detail)
    before = await one_order()
    states = []
    for at, order in enumerate(
        (
            "HD|P1^SHTH01",
            "RL|P1^SHTH01",
            "SC|P1^SHTH01|||CM",
            "XO|P1^SHTH01||||||||||||||",
            "OC||F1^PHA",
            "UC|P1^SHTH01",
            "DC|P1^SHTH01|F1^PHA||IP||||20250314110000|||||||REFUSED^患者拒绝^L",
        )
    ):
        await say(event, f"10{at}0", person(), f"ORC|{order}")
        states.append((await one_order())["status"])
    after = await one_order()

    assert states == ["on-hold", "active", *["completed"] * 2, *["cancelled"] * 2, "stopped"]
    assert after["statusReason"]["text"] == "患者拒绝"
    for name in ("medicationCodeableConcept", "dosageInstruction", "authoredOn", "identifier"):
        assert after[name] == before[name]


async def test_the_pharmacys_answer_without_details_cancels_the_prescription(say, one_order):
    await say("OMP^O09", "0900", person(), "ORC|NW|P1^SHTH01", DRUG)
    answer = ("MSA|AA|C1", person(), "ORC|CR|P1^SHTH01")
    await say("ORR^O02", "1000", *answer, by="PHA|SHTH01")

    assert (await one_order())["status"] == "cancelled"


@pytest.mark.parametrize(
    ("event", "detail", "states"),
    [
        pytest.param(
            "ORM^O01", GLUCOSE, ["active", "active", "revoked"], id="service: HD is a request"
        ),
        pytest.param("ORM^O01", DIET, ["on-hold", "active", "revoked"], id="diet"),
        pytest.param("OMS^O05", SUPPLY, ["suspended", "active", "cancelled"], id="supply"),
    ],
)
async def test_orders_of_other_kinds_are_changed_too(say, one_order, event, detail, states):
    await say(event, "0900", person(), "ORC|NW|P1^SHTH01", detail)
    found = []
    for at, code in (("1000", "HD"), ("1100", "RL"), ("1200", "DC")):
        await say("ORM^O01", at, person(), f"ORC|{code}|P1^SHTH01")
        found.append((await one_order())["status"])

    assert found == states


async def test_several_prescriptions_are_stopped_each_by_its_number(say, every):
    for number in "12":
        order = f"ORC|NW|P{number}^SHTH01"
        await say("OMP^O09", f"090{number}", person(), order, DRUG)
    gone = ("ORC|DC|P1^SHTH01", "ORC|CA|P2^SHTH01", "ORC|NW|P3^SHTH01", DRUG)
    await say("ORM^O01", "1000", person(), *gone)

    states = [one["status"] for one in await every("MedicationRequest")]
    assert states == ["stopped", "cancelled", "active"]
    assert not await every("ServiceRequest")


async def test_the_provenance_of_the_message_names_what_it_changed(say, every, one_order):
    await say("OMP^O09", "0900", person(), "ORC|NW|P1^SHTH01", DRUG)
    for at, event in (("1000", "OMP^O09"), ("1100", "ORM^O01")):
        await say(event, at, person(), "ORC|HD|P1^SHTH01")
    changed = f"MedicationRequest/{(await one_order())['id']}"

    for provenance in await every("Provenance"):
        targets = [one["reference"] for one in provenance["target"]]
        assert targets.count(changed) == 1
        assert not [one for one in targets if one.startswith(("urn:", "ServiceRequest"))]


async def test_a_prescription_that_nobody_knows_is_not_made_and_the_log_says_so(say, every, log):
    await say("OMP^O09", "0900", person(), "ORC|XO|P1^SHTH01||||||||||V1^方")

    assert not await every("MedicationRequest")
    assert "message_order_not_known resources=MedicationRequest:1" in log.lines


@pytest.mark.parametrize(("event", "detail"), [("OMP^O09", DRUG), ("RDE^O11", ENCODED)])
@pytest.mark.parametrize(
    ("code", "status"), [("DC", "stopped"), ("CA", "cancelled"), ("HD", "on-hold")]
)
async def test_a_stop_that_comes_before_its_prescription_holds(
    say, one_order, log, event, detail, code, status
):
    await say(event, "1000", person(), f"ORC|{code}|P1^SHTH01|||||||20250314100000")
    alone = await one_order()
    await say(event, "1010", person(), f"ORC|{code}|P1^SHTH01|||||||20250314100000")
    await say(event, "0900", person(), "ORC|NW|P1^SHTH01|F1^PHA||||||20250314090000", detail)
    found = await one_order()

    assert (alone["status"], found["status"]) == (status, status)
    assert "coding" not in alone["medicationCodeableConcept"]
    assert found["medicationCodeableConcept"]["coding"][0]["code"] == "A10BA02"
    assert len(found["identifier"]) == 2
    assert log.lines[0] == "message_order_not_known resources=MedicationRequest:1"

    await say(event, "1100", person(), "ORC|NW|P1^SHTH01", detail)
    assert (await one_order())["status"] == "active"


async def test_a_stop_with_details_holds_though_the_message_repeats_the_state_of_before(
    say, one_order
):
    await say("OMP^O09", "0900", person(), "ORC|NW|P1^SHTH01", DRUG)
    stop = "ORC|DC|P1^SHTH01|||IP|||||||||||REFUSED^患者拒绝^L"
    await say("OMP^O09", "1000", person(), stop, DRUG)

    found = await one_order()
    assert (found["status"], found["statusReason"]["text"]) == ("stopped", "患者拒绝")
    assert "reasonCode" not in found


async def test_a_control_code_that_says_no_state_leaves_the_state_of_an_order(say, one_order):
    await say("ORM^O01", "0900", person(), "ORC|NW|P1^SHTH01|||IP", GLUCOSE)
    await say("ORM^O01", "1000", person(), "ORC|UC|P1^SHTH01", GLUCOSE)

    assert (await one_order())["status"] == "active"


async def test_when_an_order_was_written_stays_whatever_is_done_to_it_later(say, one_order):
    orders = [("NW", "0900"), ("SC", "1000"), ("CA", "1100"), ("NW", "0850")]
    written = []
    for number, (code, at) in enumerate(orders):
        order = f"ORC|{code}|P1^SHTH01|||IP||||20250314{at}00"
        await say("ORM^O01", f"12{number}0", person(), order, GLUCOSE)
        written.append((await one_order())["authoredOn"][11:16])

    assert written == ["09:00", "09:00", "09:00", "08:50"]


TESTS = [segment("OBR", f2="P1^SHTH01", f4=f"{code}^项目") for code in ("GLU", "CRE")]
DRUGS = [DRUG, "RXO|A10BB12^格列美脲^ATC|2||mg"]


@pytest.mark.parametrize(
    ("event", "kind", "details", "status"),
    [
        ("ORM^O01", "ServiceRequest", TESTS, "revoked"),
        ("OMP^O09", "MedicationRequest", DRUGS, "stopped"),
    ],
)
async def test_a_stop_without_details_is_of_all_orders_of_the_number(
    say, every, event, kind, details, status
):
    group = [one for detail in details for one in ("ORC|NW|P1^SHTH01", detail)]
    await say(event, "0900", person(), *group)
    await say("ORM^O01", "1000", person(), "ORC|DC|P1^SHTH01|F9^LIS")

    first, second = await every(kind)
    assert first["status"] == second["status"] == status
    assert len(first["identifier"]) == len(second["identifier"]) == 1
    told = (await every("Provenance"))[-1]["target"]
    addresses = {f"{kind}/{one['id']}" for one in (first, second)}
    assert addresses <= {one["reference"] for one in told}
    assert len(await every("ServiceRequest")) == (2 if kind == "ServiceRequest" else 0)


async def test_a_dispense_that_is_cancelled_was_none(say, only):
    dispense = "RXD|1|A10BA02^二甲双胍^ATC|20250314|10|片||RX1"
    for at, code, status in (("1000", "RE", "completed"), ("1100", "CA", "cancelled")):
        await say("RDS^O13", at, person(), f"ORC|{code}|P1^SHTH01", dispense)
        assert (await only("MedicationDispense"))["status"] == status


async def test_the_fillers_number_alone_leads_to_the_order_too(say, one_order):
    await say("ORM^O01", "0900", person(), "ORC|NW|P1^SHTH01|F1^LIS", GLUCOSE)
    states = []
    for event, at, order in (
        ("ORM^O01", "1000", "OH||F1^LIS"),
        ("ORM^O01", "1100", "UC||F1^LIS"),
        ("ORR^O02", "1200", "OE|P1^SHTH01"),
        ("ORR^O02", "1300", "CR|P1^SHTH01|F1^LIS"),
    ):
        await say(event, at, person(), f"ORC|{order}", by="LIS|SHTH01")
        states.append((await one_order())["status"])

    assert states == ["on-hold", "on-hold", "active", "revoked"]


@pytest.mark.parametrize(
    ("event", "detail"),
    [("OMP^O09", [DRUG]), ("ORM^O01", [GLUCOSE]), ("ORM^O01", TESTS)],
)
async def test_the_order_of_another_patient_stays_though_it_has_the_number(
    say, every, event, detail
):
    order = "ORC|NW|P1^HIS"
    details = [one.replace("P1^SHTH01", "P1^HIS") for one in detail]
    await say(event, "0900", person(), *[text for one in details for text in (order, one)])
    kind = "MedicationRequest" if DRUG in detail else "ServiceRequest"
    before = await every(kind)
    others = person("T2", authority="SHTH02", f5="李^四", f7="19700101", f8="M")
    await say(event, "1000", others, "ORC|DC|P1^HIS", by="HIS|SHTH02")

    assert (await every(kind))[: len(before)] == before

    await say(event, "1100", person(), "ORC|DC|P1^HIS")
    changed = (await every(kind))[: len(before)]
    assert {one["status"] for one in changed} <= {"stopped", "revoked"}


async def test_an_order_control_that_says_no_patient_is_refused_where_two_have_the_number(
    say, every
):
    await say("ORM^O01", "0900", person(), "ORC|NW|P1^HIS", GLUCOSE.replace("SHTH01", "HIS"))
    others = person("T2", authority="SHTH02", f5="李^四", f7="19700101", f8="M")
    await say("ORM^O01", "1000", others, "ORC|DC|P1^HIS", by="HIS|SHTH02")
    await say("ORM^O01", "1100", "ORC|DC|P1^HIS", ack="AE")

    assert [one["status"] for one in await every("ServiceRequest")] == ["active", "revoked"]


@pytest.mark.parametrize("pid", ["PID|1", None])
async def test_an_order_control_that_says_no_patient_changes_the_order_of_its_number(
    say, one_order, pid
):
    await say("OMP^O09", "0900", person(), "ORC|NW|P1^SHTH01", DRUG)
    await say("OMP^O09", "1000", *([pid] if pid else []), "ORC|DC|P1^SHTH01")

    assert (await one_order())["status"] == "stopped"


@pytest.mark.parametrize(
    ("detail", "status"), [(DRUG, "stopped"), (DIET, "revoked")], ids=["drug", "diet"]
)
async def test_a_stop_that_came_before_its_order_holds_whatever_that_orders(
    say, every, detail, status
):
    await say("ORM^O01", "1100", person(), "ORC|DC|P1^SHTH01||||||||20250314110000")
    await say("ORM^O01", "0900", person(), "ORC|NW|P1^SHTH01|||||||20250314090000", detail)

    kinds = ("MedicationRequest", "NutritionOrder")
    (order,) = [one for kind in kinds for one in await every(kind)]
    assert order["status"] == status
    assert "2025-03-14T09:00:00+08:00" in (order.get("authoredOn"), order.get("dateTime"))
    (kept,) = await every("ServiceRequest")
    assert kept["status"] == "entered-in-error"

    await say("ORM^O01", "1200", person(), "ORC|CM|P1^SHTH01|||CM")
    (order,) = [one for kind in kinds for one in await every(kind)]
    assert order["status"] == "completed"


DONE = {
    "RDS^O13": "RXD|1|A10BA02^二甲双胍^ATC|20250314|10|片||RX1",
    "RGV^O15": "RXG|1|1|^BID|A10BA02^二甲双胍^ATC|0.5||g",
    "RAS^O17": "RXA|0|1|20250314||A10BA02^二甲双胍^ATC|0.5|g",
}


@pytest.mark.parametrize("event", DONE)
@pytest.mark.parametrize(
    ("control", "state"), [("NW", "active"), ("HD", "on-hold"), ("DC", "stopped")]
)
async def test_what_is_supplied_or_given_does_not_end_its_prescription(
    say, only, event, control, state
):
    await say("RDE^O11", "0900", person(), "ORC|NW|P1^SHTH01", ENCODED)
    if control != "NW":
        await say("RDE^O11", "0930", person(), f"ORC|{control}|P1^SHTH01")
    await say(event, "1000", person(), "ORC|RE|P1^SHTH01", ENCODED, DONE[event])
    assert (await only("MedicationRequest"))["status"] == state


@pytest.mark.parametrize("event", DONE)
async def test_the_last_of_a_prescription_completes_it(say, only, event):
    await say(event, "0900", person(), "ORC|RE|P1^SHTH01", ENCODED, DONE[event])
    assert (await only("MedicationRequest"))["status"] == "active"
    await say(event, "1000", person(), "ORC|RE|P1^SHTH01|||CM", ENCODED, DONE[event])
    assert (await only("MedicationRequest"))["status"] == "completed"
