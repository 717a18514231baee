"""An answer (RRI) or a booking (SIU) that comes before its referral (REF) is joined to it.

The end is the one that they have when they come behind it: by whom it may be answered, under which
number it is known, who asks and who is asked.

Spec: HL7v2 chapter 11; docs/referral.md
"""

import parts
import pytest
from meaning_parts import person, segment

from fhir_hub.hl7v2.maps.mappings import load_mappings
from fhir_hub.referral.conduct import Conduct

CENTRE = {"by": "CHIS|ZJJCHC"}
HOSPITAL = {"by": "ZZPT|SHTH01"}
PLATFORM = {"by": "RHP|QPRHP"}
DISTRICT = {"by": "HIS|QPDCH"}
CARD = "310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"
FULL, ALONE = "ZZ1^ZJJCHC", "ZZ1"
ASKING = "PRD|RP^转出|戴^慧||QKMZ^^^ZJJCHC|||D1^ZJJCHC^L"
ASKED = "PRD|RT^转入|内分泌科||NFM^^^SHTH01|||03.04^SHTH01^L"
HERS = person(f3=CARD)


@pytest.fixture
def repository(store, clock):
    return parts.repository(store, clock, parts.ids(), conduct=Conduct(is_strict=False))


@pytest.fixture
def as_hub(tmp_path, chosen):
    """Maps of a site that knows HUBA as a hub."""
    folder = tmp_path / "senders"
    folder.mkdir()
    text = 'source = "a test"\nmatch = { "MSH-3" = ["HUBA"] }\n[settings]\nis_hub = true\n'
    (folder / "huba.toml").write_text(text, "utf-8")
    chosen.append(load_mappings(parts.definitions(), [tmp_path]))


@pytest.fixture
def trusted():
    return ["QPRHP"]


def refer(event="I12", at="0800", number=FULL, note="请协助调整方案"):
    rf1 = segment("RF1", f1="P", f2="R", f4="SO", f6=number, f7="20250314080000", f10="X^控制不佳")
    return f"REF^{event}", at, (rf1, ASKING, ASKED, HERS, f"NTE|1|L|{note}"), CENTRE


def answer(code="A", by=HOSPITAL, number=FULL, at="0900", who="PRD|RT|内分泌科||NFM^^^SHTH01"):
    rf1 = segment("RF1", f1=code, f2="R", f6=number, f10="FULL^床位已满", f11="T1^SHTH01")
    return "RRI^I12", at, ("MSA|AA|C1", rf1, who, HERS, "NTE|1|L|请空腹"), by


def book(event="S12", by=HOSPITAL, number=FULL, at="1000"):
    sch = segment("SCH", f2="AP1^SHTH01", f11="1^^M15^20250320093000^20250320094500", f26=number)
    ail = segment("AIL", f1="1", f3="NFM05^^^SHTH01", f6="20250320093000", f9="15", f10="min")
    return f"SIU^{event}", at, (sch, HERS, "RGS|1", ail), by


async def tell(say, *messages):
    for event, at, segments, by in messages:
        await say(event, at, *segments, **by)


@pytest.fixture
def end(every, only):
    """Return where the one referral stands, and whose numbers and institutions it names."""

    async def run():
        codes = {
            f"Organization/{one['id']}": one["identifier"][0]["value"]
            for one in await every("Organization")
        }
        task, order = await only("Task"), await only("ServiceRequest")
        assert task["focus"] == {"reference": f"ServiceRequest/{order['id']}"}
        numbers = [
            f"{one['value']}@{one['system'].rpartition('/')[2]}" for one in task["identifier"]
        ]
        (recipient,) = task["restriction"]["recipient"]
        named = [codes.get(one["reference"], "") for one in (task["requester"], recipient)]
        booked = [
            f"{one['status']}@{one['basedOn'][0]['identifier']['system'].rpartition('/')[2]}"
            for one in await every("Appointment")
        ]
        state = f"{task['status']} {task['businessStatus']['coding'][0]['code']} {order['status']}"
        return state, sorted(numbers), "→".join(named), booked

    return run


