"""HL7v2 chapter 11, I15: who asks how a referral stands is told by RRI; nothing else happens."""

import re
from itertools import count

import pytest
from scenario_parts import EXAMPLES, scenario_hub
from scenario_parts import SHEN as SHEN_ID

NUMBER = "ZZ20250310-0001"
SERIALS = count(1)
CENTRE, HOSPITAL = "CHIS|ZJJCHC|ZZPT|SHTH01", "ZZPT|SHTH01|CHIS|ZJJCHC"
SHEN = "PID|1||ZJJ00012345^^^ZJJCHC^PI||沈^桂芳||19530412|F"
HERS = "PID|1||310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN||沈^桂芳||19530412|F"
OTHERS = "PID|1||ZJJ00099999^^^ZJJCHC^PI||王^建国||19600101|M"


@pytest.fixture(scope="module")
def started():
    with scenario_hub(trusted_facilities=["QPPT"]) as running:
        running.tell("01")
        yield running


@pytest.fixture
def hub():
    with scenario_hub() as running:
        running.tell("01", "13")
        yield running


def asking(rf1=f"|||||{NUMBER}^ZJJCHC", parties=CENTRE, pid=SHEN, **header):
    """Return a question, its control id made anew: `version`, `modes` (MSH-15 to -18)."""
    version, modes = header.get("version", "2.4"), header.get("modes", "|||UNICODE UTF-8")
    control_id = header.get("control_id") or f"Q{next(SERIALS)}"
    head = f"MSH|^~\\&|{parties}|20250310160000||REF^I15^REF_I12|{control_id}|P|{version}|||{modes}"
    return "\r".join([head, f"RF1|{rf1}", "PRD|RP|戴^慧", pid, ""]).encode()


def newest(hub):
    """Return what was written last of all."""
    return hub.get("_history?_count=1")["entry"]


def read(answer, charset="utf-8"):
    """Return the fields of an answer's segments, by name, the last of each; notes in one."""
    lines = [line.split("|") for line in answer.decode(charset).split("\r") if line]
    notes = " ".join(line[3] for line in lines if line[0] == "NTE")
    return {line[0]: line for line in lines} | {"notes": notes}


def told(message, **changes):
    """Return a message of the story with other texts."""
    (path,) = (EXAMPLES / "messages").glob(f"{message}_*.hl7")
    text = path.read_text("utf-8")
    for old, new in changes.get("texts", ()):
        text = text.replace(old, new)
    return re.sub(r"\|(SHTH01|ZJJ)-[^|]*\|P\|", f"|S{next(SERIALS)}|P|", text, count=1).encode()


REFUSED = (("A^已接收", "R^不予接收"), ("POORCTL^血糖控制不佳伴蛋白尿", "NOINDIC^无转诊指征"))


@pytest.mark.parametrize(
    ("first", "state", "reason"),
    [
        pytest.param((), "P^已", "", id="asked"),
        pytest.param(("14",), "A^已接收^HL70283", "", id="accepted"),
        pytest.param((told("14", texts=REFUSED),), "R^已拒绝^HL70283", "NOINDIC^", id="refused"),
        pytest.param(("14", "04"), "A^已预约^HL70283", "", id="booked"),
        pytest.param(
            (told("13", texts=(("^I12^", "^I14^"),)),), "R^已取消^HL70283", "", id="taken-back"
        ),
    ],
)
def test_the_answer_says_how_the_referral_stands(hub, first, state, reason):
    hub.tell(*first)
    before = newest(hub)

    question = asking()
    answer = read(hub.send(question))

    control_id = question.decode().split("|")[9]
    assert answer["MSH"][2:6] == HOSPITAL.split("|")
    assert answer["MSH"][8] == "RRI^I15^RRI_I12"
    assert answer["MSA"][1:3] == ["AA", control_id]
    assert answer["RF1"][1].startswith(state)
    assert answer["RF1"][6] == f"{NUMBER}^ZJJCHC"
    assert answer["RF1"][7].startswith("20250310094000")
    assert answer["RF1"][8].startswith("20250409235959")
    assert (answer["RF1"][10:11] or [""])[0].startswith(reason)
    assert answer["PID"][5].startswith("沈^桂芳")
    assert ("2025-03-14 09:30" in answer["notes"]) is ("04" in first)
    assert "TZZ20250310-0456" in "|".join(answer["RF1"]) or "14" not in first
    assert newest(hub) == before


