"""Repeating segments: all that a sender knows, or changes by action code.

Spec: HL7v2 chapter 2, 2.10.4; tables 0206 and 0287
"""

import parts
import pytest
from meaning_parts import person, segment, visit

from fhir_hub.hl7v2.maps.mappings import InvalidMapping, load_mappings

PENICILLIN, LATEX = "J01CA^青霉素^ATC", "LTX^乳胶^99"


def allergy(code):
    return segment("AL1", f1="1", f2="DA", f3=code)


def relative(name):
    return segment("NK1", f1="1", f2=name, f3="CHD")


def state(resource):
    return resource.get("clinicalStatus", {}).get("coding", [{}])[0].get("code")


@pytest.fixture
def states(every):
    """Return code → clinical status of all allergies or conditions."""

    async def run(resource_type):
        return {one["code"]["coding"][0]["code"]: state(one) for one in await every(resource_type)}

    return run


async def test_an_allergy_that_is_no_longer_listed_is_inactive(say, states, every):
    await say("ADT^A08", "1000", person(), allergy(PENICILLIN), allergy(LATEX))
    await say("ADT^A08", "1100", person(), allergy(LATEX))
    assert await states("AllergyIntolerance") == {"J01CA": "inactive", "LTX": "active"}
    facts = {f"AllergyIntolerance/{one['id']}" for one in await every("AllergyIntolerance")}
    for provenance in await every("Provenance"):  # of that which ended one too
        assert facts <= {one["reference"] for one in provenance["target"]}

    await say("ADT^A08", "1200", person(), allergy(LATEX), allergy(PENICILLIN))
    assert await states("AllergyIntolerance") == {"J01CA": "active", "LTX": "active"}
    assert len(await every("AllergyIntolerance")) == 2


@pytest.mark.parametrize("none", ['AL1|1|""|""|""', 'AL1|1||""', 'AL1|""'])
async def test_a_group_that_is_not_there_says_nothing_and_null_says_none(say, states, none):
    await say("ADT^A31", "1000", person(), allergy(PENICILLIN))
    await say("ADT^A31", "1100", person())
    assert await states("AllergyIntolerance") == {"J01CA": "active"}

    await say("ADT^A31", "1200", person(), none)
    assert await states("AllergyIntolerance") == {"J01CA": "inactive"}


async def test_a_snapshot_ends_neither_anothers_facts_nor_newer_ones(say, states):
    resident = "~310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"
    centre = person("Z1", authority="ZJJCHC", f3=f"Z1^^^ZJJCHC^PI{resident}")
    hospital = person(f3=f"T1^^^SHTH01^PI{resident}")
    await say("ADT^A04", "0900", centre, allergy(PENICILLIN), by="CHIS|ZJJCHC")
    await say("ADT^A08", "1100", hospital, allergy(LATEX))
    await say("ADT^A08", "1000", hospital, allergy("DUST^尘螨^99"))

    found = await states("AllergyIntolerance")
    # what the newer list lacks is over, see test_withdrawn.py
    assert found == {"J01CA": "active", "LTX": "active", "DUST": "inactive"}


async def test_relatives_and_insurances_that_are_no_longer_listed_end(say, every, only):
    def insurance(kind):
        return segment("IN1", f1="1", f2=kind, f3=kind, f4="医保", f12="20250101")

    first = (relative("沈^晓明"), relative("沈^晓红"), insurance("310"), insurance("330"))
    await say("ADT^A08", "1000", person(), *first)
    await say("ADT^A08", "1100", person(), relative("沈^晓红"), insurance("330"))
    assert await _in_force(every) == (
        {"沈晓明": False, "沈晓红": True},
        {"310": "cancelled 2025-03-14", "330": "active None"},
    )
    contacts = [one["name"]["text"] for one in (await only("Patient"))["contact"]]
    assert contacts == ["沈晓红"]

    await say("ADT^A08", "1200", person(), *first)
    assert await _in_force(every) == (
        {"沈晓明": True, "沈晓红": True},
        {"310": "active None", "330": "active None"},
    )


async def _in_force(every):
    people = {
        one["name"][0]["text"]: one.get("active", True) for one in await every("RelatedPerson")
    }
    covers = {
        one["type"]["coding"][0]["code"]: f"{one['status']} {one['period'].get('end')}"
        for one in await every("Coverage")
    }
    return people, covers


