"""DOMAIN 1.3 S3 and 2.5, 2.5b: REF and RRI drive the same machine, in order and out of it."""

import re
from itertools import count, permutations

import pytest
from scenario_parts import EXAMPLES, scenario_hub

NUMBER = b"ZZ20250310-0001"


@pytest.fixture
def hub():
    """A hub on which the resident is registered and referred (01, 13)."""
    with scenario_hub() as running:
        running.tell("01", "13")
        yield running


IN_FULL = NUMBER + b"^ZJJCHC"
SERIALS = count(1)


def told(message, event=b"", *changes):
    """Return a message of the story as another event, with other texts, under another id."""
    (path,) = (EXAMPLES / "messages").glob(f"{message}_*.hl7")
    raw = path.read_bytes()
    for old, new in changes:
        raw = raw.replace(old, new)
    if event:
        raw = re.sub(rb"\|(REF|RRI)\^I1\d", lambda m: b"|" + m[1] + b"^" + event, raw, count=1)
    fields = raw.split(b"|")
    fields[9] = f"X{next(SERIALS)}".encode()
    return b"|".join(fields)


def state(hub):
    task = hub.one(f"Task?identifier={NUMBER.decode()}")
    return task["status"], task["businessStatus"]["coding"][0]["code"]


def test_a_booking_before_the_answer_is_inferred_and_the_late_answer_moves_nothing_back(hub):
    hub.tell("04")
    assert state(hub) == ("in-progress", "5.1.1")
    task = hub.one(f"Task?identifier={NUMBER.decode()}")
    assert "inferred" in task["note"][0]["text"]

    hub.tell("14")

    assert state(hub) == ("in-progress", "5.1.1")
    late = hub.one("Task?identifier=TZZ20250310-0456")
    assert late["id"] == task["id"]
    assert "空腹就诊" in str(late["note"])


@pytest.mark.parametrize(
    ("code", "end"),
    [
        pytest.param(b"A", ("accepted", "3.0", "active"), id="accepted"),
        pytest.param(b"R", ("rejected", "4.0", "revoked"), id="rejected"),
    ],
)
def test_an_answer_that_comes_before_its_order_holds(code, end):
    with scenario_hub() as running:
        answer = told("14", b"", ("A^已接收".encode(), code))
        running.tell("01", answer, "13")

        order = running.one("ServiceRequest?category=referral")
        task = running.one(f"Task?identifier={NUMBER.decode()}")
        assert (*state(running), order["status"]) == end
        assert task["focus"] == {"reference": f"ServiceRequest/{order['id']}"}


def test_who_took_a_referral_up_stays_its_owner_though_the_order_is_changed(hub):
    hub.tell("14")
    taken = hub.one(f"Task?identifier={NUMBER.decode()}")["owner"]
    hub.tell(told("13", b"I13"))

    assert taken["reference"].startswith("Practitioner/")
    assert hub.one(f"Task?identifier={NUMBER.decode()}")["owner"] == taken


def test_the_order_again_or_changed_moves_nothing_back(hub):
    hub.tell("14", told("13"), told("13", b"I13", ("糖尿病肾病".encode(), "肾病".encode())))

    assert state(hub) == ("accepted", "3.0")
    assert "肾病" in hub.one("ServiceRequest?category=referral")["note"][0]["text"]


def test_another_order_under_the_same_number_is_refused(hub):
    other = told("13", b"", ("糖尿病肾病".encode(), "白内障".encode()))

    answer = hub.send(other)

    assert b"\rMSA|AE|" in answer
    assert b"205" in answer.partition(b"ERR|")[2]
    assert "肾病" in hub.one("ServiceRequest?category=referral")["note"][0]["text"]


def test_a_question_is_answered_by_the_changed_order(hub):
    asked = told("14", b"I13", ("A^已接收".encode(), "P^待处理".encode()))
    hub.tell(asked)
    assert state(hub) == ("received", "cn-info-requested")
    assert hub.one("CommunicationRequest?status=active")["payload"]

    hub.tell(told("13", b"I13"))

    assert state(hub) == ("received", "2.0")
    assert hub.one("CommunicationRequest")["status"] == "completed"


def test_who_asked_takes_back_before_the_answer_and_asks_for_it_after(hub):
    hub.tell("14", told("13", b"I14"))
    assert state(hub) == ("in-progress", "5.2")

    hub.tell(told("14", b"I14"))

    assert state(hub) == ("cancelled", "6.0")


