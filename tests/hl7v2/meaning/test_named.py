"""Doctors and wards that messages only name: by a number alone, then by a name.

Spec: HL7v2 chapter 2A, XCN and PL
"""

import pytest
from meaning_parts import person, visit

NUMBER = visit(f2="I", f3="W1^R1^B1^SHTH01", f7="D1")
NAMED = visit(f2="I", f3="W1^R1^B1^SHTH01^^^^^心内科病区", f7="D1^戴^慧")
OTHERWISE = visit(f2="I", f3="W1^R1^B1^SHTH01^^^^^内科", f7="D1^代^慧")


@pytest.mark.parametrize("order", [(NUMBER, NAMED), (NAMED, NUMBER), (NUMBER, NUMBER, NAMED)])
async def test_who_was_told_by_a_number_alone_has_the_name_that_is_told(say, only, order):
    for minute, told in enumerate(order, start=10):
        await say("ADT^A08", f"09{minute}", person(), told)

    assert (await only("Practitioner"))["name"][0]["text"] == "戴慧"
    assert (await only("Location"))["name"] == "心内科病区"


async def test_a_mention_changes_no_name(say, only):
    for minute, told in enumerate((NAMED, OTHERWISE, NUMBER), start=10):
        await say("ADT^A08", f"09{minute}", person(), told)

    doctor, ward = await only("Practitioner"), await only("Location")
    assert (doctor["name"][0]["text"], ward["name"]) == ("戴慧", "心内科病区")
    assert (doctor["meta"]["versionId"], ward["meta"]["versionId"]) == ("1", "1")


async def test_a_name_is_filled_in_once_and_what_a_client_wrote_since_stays(say, only, repository):
    await say("ADT^A08", "0910", person(), NUMBER)
    doctor = await only("Practitioner")
    wrote = {**doctor, "gender": "female"}
    await repository.commit(lambda unit: unit.update(wrote, doctor["id"]))
    for minute in ("0911", "0912"):
        await say("ADT^A08", minute, person(), NAMED)

    found = await only("Practitioner")
    assert (found["gender"], found["name"][0]["text"]) == ("female", "戴慧")
    assert found["meta"]["versionId"] == "3"


async def test_the_place_of_an_event_is_one_however_often_it_is_told(say, only):
    for at in ("0900", "1000"):
        event = f"20250314{at}|||||本部^1.2.156.7^ISO"  # EVN-2 to EVN-7
        await say("ADT^A08", (event, at), person())

    site = await only("Location")
    assert (site["name"], site["identifier"][0]["value"]) == ("本部", "urn:oid:1.2.156.7")
