"""Messages out of order: what is newer stays, what an older one adds is taken, the log says so.

Spec: DOMAIN 4 (out-of-order A08); HL7v2 chapter 3, EVN-2
"""

import itertools
from datetime import timedelta

import pytest
from meaning_parts import person, segment, visit

from fhir_hub.clock import microseconds


def phones(patient):
    return {one["value"] for one in patient["telecom"] if "end" not in one.get("period", {})}


async def test_an_older_message_overwrites_nothing_and_the_log_says_so(say, only, log):
    await say("ADT^A08", "1000", person(phone="13000000001"))
    await say("ADT^A08", "1200", person(phone="13000000003"))
    await say("ADT^A08", "1100", person(phone="13000000002"))

    patient = await only("Patient")
    known = {one["value"]: one.get("period") for one in patient["telecom"]}
    over = {"end": "2025-03-14"}
    assert known == {"13000000003": None, "13000000002": over, "13000000001": over}
    assert log.lines == ["message_older resources=Patient:1"]


async def test_what_a_clock_that_is_ahead_ends_has_ended_when_it_was_told(say, only):
    await say("ADT^A08", "1000", person(phone="13000000001"))
    await say("ADT^A08", "20990101100000", person(phone="13000000002"))

    ended = {one["value"]: one.get("period") for one in (await only("Patient"))["telecom"]}
    assert ended == {"13000000001": {"end": "2026-01-01"}, "13000000002": None}


async def test_what_was_told_again_meanwhile_is_as_new_as_the_last_time(say, only, log):
    await say("ADT^A08", "1000", person(phone="13000000001"), visit(f2="I"))
    await say("ADT^A08", "1200", person(phone="13000000001"), visit(f2="I"))
    await say("ADT^A08", "1100", person(phone="13000000002"), visit(f2="E"))

    assert phones(await only("Patient")) == {"13000000001"}
    assert (await only("Encounter"))["class"]["code"] == "IMP"
    assert (await only("Encounter"))["meta"]["versionId"] == "1"
    assert log.lines == ["message_older resources=Encounter:1 Patient:1"]


async def test_a_visit_of_hundreds_of_messages_began_when_it_was_told_first(say, only):
    for minute in range(202):
        await say("ADT^A08", f"{8 + minute // 60:02}{minute % 60:02}", person(), visit(f2="I"))
    await say("ADT^A03", "1200", person(), visit(f2="I"))

    (first,) = (await only("Encounter"))["statusHistory"]
    assert first["period"] == {"start": "2025-03-14T00:00:00Z", "end": "2025-03-14T04:00:00Z"}


async def test_what_was_told_again_by_another_kind_of_message_holds(say, only):
    await say("ADT^A08", "1000", person(phone="13000000001"))
    await say("ORU^R01", "1200", person(phone="13000000001"), "OBR|1||F1|4548-4^HbA1c^LN")
    await say("ADT^A08", "1100", person(phone="13000000002"))

    assert phones(await only("Patient")) == {"13000000001"}


async def test_of_a_long_message_too_the_journal_knows_when_it_was_told_and_what_it_listed(
    say, every, log
):
    notes = [segment("NTE", f1=str(n), f3="x" * 400) for n in range(40)]
    await say("ADT^A08", "1200", person(), *notes, segment("AL1", f1="1", f3="A^青霉素^L"))
    await say("ADT^A08", "1100", person(), *notes, segment("AL1", f1="1", f3="B^花粉^L"))

    kept = {
        one["code"]["text"]: one["clinicalStatus"]["coding"][0]["code"]
        for one in await every("AllergyIntolerance")
    }
    assert kept == {"青霉素": "active", "花粉": "inactive"}
    assert "message_older" in log.lines[0]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le", "utf-16-be"])
async def test_of_a_long_message_in_any_character_set_it_is_known_when_it_was_told(
    say, only, encoding
):
    notes = [segment("NTE", f1=str(n), f3="上海" * 200) for n in range(40)]
    for time, number in (("1000", "1"), ("1200", "1"), ("1100", "2")):
        await say("ADT^A08", time, person(phone=f"1300000000{number}"), *notes, encoding=encoding)

    assert phones(await only("Patient")) == {"13000000001"}


