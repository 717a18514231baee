"""Referrals from the centre over the district to the city's hospital and back, out of order.

Each story has its messages by the moments at which they are sent. In whatever order they come, and
however often, the referrals, their orders, bookings and visits end alike.

Spec: DOMAIN 2.5; docs/referral.md
"""

import parts
import pytest
from meaning_parts import person, segment

from fhir_hub.referral.conduct import Conduct

CARD = "310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"
NUMBERS = {"ZJJCHC": "Z1", "QPDCH": "Q1", "SHTH01": "T1"}
UP, ON, DOWN = "ZZ1^ZJJCHC", "QZ9^QPDCH", "TD5^SHTH01"


@pytest.fixture
def repository(store, clock):
    return parts.repository(store, clock, parts.ids(), conduct=Conduct(is_strict=False))


def hers(facility, number=""):
    return person(f3=f"{number or NUMBERS[facility]}^^^{facility}^PI~{CARD}")


def refer(number, to, at, event="I12", note="请协助"):
    by = number.partition("^")[2]
    rf1 = segment("RF1", f1="P", f2="R", f4="SO", f6=number, f7="20250314070000", f10="X^控制不佳")
    parties = (f"PRD|RP|戴^慧||QK^^^{by}|||D1^{by}", f"PRD|RT|内分泌科||NFM^^^{to}")
    return f"REF^{event}", at, (rf1, *parties, hers(by), f"NTE|1|L|{note}"), by


def answer(number, by, at, code="A", event="I12"):
    rf1 = segment("RF1", f1=code, f2="R", f6=number, f9=f"20250314{at}00", f11=f"F{at}^{by}")
    return f"RRI^{event}", at, ("MSA|AA|X", rf1, hers(by), f"NTE|1|L|答复{at}"), by


def book(number, by, at, event="S12", patient=""):
    sch = segment("SCH", f2=f"AP1^{by}", f11="1^^M15^20250314130000^20250314131500", f26=number)
    ail = segment("AIL", f1="1", f3=f"NFM05^^^{by}", f6="20250314130000", f9="15", f10="min")
    return f"SIU^{event}", at, (sch, patient or hers(by), "RGS|1", ail), by


def visit(by, at, patient=""):
    pv1 = segment("PV1", f2="O", f3=f"NFM05^^^{by}", f19=f"V1^^^{by}", f44=f"20250314{at}00")
    return "ADT^A04", at, (patient or hers(by), pv1), by


def document(by, at):
    pv1 = segment("PV1", f2="O", f19=f"V1^^^{by}")
    txa = segment("TXA", f1="1", f2="DS^门诊小结", f3="TX", f12=f"D1^{by}", f17="AU")
    said = ("EVN|T02", hers(by), pv1, txa, "OBX|1|TX|DS^门诊小结||好转||||||F")
    return "MDM^T02", at, said, by


@pytest.fixture
def tell(say, every):
    """Tell messages; return by number where each referral stands, with what it names."""

    async def run(*messages):
        for event, at, segments, by in messages:
            await say(event, at, *segments, by=f"HIS|{by}")
        orders = {f"ServiceRequest/{one['id']}": one for one in await every("ServiceRequest")}
        ends = {}
        for task in await every("Task"):
            order = orders[task["focus"]["reference"]]
            kinds = [one["valueReference"]["reference"] for one in task.get("output", ())]
            code = task["businessStatus"]["coding"][0]["code"]
            told = sorted(one.partition("/")[0] for one in kinds)
            ends[order["identifier"][0]["value"]] = (code, order["status"], told)
        assert len(ends) == len(orders)
        assert len([one for one in await every("Patient") if one["active"]]) == 1
        return ends

    return run


FROM_DISTRICT = [
    refer(UP, "QPDCH", "0800"),
    answer(UP, "QPDCH", "0830"),
    refer(ON, "SHTH01", "0900"),
    answer("QZ9", "SHTH01", "0930"),
    book("QZ9", "SHTH01", "1000"),
    visit("SHTH01", "1230"),
    document("SHTH01", "1400"),
]
DONE = ["Appointment", "DocumentReference", "Encounter"]