async def test_diagnoses_are_those_of_the_visit(say, states):
    def diagnosis(code):
        return segment("DG1", f1="1", f3=f"{code}^诊断^I10")

    await say("ADT^A04", "0900", person(), visit(f19="V0"), diagnosis("J00"))
    await say("ADT^A08", "1000", person(), visit(), diagnosis("I10"), diagnosis("E11"))
    await say("ADT^A08", "1100", person(), visit(), diagnosis("I10"))

    assert await states("Condition") == {"J00": "active", "I10": "active", "E11": "inactive"}


async def test_action_codes_change_what_they_name_alone(say, states, every):
    def coded(action, code, number):
        return segment("IAM", f1="1", f2="DA", f3=code, f5="皮疹", f6=action, f7=number)

    await say("ADT^A60", "0900", person(), coded("A", PENICILLIN, "1"), coded("A", LATEX, "2"))
    await say("ADT^A60", "1000", person(), segment("IAM", f1="1", f3=PENICILLIN, f6="X", f7="1"))
    bare = segment("IAM", f1="1", f3=LATEX, f6="D", f7="2")
    await say("ADT^A60", "1100", person(), bare)

    kept, gone = await every("AllergyIntolerance")
    assert (state(kept), kept["meta"]["versionId"]) == ("active", "1")
    assert gone["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in gone
    assert gone["reaction"][0]["manifestation"][0]["text"] == "皮疹"

    await say("ADT^A60", "1200", person(), coded("U", LATEX, "2"))
    assert await states("AllergyIntolerance") == {"J01CA": "active", "LTX": "active"}


async def test_problems_and_goals_by_their_action(say, only):
    def problem(action, **fields):
        return segment("PRB", f1=action, f2="20250314", f3="I10^高血压^I10", f4="P1", **fields)

    goal = segment("GOL", f1="AD", f2="20250314", f3="G^血压达标^99", f4="G1")
    await say("PPR^PC1", "0900", person(), problem("AD", f16="20200101"), goal)
    await say("PPR^PC2", "1000", person(), problem("UC"), goal.replace("AD", "UC"))
    await say("PPR^PC3", "1100", person(), problem("DE"), goal.replace("AD", "DE"))

    condition, wanted = await only("Condition"), await only("Goal")
    assert condition["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert (condition["onsetDateTime"], condition["meta"]["versionId"]) == ("2020-01-01", "2")
    assert (wanted["lifecycleStatus"], wanted["meta"]["versionId"]) == ("entered-in-error", "2")


def booking(*resources):
    return ("SCH|P1^ZJJCHC|A1^SHTH01|||||||15|min|^^15^20250320090000", person(), *resources)


def doctor(number, action=""):
    return segment("AIP", f1="1", f2=action, f3=f"{number}^顾^文清^^^^^^SHTH01")


def service(code, action=""):
    return segment("AIS", f1="1", f2=action, f3=f"{code}^门诊^99")


async def booked(every, only):
    found = await only("Appointment")
    numbers = {
        f"{one['resourceType']}/{one['id']}": one["identifier"][0]["value"]
        for kind in ("Patient", "Practitioner", "Location")
        for one in await every(kind)
    }
    actors = [numbers[one["actor"]["reference"]] for one in found["participant"]]
    return sorted(actors), [one["coding"][0]["code"] for one in found["serviceType"]]


async def test_a_booking_without_action_codes_lists_all_of_a_kind(say, every, only):
    room = segment("AIL", f1="1", f3="R1^^^SHTH01")
    await say("SIU^S12", "0900", *booking(service("IM"), doctor("D1"), room))
    await say("SIU^S14", "1000", *booking(service("IM"), doctor("D2")))

    assert await booked(every, only) == (["D2", "R1", "T1"], ["IM"])


async def test_a_booking_with_action_codes_says_what_changes(say, every, only):
    await say("SIU^S12", "0900", *booking(service("IM"), service("ECG"), doctor("D1")))
    await say("SIU^S14", "1000", *booking(service("ECG", "D"), doctor("D2", "A")))
    assert await booked(every, only) == (["D1", "D2", "T1"], ["IM"])

    await say("SIU^S14", "1100", *booking(doctor("D1", "D"), doctor("D2", "X")))
    assert (await booked(every, only))[0] == ["D2", "T1"]


@pytest.fixture
def maps(tmp_path):
    """Maps with a sender's file for SHTH01 that holds the settings given."""

    def make(settings):
        folder = tmp_path / "senders"
        folder.mkdir(exist_ok=True)
        text = f'source = "a test"\nmatch = {{ "MSH-4" = ["SHTH01"] }}\n[settings]\n{settings}\n'
        (folder / "site.toml").write_text(text, "utf-8")
        return load_mappings(parts.definitions(), [tmp_path])

    return make


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('update_mode = "action-code"', "active"),
        ('update_modes = { AL1 = "action-code" }', "active"),
        ('update_mode = "action-code"\nupdate_modes = { AL1 = "snapshot" }', "inactive"),
    ],
)
async def test_a_sender_s_file_says_which_mode_holds(say, states, maps, chosen, settings, expected):
    chosen.append(maps(settings))
    await say("ADT^A08", "1000", person(), allergy(PENICILLIN), allergy(LATEX))
    await say("ADT^A08", "1100", person(), allergy(LATEX))

    assert (await states("AllergyIntolerance"))["J01CA"] == expected


