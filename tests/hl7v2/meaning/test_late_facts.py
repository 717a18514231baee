"""What a late message alone tells holds, element by element, and nothing newer is overwritten.

Spec: HL7v2 chapter 2, 2.5.3 (empty says nothing); DOMAIN 4 (out-of-order A08)
"""

from datetime import timedelta

import pytest
from meaning_parts import person, segment, visit

from fhir_hub import fhirjson
from fhir_hub.clock import microseconds

KNOWN = "310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"


def allergy(severity):
    return person(), segment("AL1", f1="1", f2="DA", f3="A^青霉素^L", f4=severity)


def cover(until):
    return person(), segment("IN1", f1="1", f2="310", f3="310", f4="医保", f13=until, f36="Y1")


def relative(phone):
    return person(), segment("NK1", f1="1", f2="沈^晓明", f3="CHD", f5=phone)


def order(control, amount, drug="A10BA02^二甲双胍^ATC"):
    return person(), f"ORC|{control}|P1^ZJJCHC", segment("RXO", f1=drug, f2=amount, f4="g")


def booking(at, **fields):
    times = {"f1": "P1^ZJJCHC", "f2": "A1^SHTH01", "f11": f"^^15^{at}"}
    return segment("SCH", **{**times, **fields}), person()


def phone(resource):
    told = resource.get("telecom", ())
    return [one["value"] for one in told if "end" not in one.get("period", {})]


# By what only the late one has: the type, the events (first, late, newer), what each says, and
# what holds then.
CASES = {
    "a phone": (
        "Patient",
        "ADT^A08",
        [person(phone=n) for n in ("131", "132", "")],
        phone,
        ["132"],
    ),
    "an address": (
        "Patient",
        "ADT^A08",
        [person(f11=text) for text in ("一路1号", "二路2号", "")],
        lambda one: [a["text"] for a in one["address"] if "period" not in a],
        ["二路2号"],
    ),
    "a part of the name": (
        "Patient",
        "ADT^A08",
        [person(f5=text) for text in ("沈^桂芳", "沈^桂芳^^^女士", "")],
        lambda one: one["name"][0].get("prefix"),
        ["女士"],
    ),
    "a date": (
        "Patient",
        "ADT^A08",
        [person(f7=text) for text in ("19530412", "19530413", "")],
        lambda one: one["birthDate"],
        "1953-04-13",
    ),
    "that it is deleted": (
        "Patient",
        "ADT^A08",
        [person(phone=text) for text in ("131", '""', "")],
        phone,
        [],
    ),
    "a service": (
        "Encounter",
        "ADT^A08",
        [(person(), visit(f10=text)) for text in ("MED", "SUR", "")],
        lambda one: one["serviceType"]["coding"][0]["code"],
        "SUR",
    ),
    "an allergy's severity": (
        "AllergyIntolerance",
        "ADT^A08",
        [allergy(text) for text in ("MI", "SV", "")],
        lambda one: one["criticality"],
        "high",
    ),
    "an insurance's end": (
        "Coverage",
        "ADT^A08",
        [cover(text) for text in ("20251231", "20261231", "")],
        lambda one: one["period"]["end"],
        "2026-12-31",
    ),
    "a relative's phone": (
        "RelatedPerson",
        "ADT^A08",
        [relative(text) for text in ("131", "132", "")],
        phone,
        ["132"],
    ),
    "a dose": (
        "MedicationRequest",
        "OMP^O09",
        [order(*one) for one in (("NW", "0.5"), ("XO", "1.0"), ("DC", ""))],
        lambda one: (
            one["status"],
            str(one["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"]),
        ),
        ("stopped", "1.0"),
    ),
    "a reason": (
        "Appointment",
        "SIU^S14",
        [booking("20250320090000", f7=text) for text in ("A^原因", "B^别的", "")],
        lambda one: one["reasonCode"][0]["coding"][0]["code"],
        "B",
    ),
}


@pytest.mark.parametrize(("kind", "event", "told", "look", "holds"), CASES.values(), ids=CASES)
async def test_what_only_a_late_message_tells_holds(say, only, log, kind, event, told, look, holds):
    first, late, newer = ([one] if isinstance(one, str) else one for one in told)
    for at, segments in (("1000", first), ("1200", newer), ("1100", late)):
        await say(event, at, *segments)
    found = await only(kind)
    assert look(found) == holds
    assert any(line.startswith("message_older") for line in log.lines)

    await say(event, "1100", *late)  # once more: it says nothing new
    assert await only(kind) == found