@pytest.mark.parametrize(
    "order",
    ["0123456", "1034256", "4321056", "5643210", "3425610", "01234560123456", "6543210"],
)
async def test_the_district_sends_on_what_the_centre_sent(tell, order):
    ends = await tell(*(FROM_DISTRICT[int(place)] for place in order))

    assert ends == {"ZZ1": ("3.0", "active", []), "QZ9": ("5.1.4", "active", DONE)}


MERGED = [
    refer(UP, "SHTH01", "0800"),
    answer(UP, "SHTH01", "0830"),
    book("ZZ1", "SHTH01", "0900", patient=hers("SHTH01", "T9")),
    ("ADT^A40", "1000", (hers("SHTH01"), "MRG|T9^^^SHTH01^PI"), "SHTH01"),
    visit("SHTH01", "1230", hers("SHTH01", "T9")),
    document("SHTH01", "1400"),
    refer(DOWN, "ZJJCHC", "1500"),
    answer("TD5", "ZJJCHC", "1600"),
]


@pytest.mark.parametrize("order", ["01234567", "20134576", "42130576", "31024567", "4521037607"])
async def test_she_is_merged_in_the_middle_and_goes_back_to_her_doctor(tell, order):
    ends = await tell(*(MERGED[int(place)] for place in order))

    assert ends == {"ZZ1": ("5.1.4", "active", DONE), "TD5": ("3.0", "active", [])}


CORRECTED = [
    refer(UP, "SHTH01", "0800"),
    refer(UP, "SHTH01", "0815", "I13", "更正：请评估肾病"),
    answer(UP, "SHTH01", "0830"),
]


@pytest.mark.parametrize("order", ["012", "102", "210", "201", "120", "0011220"])
async def test_a_correction_holds_though_it_comes_before_what_it_corrects(tell, only, order):
    ends = await tell(*(CORRECTED[int(place)] for place in order))

    assert ends == {"ZZ1": ("3.0", "active", [])}
    assert [one["text"] for one in (await only("ServiceRequest"))["note"]] == ["更正：请评估肾病"]


CANCELLED = [
    refer(UP, "SHTH01", "0800"),
    answer(UP, "SHTH01", "0830"),
    book("ZZ1", "SHTH01", "0900"),
    refer(UP, "SHTH01", "0930", "I14"),
    answer("ZZ1", "SHTH01", "1000", event="I14"),
]


@pytest.mark.parametrize("order", ["01234", "10234", "20134", "21034", "012344"])
async def test_a_booked_referral_that_is_taken_back_gives_its_place_back(tell, only, order):
    ends = await tell(*(CANCELLED[int(place)] for place in order))

    assert ends == {"ZZ1": ("6.0", "revoked", ["Appointment"])}
    assert (await only("Appointment"))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("visited", "code"), [("1000", "5.1.1"), ("1105", "cn-arrived"), ("1430", "cn-arrived")]
)
async def test_an_earlier_visit_of_the_day_is_not_the_booked_one(tell, visited, code):
    ends = await tell(
        refer(UP, "SHTH01", "0800"), visit("SHTH01", visited), book(UP, "SHTH01", "1500")
    )

    assert ends["ZZ1"][0] == code


async def test_a_booking_that_is_moved_to_when_she_was_there_is_of_that_visit(tell):
    later = tuple(one.replace("2025031413", "2025031513") for one in book(UP, "SHTH01", "0900")[2])
    ends = await tell(
        refer(UP, "SHTH01", "0800"),
        ("SIU^S12", "0900", later, "SHTH01"),
        visit("SHTH01", "1230"),
        document("SHTH01", "1400"),
        book(UP, "SHTH01", "1500", "S13"),
    )

    assert ends == {"ZZ1": ("5.1.4", "active", DONE)}