async def test_null_is_empty_for_a_sender_whose_file_says_so(say, only, maps, chosen):
    chosen.append(maps('nulls = "ignore"'))
    await say("ADT^A08", "1000", person(phone="13000000001"))
    await say("ADT^A08", "1100", person(phone='""'))

    assert (await only("Patient"))["telecom"][0]["value"] == "13000000001"


@pytest.mark.parametrize("none", ['AL1|1|""|""|""', 'AL1|1||""'])
async def test_null_ends_no_list_of_a_sender_for_whom_it_is_empty(say, states, maps, chosen, none):
    chosen.append(maps('nulls = "ignore"'))
    await say("ADT^A08", "1000", person(), allergy(PENICILLIN))
    await say("ADT^A08", "1100", person(), none)
    assert await states("AllergyIntolerance") == {"J01CA": "active"}

    await say("ADT^A08", "1200", person(), allergy(LATEX), none)
    assert await states("AllergyIntolerance") == {"J01CA": "inactive", "LTX": "active"}


def test_a_mode_that_is_none_stops_the_start(maps):
    with pytest.raises(InvalidMapping, match="site"):
        maps('update_modes = { AL1 = "all" }')


@pytest.mark.parametrize(
    ("told", "blank", "kind"),
    [
        ("AL1|1|DA|PEN^青霉素^L", "AL1|1|DA|", "AllergyIntolerance"),
        ("DG1|1||I10^高血压^I10", "DG1|1|I10", "Condition"),
        ("NK1|1|沈^一|CHD", "NK1|1||", "RelatedPerson"),
        ("IN1|1|A^医保|NHSA|||||||||||||SELF", "IN1|1|", "Coverage"),
    ],
)
async def test_a_segment_that_names_nothing_is_none_and_ends_nothing(say, every, told, blank, kind):
    await say("ADT^A08", "0900", person(), visit(), told)
    before = await every(kind)
    await say("ADT^A08", "1000", person(), visit(), blank)

    assert await every(kind) == before
    assert before


async def test_an_allergy_with_a_number_is_the_one_that_was_told_without(say, only, every):
    """The registration desk tells of it in AL1, the ward with IAM-7."""

    def numbered(action, number):
        return segment("IAM", f1="1", f2="DA", f3=PENICILLIN, f6=action, f7=number)

    async def list_of_all(at):
        await say("ADT^A08", at, person(), visit(), segment("AL1", f1="1", f2="DA", f3=PENICILLIN))

    await list_of_all("0800")
    await say("ADT^A60", "0900", person(), numbered("U", "I1"))
    assert (await only("AllergyIntolerance"))["identifier"][0]["value"] == "I1"
    await list_of_all("1000")
    await say("ADT^A60", "1100", person(), numbered("D", "I1"))
    assert coded_status(await only("AllergyIntolerance")) == "entered-in-error"

    await say("ADT^A60", "1200", person(), numbered("A", "I2"))
    states = {
        one["identifier"][0]["value"]: coded_status(one)
        for one in await every("AllergyIntolerance")
    }
    assert states == {"I1": "entered-in-error", "I2": None}


def coded_status(allergy):
    return allergy.get("verificationStatus", {}).get("coding", [{}])[0].get("code")


async def test_an_update_of_an_allergy_without_its_state_leaves_it(say, states):
    def coded(action, state=""):
        return segment("IAM", f1="1", f2="DA", f3=PENICILLIN, f6=action, f7="I1", f17=state)

    for at, action, state, expected in (
        ("0900", "A", "", "active"),
        ("1000", "U", "I", "inactive"),
        ("1100", "U", "", "inactive"),
        ("1200", "A", "", "active"),
    ):
        await say("ADT^A60", at, person(), coded(action, state))
        assert await states("AllergyIntolerance") == {"J01CA": expected}


