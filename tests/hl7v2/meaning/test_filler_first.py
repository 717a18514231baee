"""What the filler tells of an order has one end, also where that comes before the order itself.

The placer's messages and the filler's come over different lines, so either may be late.

Spec: HL7v2 chapter 4, table 0119; chapters 4 and 4A, ORL, ORR, ORG, ORP and RRE
"""

import itertools

import pytest
from meaning_parts import person

HBA1C = "4548-4^HbA1c^LN"
DRUG = "A10BA02^二甲双胍^ATC"
HIS, LIS, PHA = "HIS|SHTH01", "LIS|SHTH01", "PHA|SHTH01"
GIVEN = f"RXD|1|{DRUG}|20250314|10|片||RX1"


def lab(event, control, *numbers, by=HIS, state="", obr=True):
    """Return a message of a laboratory's order or its answer."""
    placer, filler = (*numbers, "")[:2]
    details = [f"OBR|1|{placer}|{filler}|{HBA1C}"] if obr else []
    return event, (person(), f"ORC|{control}|{placer}|{filler}||{state}", *details), by


def results(status, placer="P1^HIS", state="", filler="F1^LIS"):
    order = f"OBR|1|{placer}|{filler}|{HBA1C}|||20250314080000{'|' * 18}{status}"
    found = f"OBX|1|NM|{HBA1C}||7|%|||||{status}"
    return "ORU^R01", (person(), f"ORC|RE|{placer}|{filler}||{state}", order, found), LIS


def drug(event, control, details="", *, filler="", by=HIS, state=""):
    """Return a message of a prescription; `details` are what stands behind ORC."""
    lines = [details.replace("DRUG", DRUG)] if details else []
    return event, (person(), f"ORC|{control}|P1^HIS|{filler}||{state}", *lines), by


def supply(control="RE", state="", given=GIVEN):
    order = f"ORC|{control}|P1^HIS|F1^PHA||{state}"
    return "RDS^O13", (person(), order, f"RXE||{DRUG}|1||g", given), PHA


ORDER, SHORT = lab("OML^O21", "NW", "P1^HIS"), "RXO|DRUG|0.5||g"
RX = drug("OMP^O09", "NW", SHORT)
F1 = {"filler": "F1^PHA", "by": PHA}
ANSWERS = {"ORL^O22": "OML^O21", "ORR^O02": "ORM^O01", "ORG^O20": "OMG^O19"}
STORIES = {
    **{
        f"{answer} {control}, {'OBR' if obr else 'ORC alone'}": (
            [
                lab(order, "NW", "P1^HIS"),
                lab(answer, control, "P1^HIS", "F1^LIS", by=LIS, obr=obr),
            ],
            [("ServiceRequest", status, "F1", "HbA1c")],
        )
        for answer, order in ANSWERS.items()
        for control, status in (("OK", "active"), ("UA", "revoked"), ("HR", "on-hold"))
        for obr in (True, False)
    },
    "the filler's number is assigned to an order of its own": (
        [
            lab("ORM^O01", "SN", "", "F1^LIS", by=LIS),
            lab("ORR^O02", "NA", "P1^HIS", "F1^LIS", obr=False),
        ],
        [("ServiceRequest", "active", "F1", "HbA1c")],
    ),
    "results of what was taken back": (
        [ORDER, lab("OML^O21", "OC", "P1^HIS"), results("F")],
        [("ServiceRequest", "revoked", "F1", "HbA1c")],
    ),
    "an order is answered with two numbers": (
        [
            ORDER,
            *(lab("ORL^O22", "OK", "P1^HIS", f"F{n}^LIS", by=LIS) for n in "12"),
        ],
        [("ServiceRequest", "active", number, "HbA1c") for number in ("F1", "F2")],
    ),
    "an order is answered with two numbers, one after the other, and one is not accepted": (
        [
            ORDER,
            lab("ORL^O22", "OK", "P1^HIS", "F1^LIS", by=LIS),
            lab("ORL^O22", "UA", "P1^HIS", "F2^LIS", by=LIS),
            lab("OML^O21", "XO", "P1^HIS"),
        ],
        [("ServiceRequest", "active", "F1", "HbA1c"), ("ServiceRequest", "revoked", "F2", "HbA1c")],
    ),
    "a state of the filler behind the results": (
        [
            ORDER,
            lab("OML^O21", "SC", "P1^HIS", "F1^LIS", by=LIS, state="SC"),
            results("F", state="CM"),
        ],
        [("ServiceRequest", "completed", "F1", "HbA1c")],
    ),
    "final, then cancelled": (
        [ORDER, results("F"), results("X")],
        [("ServiceRequest", "revoked", "F1", "HbA1c")],
    ),
    "final, then under way again": (
        [ORDER, results("F"), results("P")],
        [("ServiceRequest", "active", "F1", "HbA1c")],
    ),
    "a prescription is accepted": (
        [RX, drug("ORP^O10", "OK", **F1)],
        [("MedicationRequest", "active", "F1", "0.5")],
    ),
    "a prescription is not accepted": (
        [RX, drug("RRE^O12", "UA", **F1)],
        [("MedicationRequest", "cancelled", "F1", "0.5")],
    ),
    **{
        f"a prescription is not accepted, and repeated: {event}": (
            [RX, drug(event, "UA", details, **F1)],
            [("MedicationRequest", "cancelled", "F1", "0.5")],
        )
        for event, details in (("RRE^O12", "RXE||DRUG|1||g"), ("ORP^O10", "RXO|DRUG|1||g"))
    },
    "a prescription is held": (
        [RX, drug("OMP^O09", "HD")],
        [("MedicationRequest", "on-hold", "", "0.5")],
    ),
    "the pharmacy changes the dose": (
        [RX, drug("RDE^O11", "XO", "RXE||DRUG|1||g", **F1)],
        [("MedicationRequest", "active", "F1", "1")],
    ),
    "the pharmacy changes the dose of what is stopped then": (
        [RX, drug("RDE^O11", "XO", "RXE||DRUG|1||g", **F1), drug("OMP^O09", "DC")],
        [("MedicationRequest", "stopped", "F1", "1")],
    ),
    "the pharmacy encodes it (RE), and supplies it": (
        [RX, drug("RDE^O11", "RE", "RXE||DRUG|1||g", **F1), supply()],
        [("MedicationRequest", "active", "F1", "1")],
    ),
    "its last supply ends it": (
        [RX, supply(), supply(state="CM", given=GIVEN.replace("D|1|", "D|2|"))],
        [("MedicationRequest", "completed", "F1", "1")],
    ),
    "a supply is taken back": (
        [RX, supply(), supply("CA")],
        [("MedicationRequest", "active", "F1", "1")],
    ),
    "a refill is denied": (
        [RX, drug("OMP^O09", "DF")],
        [("MedicationRequest", "active", "", "0.5")],
    ),
    "the pharmacy replaces it under the placer's number": (
        [
            RX,
            (
                "RDE^O11",
                (
                    *(person(), "ORC|RU|P1^HIS|F1^PHA", f"RXE||{DRUG}|0.5||g"),
                    *("ORC|RO|P1^HIS|F2^PHA", f"RXE||{DRUG}|1||g"),
                ),
                PHA,
            ),
        ],
        [("MedicationRequest", "active", "F2", "1"), ("MedicationRequest", "stopped", "F1", "0.5")],
    ),
}