def test_a_referral_that_nobody_answered_is_taken_back_at_once(hub):
    hub.tell(told("13", b"I14"))

    assert state(hub) == ("cancelled", "6.0")
    assert hub.one("ServiceRequest?category=referral")["status"] == "revoked"


def test_who_was_asked_gives_an_accepted_referral_back(hub):
    hub.tell("14", told("14", b"I14"))

    assert state(hub) == ("rejected", "4.0")


def test_a_cancellation_is_refused_by_accepting_again(hub):
    hub.tell("14", told("13", b"I14"), told("13", b"I14"))
    asked_for = hub.one("ServiceRequest?category=referral")["status"]
    hub.tell(told("14", b"I13"))

    assert state(hub) == ("accepted", "3.0")
    assert (asked_for, hub.one("ServiceRequest?category=referral")["status"]) == (
        "active",
        "active",
    )


QUESTION = ("A^已接收".encode(), "P^待处理".encode())


def test_who_asks_how_a_referral_stands_changes_nothing(hub):
    hub.tell(told("14", b"I13", QUESTION))
    before = hub.one(f"Task?identifier={NUMBER.decode()}")
    hub.tell(told("13", b"I15", ("糖尿病肾病".encode(), "肾病".encode())))

    assert hub.one(f"Task?identifier={NUMBER.decode()}") == before
    assert "糖尿病肾病" in hub.one("ServiceRequest?category=referral")["note"][0]["text"]
    assert b"RF1^1^6^204" in hub.send(told("13", b"I15", (NUMBER, b"ZZ-9")))


ELSEWHERE = ((b"ZZPT|SHTH01|", b"ZZPT|QPDCH|"), (b"NFM^^^SHTH01", b"NFM^^^QPDCH"))


@pytest.mark.parametrize("first", [(), ("14",)], ids=["asked", "accepted"])
def test_a_referral_is_passed_on_by_a_change_of_who_is_asked(hub, first):
    hub.tell(*first, told("13", b"I13", *ELSEWHERE))

    task = hub.one(f"Task?identifier={NUMBER.decode()}")
    assert state(hub) == ("requested", "2.0")
    asked = hub.get(task["owner"]["reference"])
    assert "QPDCH" in [one["value"] for one in asked["identifier"]]
    assert task["restriction"]["recipient"] == [task["owner"]]
    assert b"\rMSA|AE|" in hub.send(told("14"))


def test_a_booked_referral_is_not_passed_on_by_a_change(hub):
    hub.tell("14", "04")
    answer = hub.send(told("13", b"I13", *ELSEWHERE))

    assert b"a referral cannot go to another institution from scheduled" in answer
    assert state(hub) == ("in-progress", "5.1.1")


def test_a_change_that_names_nobody_leaves_who_was_asked(hub):
    before = hub.one(f"Task?identifier={NUMBER.decode()}")["owner"]
    hub.tell(told("13", b"I13", (b"PRD|RT^", b"PRD|PP^"), (b"|ZZPT|SHTH01|", b"|FHIRHUB|QPRHP|")))

    assert hub.one(f"Task?identifier={NUMBER.decode()}")["owner"] == before


def test_a_referral_again_that_is_over_is_told_so(hub):
    hub.tell(told("14", b"", ("A^已接收".encode(), b"R")))
    answer = hub.send(told("13"))

    assert b"a referral cannot become requested from rejected" in answer
    assert hub.one("ServiceRequest?category=referral")["status"] == "revoked"


def test_a_referral_that_crossed_with_its_cancellation_opens_nothing(hub):
    hub.tell(told("13", b"I14", (b"20250310094005", b"20250310120005")), told("13"))

    assert state(hub) == ("cancelled", "6.0")
    assert hub.one("ServiceRequest?category=referral")["status"] == "revoked"


def test_a_booking_names_the_referral_by_its_number_alone(hub):
    hub.tell("14", told("04", b"", (IN_FULL, NUMBER)))

    assert state(hub) == ("in-progress", "5.1.1")


NO_SHOW = told("04", b"", (b"SIU^S12", b"SIU^S26"), (b"Booked^", b"Noshow^"))


@pytest.mark.parametrize("order", list(permutations(("13", "14", NO_SHOW))), ids=range(6))
def test_who_did_not_come_is_known_in_any_order(order):
    with scenario_hub() as hub:
        hub.tell("01", *order)

        assert state(hub) == ("in-progress", "5.1.2")


