"""What one institution says of a patient never erases what another says.

Spec: DOMAIN 0.12; v2/02_ADT_A08_tertiary_quirky.expected.md
"""

import pytest
from meaning_parts import person, segment, visit

from fhir_hub.store.base import Key

RESIDENT = "310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"
CENTRE, HOSPITAL = "CHIS|ZJJCHC", "HIS|SHTH01"


def of_centre(**fields):
    return person("Z1", authority="ZJJCHC", **{"f3": f"Z1^^^ZJJCHC^PI~{RESIDENT}", **fields})


def of_hospital(**fields):
    return person("T1", **{"f3": f"T1^^^SHTH01^PI~{RESIDENT}", **fields})


def shown(patient, element):
    return [
        one.get("value") or one.get("text")
        for one in patient.get(element, ())
        if "end" not in one.get("period", {})
    ]


@pytest.fixture
async def registered(say):
    """A patient as the centre knows her: with address, phone, doctor and daughter."""
    await say(
        "ADT^A04",
        "0800",
        of_centre(phone="13000000001", f11="示范路100弄8号^^上海市"),
        segment("PD1", f4="D1^戴^慧^^^^^^ZJJCHC"),
        segment("NK1", f1="1", f2="沈^晓明", f3="CHD"),
        by=CENTRE,
    )


async def test_what_another_hospital_deletes_or_leaves_out_stays(say, only, registered):
    before = await only("Patient")
    await say("ADT^A08", "1000", of_hospital(phone='""', f11='""', f16='""'), by=HOSPITAL)

    patient = await only("Patient")
    for element in ("telecom", "address", "contact", "generalPractitioner", "birthDate"):
        assert patient[element] == before[element], element
    assert len(patient["identifier"]) == 3


async def test_a_hospital_takes_back_only_what_it_said_itself(say, only, registered):
    home = "示范路200号302室^^上海市"
    await say("ADT^A08", "1000", of_hospital(phone="13000000099", f11=home), by=HOSPITAL)
    patient = await only("Patient")
    assert shown(patient, "telecom") == ["13000000099"]
    assert [one["period"]["end"] for one in patient["address"][1:]] == ["2025-03-14"]

    await say("ADT^A08", "1100", of_hospital(phone='""', f11='""'), by=HOSPITAL)
    patient = await only("Patient")
    assert shown(patient, "telecom") == ["13000000001"]
    assert len(patient["address"]) == 1
    assert "period" not in patient["address"][0]


async def test_of_one_value_the_newest_holds_and_the_other_is_kept(say, only, registered):
    await say("ADT^A08", "1000", of_hospital(f16="M"), by=HOSPITAL)
    await say("ADT^A08", "1100", of_centre(f16="W"), by=CENTRE)
    patient = await only("Patient")
    assert patient["maritalStatus"]["coding"][0]["code"] == "W"
    said = {
        one["meta"]["extension"][0]["valueIdentifier"]["system"]: one["maritalStatus"]["coding"][0]
        for one in patient["contained"]
    }
    assert {system.split("/")[-2]: one["code"] for system, one in said.items()} == {
        "ZJJCHC": "W",
        "SHTH01": "M",
    }

    await say("ADT^A08", "1200", of_centre(f16='""'), by=CENTRE)
    patient = await only("Patient")
    assert patient["maritalStatus"]["coding"][0]["code"] == "M"


async def test_a_birth_date_that_the_resident_id_bears_out_wins(say, only, registered):
    await say("ADT^A08", "1000", of_hospital(f7="19530421", f8="M"), by=HOSPITAL)

    patient = await only("Patient")
    assert (patient["birthDate"], patient["gender"]) == ("1953-04-12", "female")


async def test_who_says_the_same_has_said_it_too(say, only, registered):
    await say("ADT^A08", "1000", of_hospital(phone="13000000001"), by=HOSPITAL)
    await say("ADT^A08", "1100", of_centre(phone='""'), by=CENTRE)

    assert shown(await only("Patient"), "telecom") == ["13000000001"]


