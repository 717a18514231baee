"""Events that cancel others bring back what was; a visit remembers its states and beds.

Spec: HL7v2 chapter 3, A11 to A13, A25 to A27, A32, A33, A38, A52, A53, A55; chapter 10, S15
"""

import pytest
from meaning_parts import person, segment, visit


def inpatient(bed="", **fields):
    place = {"f3": f"W1^R1^{bed}^SHTH01"} if bed else {}
    return visit(f2="I", **place, **fields)


@pytest.fixture
def beds(every, only):
    """Return bed → state of the visit's beds."""

    async def run():
        names = {f"Location/{one['id']}": one for one in await every("Location")}
        return {
            names[one["location"]["reference"]]["identifier"][0]["value"].rpartition("^")[2][-2:]: (
                one["status"] + ("" if "end" not in one.get("period", {}) else " ended")
            )
            for one in (await only("Encounter")).get("location", ())
        }

    return run


async def test_a_discharge_cancelled_is_a_visit_that_goes_on(say, only, beds):
    await say("ADT^A01", "0900", person(), inpatient("B1", f44="20250314090000"))
    out = inpatient("B1", f36="01", f45="20250314110000")
    await say("ADT^A03", "1100", person(), out)
    left = await only("Encounter")
    assert (left["status"], left["period"]["end"]) == ("finished", "2025-03-14T11:00:00+08:00")
    assert [one["status"] for one in left["statusHistory"]] == ["in-progress"]
    assert await beds() == {"B1": "completed ended"}

    await say("ADT^A13", "1200", person(), inpatient())
    found = await only("Encounter")
    assert (found["status"], found["period"]) == (
        "in-progress",
        {"start": "2025-03-14T09:00:00+08:00"},
    )
    assert {"statusHistory", "hospitalization"}.isdisjoint(found)
    assert await beds() == {"B1": "active"}


@pytest.mark.parametrize(
    ("events", "known"),
    [
        pytest.param(
            ["A01 0900 B1", "A02 1100 B3", "A02 1000 B2"],
            {
                "B1": "completed to 02:00",
                "B2": "completed from 02:00 to 03:00",
                "B3": "active from 03:00",
            },
            id="between two",
        ),
        pytest.param(
            ["A01 0900 B1", "A03 1100 B1", "A02 1000 B2"],
            {"B1": "completed from 03:00 to 03:00", "B2": "completed from 02:00 to 03:00"},
            id="before the discharge, which names the other",
        ),
        pytest.param(
            ["A01 0900 B1", "A03 1100 B2", "A02 1000 B2"],
            {"B1": "completed to 02:00", "B2": "completed from 02:00 to 03:00"},
            id="before the discharge",
        ),
        pytest.param(
            ["A01 0900 B1", "A08 1100 ", "A02 1000 B2"],
            {"B1": "completed to 02:00", "B2": "active from 02:00"},
            id="behind an update",
        ),
        pytest.param(
            ["A02 1100 B3", "A01 0900 B1"],
            {"B1": "completed to 03:00", "B3": "active from 03:00"},
            id="the first",
        ),
        pytest.param(
            ["A01 0900 B1", "A12 1100 B1", "A02 1000 B2"], {"B1": "active"}, id="cancelled"
        ),
    ],
)
async def test_a_bed_that_is_told_late_is_among_those_of_the_visit(say, every, only, events, known):
    for event, at, bed in (one.split(" ") for one in events):
        await say(f"ADT^{event}", at, person(), inpatient(bed, f10=f"S{at}"))

    names = {
        f"Location/{one['id']}": one["identifier"][0]["value"] for one in await every("Location")
    }
    found = {}
    for one in (await only("Encounter"))["location"]:
        period = one.get("period", {})
        spans = [f" {word} {period[name][11:16]}" for name, word in SPAN if name in period]
        found[names[one["location"]["reference"]].rpartition("^")[2][-2:]] = "".join(
            [one["status"], *spans]
        )
    assert found == known
    assert list(found) == list(known)


SPAN = (("start", "from"), ("end", "to"))


async def test_an_outpatient_who_is_admitted_had_another_class_before(say, only):
    await say("ADT^A04", "0900", person(), visit(f44="20250314090000"))
    for event, at, kind in (("A06", "1000", "I"), ("A08", "1030", "I"), ("A07", "1100", "O")):
        await say(f"ADT^{event}", at, person(), visit(f2=kind))

    found = await only("Encounter")
    told = [(one["class"]["code"], *one["period"].values()) for one in found["classHistory"]]
    assert found["class"]["code"] == "AMB"
    assert told == [
        ("AMB", "2025-03-14T09:00:00+08:00", "2025-03-14T02:00:00Z"),
        ("IMP", "2025-03-14T02:00:00Z", "2025-03-14T03:00:00Z"),
    ]


