"""A resource never changes hands by accident: a number that comes again for another patient.

Spec: HL7v2 chapter 3, A40 and A43 to A45; DOMAIN 2.5b (wrong-patient guard)
"""

import pytest
from meaning_parts import person, segment, visit

LI = {"f5": "李^四", "f7": "19800101", "f8": "M"}


def other(number="T2"):
    return person(number, **LI)


def order(value, code="GLU"):
    return segment("OBR", f2="P1", f3="F1", f4=f"{code}^x^L", f25="F"), glucose(value, code)


def glucose(value, code="GLU"):
    return segment("OBX", f1="1", f2="NM", f3=f"{code}^x^L", f5=value, f11="F")


DRUG = ("ORC|NW|P1|F1", "RXO|A10BA02^二甲双胍^ATC|0.5||g")
DOSE = ("ORC|NW|P1|F1", "RXE||A10BA02^二甲双胍^ATC|0.5||g")
TEST = ("ORC|NW|P1|F1", "OBR|1|P1|F1|GLU^x^L")
BOOKED = ("SCH|B1|B1|||||||30|min|^^^20250320090000^20250320093000", "AIS|1||C^x^L|20250320090000")
TEXT = ("TXA|1|DS|TX|20250314||||||||D1", "OBX|1|TX|||text||||||F")
TOLD = {
    "ORM^O01 test": (TEST, "ServiceRequest"),
    "OML^O21": (TEST, "ServiceRequest"),
    "OMG^O19": (TEST, "ServiceRequest"),
    "ORM^O01 drug": (DRUG, "MedicationRequest"),
    "OMP^O09": (DRUG, "MedicationRequest"),
    "RDE^O11": (DOSE, "MedicationRequest"),
    "ORU^R01": (order("5"), "DiagnosticReport", "Observation", "ServiceRequest"),
    "SIU^S12": (BOOKED, "Appointment"),
    "ADT^A01": ((visit(),), "Encounter"),
    "MDM^T02": (TEXT, "DocumentReference"),
}


@pytest.fixture
def whose(every):
    """Return of each resource of a type the name of its patient and its version, oldest first."""

    async def run(kind):
        people = {f"Patient/{one['id']}": one["name"][0]["text"] for one in await every("Patient")}
        found = []
        for one in await every(kind):
            actors = [part["actor"] for part in one.get("participant", ()) if "actor" in part]
            told = [one["subject"]] if "subject" in one else actors
            names = [people[it["reference"]] for it in told if it.get("reference") in people]
            found.append((*names, int(one["meta"]["versionId"])))
        return found

    return run


@pytest.mark.parametrize("name", TOLD)
async def test_a_number_that_comes_for_another_patient_makes_a_resource_of_his_own(
    say, whose, log, name
):
    event, (told, *kinds) = name.partition(" ")[0], TOLD[name]
    for at, who in (("0900", person()), ("0910", other()), ("0920", person()), ("0930", other())):
        body = (who, *told) if event.startswith(("ADT", "OR", "OM", "RDE", "MDM")) else None
        await say(event, at, *(body or (told[0], who, *told[1:])))

    for kind in kinds:
        assert await whose(kind) == [("沈桂芳", 1), ("李四", 1)], kind
    assert len(log.lines) == 1
    assert log.lines[0].startswith("message_number_of_another resources=")


async def test_each_patients_result_is_corrected_by_her_own_messages(say, every):
    for at, who, value in (("0900", person(), "5"), ("0910", other(), "9"), ("0920", other(), "8")):
        await say("ORU^R01", at, who, visit(), *order(value))
    await say("ORU^R01", "0930", person(), visit(), *order("6"))

    found = await every("Observation")
    assert [str(one["valueQuantity"]["value"]) for one in found] == ["6", "8"]
    visits = [one["encounter"]["reference"] for one in found]
    assert visits == [f"Encounter/{one['id']}" for one in await every("Encounter")]