async def test_an_update_of_a_problem_or_goal_without_its_state_leaves_it(say, only):
    def told(action, state="", goal=""):
        problem = {"f1": action, "f2": "20250314", "f3": "I10^高血压^I10", "f4": "P1"}
        problem |= {"f9": "20250314", "f14": state} if state else {}
        wanted = {"f1": action, "f2": "20250314", "f3": "G^血压达标^99", "f4": "G1", "f18": goal}
        return person(), segment("PRB", **problem), segment("GOL", **wanted)

    await say("PPR^PC1", "0900", *told("AD"))
    await say("PPR^PC2", "1000", *told("UP", "R^Resolved^99", "CANCELED"))
    before = await only("Condition"), await only("Goal")
    assert (state(before[0]), before[0]["abatementDateTime"]) == ("resolved", "2025-03-14")
    assert before[1]["lifecycleStatus"] != "active"

    await say("PPR^PC2", "1100", *told("UP"))
    assert (await only("Condition"), await only("Goal")) == before


async def test_who_has_two_parts_in_a_visit_keeps_both(say, only):
    one, other = "D1^顾^文清", "D2^方^晓岚"
    full = visit(f2="I", f7=one, f9=f"{one}~{other}", f17=one)
    await say("ADT^A01", "0900", person(), full)
    before = await only("Encounter")
    await say("ADT^A08", "1000", person(), full)
    assert await only("Encounter") == before

    await say("ADT^A08", "1100", person(), visit(f2="I", f7=other))
    parts = [
        (one["type"][0]["coding"][0]["code"], "end" in one.get("period", {}))
        for one in (await only("Encounter"))["participant"]
    ]
    assert sorted(parts) == [
        ("ADM", False),
        ("ATND", False),
        ("ATND", True),
        ("CON", False),
        ("CON", False),
    ]


async def test_why_a_vaccine_was_not_given_is_over_when_it_is(say, only):
    def given(action, state, why=""):
        drug = {"f1": "0", "f2": "1", "f3": "20250314", "f5": "HEPB^乙肝^L", "f6": "1"}
        return "ORC|RE||I1^SHTH01", segment("RXA", **drug, f18=why, f20=state, f21=action)

    await say("VXU^V04", "0900", person(), *given("A", "RE", "00^拒绝^NIP002"))
    assert "statusReason" in await only("Immunization")
    await say("VXU^V04", "1000", person(), *given("U", "CP"))

    found = await only("Immunization")
    assert (found["status"], "statusReason" in found) == ("completed", False)


STAND_INS = [
    "无名氏",
    "未知",
    "不详",
    "无名^女",
    "UNKNOWN",
    "UNKNOWN^UNKNOWN",
    "DOE^JOHN",
    "沈桂芳之子",
]


@pytest.mark.parametrize("stand_in", STAND_INS)
@pytest.mark.parametrize("times", [("0900", "1000"), ("1000", "0900")])
async def test_who_nobody_knew_never_overwrites_a_name(say, only, stand_in, times):
    first, second = times
    await say("ADT^A08", first, person())
    await say("ADT^A08", second, person(f5=stand_in))

    assert [one["text"] for one in (await only("Patient"))["name"]] == ["沈桂芳"]


@pytest.mark.parametrize("stand_in", STAND_INS)
@pytest.mark.parametrize("times", [("0900", "1000"), ("1000", "0900")])
async def test_a_name_takes_the_place_of_what_stood_in_for_it(say, only, stand_in, times):
    first, second = times
    await say("ADT^A04", first, person(f5=stand_in))
    await say("ADT^A08", second, person())

    assert [one["text"] for one in (await only("Patient"))["name"]] == ["沈桂芳"]


async def test_who_another_hospital_did_not_know_keeps_the_name(say, only):
    both = "~310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"
    await say("ADT^A04", "0900", person(f3=f"T1^^^SHTH01^PI{both}"))
    await say("ADT^A04", "1000", person(f3=f"Z1^^^ZJJCHC^PI{both}", f5="无名氏"), by="H|ZJJCHC")

    assert [one["text"] for one in (await only("Patient"))["name"]] == ["沈桂芳"]