BOTH = ["T1@SHTH01", "ZZ1@ZJJCHC"]
BY_DOCTOR = "PRD|RT|顾^文清||NFM^^^SHTH01|||T20456^SHTH01^L"


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        pytest.param([answer(by=PLATFORM)], "accepted 3.0 active", id="a platform's"),
        pytest.param([answer(by=PLATFORM, who=BY_DOCTOR)], "accepted 3.0 active", id="of a person"),
        pytest.param([answer("R", PLATFORM)], "rejected 4.0 revoked", id="a platform's refusal"),
        pytest.param([answer(number=ALONE)], "accepted 3.0 active", id="a number alone"),
        pytest.param([answer("R", number=ALONE)], "rejected 4.0 revoked", id="refused by it"),
        pytest.param([answer(by=PLATFORM, number=ALONE)], "accepted 3.0 active", id="both"),
        pytest.param([answer("R", PLATFORM, ALONE)], "rejected 4.0 revoked", id="both, refused"),
    ],
)
async def test_an_answer_before_its_referral_is_its_answer(say, end, messages, state):
    await tell(say, *messages, refer())

    assert await end() == (state, BOTH, "ZJJCHC→SHTH01", [])


@pytest.mark.parametrize(
    ("messages", "state", "booked"),
    [
        pytest.param([book(number=ALONE)], "in-progress 5.1.1 active", "booked", id="booked"),
        pytest.param(
            [answer(number=ALONE), book(number=ALONE)],
            "in-progress 5.1.1 active",
            "booked",
            id="answered and booked",
        ),
        pytest.param(
            [book(by=PLATFORM, number=ALONE), answer(number=FULL)],
            "in-progress 5.1.1 active",
            "booked",
            id="by a platform",
        ),
        pytest.param(
            [answer(), book(number=ALONE), book("S15", number=ALONE, at="1100")],
            "in-progress 5.1.3 active",
            "cancelled",
            id="and cancelled",
        ),
        pytest.param(
            [book(number=ALONE), answer("R", number=ALONE, at="1100")],
            "rejected 4.0 revoked",
            "cancelled",
            id="and refused",
        ),
    ],
)
async def test_a_booking_before_its_referral_is_of_it_by_the_number_alone(
    say, end, every, messages, state, booked
):
    await tell(say, *messages, refer())

    found, _, institutions, bookings = await end()
    assert (found, institutions, bookings) == (state, "ZJJCHC→SHTH01", [f"{booked}@ZJJCHC"])


@pytest.mark.parametrize("code", ["A", "R"])
async def test_an_answer_of_who_was_not_asked_is_none_though_it_came_first(say, end, log, code):
    await tell(say, answer(code, DISTRICT), refer())

    assert await end() == ("requested 2.0 active", ["ZZ1@ZJJCHC"], "ZJJCHC→SHTH01", [])
    assert any("answer_of_another" in line for line in log.lines)
    await tell(say, answer())
    assert (await end())[:2] == ("accepted 3.0 active", BOTH)


async def test_a_number_alone_of_another_institution_s_answer_joins_nothing(say, every):
    await tell(say, answer(by=DISTRICT, number=ALONE), refer())

    assert sorted(one["status"] for one in await every("Task")) == ["accepted", "requested"]


async def test_a_booking_under_another_referral_s_own_number_stays_with_that(say, every):
    other = ("ZZ1^SHTH01", "RP", "SHTH01")
    rf1 = segment("RF1", f1="P", f2="R", f4="SO", f6=other[0])
    down = (rf1, "PRD|RP|方^晓岚||NFM^^^SHTH01", "PRD|RT|全科||QKMZ^^^ZJJCHC", HERS)
    await say("REF^I12", "0700", *down, **HOSPITAL)
    await tell(say, book(number=ALONE), refer())

    states = {
        one["identifier"][0]["system"].rpartition("/")[2]: one["status"]
        for one in await every("Task")
    }
    assert states == {"SHTH01": "in-progress", "ZJJCHC": "requested"}


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        pytest.param(
            [answer(by=PLATFORM), answer("R", at="0910")], "rejected 4.0 revoked", id="refused"
        ),
        pytest.param(
            [answer(by=PLATFORM), book(by=PLATFORM), book("S15", at="1100")],
            "in-progress 5.1.3 active",
            id="its booking cancelled",
        ),
        pytest.param(
            [answer(by=PLATFORM), refer("I14", "1200")], "in-progress 5.2 active", id="taken back"
        ),
    ],
)
async def test_what_a_trusted_platform_passed_on_is_changed_by_whose_word_it_was(
    say, end, messages, state
):
    await tell(say, refer(), *messages)

    assert (await end())[0] == state