async def test_an_older_message_adds_what_nobody_has_said(say, only, every, log):
    await say("ADT^A08", "1200", person(phone="13000000003"))
    numbers = "T1^^^SHTH01^PI~Y7^^^YB&2.16.156.10011.1.15&ISO^SB"
    older = person(f3=numbers, f7="19530401", f11="示范路1号^^上海市")
    await say("ADT^A04", "1100", older, visit())

    patient = await only("Patient")
    assert (patient["birthDate"], phones(patient)) == ("1953-04-12", {"13000000003"})
    assert patient["address"][0]["city"] == "上海市"
    assert "Y7" in {one["value"] for one in patient["identifier"]}
    assert len(await every("Encounter")) == 1
    assert log.lines == ["message_older resources=Patient:1"]


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1, 2))))
async def test_a_visit_ends_alike_in_whatever_order_its_messages_come(say, only, order):
    messages = [
        ("ADT^A04", "0900", visit(f7="T20456^顾^文清", f44="20250314090000")),
        ("ADT^A08", "1000", visit(f7="T20501^方^晓岚")),
        ("ADT^A03", "1100", visit(f45="20250314110000")),
    ]
    for number in order:
        event, at, seen = messages[number]
        await say(event, at, person(), seen)

    found = await only("Encounter")
    assert found["status"] == "finished"
    assert found["period"]["start"] == "2025-03-14T09:00:00+08:00"
    assert found["period"]["end"] == "2025-03-14T11:00:00+08:00"


async def test_a_late_message_of_which_not_all_told_since_is_known_writes_nothing_known(say, only):
    for minute in range(52):
        await say("ADT^A08", f"10{minute:02}", person())
    await say("ADT^A08", "0900", person())

    assert (await only("Patient"))["meta"]["versionId"] == "1"


async def test_an_older_correction_of_a_result_changes_nothing(say, only):
    def result(status, value):
        order = segment("OBR", f3="F1", f4="4548-4^HbA1c^LN", f7="20250314080000", f25=status)
        return person(), order, f"OBX|1|NM|4548-4^HbA1c^LN||{value}|%|||||{status}"

    await say("ORU^R01", "1000", *result("P", "8.1"))
    await say("ORU^R01", "1200", *result("C", "7.9"))
    await say("ORU^R01", "1100", *result("F", "8.1"))

    found = await only("Observation")
    assert (found["status"], str(found["valueQuantity"]["value"])) == ("corrected", "7.9")
    assert found["meta"]["versionId"] == "2"
    assert (await only("DiagnosticReport"))["status"] == "corrected"


async def test_an_older_modification_does_not_undo_a_newer_booking(say, only):
    def booking(at):
        return f"SCH|P1^ZJJCHC|A1^SHTH01|||||||15|min|^^15^{at}", person()

    await say("SIU^S12", "1000", *booking("20250320090000"))
    await say("SIU^S13", "1200", *booking("20250320110000"))
    await say("SIU^S13", "1100", *booking("20250320100000"))
    assert (await only("Appointment"))["start"] == "2025-03-20T11:00:00+08:00"

    await say("SIU^S15", "1400", *booking("20250320110000"))
    await say("SIU^S14", "1300", *booking("20250320110000"))
    assert (await only("Appointment"))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("20250314100000.5", "20250314100000"),
        ("20250314100000.25+0800", "20250314110000+0900"),
        ("20250314100030", "20250314021959+0000"),
        ("20250314100030", "202503141000"),
    ],
)
async def test_times_are_compared_as_moments_and_not_as_texts(say, only, first, second):
    await say("ADT^A08", first, person(phone="13000000001"))
    await say("ADT^A08", second, person(phone="13000000002"))

    is_later = second == "20250314021959+0000"  # 10:19:59 in Shanghai
    assert phones(await only("Patient")) == {"13000000002" if is_later else "13000000001"}


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        pytest.param("202503141000", ("20250314100045", "20250314100015"), id="minute"),
        pytest.param("20250314100015", ("20250314100015.75", "20250314100015.25"), id="second"),
    ],
)
async def test_of_events_of_one_minute_or_second_the_message_says_more(say, only, recorded, sent):
    for at, number in zip(sent, "21", strict=True):
        await say("ADT^A08", (recorded, at), person(phone=f"130{number}"))

    assert phones(await only("Patient")) == {"1302"}


async def test_senders_clocks_are_compared_of_what_is_a_person_s_alone(say, only, log):
    await say("ADT^A08", "1200", person(phone="13000000003"), visit(f10="MED"))
    await say("ADT^A08", "1100", person(phone="13000000002"), visit(f10="SUR"), by="EMR|SHTH01")

    assert phones(await only("Patient")) == {"13000000003"}
    assert (await only("Encounter"))["serviceType"]["coding"][0]["code"] == "SUR"
    assert log.lines == ["message_older resources=Patient:1"]


