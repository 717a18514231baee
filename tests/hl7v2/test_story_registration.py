"""Messages 01 to 03 of the story: registered with a contract, seen elsewhere, merged.

The facts are those of `messages/expected.json`.
"""

import pytest
from conversion_parts import (
    BASE,
    codes,
    errors,
    every,
    identifiers,
    of_type,
    only,
    story,
    target,
)

RESIDENT = "310229195304129989"
ETHNIC = f"{BASE}/StructureDefinition/ethnic-group"


@pytest.fixture(scope="module")
def registered():
    return story("01")


@pytest.fixture(scope="module")
def seen():
    return story("02")


@pytest.fixture(scope="module")
def merged():
    return story("03")


@pytest.mark.parametrize("name", [f"{number:02}" for number in range(1, 16)])
def test_every_resource_of_the_story_is_valid_r4(name):
    assert errors(story(name)) == []


def test_01_her_numbers_each_in_its_system(registered):
    assert identifiers(only(registered, "Patient")) == {
        RESIDENT: "urn:oid:2.16.156.10011.1.3",
        "310118D00071234": "urn:oid:2.16.156.10011.1.19",
        "S900012345": "urn:oid:2.16.156.10011.1.15",
        "ZJJ00012345": f"{BASE}/sid/ZJJCHC/patient-id",
    }


def test_01_the_identity_decides_by_her_numbers_strongest_first(registered):
    (patient,) = every(registered, "Patient")
    assert patient.match[0] == ("urn:oid:2.16.156.10011.1.3", RESIDENT)
    assert len(patient.match) == 4
    assert patient.mode == "update"


def test_01_her_name_in_both_scripts(registered):
    han, latin = only(registered, "Patient")["name"]
    assert (han["family"], han["given"], han["text"], han["use"]) == (
        "沈",
        ["桂芳"],
        "沈桂芳",
        "official",
    )
    assert han["extension"][0]["valueCode"] == "IDE"
    assert (latin["family"], latin["given"]) == ("Shen", ["Guifang"])
    assert latin["extension"][0]["valueCode"] == "ABC"


def test_01_who_and_where_she_is(registered):
    patient = only(registered, "Patient")
    assert (patient["gender"], patient["birthDate"]) == ("female", "1953-04-12")
    (phone,) = patient["telecom"]
    assert (phone["system"], phone["value"], phone["use"]) == ("phone", "13000000001", "mobile")
    (home,) = patient["address"]
    assert (home["use"], home["district"], home["postalCode"]) == ("home", "青浦区", "201713")
    assert (home["state"], home["city"]) == ("上海市", "上海市")
    assert home["extension"][0]["valueCoding"]["code"] == "310118"
    assert codes(patient["maritalStatus"]) == {
        "M": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
        "20": "urn:oid:2.16.156.10011.2.3.3.5",
    }
    ethnic = next(one for one in patient["extension"] if one["url"] == ETHNIC)
    assert (ethnic["valueCoding"]["code"], ethnic["valueCoding"]["display"]) == ("HA", "汉族")


def test_01_her_doctor_her_centre_and_her_son(registered):
    patient = only(registered, "Patient")
    doctor = target(registered, patient["generalPractitioner"][0])
    assert identifiers(doctor) == {"D10023": f"{BASE}/sid/ZJJCHC/practitioner"}
    assert doctor["name"][0]["text"] == "戴慧"
    centre = target(registered, patient["managingOrganization"])
    assert identifiers(centre) == {"ZJJCHC": f"{BASE}/sid/organization"}
    assert centre["name"] == "朱家角镇社区卫生服务中心（示例）"
    (contact,) = patient["contact"]
    assert contact["name"]["text"] == "沈晓明"
    assert "CHILD" in codes(contact["relationship"][0])


def test_01_her_visit(registered):
    visit = only(registered, "Encounter")
    assert visit["class"]["code"] == "AMB"
    assert visit["status"] in ("in-progress", "arrived")
    assert identifiers(visit) == {"MZ202503100012": f"{BASE}/sid/ZJJCHC/vn"}
    assert visit["period"]["start"] == "2025-03-10T08:30:10+08:00"
    provider = target(registered, visit["serviceProvider"])
    assert "ZJJCHC" in identifiers(provider)
    assert target(registered, visit["subject"]) is only(registered, "Patient")
    assert target(registered, visit["participant"][0]["individual"])["name"][0]["text"] == "戴慧"


def test_01_her_insurance(registered):
    cover = only(registered, "Coverage")
    assert "310" in codes(cover["type"])
    assert cover["type"]["text"] == "职工基本医疗保险"
    assert cover["subscriberId"] == "S900012345"
    assert target(registered, cover["beneficiary"]) is only(registered, "Patient")
    assert target(registered, cover["payor"][0])["name"] == "上海市医疗保障（示例）"