async def test_an_order_of_a_trusted_institution_ends_by_who_answers_it(say, only):
    order = ("ORC|NW|P1^QPRHP", segment("OBR", f1="1", f2="P1^QPRHP", f4="2345-7^Glucose^LN"))
    done = segment("OBR", f1="1", f2="P1^QPRHP", f3="F1^SHTH01", f4="2345-7^Glucose^LN", f25="F")
    await say("ORM^O01", "0900", HERS, *order, **PLATFORM)
    await say("ORU^R01", "1000", HERS, done, "OBX|1|NM|2345-7^Glucose^LN||5.1||||||F", **HOSPITAL)

    assert (await only("ServiceRequest"))["status"] == "completed"


async def test_a_booking_stays_of_the_referral_whose_number_the_hospital_uses_as_its_own(say, end):
    event, at, segments, by = answer()
    own = tuple(one.replace("T1^SHTH01", "ZZ1^SHTH01") for one in segments)
    event_, at_, cancelled, _ = book("S15", number="", at="1100")
    await tell(say, book(), (event, at, own, by), refer(), (event_, at_, cancelled, by))

    numbers = ["ZZ1@SHTH01", "ZZ1@ZJJCHC"]
    booked = ["cancelled@ZJJCHC"]
    assert await end() == ("in-progress 5.1.3 active", numbers, "ZJJCHC→SHTH01", booked)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("facility", ["QPRHP", "SHTH01"], ids=["as itself", "as the hospital"])
async def test_what_a_trusted_hub_answers_holds_before_its_referral_too(
    say, end, as_hub, facility, order
):
    told = [refer(), answer(by={"by": f"HUBA|{facility}"})]
    await tell(say, *(told[place] for place in order))

    assert await end() == ("accepted 3.0 active", BOTH, "ZJJCHC→SHTH01", [])


def refuse(event="I12", rf1=(), notes=("床位已满", "请下周再转"), code="R"):
    fields = {"f1": code, "f2": "R", "f6": FULL, **dict(rf1)}
    nte = tuple(f"NTE|{number}|L|{text}" for number, text in enumerate(notes, start=1))
    return f"RRI^{event}", "0900", (segment("RF1", **fields), HERS, *nte), HOSPITAL


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        pytest.param([refuse(rf1={"f10": "FULL^无床"})], "无床", id="coded"),
        pytest.param([refuse(rf1={"f14": "无床"})], "无床", id="as a text"),
        pytest.param([refuse(rf1={"f24": "无床"}, notes=())], "无床", id="as a comment"),
        pytest.param([refuse()], "床位已满", id="as a note"),
        pytest.param([answer(at="0830"), refuse("I14")], "床位已满", id="given back"),
    ],
)
async def test_a_refusal_says_why_wherever_it_stands(say, only, messages, reason):
    await tell(say, refer(), *messages)

    task = await only("Task")
    assert (task["status"], task["statusReason"]["text"]) == ("rejected", reason)


async def test_a_refusal_that_says_nowhere_why_is_refused_in_both_languages(say, only):
    await tell(say, refer())
    event, at, segments, by = refuse(notes=())
    told = await say(event, at, *segments, ack="AE", **by)

    assert "decline needs a reason" in told.text
    assert "须说明原因" in told.text
    assert (await only("Task"))["status"] == "requested"


@pytest.mark.parametrize("event", ["I12", "I13"])
async def test_a_referral_that_is_given_back_for_more_by_word_asks_by_its_comment(
    say, only, every, event
):
    await tell(say, refer(), refuse(event, {"f24": "请补充尿蛋白"}, (), code="退回补充"))

    assert (await only("Task"))["businessStatus"]["coding"][0]["code"] == "cn-info-requested"
    assert (await only("CommunicationRequest"))["payload"] == [{"contentString": "请补充尿蛋白"}]