def one(order):
    """Return what a test says of an order: its state, the filler's number, and what is ordered."""
    dose = order.get("dosageInstruction", [{}])[0].get("doseAndRate", [{}])[0]
    told = order.get("code", {}).get("text") or str(dose["doseQuantity"]["value"])
    numbers = [one["value"] for one in order["identifier"]]
    assert "P1" in numbers
    return order["resourceType"], order["status"], "".join(n for n in numbers if n != "P1"), told


@pytest.mark.parametrize(
    ("name", "order"),
    [
        pytest.param(name, order, id=f"{name}: {' '.join(map(str, order))}")
        for name, (story, _) in STORIES.items()
        for order in itertools.permutations(range(len(story)))
    ],
)
async def test_a_story_of_placer_and_filler_has_one_end(say, every, name, order):
    story, end = STORIES[name]
    for number in order:
        event, segments, by = story[number]
        await say(event, f"{8 + number:02}00", *segments, by=by)

    kinds = ("ServiceRequest", "MedicationRequest")
    assert sorted([one(order) for kind in kinds for order in await every(kind)]) == end


async def test_what_replaced_a_prescription_is_changed_under_the_number_of_both(say, every):
    story, _ = STORIES["the pharmacy replaces it under the placer's number"]
    changed = drug("OMP^O09", "XO", "RXO|DRUG|1.5||g")
    for number, (event, segments, by) in enumerate([*story, changed]):
        await say(event, f"{8 + number:02}00", *segments, by=by)

    told = {one(order)[2:] for order in await every("MedicationRequest")}
    assert told == {("F1", "0.5"), ("F2", "1.5")}


async def test_a_prescription_in_force_is_completed_by_the_order_control_alone(say, only, every):
    event, segments, by = RX
    await say(event, "0800", *segments, by=by)
    await say("ORM^O01", "0900", person(), "ORC|RE|P1^HIS|F1^PHA||CM", by=PHA)

    assert one(await only("MedicationRequest")) == ("MedicationRequest", "completed", "F1", "0.5")
    assert not await every("ServiceRequest")


@pytest.mark.parametrize("event", ["ORM^O01", "OMP^O09"])
async def test_an_order_control_opens_nothing_that_turned_out_to_be_a_prescription(
    say, every, event
):
    await say("ORM^O01", "1000", person(), "ORC|HD|P1^HIS")
    for at, control in (("0800", "NW"), ("1100", "RL")):
        details = [SHORT.replace("DRUG", DRUG)] if control == "NW" else []
        await say(event, at, person(), f"ORC|{control}|P1^HIS", *details)

    assert [one["status"] for one in await every("ServiceRequest")] == ["entered-in-error"]
    assert [one["status"] for one in await every("MedicationRequest")] == ["active"]