@pytest.mark.parametrize("named", ["", "B1", "B2"])
async def test_a_transfer_cancelled_leaves_the_patient_in_the_former_bed(say, beds, named):
    await say("ADT^A01", "0900", person(), inpatient("B1"))
    await say("ADT^A02", "1000", person(), inpatient("B2"))
    assert await beds() == {"B1": "completed ended", "B2": "active"}

    await say("ADT^A12", "1100", person(), inpatient(named))
    assert await beds() == {"B1": "active"}


@pytest.mark.parametrize(
    ("first", "cancel"), [("A01", "A11"), ("A04", "A11"), ("A05", "A38"), ("A14", "A27")]
)
async def test_a_visit_cancelled_is_cancelled_and_an_update_does_not_open_it(
    say, only, first, cancel
):
    await say(f"ADT^{first}", "0900", person(), inpatient("B1", f7="T1^顾^文清"))
    await say(f"ADT^{cancel}", "1000", person(), inpatient())
    await say("ADT^A08", "1100", person(), inpatient(f10="MED"))

    found = await only("Encounter")
    assert found["status"] == "cancelled"
    assert found["serviceType"]["coding"][0]["code"] == "MED"
    assert len(found["participant"]) == 1


async def test_an_update_after_the_discharge_does_not_open_the_visit(say, only):
    await say("ADT^A01", "0900", person(), inpatient())
    await say("ADT^A03", "1000", person(), inpatient())
    await say("ADT^A08", "1100", person(), inpatient(f10="MED"))

    assert (await only("Encounter"))["status"] == "finished"


async def test_a_visit_begun_again_under_its_number_goes_on(say, only):
    await say("ADT^A01", "0900", person(), inpatient("B1", f44="20250314090000"))
    await say("ADT^A03", "1000", person(), inpatient(f36="01", f45="20250314100000"))
    await say("ADT^A01", "1100", person(), inpatient("B1", f44="20250314110000"))
    found = await only("Encounter")
    assert found["period"] == {"start": "2025-03-14T11:00:00+08:00"}
    assert "hospitalization" not in found
    states = [one["status"] for one in (*found["statusHistory"], found)]
    assert states == ["in-progress", "finished", "in-progress"]


async def test_a_state_that_is_told_late_was_before_the_one_that_holds(say, only):
    await say("ADT^A11", "1000", person(), inpatient())
    await say("ADT^A08", "0930", person(), inpatient(f10="MED"))
    await say("ADT^A01", "0900", person(), inpatient())
    for at in ("1100", "1200"):
        found = await only("Encounter")
        assert (found["status"], found["statusHistory"][0]["status"]) == (
            "cancelled",
            "in-progress",
        )
        period = found["statusHistory"][0]["period"]
        assert period == {"start": "2025-03-14T01:00:00Z", "end": "2025-03-14T02:00:00Z"}
        await say("ADT^A08", at, person(), inpatient(f10=at))


async def test_a_leave_and_a_return_are_cancelled(say, only):
    await say("ADT^A01", "0900", person(), inpatient())
    states = []
    for event, at in (("A21", "1000"), ("A52", "1100"), ("A21", "1200"), ("A22", "1300")):
        await say(f"ADT^{event}", at, person(), inpatient())
        states.append((await only("Encounter"))["status"])
    await say("ADT^A53", "1400", person(), inpatient())
    states.append((await only("Encounter"))["status"])

    assert states == ["onleave", "in-progress", "onleave", "in-progress", "onleave"]


async def test_when_somebody_on_leave_is_to_be_back_is_known_until_she_is(say, only):
    await say("ADT^A01", "0900", person(), inpatient())
    await say("ADT^A21", "1000", person(), inpatient(), segment("PV2", f47="20250316180000"))
    (told,) = (await only("Encounter"))["extension"]
    assert told["valueDateTime"] == "2025-03-16T18:00:00+08:00"
    await say("ADT^A22", "1300", person(), inpatient())

    assert "extension" not in await only("Encounter")


async def test_an_arrival_cancelled_is_a_visit_planned_again(say, only):
    await say("ADT^A05", "0900", person(), inpatient())
    await say("ADT^A10", "1000", person(), inpatient())
    assert (await only("Encounter"))["status"] == "arrived"
    await say("ADT^A32", "1100", person(), inpatient())

    assert (await only("Encounter"))["status"] == "planned"


async def test_a_pending_transfer_cancelled_leaves_its_bed(say, beds):
    await say("ADT^A01", "0900", person(), inpatient("B1"))
    await say("ADT^A15", "1000", person(), inpatient("B1", f42="W1^R1^B9^SHTH01"))
    assert await beds() == {"B1": "active", "B9": "planned"}
    await say("ADT^A26", "1100", person(), inpatient("B1"))

    assert await beds() == {"B1": "active"}