async def test_an_order_comes_to_the_survivor_of_its_patients_and_is_changed_there(say, whose):
    await say("ADT^A04", "0800", person("T1"))
    for number in ("T1", "T2"):
        await say("ORM^O01", "0900", person(number), *TEST)
    await say("ADT^A40", "1000", person("T1"), "MRG|T2^^^SHTH01^PI")
    await say("ORM^O01", "1100", person("T2"), "ORC|SC|P1|F1||CM", TEST[1])

    assert [version for *_, version in await whose("ServiceRequest")] == [2, 2]


@pytest.mark.parametrize("described", [{}, {"f5": "沈^桂芳"}, {"f5": "沈^桂芳", "f7": "19530412"}])
async def test_a_patient_without_a_number_is_who_the_order_is_of(say, every, whose, described):
    await say("ORU^R01", "0900", person(), *order("5"))
    blank = dict.fromkeys(("f3", "f5", "f7", "f8"), "")
    await say("ORU^R01", "0910", person(**{**blank, **described}), *order("6"), glucose("7", "K"))

    assert len(await every("Patient")) == 1
    assert await whose("Observation") == [("沈桂芳", 2), ("沈桂芳", 1)]


async def test_a_patient_without_a_number_who_is_called_else_is_another(say, whose):
    await say("ORU^R01", "0900", person(), *order("5"))
    await say("ORU^R01", "0910", person(**LI, f3=""), *order("6"))

    assert await whose("Observation") == [("沈桂芳", 1), ("李四", 1)]


async def test_two_patients_of_one_message_share_a_number_and_nothing_else(say, whose):
    await say("ORU^R01", "0900", person(), *order("5"), other(), *order("6"))

    for kind in ("Observation", "DiagnosticReport", "ServiceRequest"):
        assert await whose(kind) == [("沈桂芳", 1), ("李四", 1)], kind


@pytest.fixture
async def moved(say):
    """A visit V1 with a result that went from Shen (T1) to Li (T2)."""
    await say("ADT^A04", "0800", person(), visit())
    await say("ADT^A04", "0810", other())
    await say("ORU^R01", "0900", person(), visit(), *order("5"))
    await say("ADT^A45", "1000", other(), segment("MRG", f1="T1^^^SHTH01^PI", f5="V1"), visit())


async def test_what_comes_under_a_visit_that_was_moved_is_where_the_visit_is(say, whose, moved):
    late = segment("OBR", f2="P2", f3="F2", f4="K^x^L", f25="F")
    await say("ORU^R01", "1100", person(), visit(), late, glucose("4", "K"))
    await say("ORU^R01", "1110", person(), visit(), *order("6"))
    await say("ORU^R01", "1120", person(), *order("7"))
    await say("ORU^R01", "1130", person(), late, glucose("3", "K"))
    await say("ORU^R01", "1140", other(), late, glucose("2", "K"))

    assert await whose("Observation") == [("李四", 4), ("李四", 3)]
    for kind in ("Encounter", "DiagnosticReport", "ServiceRequest"):
        assert {name for name, _ in await whose(kind)} == {"李四"}, kind


async def test_what_was_moved_back_is_hers_again(say, whose, every, moved):
    mrg = segment("MRG", f1="T2^^^SHTH01^PI", f5="V1")
    await say("ADT^A45", "1100", person(), mrg, visit())
    await say("ORU^R01", "1110", other(), visit(), *order("6"))

    for kind in ("Encounter", "DiagnosticReport", "Observation"):
        assert {name for name, _ in await whose(kind)} == {"沈桂芳"}, kind
    assert "moved-from" in str(await every("Observation"))


async def test_another_visit_of_her_stays_hers(say, whose, moved):
    late = segment("OBR", f2="P2", f3="F2", f4="K^x^L", f25="F")
    await say("ORU^R01", "1100", person(), visit(f19="V2"), late, glucose("4", "K"))

    assert [name for name, _ in await whose("Observation")] == ["李四", "沈桂芳"]