@pytest.mark.parametrize(("kind", "event", "told", "look", "holds"), CASES.values(), ids=CASES)
async def test_what_a_newer_message_tells_is_not_overwritten(
    say, only, kind, event, told, look, holds
):
    first, newer, silent = ([one] if isinstance(one, str) else one for one in told)
    for at, segments in (("1000", first), ("1200", newer), ("1300", silent), ("1100", first)):
        await say(event, at, *segments)
    assert look(await only(kind)) == holds


async def test_of_what_a_newer_list_lacks_a_late_message_tells_the_rest(say, only, every):
    other = person(), segment("AL1", f1="1", f2="DA", f3="B^花粉^L")
    for at, told in (("1000", allergy("MI")), ("1200", other), ("1100", allergy("SV"))):
        await say("ADT^A08", at, *told)

    (found,) = [one for one in await every("AllergyIntolerance") if one["code"]["text"] == "青霉素"]
    assert found["clinicalStatus"]["coding"][0]["code"] == "inactive"
    assert found["criticality"] == "high"


async def test_what_a_message_of_another_kind_told_since_is_not_overwritten(say, only):
    await say("ADT^A08", "1000", person(phone="131"))
    await say("ORU^R01", "1150", person(phone="133"), "OBR|1||F1|4548-4^HbA1c^LN")
    await say("ADT^A08", "1200", person(f16="M"))
    await say("ADT^A08", "1100", person(phone="132", f11="二路2号"))

    patient = await only("Patient")
    assert phone(patient) == ["133"]
    assert patient["address"][0]["text"] == "二路2号"


async def test_what_a_client_wrote_of_what_a_newer_message_told_stays(say, only, repository):
    for at, number in (("1000", "131"), ("1200", "133")):
        await say("ADT^A08", at, person(phone=number))
    patient = await only("Patient")
    told = [{"system": "phone", "use": "home", "value": "139"}]
    await repository.commit(lambda unit: unit.update({**patient, "telecom": told}, patient["id"]))
    await say("ADT^A08", "1100", person(phone="132", f16="M"))

    patient = await only("Patient")
    assert phone(patient) == ["139"]
    assert patient["maritalStatus"]["coding"][0]["code"] == "M"


async def test_of_what_the_journal_keeps_no_more_nothing_is_overwritten(say, only, backend, clock):
    for at, number in (("1000", "131"), ("1200", "133")):
        await say("ADT^A08", at, person(phone=number), visit(f10="MED"))
    clock.moment += timedelta(hours=1)
    await backend.journal.prune({"done": microseconds(clock.moment)}, 0)
    await say("ADT^A08", "1300", person(f16="M"), visit())
    await say("ADT^A08", "1100", person(phone="132", f11="二路2号"), visit(f10="SUR"))

    patient, seen = await only("Patient"), await only("Encounter")
    assert (phone(patient), patient["address"][0]["text"]) == (["133"], "二路2号")
    assert seen["serviceType"]["coding"][0]["code"] == "MED"


async def test_of_one_of_several_institutions_too_what_only_the_late_one_tells_holds(say, only):
    await say(
        "ADT^A04",
        "0900",
        person("Z1", "139", "ZJJCHC", f3=f"Z1^^^ZJJCHC^PI~{KNOWN}"),
        by="CHIS|ZJJCHC",
    )
    mine = {"f3": f"T1^^^SHTH01^PI~{KNOWN}"}
    await say("ADT^A08", "1000", person(phone="131", f16="S", **mine))
    await say("ADT^A08", "1200", person(phone="133", **mine))
    await say("ADT^A08", "1100", person(phone="132", f16="M", **mine))

    patient = await only("Patient")
    assert patient["maritalStatus"]["coding"][0]["code"] == "M"
    assert "133" in phone(patient)
    assert "132" not in phone(patient)
    stamps = [
        one["meta"]["extension"][0]["valueIdentifier"]["period"] for one in patient["contained"]
    ]
    assert sorted(one["start"][11:16] for one in stamps) == ["01:00", "04:00"]


async def test_a_late_message_is_as_of_its_time_and_the_newest_stays_the_newest(say, only, store):
    await say("ADT^A08", "1000", person(phone="131"))
    await say("ADT^A08", "1200", person(phone="131"))
    await say("ADT^A08", "1100", person(phone="132"))

    patient = await only("Patient")
    *since, stamp = patient["meta"]["extension"]
    told = [one["valueIdentifier"] for one in since]
    assert {one["type"]["text"]: one["period"]["start"][11:16] for one in told} == {
        "birthDate gender name:official:True": "02:00",
        "telecom:phone:home": "04:00",
    }
    assert stamp["valueIdentifier"]["period"]["start"] == "2025-03-14T03:00:00Z"
    assert phone(patient) == ["131"]
    assert patient["meta"]["versionId"] == "2"
    assert "urn:" not in fhirjson.dumps(patient).decode()