async def test_the_former_doctor_attends_again(say, every, only):
    await say("ADT^A01", "0900", person(), inpatient(f7="D1^顾^文清"))
    await say("ADT^A54", "1000", person(), inpatient(f7="D2^方^晓岚"))
    ended, attending = (await only("Encounter"))["participant"]
    assert ("end" in ended["period"], "period" in attending) == (True, False)

    await say("ADT^A55", "1100", person(), inpatient(f7="D1^顾^文清"))
    (attending,) = (await only("Encounter"))["participant"]
    assert "period" not in attending
    assert attending["individual"] == ended["individual"]


@pytest.mark.parametrize(
    ("first", "named", "attending"),
    [
        ("D2^方^晓岚", "D1^顾^文清", "顾文清"),
        ("D2^方^晓岚", "", "方晓岚"),
        ("", "D1^顾^文清", "顾文清"),
    ],
)
async def test_a_doctor_whom_the_cancel_of_a_change_names_attends_though_no_change_was_told(
    say, every, only, first, named, attending
):
    await say("ADT^A01", "0900", person(), inpatient(f7=first))
    await say("ADT^A55", "1100", person(), inpatient(f7=named))

    names = {
        f"Practitioner/{one['id']}": one["name"][0]["text"] for one in await every("Practitioner")
    }
    (found,) = (await only("Encounter"))["participant"]
    assert names[found["individual"]["reference"]] == attending
    assert "period" not in found


async def test_a_booking_cancelled_frees_its_slot_and_can_be_booked_again(say, only):
    booked = ("SCH|P1^ZJJCHC|A1^SHTH01||||R^原因|||15|min|^^15^20250320090000", person())
    slot = ("AIP|1||D1^顾^文清", "ZHY|1|SLOT-1|COMMUNITY^社区优先号源^99QPSL")
    await say("SIU^S12", "0900", *booked, *slot)
    assert (await only("Slot"))["status"] == "busy"

    await say("SIU^S15", "1000", *booked)
    found = await only("Appointment")
    assert (found["status"], found["cancelationReason"]["coding"][0]["code"]) == ("cancelled", "R")
    assert (await only("Slot"))["status"] == "free"

    await say("SIU^S15", "1030", *booked)
    await say("SIU^S12", "1100", *booked, *slot)
    found = await only("Appointment")
    assert (found["status"], "cancelationReason" in found) == ("booked", False)
    assert (await only("Slot"))["status"] == "busy"


def booking(at="20250320090000"):
    return f"SCH|P1^ZJJCHC|A1^SHTH01|||||||15|min|^^15^{at}", person()


SLOT = ("AIP|1||D1^顾^文清", "ZHY|1|SLOT-1|COMMUNITY^社区优先号源^99QPSL")


@pytest.mark.parametrize(("event", "status"), [("S15", "cancelled"), ("S26", "noshow")])
async def test_a_change_of_a_booking_that_is_over_does_not_book_again(say, only, event, status):
    await say("SIU^S12", "0900", *booking(), *SLOT)
    await say(f"SIU^{event}", "1000", *booking())
    before = (await only("Slot"))["status"]
    await say("SIU^S14", "1100", *booking("20250320093000"), *SLOT)
    found = await only("Appointment")
    assert (found["status"], found["start"]) == (status, "2025-03-20T09:30:00+08:00")
    assert (await only("Slot"))["status"] == before
    await say("SIU^S13", "1200", *booking("20250321090000"), *SLOT)
    assert (await only("Appointment"))["status"] == "booked"
    assert (await only("Slot"))["status"] == "busy"


async def test_a_change_of_a_referral_that_was_cancelled_does_not_open_it(say, only):
    async def refer(event, at):
        sent = segment("RF1", f1="A", f2="R", f6="REF1^ZJJCHC")
        await say(f"REF^{event}", at, sent, "PRD|RP|张^三", "PRD|RT|李^四", person())
        states = [(await only(kind))["status"] for kind in ("ServiceRequest", "Task")]
        return states, (await only("Task"))["businessStatus"]["coding"][0]["code"]

    assert await refer("I12", "0900") == (["active", "requested"], "2.0")
    for event, at in (("I14", "0910"), ("I13", "0920")):
        assert await refer(event, at) == (["revoked", "cancelled"], "6.0")


async def test_who_attended_before_a_late_message_came_attends_no_more(say, every, only):
    await say("ADT^A08", "1000", person(), inpatient(f7="D2^方^晓岚"))
    await say("ADT^A08", "0900", person(), inpatient(f7="D1^顾^文清", f8="D3^钱^正"))
    ended = [one.get("period") for one in (await only("Encounter"))["participant"]]
    assert ended == [{"end": "2025-03-14T02:00:00Z"}, None, None]


