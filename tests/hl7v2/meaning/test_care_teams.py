"""Who cares for a patient together, as ADT messages tell it one after the other.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (ADT_A01: ROL[CareTeam]); HL7 table 0287 (ROL-2)
"""

import pytest
from meaning_parts import person, visit


def member(action, role, who, begins="", ends=""):
    return f"ROL||{action}|{role}|{who}|{begins}|{ends}"


def told(team):
    """Return role, person and period of each member."""
    return [
        (
            one["role"][0]["coding"][0]["code"],
            one["member"]["reference"],
            {name: moment[:10] for name, moment in one.get("period", {}).items()},
        )
        for one in team["participant"]
    ]


async def test_a_team_grows_by_what_messages_add(say, only, every):
    await say("ADT^A01", "0900", person(), member("AD", "RN", "7^王^芳", "20250301"), visit())
    await say("ADT^A08", "1000", person(), member("AD", "DI", "8^李^明"), visit())

    team = await only("CareTeam")
    nurse, dietitian = [f"Practitioner/{one['id']}" for one in await every("Practitioner")]
    assert told(team) == [("RN", nurse, {"start": "2025-03-01"}), ("DI", dietitian, {})]
    assert team["subject"]["reference"] == f"Patient/{(await only('Patient'))['id']}"
    assert "participant" not in await only("Encounter")


@pytest.mark.parametrize(("ends", "day"), [("20250310", "2025-03-10"), ("", "2025-03-14")])
async def test_who_leaves_a_team_was_in_it_until_then(say, only, ends, day):
    await say("ADT^A01", "0900", person(), member("AD", "RN", "7^王^芳", "20250301"), visit())
    await say("ADT^A08", "1000", person(), member("DE", "RN", "7^王^芳", "", ends), visit())

    ((_, _, period),) = told(await only("CareTeam"))
    assert period == {"start": "2025-03-01", "end": day}


async def test_who_is_taken_out_before_she_was_to_begin_has_no_beginning(say, only):
    await say("ADT^A01", "0900", person(), member("AD", "RN", "7^王^芳", "20250501"), visit())
    await say("ADT^A08", "1000", person(), member("DE", "RN", "7^王^芳"), visit())

    ((_, _, period),) = told(await only("CareTeam"))
    assert period == {"end": "2025-03-14"}


async def test_who_takes_part_without_a_number_does_so_once_however_often_he_is_told(say, only):
    full = visit(f2="I", f7="^顾^文清", f9="^方^晓岚~^顾^文清")
    told_so = []
    for event, at in (("A01", "0900"), ("A08", "1000"), ("A08", "1100")):
        answer = await say(f"ADT^{event}", at, person(), member("AD", "RN", "^王^芳"), full)
        assert answer.ack_code == "AA"
        told_so.append([(await only(kind))["participant"] for kind in ("Encounter", "CareTeam")])
    assert [len(one) for one in told_so[0]] == [3, 1]
    assert told_so == [told_so[0]] * 3


async def test_each_institution_has_a_team_of_its_own_beside_the_contract(say, every):
    contract = "ZQY|1|QY-1|ACTIVE|20250301|20260228|ZJJCHC^x|QPDCH^y|SHTH01^z|D1^戴慧"
    await say("ADT^A01", "0900", person(), member("AD", "RN", "7^王^芳"), visit(), contract)
    there = person("Z1", authority="ZJJCHC", f19="310229195304129989")
    await say("ADT^A01", "1100", there, member("AD", "PH", "9^赵"), visit(), by="CHIS|ZJJCHC")

    members = [len(one["participant"]) for one in await every("CareTeam")]
    assert sorted(members) == [1, 1, 4]


async def test_a_contract_that_changes_its_doctor_has_the_new_one_alone(say, only):
    def contract(doctor):
        return f"ZQY|1|QY-1|ACTIVE|20250301|20260228|ZJJCHC^x|QPDCH^y|SHTH01^z|{doctor}"

    await say("ADT^A04", "0900", person(), visit(), contract("D1^戴慧"))
    await say("ADT^A08", "1000", person(), visit(), contract("D2^方晓"))

    roles = [one["role"][0]["coding"][0]["code"] for one in (await only("CareTeam"))["participant"]]
    assert roles == ["community", "district", "municipal", "family-doctor"]