def test_an_answer_with_the_identifiers_of_another_patient_is_refused_and_kept_for_a_person(hub):
    other = told(
        "14",
        b"",
        (b"310229195304129989", b"31022919570930997X"),
        (b"T0088123", b"T0099999"),
        ("沈^桂芳".encode(), "欧阳^志明".encode()),
        (b"19530412|F", b"19570930|M"),
    )

    answer = hub.send(other)

    assert b"\rMSA|AE|" in answer
    assert b"another patient" in answer
    assert state(hub) == ("requested", "2.0")
    pages = hub.addresses.fhir.removesuffix("/fhir")
    failed = hub.client.get(f"{pages}/ops/messages?state=failed").json()
    assert other.split(b"|")[9].decode() in str(failed)


def test_an_answer_of_another_institution_is_refused_and_names_who_was_asked(hub):
    answer = hub.send(told("14", b"", (b"ZZPT|SHTH01|", b"ZZPT|QPDCH|"))).decode()

    assert "\rMSA|AE|" in answer
    assert state(hub) == ("requested", "2.0")
    assert "only the institution that was asked answers a referral: SHTH01 (or a platform" in answer
    assert "if trusted_facilities has QPDCH" in answer
    assert "仅转入机构可答复转诊：SHTH01" in answer


TO_A_HUB = (b"|CHIS|ZJJCHC|", b"|FHIRHUB|QPRHP|")
BY_A_HUB = (b"|ZZPT|SHTH01|", b"|FHIRHUB|QPRHP|")


@pytest.mark.parametrize("code", [b"A", b"R"])
def test_what_a_trusted_platform_passes_on_is_the_answer_of_who_was_asked(code):
    answered = (("A^已接收".encode(), code), ("顾^文清".encode(), "内分泌科".encode()))
    with scenario_hub(trusted_facilities=["QPRHP"]) as hub:
        hub.tell("01", told("13", b"", (b"|ZZPT|SHTH01|", b"|FHIRHUB|QPRHP|")))
        before = hub.one(f"Task?identifier={NUMBER.decode()}")
        hub.tell(told("14", b"", BY_A_HUB, TO_A_HUB, *answered))

        task = hub.one(f"Task?identifier={NUMBER.decode()}")
        assert task["status"] == {b"A": "accepted", b"R": "rejected"}[code]
        parties = ("owner", "requester", "restriction")
        assert [task[one] for one in parties] == [before[one] for one in parties]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([(IN_FULL, NUMBER)], id="without whose number it is"),
        pytest.param([(IN_FULL, b"")], id="by MSA-2"),
        pytest.param([(IN_FULL, b""), (b"TZZ20250310-0456^SHTH01", b"")], id="with no number"),
        pytest.param([(IN_FULL, b"R-7")], id="with a number of its own"),
        pytest.param([TO_A_HUB], id="to a hub"),
    ],
)
def test_an_answer_finds_its_referral_whose_requester_stays(hub, changes):
    hub.tell(told("14", b"", *changes))

    (task,) = hub.found("Task?code=fulfill")
    assert task["status"] == "accepted"
    assert [one["value"] for one in task["identifier"]][:1] == [NUMBER.decode()]
    asking = hub.get(task["requester"]["reference"])
    assert "ZJJCHC" in [one["value"] for one in asking["identifier"]]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param((b"MSA|AA|ZJJ-ZZ-20250310-0001", b"MSA|AA|Q1"), id="another message"),
        pytest.param((b"MSA|AA|ZJJ-ZZ-20250310-0001", b"MSA|AA"), id="no message"),
        pytest.param((b"310229195304129989", b"310229195203129984"), id="another patient"),
    ],
)
def test_an_answer_without_a_number_to_nothing_known_is_refused(hub, change):
    strange = [(b"T0088123", b"T0099999"), ("沈^桂芳".encode(), "李^伟".encode())]
    changes = [(IN_FULL, b""), change, *(strange if change[0].isdigit() else ())]
    answer = hub.send(told("14", b"", *changes))

    assert b"\rMSA|AE|" in answer
    assert b"RF1^1^6^204" in answer
    assert [one["status"] for one in hub.found("Task?code=fulfill")] == ["requested"]