@pytest.mark.parametrize(
    ("kind", "status"),
    [("CG", "billable"), ("CD", "aborted"), ("CR", "aborted"), ("PY", "not-billable")],
)
async def test_a_credit_takes_the_charge_of_its_number_back(say, only, kind, status):
    charge = {"f1": "1", "f2": "X1", "f4": "20250314", "f7": "A^a", "f10": "1"}
    for at, of in (("0900", "CG"), ("0910", kind)):
        await say("DFT^P03", at, person(f18="A1"), segment("FT1", f6=of, **charge))
    assert (await only("ChargeItem"))["status"] == status


@pytest.mark.parametrize("event", ["S15", "S17"])
async def test_a_booking_that_comes_after_its_cancel_takes_no_slot(say, only, event):
    await say(f"SIU^{event}", "1000", *booking())
    await say("SIU^S12", "0900", *booking(), *SLOT)
    assert (await only("Appointment"))["status"] in ("cancelled", "entered-in-error")
    assert (await only("Slot"))["status"] == "free"


@pytest.mark.parametrize(("code", "status"), [("OC", "revoked"), ("CR", "revoked")])
async def test_an_order_cancelled_keeps_what_was_ordered(say, only, code, status):
    order = segment("OBR", f2="P1^ZJJCHC", f4="GLU^血糖", f13="空腹")
    await say("ORM^O01", "0900", person(), "ORC|NW|P1^ZJJCHC", order)
    await say("ORM^O01", "1000", person(), f"ORC|{code}|P1^ZJJCHC")

    found = await only("ServiceRequest")
    assert (found["status"], found["code"]["coding"][0]["code"]) == (status, "GLU")


@pytest.mark.parametrize(("code", "status"), [("CA", "cancelled"), ("DC", "stopped")])
async def test_a_prescription_cancelled_keeps_what_was_prescribed(say, only, code, status):
    drug = segment("RXO", f1="A10BA02^二甲双胍^ATC", f2="0.5", f4="g")
    await say("OMP^O09", "0900", person(), "ORC|NW|P1^ZJJCHC", drug, segment("RXR", f1="PO"))
    bare = segment("RXO", f1="A10BA02^二甲双胍^ATC")
    await say("OMP^O09", "1000", person(), f"ORC|{code}|P1^ZJJCHC", bare)

    found = await only("MedicationRequest")
    assert found["status"] == status
    assert "dosageInstruction" in found


@pytest.mark.parametrize("event", ["P02", "P06"])
async def test_an_account_that_ends_is_inactive_and_another_message_does_not_open_it(
    say, every, event
):
    account = person(f18="A1^^^SHTH01^AN")
    await say("BAR^P01", "1000", account)
    assert [one["status"] for one in await every("Account")] == ["active"]

    await say(f"BAR^{event}", "1100", account)
    await say("ADT^A08", "1200", account)
    await say("BAR^P01", "1030", account)  # late
    assert [one["status"] for one in await every("Account")] == ["inactive"]

    await say("BAR^P01", "1300", account)
    assert [one["status"] for one in await every("Account")] == ["active"]


async def test_who_does_not_come_though_the_booking_was_cancelled_is_a_no_show(say, only):
    booked = ("SCH|P1^ZJJCHC|A1^SHTH01||||R^原因|||15|min|^^15^20250320090000", person())
    for event, at in (("S12", "0900"), ("S15", "1000"), ("S26", "1100")):
        await say(f"SIU^{event}", at, *booked)

    found = await only("Appointment")
    assert (found["status"], "cancelationReason" in found) == ("noshow", False)


@pytest.mark.parametrize("events", [["A11"], ["A01", "A11"], ["A03"], ["A01", "A11", "A08"]])
async def test_in_the_bed_of_a_visit_that_is_over_nobody_is(say, beds, events):
    for hour, event in enumerate(events, start=10):
        await say(f"ADT^{event}", f"{hour}00", person(), inpatient("B1"))

    assert await beds() == {"B1": "completed ended"}


@pytest.mark.parametrize("event", ["A01", "A03", "A04", "A07", "A11", "A38", "A08"])
async def test_a_visit_that_is_over_and_is_told_again_was_in_its_bed_once(say, only, event):
    over = {"f44": "20250314080000", "f45": "20250314085000"} if event not in ("A11", "A38") else {}
    await say("ADT^A01", "0900", person(), inpatient("B1"))
    versions = []
    for at in ("1000", "1100", "1200"):
        await say(f"ADT^{event}", at, person(), inpatient("B1", **over))
        found = await only("Encounter")
        versions.append(found["meta"]["versionId"])

    assert (len(found["location"]), found["location"][0]["status"]) == (1, "completed")
    assert versions == [versions[0]] * 3