async def test_results_from_elsewhere_that_say_nothing_new_make_no_version(say, only, registered):
    result = segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="5.1", f11="F")
    known = of_centre()
    await say("ORU^R01", "1000", known, segment("OBR", f3="F1", f4="GLU"), result, by=HOSPITAL)

    assert (await only("Patient"))["meta"]["versionId"] == "1"


async def test_what_a_client_of_the_api_added_stays(say, only, registered, repository):
    async def work(unit):
        return await unit.update(patient, patient["id"])

    await say("ADT^A08", "1000", of_hospital(phone="13000000099"), by=HOSPITAL)
    patient = await only("Patient")
    patient["telecom"].append({"system": "email", "value": "shen@example.org"})
    await repository.commit(work)
    await say("ADT^A08", "1100", of_hospital(phone='""'), by=HOSPITAL)

    assert shown(await only("Patient"), "telecom") == ["13000000001", "shen@example.org"]


async def test_an_older_message_of_one_of_several_overwrites_nothing(say, only, registered, log):
    await say("ADT^A08", "1200", of_hospital(phone="13000000099"), by=HOSPITAL)
    await say("ADT^A08", "1000", of_hospital(phone="13000000077", f16="M"), by=HOSPITAL)

    patient = await only("Patient")
    assert shown(patient, "telecom") == ["13000000099"]
    assert patient["maritalStatus"]["coding"][0]["code"] == "M"
    assert log.lines == ["message_older resources=Patient:1"]


async def test_the_same_again_makes_no_version(say, only, store, registered):
    for at in ("1000", "1100"):
        await say("ADT^A08", at, of_hospital(phone="13000000099"), by=HOSPITAL)

    patient = await only("Patient")
    assert (await store.read(Key("Patient", patient["id"]))).version_id == 2


async def test_anothers_insurance_is_neither_shortened_nor_deleted(say, only, registered):
    policy = {"f1": "1", "f2": "310^职工医保", "f3": "YB", "f4": "医保", "f36": "S900012345"}
    await say("ADT^A08", "0900", of_centre(), segment("IN1", **policy, f12="20250101"), by=CENTRE)
    await say("ADT^A08", "1000", of_hospital(), segment("IN1", **policy, f12='""'), by=HOSPITAL)

    assert (await only("Coverage"))["period"]["start"] == "2025-01-01"


@pytest.mark.parametrize("turn", [1, -1])
async def test_of_a_cover_that_two_tell_of_the_newer_word_holds_whichever_came_first(
    say, only, turn
):
    policy = {"f1": "1", "f2": "310", "f3": "YB", "f4": "医保", "f36": "S900012345"}
    told = [
        ("0900", of_centre(), segment("IN1", **policy, f12="20250101", f13="20251231"), CENTRE),
        ("1000", of_hospital(), segment("IN1", **policy, f13="20261231"), HOSPITAL),
    ]
    for at, who, cover, by in told[::turn]:
        await say("ADT^A08", at, who, cover, by=by)

    cover = await only("Coverage")
    assert cover["period"]["end"] == "2026-12-31"


class TestTrust:
    @pytest.fixture
    def trusted(self):
        return ["ZJJCHC"]

    async def test_the_more_trusted_institution_s_word_holds(self, say, only, registered):
        await say("ADT^A08", "0900", of_centre(phone="13000000001", f16="W"), by=CENTRE)
        await say("ADT^A08", "1000", of_hospital(phone="13000000099", f16="M"), by=HOSPITAL)

        patient = await only("Patient")
        assert patient["telecom"][0]["value"] == "13000000001"
        assert patient["maritalStatus"]["coding"][0]["code"] == "W"
        assert "13000000099" in {one["value"] for one in patient["telecom"]}