@pytest.mark.parametrize("policy", ["take", "refuse"])
def test_an_answer_to_a_referral_that_is_not_known_is_taken_or_told_so(policy):
    with scenario_hub(referral={"unknown_answer": policy}) as hub:
        answer = hub.send("15")

        assert (b"\rMSA|AA|" in answer) == (policy == "take")
        assert (b"204" in answer.partition(b"ERR|")[2]) == (policy == "refuse")
        assert len(hub.found("Task?identifier=ZZ20250311-0009")) == (policy == "take")


def test_a_booking_that_comes_before_its_referral_is_not_lost():
    with scenario_hub() as hub:
        hub.tell("01", "04")
        hub.tell("13", "14")

        assert state(hub) == ("in-progress", "5.1.1")
        task = hub.one(f"Task?identifier={NUMBER.decode()}")
        assert task["output"][0]["valueReference"]["reference"].startswith("Appointment/")


def test_the_rejected_referral_takes_no_late_booking(hub):
    """Message 15's own rules: after a refusal no transition; a late SIU is for a person to see."""
    number = (b"ZZ20250311-0009", NUMBER)
    resident = (b"31022919570930997X", b"310229195304129989")
    name = ("欧阳^志明".encode(), "沈^桂芳".encode())
    hub.tell(told("15", b"", number, resident, name, (b"19570930|M", b"19530412|F")))
    task = hub.one(f"Task?identifier={NUMBER.decode()}")
    assert (task["status"], "社区随访4周" in str(task["statusReason"])) == ("rejected", True)
    assert hub.one("ServiceRequest?category=referral")["status"] == "revoked"

    assert b"\rMSA|AE|" in hub.send("04")
    assert state(hub) == ("rejected", "4.0")


@pytest.mark.parametrize("order", list(permutations(("13", "14", "04"))), ids=" ".join)
def test_referral_answer_and_booking_come_to_one_end_in_any_order(order):
    with scenario_hub() as hub:
        hub.tell("01", *order)

        task = hub.one(f"Task?identifier={NUMBER.decode()}")
        assert state(hub) == ("in-progress", "5.1.1")
        (booked,) = task["output"]
        assert booked["valueReference"]["reference"].startswith("Appointment/")
        assert task["owner"]["reference"].startswith("Practitioner/")


def test_that_a_booking_was_cancelled_is_known_when_the_referral_comes_last():
    with scenario_hub() as hub:
        cancelled = told("04", b"", (b"SIU^S12", b"SIU^S15"), (b"Booked^", b"Cancelled^"))
        hub.tell("01", "14", "04", cancelled, "13")

        assert state(hub) == ("in-progress", "5.1.3")


@pytest.mark.parametrize("order", list(permutations(("order", "cancel", "answer"))), ids=" ".join)
def test_an_answer_that_crossed_with_the_cancellation_is_taken(order):
    messages = {
        "order": told("13"),
        "cancel": told("13", b"I14", (b"20250310094005", b"20250310120005")),
        "answer": told("14"),
    }
    with scenario_hub() as hub:
        hub.tell("01", *(messages[one] for one in order))

        task = hub.one(f"Task?identifier={NUMBER.decode()}")
        is_known = order.index("answer") < order.index("cancel")
        assert state(hub) == (("in-progress", "5.2") if is_known else ("cancelled", "6.0"))
        assert "空腹就诊" in str(task["note"])
        order_status = hub.one("ServiceRequest?category=referral")["status"]
        assert order_status == ("active" if is_known else "revoked")


def test_an_acceptance_that_was_said_after_the_cancellation_is_refused(hub):
    late = told("14", b"", (b"20250310105500", b"20250310130500"), (b"20250310105430", b""))
    hub.tell(told("13", b"I14", (b"20250310094005", b"20250310120005")))

    assert b"\rMSA|AE|" in hub.send(late)
    assert state(hub) == ("cancelled", "6.0")


REJECTED = told("14", b"", ("A^已接收".encode(), b"R"))


@pytest.mark.parametrize(
    "messages",
    [("13", "04", REJECTED), ("04", REJECTED, "13")],
    ids=["booked and rejected", "the referral last"],
)
def test_a_booking_that_a_message_made_is_given_back_where_the_referral_is_rejected(messages):
    with scenario_hub() as hub:
        hub.tell("01", *messages)

        assert hub.one("Appointment")["status"] == "cancelled"
        assert hub.one("Slot")["status"] == "free"