async def test_a_clock_that_runs_ahead_does_not_keep_later_messages_out(say, only, clock):
    await say("ADT^A08", "20300101000000", person(phone="13000000001"))
    clock.tick(60)
    await say("ADT^A08", "20260101080030", person(phone="13000000002"))

    assert phones(await only("Patient")) == {"13000000002"}


async def test_nothing_new_after_a_deletion_makes_no_new_version(say, only):
    await say("ADT^A01", "1000", person(), visit(f10="MED"))
    await say("ADT^A08", "1100", person(f8='""'), visit(f10='""'))
    deleted = await only("Patient"), await only("Encounter")
    assert ("gender" in deleted[0], "serviceType" in deleted[1]) == (False, False)
    await say("ADT^A08", "1200", person(f8=""), visit(f10=""))
    assert (await only("Patient"), await only("Encounter")) == deleted

    await say("ADT^A08", "1300", person(f8='""'), visit(f10='""'))  # taken away once more
    assert (await only("Patient"), await only("Encounter")) == deleted


async def test_the_same_facts_later_make_no_new_version(say, only):
    for at in ("1000", "1100", "1200"):
        await say("ADT^A08", at, person(phone="13000000001"), visit())

    for kind in ("Patient", "Encounter"):
        assert (await only(kind))["meta"]["versionId"] == "1"


async def test_what_null_deleted_an_older_message_does_not_bring_back(say, only):
    await say("ADT^A08", "1000", person(phone="13000000001"))
    await say("ADT^A08", "1200", person(phone='""'))
    await say("ADT^A08", "1100", person(phone="13000000002"))
    assert "telecom" not in await only("Patient")

    await say("ADT^A08", "1300", person(phone="13000000004"))
    assert phones(await only("Patient")) == {"13000000004"}


async def test_who_told_it_and_as_of_when_is_stored(say, only):
    await say("ADT^A08", "1000", person(phone="13000000001"))

    assert (await only("Patient"))["meta"]["extension"] == [
        {
            "url": "https://fhir-hub.example/StructureDefinition/told-by",
            "valueIdentifier": {
                "system": "https://fhir-hub.example/sid/SHTH01/application",
                "value": "HIS",
                "period": {"start": "2025-03-14T02:00:00Z"},
            },
        }
    ]


@pytest.mark.parametrize("first", [["A01"], []])
async def test_a_discharge_that_comes_late_behind_updates_ends_the_visit_when_it_was(
    say, only, first
):
    bed = {"f2": "I", "f3": "W1^R1^B1^SHTH01"}
    for event in first:
        await say(f"ADT^{event}", "0900", person(), visit(**bed, f44="20250314090000"))
    await say("ADT^A08", "1100", person(), visit(**bed, f10="MED"))
    await say("ADT^A03", "1000", person(), visit(**bed, f36="01", f45="20250314100000"))
    for again in ("1200", "1300"):
        found = await only("Encounter")
        (place,) = found["location"]
        assert found["status"] == "finished"
        before = [one["status"] for one in found.get("statusHistory", ())]
        assert before == ["in-progress" for _ in first]
        assert found["period"]["end"] == "2025-03-14T10:00:00+08:00"
        assert place["period"]["end"] == "2025-03-14T02:00:00Z"
        assert place["status"] == "completed"
        assert found["serviceType"]["coding"][0]["code"].startswith("MED")
        await say("ADT^A08", again, person(), visit(**bed, f10=f"MED{again}"))


@pytest.mark.parametrize(
    ("events", "status"),
    [
        (["A04", "A08", "A11"], "cancelled"),
        (["A01", "A03", "A08", "A13"], "in-progress"),
        (["A01", "A08", "A02", "A03"], "finished"),
        (["A05", "A08", "A04"], "in-progress"),
    ],
)
async def test_the_last_state_of_a_visit_holds_though_it_comes_late(say, only, events, status):
    times = [*(f"0{9 + at}00"[-4:] for at in range(len(events) - 2)), "1500", "1400"]
    for event, at in zip(events, times, strict=True):
        await say(f"ADT^{event}", at, person(), visit(f2="I"))

    assert (await only("Encounter"))["status"] == status


async def test_nobody_leaves_a_bed_before_it_was_taken(say, only):
    bed = {"f2": "I", "f3": "W1^R1^B1^SHTH01"}
    await say("ADT^A04", "0900", person(), visit(**bed))
    await say("ADT^A02", "1100", person(), visit(**{**bed, "f3": "W1^R1^B2^SHTH01"}))
    await say("ADT^A03", "1000", person(), visit(f2="I", f45="20250314100000"))

    found = await only("Encounter")
    periods = [one["period"] for one in found["location"]]
    assert found["status"] == "finished"
    assert periods == [
        {"end": "2025-03-14T02:00:00Z"},
        {"start": "2025-03-14T03:00:00Z", "end": "2025-03-14T03:00:00Z"},
    ]