async def test_the_centre_of_one_institution_stands_beside_the_doctor_of_another(say, only):
    await say("ADT^A08", "0900", of_centre(), segment("PD1", f3="中心^^FAC1"), by=CENTRE)
    await say("ADT^A08", "1000", of_hospital(), segment("PD1", f4="D1^戴^慧"), by=HOSPITAL)

    found = (await only("Patient"))["generalPractitioner"]
    kinds = sorted(one["reference"].partition("/")[0] for one in found)
    assert kinds == ["Organization", "Practitioner"]


async def test_what_another_institution_tells_late_of_a_trusted_ones_visit_ends_nothing(
    say, only, trusted
):
    trusted.append("SHTH01")
    of = {"f2": "I", "f3": "W1^R1^B1^SHTH01", "f19": "V1^^^SHTH01"}
    await say("ADT^A01", "0900", person(), visit(**of))
    before = await only("Encounter")
    other = {**of, "f3": "W1^R1^B7^SHTH01"}
    over = {"f7": "D9^王^医", "f36": "01", "f45": "20250314110000"}
    await say("ADT^A08", "1200", person(), visit(**other), by="HIS|OTHER")
    await say("ADT^A03", "1100", person(), visit(**other, **over), by="HIS|OTHER")

    after = await only("Encounter")
    told = ("status", "location", "statusHistory", "period", "hospitalization")
    assert [after.get(name) for name in told] == [before.get(name) for name in told]


@pytest.mark.parametrize(
    ("by", "is_over"),
    [
        pytest.param(HOSPITAL, True, id="the hospital where it is"),
        pytest.param("HIS|OTHER", False, id="another"),
    ],
)
async def test_a_hospital_ends_its_own_visit_that_a_trusted_platform_passed_on(
    say, only, trusted, by, is_over
):
    trusted.append("QPRHP")
    of = {"f2": "O", "f3": "NFM^^^SHTH01", "f19": "V1^^^SHTH01"}
    await say("ADT^A04", "0900", person(), visit(**of), by="PT|QPRHP")
    moved = {**of, "f10": "MED"} if is_over else of
    await say("ADT^A08", "1000", person(), visit(**moved), by=by)
    await say("ADT^A03", "1100", person(), visit(**of, f45="20250314110000"), by=by)
    await say("ADT^A08", "1200", person(), visit(**of), by="PT|QPRHP")

    seen = await only("Encounter")
    assert (seen["status"] == "finished") is is_over
    assert ("serviceType" in seen) is is_over


UNKNOWN = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}


@pytest.mark.parametrize("event", ["A03", "A08", "A12", "A13"])
async def test_what_a_client_of_the_api_stored_as_unknown_stops_no_message(
    say, only, client, event
):
    inpatient = visit(f2="I", f3="W1^R1^B1^SHTH01")
    await say("ADT^A01", "0900", person(), inpatient)
    await say("ADT^A08", "1200", person(), inpatient)
    patient, seen = await only("Patient"), await only("Encounter")
    patient["name"] = [{"family": "SHEN", "given": [None, "GF"], "_given": [UNKNOWN, None]}]
    patient["address"] = [{"line": [None, "示范路1号"], "_line": [UNKNOWN, None]}]
    del seen["status"]
    seen["_status"] = UNKNOWN
    seen["statusHistory"] = [{"_status": UNKNOWN, "period": {"_start": UNKNOWN}}]
    seen["classHistory"] = [{"class": {"code": "AMB"}, "period": {"_end": UNKNOWN}}]
    for one in (patient, seen):
        kind = one["resourceType"]
        stored = await client.put(f"{kind}/{one['id']}", json=one)
        assert stored.status_code == 200, stored.text
    for at in ("1100", "1300"):
        told = person(f5="SHEN^LI", f11="示范路2号^^上海市")
        await say(f"ADT^{event}", at, told, visit(f2="I", f3="W1^R1^B2^SHTH01", f10="MED"))

    assert (await only("Encounter"))["serviceType"]["coding"][0]["code"] == "MED"


async def put(client, patient):
    stored = await client.put(f"Patient/{patient['id']}", json=patient)
    assert stored.status_code == 200, stored.text