def test_one_that_was_not_taken_up_in_time_has_expired(hub):
    hub.pass_time("2025-04-10T08:00+08:00")

    assert read(hub.send(asking()))["RF1"][1] == "E^已过期^HL70283"


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(asking(), id="who-asked-by-its-number"),
        pytest.param(asking(f"|||||{NUMBER}"), id="who-asked-by-the-bare-number"),
        pytest.param(asking(f"|||||{NUMBER}", pid=HERS), id="by-patient-and-number"),
        pytest.param(asking(parties=HOSPITAL, pid=HERS), id="who-is-asked"),
        pytest.param(
            asking(f"|||||{NUMBER}", HOSPITAL, HERS), id="who-is-asked-by-patient-and-number"
        ),
        pytest.param(asking("||||||||||TZZ20250310-0456^SHTH01"), id="by-the-answer's-number"),
        pytest.param(asking(parties="PT|QPPT|HUB|HUB"), id="a-trusted-platform"),
    ],
)
def test_who_has_to_do_with_it_is_told(started, question):
    started.tell("13", "14")

    answer = read(started.send(question))

    assert answer["MSA"][1] == "AA"
    assert answer["RF1"][1] == "A^已接收^HL70283"
    assert f"{NUMBER}^ZJJCHC" in "|".join(answer["RF1"])


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(asking("|||||ZZ-9^ZJJCHC"), id="unknown"),
        pytest.param(asking(parties="HIS|QPDCH|ZZPT|SHTH01"), id="somebody-else's"),
        pytest.param(
            asking(f"|||||{NUMBER}", "HIS|QPDCH|ZZPT|SHTH01", HERS), id="somebody-else's-by-patient"
        ),
        pytest.param(asking(pid=OTHERS), id="of-another-patient"),
    ],
)
def test_who_has_not_hears_the_same_as_of_one_that_is_unknown(started, question):
    started.tell("13", "14")
    before = newest(started)

    answer = started.send(question)

    head, _, rest = answer.decode().partition("\r")
    assert head.split("|")[8] == "ACK^I15^ACK"
    said, error = re.fullmatch(r"MSA\|AE\|Q\d+\|[^:]*: (.*)\r(ERR.*)\r", rest).groups()
    assert said == "no referral has this number / 没有此转诊单号的转诊"
    assert error == "ERR|RF1^1^6^204&Unknown key identifier&HL70357"
    assert newest(started) == before


def test_who_is_to_be_asked_does_not_know_what_was_not_sent_yet(started):
    centre, hospital = (
        {"reference": f"Organization/{started.one(f'Organization?identifier={code}')['id']}"}
        for code in ("ZJJCHC", "SHTH01")
    )
    number = {"system": "https://fhir-hub.example/sid/ZJJCHC", "value": "ZZ-DRAFT"}
    patient = {"reference": f"Patient/{started.one(f'Patient?identifier={SHEN_ID}')['id']}"}
    profile = {"profile": ["https://fhir-hub.example/StructureDefinition/cn-referral-task"]}
    draft = {"resourceType": "Task", "meta": profile, "status": "draft", "intent": "order"}
    draft |= {"identifier": [number], "for": patient, "requester": centre, "owner": hospital}
    started.post("Task", draft)

    of_the_centre = started.send(asking("|||||ZZ-DRAFT^ZJJCHC"))
    of_the_hospital = started.send(asking("|||||ZZ-DRAFT^ZJJCHC", HOSPITAL, HERS))

    assert read(of_the_centre)["RF1"][1].startswith("P^")
    assert b"RF1^1^6^204" in of_the_hospital


def test_in_enhanced_mode_it_is_the_deferred_answer():
    quiet = (("|AL|AL|", "||||"), ("|AL|NE|", "||||"))
    with scenario_hub(channels={"mllp": {"ack_mode": "enhanced"}}) as hub:
        hub.tell(told("01", texts=quiet), told("13", texts=quiet))
        question = asking(modes="NE|AL||UNICODE UTF-8")

        committed, answer = hub.send(asking(modes="AL|NE||")), read(hub.send(question))

        assert b"\rMSA|CA|" in committed
        assert b"\rRF1|" not in committed
        assert answer["MSH"][8] == "RRI^I15^RRI_I12"
        assert answer["MSH"][14:16] == ["AL", "NE"]
        assert answer["MSA"][1:3] == ["AA", question.decode().split("|")[9]]
        assert answer["RF1"][1].startswith("P^")


def test_which_one_is_asked_about_is_to_be_said(started):
    assert b"ERR|RF1^1^6^101&" in started.send(asking("P"))
    lacking = b"\r".join(one for one in asking().split(b"\r") if one[:3] != b"RF1")
    assert b"RF1^1^6^101&" in started.send(lacking)


def test_the_answer_is_in_the_asker_s_dress(started):
    started.tell("13", "14")
    plain = asking(version="2.5.1", modes="|||GB 18030-2000").decode()
    dressed = plain.translate(str.maketrans("|^~&", "#*!$")).encode("gb18030")

    answer = started.send(dressed)

    text = answer.decode("gb18030")
    assert text.startswith("MSH#*!\\$#ZZPT#SHTH01#CHIS#ZJJCHC#")
    assert "#RRI*I15*RRI_I12#" in text
    assert "#2.5.1#" in text
    assert "#GB 18030-2000\r" in text
    assert "\rRF1#A*已接收*HL70283#" in text


def test_the_same_question_again_gets_the_same_bytes_though_the_referral_went_on(hub):
    question = asking()
    first = hub.send(question)
    hub.tell("14")

    assert hub.send(question) == first
    assert read(hub.send(asking()))["RF1"][1] == "A^已接收^HL70283"


def test_what_was_asked_is_not_what_was_told_later(hub):
    """A change that comes late, behind a question, is still the last that was told."""
    hub.tell(asking(f"|S||||{NUMBER}^ZJJCHC"))
    hub.tell(told("13", texts=(("^I12^", "^I13^"), ("A^尽快", "R^常规"))))

    assert hub.one("ServiceRequest?category=referral")["priority"] == "routine"