async def test_a_class_told_before_another_and_again_was_there_twice(say, only):
    await say("ADT^A04", "1000", person(), visit(f2="O", f44="20250314100000"))
    await say("ADT^A22", "1100", person(), visit(f2="I"))
    await say("ADT^A08", "0900", person(), visit(f2="I", f10="SUR"))

    had = [
        (one["class"]["code"], one["period"]) for one in (await only("Encounter"))["classHistory"]
    ]
    ten, eleven = "2025-03-14T02:00:00Z", "2025-03-14T03:00:00Z"
    assert had == [("IMP", {"end": ten}), ("AMB", {"start": ten, "end": eleven})]


async def test_a_discharge_that_was_cancelled_comes_late_and_leaves_no_end(say, only):
    await say("ADT^A13", "1000", person(), visit(f2="I"))
    await say("ADT^A03", "0930", person(), visit(f2="I", f36="01", f45="20250314093000"))

    found = await only("Encounter")
    assert found["status"] == "in-progress"
    assert {"period", "hospitalization"}.isdisjoint(found)


@pytest.mark.parametrize(("event", "status"), [("S15", "cancelled"), ("S26", "noshow")])
async def test_the_last_state_of_a_booking_holds_though_it_comes_late(say, only, event, status):
    booked = ("SCH|P1^ZJJCHC|A1^SHTH01||||R^原因|||15|min|^^15^20250320090000", person())
    slot = ("AIP|1||D1^顾^文清", "ZHY|1|SLOT-1|COMMUNITY^社区优先号源^99QPSL")
    for told, at in (("S12", "0900"), ("S14", "1100"), (event, "1000")):
        await say(f"SIU^{told}", at, *booked, *slot)

    assert (await only("Appointment"))["status"] == status
    assert (await only("Slot"))["status"] == ("free" if event == "S15" else "busy")


async def test_of_a_visit_whose_first_messages_are_kept_no_more_a_late_bed_is_in_its_place(
    say, only, backend, clock
):
    def bed(name):
        return person(), visit(f2="I", f3=f"W1^R1^{name}^SHTH01")

    await say("ADT^A01", "0900", *bed("B1"))
    await say("ADT^A02", "1000", *bed("B2"))
    clock.moment += timedelta(hours=1)
    await backend.journal.prune({"done": microseconds(clock.moment)}, 0)
    await say("ADT^A02", "1200", *bed("B4"))
    await say("ADT^A02", "1100", *bed("B3"))

    periods = [one["period"] for one in (await only("Encounter"))["location"]]
    hours = [f"2025-03-14T{hour:02}:00:00Z" for hour in (2, 3, 4)]
    starts, ends = ([one.get(name) for one in periods] for name in ("start", "end"))
    assert (starts, ends) == ([None, *hours], [*hours, None])


async def test_a_bed_that_is_taken_again_was_not_taken_since_the_first_time(say, only):
    for at, name in (("0900", "B0"), ("1000", "B1"), ("1100", "B2"), ("0930", "B2")):
        await say("ADT^A02", at, person(), visit(f2="I", f3=f"W1^R1^{name}^SHTH01"))

    starts = [one.get("period", {}).get("start") for one in (await only("Encounter"))["location"]]
    assert starts == [None, *(f"2025-03-14T{at}:00Z" for at in ("01:30", "02:00", "03:00"))]


@pytest.mark.parametrize("order", [(0, 3, 1, 2), (0, 3, 2, 1), (3, 0, 1, 2)])
async def test_who_is_back_in_a_bed_as_an_update_says_is_in_it(say, only, every, order):
    told = [
        ("A01", "0900", "B1"),
        ("A02", "1000", "B3"),
        ("A02", "1100", "B1"),
        ("A08", "1200", "B1"),
    ]
    for event, at, name in (told[number] for number in order):
        await say(f"ADT^{event}", at, person(), visit(f2="I", f3=f"W1^R1^{name}^SHTH01"))

    names = {f"Location/{one['id']}": one["name"] for one in await every("Location")}
    beds = [one for one in (await only("Encounter"))["location"] if one["status"] == "active"]
    assert [names[one["location"]["reference"]] for one in beds] == ["W1-R1-B1"]