@pytest.mark.parametrize("kind", ["Organization", "Practitioner"])
async def test_what_a_client_contains_beside_it_is_no_institution_s_word(
    say, only, registered, client, kind
):
    await say("ADT^A08", "0900", of_hospital(phone="13000000099"), by=HOSPITAL)
    patient = await only("Patient")
    (stamp,) = patient["contained"][0]["meta"]["extension"]
    name = "某院" if kind == "Organization" else [{"text": "某医"}]
    copy = {"resourceType": kind, "id": "copy", "meta": {"extension": [stamp]}, "name": name}
    patient["contained"].append(copy)
    patient["generalPractitioner"].append({"reference": "#copy"})
    await put(client, patient)
    for by, told in ((CENTRE, of_centre(f16="W")), (HOSPITAL, of_hospital(phone="13000000077"))):
        await say("ADT^A08", "1000", told, by=by)

    patient = await only("Patient")
    assert shown(patient, "telecom") == ["13000000077"]
    assert patient["maritalStatus"]["coding"][0]["code"] == "W"
    assert copy in patient["contained"]
    assert {"reference": "#copy"} in patient["generalPractitioner"]


@pytest.mark.parametrize("start", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize("url", ["told-by", "told-since"])
async def test_a_time_at_an_end_of_the_calendar_that_a_client_stored_stops_no_message(
    say, only, registered, client, url, start
):
    await say("ADT^A08", "0900", of_hospital(phone="13000000099"), by=HOSPITAL)
    patient = await only("Patient")
    for one in patient["contained"]:
        (stamp,) = one["meta"]["extension"]
        told = {**stamp["valueIdentifier"], "period": {"start": start}}
        if url == "told-since":
            told = {"type": {"text": "telecom:phone:mobile"}, "period": told["period"]}
        extension = {"url": stamp["url"].replace("told-by", url), "valueIdentifier": told}
        one["meta"]["extension"] = [*([stamp] if url == "told-since" else ()), extension]
    await put(client, patient)
    for by, told in ((CENTRE, of_centre(f16="W")), (HOSPITAL, of_hospital(phone="13000000077"))):
        await say("ADT^A08", "1000", told, by=by)

    assert (await only("Patient"))["maritalStatus"]["coding"][0]["code"] == "W"


DIED = {"f29": "20250313081500", "f30": "Y"}
KNOWN, YES, NO = "2025-03-13T08:15:00+08:00", {"f30": "Y"}, {"f30": "N"}


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
@pytest.mark.parametrize(
    ("told", "shown"),
    [
        pytest.param([(of_hospital, DIED), (of_centre, YES)], KNOWN, id="another says that"),
        pytest.param([(of_hospital, YES), (of_centre, DIED)], KNOWN, id="another knows when"),
        pytest.param([(of_hospital, DIED), (of_hospital, YES)], KNOWN, id="it says that again"),
        pytest.param([(of_hospital, DIED), (of_centre, NO)], False, id="another says no"),
        pytest.param(
            [(of_hospital, DIED), (of_centre, NO), (of_centre, YES)], KNOWN, id="and yes again"
        ),
        pytest.param(
            [(of_hospital, DIED), (of_centre, YES), (of_hospital, NO)], False, id="it says no"
        ),
        pytest.param(
            [(of_hospital, DIED), (of_centre, YES), (of_hospital, {"f29": '""'})],
            True,
            id="it takes back when",
        ),
    ],
)
async def test_who_says_only_that_somebody_died_leaves_when(say, only, told, shown, order):
    for place in [one for one in order if one < len(told)]:
        of_whom, fields = told[place]
        by = CENTRE if of_whom is of_centre else HOSPITAL
        await say("ADT^A08", f"1{place}00", of_whom(**fields), by=by)

    patient = await only("Patient")
    died = [value for name, value in patient.items() if name.startswith("deceased")]
    assert died == [shown]