async def test_a_visit_that_gets_a_number_takes_in_no_other_patients_visit(say, every, whose):
    await say("ADT^A01", "0900", other(), visit(f19="V2"))
    await say("ADT^A01", "0910", person(), visit(f19="V1"))
    await say(
        "ADT^A50", "1000", person(), segment("MRG", f1="T1^^^SHTH01^PI", f5="V1"), visit(f19="V2")
    )

    assert [name for name, _ in await whose("Encounter")] == ["李四", "沈桂芳"]
    assert "entered-in-error" not in [one["status"] for one in await every("Encounter")]


async def test_a_document_replaces_none_of_another_patient(say, every):
    await say("MDM^T02", "0900", person(), *TEXT)
    new = "TXA|1|DS|TX|20250314||||||||D2|D1", TEXT[1]
    await say("MDM^T09", "0910", other(), *new)

    assert [one["status"] for one in await every("DocumentReference")] == ["current"] * 2


async def test_a_number_given_to_somebody_else_is_for_people_to_decide(say, every):
    await say("ADT^A04", "0900", person())
    for event, body in (("ADT^A08", ()), ("ADT^A01", (visit(),)), ("ORU^R01", order("5"))):
        await say(event, "1000", other("T1"), *body, ack="AE")

    (first,) = await every("Patient")
    assert (first["name"][0]["text"], first["birthDate"]) == ("沈桂芳", "1953-04-12")
    assert not await every("Observation") + await every("Encounter")


@pytest.mark.parametrize(
    ("known", "told"),
    [
        pytest.param({"f5": "无名氏", "f7": "19600101"}, LI, id="nobody knew who it was"),
        pytest.param({"f5": "UNKNOWN^", "f7": "19600101"}, LI, id="unknown"),
        pytest.param({"f5": "沈桂芳之子", "f7": "20250313"}, LI, id="a newborn gets a name"),
        pytest.param({}, {"f7": "19800101"}, id="another birth date"),
        pytest.param({}, {"f5": "李^四"}, id="another name"),
        pytest.param({"f7": ""}, LI, id="no birth date"),
    ],
)
async def test_a_record_is_corrected_as_long_as_not_all_denies_that_it_is_hers(
    say, only, known, told
):
    await say("ADT^A04", "0900", person(**known))
    await say("ADT^A08", "1000", person(**told))

    assert (await only("Patient"))["meta"]["versionId"] == "2"


@pytest.fixture
async def referred(say):
    await say("REF^I12", "0900", "RF1|P|R||||Z1^SHTH01", person())


async def test_a_referral_is_answered_and_changed_for_its_patient_alone(say, every, referred):
    asked = {"by": "HIS|QPRHP"}
    for event, by in (("RRI^I12", asked), ("REF^I12", {}), ("REF^I13", {})):
        body = ("MSA|AA|C1",) if by else ()
        answer = await say(event, "1000", *body, "RF1|A|R||||Z1^SHTH01", other(), ack="AE", **by)
        assert "another patient's" in answer.text
    await say("RRI^I12", "1100", "MSA|AA|C1", "RF1|A|R||||Z1^SHTH01", person(f3=""), **asked)

    assert len(await every("ServiceRequest")) == 1
    assert [one["status"] for one in await every("Task")] == ["accepted"]


async def test_who_was_merged_though_all_denied_it_is_still_found_by_the_old_number(say, every):
    await say("ADT^A04", "0800", person())
    await say("ADT^A04", "0810", other())
    await say("ADT^A40", "0900", person(), "MRG|T2^^^SHTH01^PI")
    await say("ORU^R01", "1000", other(), *order("5"))

    survivor, _ = await every("Patient")
    assert (await every("Observation"))[0]["subject"]["reference"] == f"Patient/{survivor['id']}"