def test_01_her_contract_has_one_member_a_tier_and_her_doctor(registered):
    team = only(registered, "CareTeam")
    assert identifiers(team) == {"QY-310118-2025-000123": f"{BASE}/sid/contract"}
    assert team["status"] == "active"
    assert team["period"] == {"start": "2025-03-01", "end": "2026-02-28"}
    members = {
        one["role"][0]["coding"][0]["code"]: target(registered, one["member"])
        for one in team["participant"]
    }
    assert {tier: next(iter(identifiers(who))) for tier, who in members.items()} == {
        "community": "ZJJCHC",
        "district": "QPDCH",
        "municipal": "SHTH01",
        "family-doctor": "D10023",
    }
    assert members["family-doctor"]["name"][0]["text"] == "戴慧"
    assert members["district"]["name"] == "青浦区级医院（示例）"


def test_01_its_provenance_names_the_system_the_message_and_all_it_made(registered):
    provenance = only(registered, "Provenance")
    assert provenance["agent"][0]["who"]["display"] == "CHIS@ZJJCHC"
    assert provenance["entity"][0]["what"]["identifier"]["value"] == "ZJJ20250310083015001"
    targets = {one["reference"] for one in provenance["target"]}
    assert targets == {
        one.full_url for one in registered.resources if one.resource["resourceType"] != "Provenance"
    }
    assert provenance["recorded"] == "2025-03-10T08:30:15+08:00"


def test_02_the_same_person_under_another_number(seen):
    (patient,) = every(seen, "Patient")
    assert identifiers(patient.resource) == {
        "T0088123": f"{BASE}/sid/SHTH01/patient-id",
        RESIDENT: "urn:oid:2.16.156.10011.1.3",
    }
    assert patient.match[0] == ("urn:oid:2.16.156.10011.1.3", RESIDENT)


def test_02_what_a_quirky_sender_means(seen):
    patient = only(seen, "Patient")
    (name,) = patient["name"]
    assert (name["family"], name["given"], name["text"]) == ("沈", ["桂芳"], "沈桂芳")
    assert (patient["gender"], patient["birthDate"]) == ("female", "1953-04-12")
    (home,) = patient["address"]
    assert home["use"] == "home"
    assert (home["state"], home["district"]) == ("上海市", "青浦区")
    assert "示范路200号302室" in home["line"]
    assert patient["telecom"][0]["value"] == "13000000099"
    assert "M" in codes(patient["maritalStatus"])
    ethnic = next(one for one in patient["extension"] if one["url"] == ETHNIC)
    assert ethnic["valueCoding"]["code"] == "HA"


def test_02_says_nothing_of_what_it_does_not_know(seen):
    (patient,) = every(seen, "Patient")
    assert patient.nulls == ()
    assert "generalPractitioner" not in patient.resource
    assert "managingOrganization" not in patient.resource


def test_02_her_visit_at_the_hospital(seen):
    visit = only(seen, "Encounter")
    assert identifiers(visit) == {"M20250314005521": f"{BASE}/sid/SHTH01/vn"}
    assert visit["class"]["code"] == "AMB"
    assert visit["period"]["start"] == "2025-03-14T08:10:00+08:00"
    assert "SHTH01" in identifiers(target(seen, visit["serviceProvider"]))
    doctor = target(seen, visit["participant"][0]["individual"])
    assert (doctor["name"][0]["family"], doctor["name"][0]["given"]) == ("顾", ["文清"])


def test_02_its_z_segment_is_mapped_and_changes_no_coverage_that_is_known(seen):
    patient = only(seen, "Patient")
    assert patient["contact"][0]["name"]["text"] == "沈晓明"
    (cover,) = every(seen, "Coverage")
    assert cover.mode == "create"
    assert cover.match == (("urn:oid:2.16.156.10011.1.15", "S900012345"),)


def test_03_survivor_and_merged_record_link_to_each_other(merged):
    survivor, prior = every(merged, "Patient")
    assert "T0088123" in identifiers(survivor.resource)
    assert survivor.resource["link"] == [
        {"other": {"reference": prior.full_url}, "type": "replaces"}
    ]
    assert identifiers(prior.resource) == {"T0099001": f"{BASE}/sid/SHTH01/patient-id"}
    assert prior.resource["active"] is False
    assert prior.resource["link"] == [
        {"other": {"reference": survivor.full_url}, "type": "replaced-by"}
    ]
    assert prior.resource["name"][0]["text"] == "沈桂芬"


def test_03_the_merge_is_told_and_audited(merged):
    provenance = only(merged, "Provenance")
    assert provenance["activity"]["coding"][0]["code"] == "merge"
    assert provenance["agent"][0]["who"]["display"] == "EMPI@SHTH01"
    assert len(of_type(merged, "AuditEvent")) == 1