@pytest.mark.parametrize(
    ("known", "obr", "hour"),
    [
        pytest.param("", True, 9, id="none known, OBR"),
        pytest.param("F1^LIS", True, 9, id="one known, OBR"),
        pytest.param("", False, 9, id="none known, ORC alone"),
        pytest.param("F1^LIS", False, 9, id="one known, ORC alone"),
        pytest.param("", True, 11, id="before the order, OBR"),
    ],
)
async def test_an_answer_with_two_numbers_of_the_filler_tells_of_two_orders(
    say, every, known, obr, hour
):
    order = lab("ORM^O01", "NW", "P1^HIS", known)
    answers = [
        segment
        for control, number in (("OK", "F1^LIS"), ("CR", "F2^LIS"))
        for segment in lab("ORR^O02", control, "P1^HIS", number, obr=obr)[1][1:]
    ]
    both = {hour: order, 10: ("ORR^O02", (person(), *answers), LIS)}
    for at, (event, segments, by) in sorted(both.items()):
        await say(event, f"{at:02}00", *segments, by=by)

    told = [(one["status"], one["identifier"][1]["value"]) for one in await every("ServiceRequest")]
    assert told == [("active", "F1"), ("revoked", "F2")]


IN_ORDER = {
    "a platform answers with a number of its own before the laboratory does": (
        [
            ORDER,
            lab("ORL^O22", "OK", "P1^HIS", "X9^ESB", by="ESB|SHTH01"),
            lab("ORL^O22", "OK", "P1^HIS", "F1^LIS", by=LIS),
            lab("ORL^O22", "UA", "P1^HIS", "F2^LIS", by=LIS),
        ],
        [("active", "F1"), ("revoked", "F2")],
    ),
    "one of two numbers is not accepted, and the results have none": (
        [
            ORDER,
            lab("ORL^O22", "UA", "P1^HIS", "F1^LIS", by=LIS),
            lab("ORL^O22", "OK", "P1^HIS", "F2^LIS", by=LIS),
            results("F", filler=""),
            results("F", filler=""),
        ],
        [("revoked", "F1"), ("completed", "F2")],
    ),
}


@pytest.mark.parametrize("name", IN_ORDER)
async def test_who_names_no_number_of_the_filler_means_the_order_in_force(say, every, name):
    story, wanted = IN_ORDER[name]
    for hour, (event, segments, by) in enumerate(story, start=9):
        await say(event, f"{hour:02}00", *segments, by=by)

    told = await every("ServiceRequest")
    assert [(one["status"], one["identifier"][-1]["value"]) for one in told] == wanted


BY_NUMBER = {
    **{
        f"{answer}, {number}{'' if obr else ', ORC alone'}": (
            [lab(order, "NW", "P1^HIS"), lab(answer, "OK", "P1^HIS", number, by=LIS, obr=obr)],
            number,
        )
        for answer, order in ANSWERS.items()
        for number, obr in (("F1", True), ("F1^LIS", False), ("F1^LIS^1.2.3^ISO", True))
    },
    "a state (OML SC)": ([ORDER, lab("OML^O21", "SC", "P1^HIS", "F1^LIS", by=LIS)], "F1^LIS"),
    "the laboratory's own order": ([lab("ORM^O01", "SN", "", "F1^LIS", by=LIS)], "F1^LIS"),
    "another application of the facility": (
        [ORDER, lab("ORL^O22", "OK", "P1^HIS", "F1", by="LIS2|SHTH01")],
        "F1",
    ),
}


@pytest.mark.parametrize("name", BY_NUMBER)
async def test_results_by_the_fillers_number_alone_are_of_the_order_that_has_it(say, only, name):
    story, number = BY_NUMBER[name]
    told = []
    for hour, status in enumerate(("", "P", "F", "X"), start=9):
        said = [results(status, placer="", filler=number)] if status else story
        for minute, (event, segments, by) in enumerate(said):
            await say(event, f"{hour:02}{minute:02}", *segments, by=by)
        told.append((await only("ServiceRequest"))["status"])

    order, report = await only("ServiceRequest"), await only("DiagnosticReport")
    assert told == ["active", "active", "completed", "revoked"]
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{order['id']}"}]


@pytest.mark.parametrize(
    ("number", "patient"),
    [
        pytest.param("F9^LIS", person(), id="another number"),
        pytest.param("F1^ABC", person(), id="another filler"),
        pytest.param("F1^LIS", person("T2", f5="李^四", f7="19700101"), id="another patient"),
    ],
)
async def test_results_by_a_fillers_number_that_no_order_of_hers_has_make_and_end_none(
    say, only, number, patient
):
    answer = lab("ORL^O22", "OK", "P1^HIS", "F1^LIS", by=LIS)
    event, (_, *segments), by = results("F", placer="", filler=number)
    for hour, (kind, said, who) in enumerate([ORDER, answer, (event, (patient, *segments), by)]):
        await say(kind, f"{hour:02}00", *said, by=who)

    assert (await only("ServiceRequest"))["status"] == "active"
    assert "basedOn" not in await only("DiagnosticReport")
