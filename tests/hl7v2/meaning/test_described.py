"""A patient whom no number tells: found if it certainly is she, asked about if it may be.

Spec: docs/identity.md; DOMAIN 0.12
"""

import asyncio

import parts
import pytest
from meaning_parts import person, segment

from fhir_hub.referral.conduct import Conduct
from fhir_hub.store.open import open_backend

HERE, THERE = "HIS|SHTH01", "HIS|ZJJCHC"
PHONE, NUMBER, OTHER = "13916123456", "310229195304129989", "310229194811059976"
HOME = "上海市青浦区朱家角镇示范路200号302室"


@pytest.fixture
async def backend():
    opened = open_backend("memory:")
    yield opened
    await opened.close()


@pytest.fixture
def repository(store, clock):
    return parts.repository(store, clock, parts.ids(), conduct=Conduct(is_strict=False))


def there(number="Z1", **fields):
    return person(number, PHONE, "ZJJCHC", **fields)


def card(number, authority, resident):
    return f"{number}^^^{authority}^PI~{resident}^^^^NNCHN"


async def asked(every):
    """Return the questions of the review list, each by its grade."""
    tasks = [one for one in await every("Task") if one["status"] == "requested"]
    return [row["valueCode"] for one in tasks for row in one["input"] if "valueCode" in row]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="all alike"),
        pytest.param({"f5": "SHEN^GUIFANG"}, id="in pinyin"),
        pytest.param({"f5": "沈^桂方"}, id="homophone"),
        pytest.param({"f7": "19530417"}, id="a digit of the birth date"),
        pytest.param({"f3": card("Z1", "ZJJCHC", NUMBER[:-1] + "8")}, id="wrong digit of the card"),
    ],
)
async def test_another_institutions_patient_who_certainly_is_she_is_she(say, only, every, fields):
    await say("ADT^A04", "0800", person("T1", PHONE, f3=card("T1", "SHTH01", NUMBER)))
    await say("ADT^A04", "0900", there(**fields), by=THERE)
    await say("ADT^A08", "1000", there(f16="M", **fields), by=THERE)

    patient = await only("Patient")
    assert {"T1", "Z1", NUMBER} <= {one["value"] for one in patient["identifier"]}
    assert await asked(every) == []


async def test_her_facts_at_one_place_outlive_another_places_update(say, only):
    hers = person("T1", PHONE, f3=card("T1", "SHTH01", NUMBER), f11=f"{HOME}^^上海市", f16="M")
    await say("ADT^A04", "0800", hers, by=HERE)
    await say("ADT^A08", "0900", there(f16='""', f11='""', f5="沈^桂方"), by=THERE)

    patient = await only("Patient")
    assert patient["maritalStatus"]["coding"]
    assert any(HOME in str(one) for one in patient["address"])
    said = {one["id"]: one for one in patient["contained"]}
    assert {one["name"][0]["text"] for one in said.values()} == {"沈桂芳", "沈桂方"}
    assert patient["telecom"][0]["value"] == PHONE


@pytest.mark.parametrize(
    ("fields", "grade"),
    [
        pytest.param({"f5": "沈^桂香"}, "possible", id="a twin, or a slip of the pen"),
        pytest.param({"f8": "M"}, "possible", id="another sex"),
    ],
)
async def test_who_may_be_she_is_a_patient_of_their_own_and_asked_about_once(
    say, every, fields, grade
):
    await say("ADT^A04", "0800", person("T1", PHONE))
    for time in ("0900", "1000", "1100"):
        await say("ADT^A08", time, there(**fields), by=THERE)

    assert len(await every("Patient")) == 2
    assert await asked(every) == [grade]


@pytest.mark.parametrize(
    "fields",
    [
        {"f3": card("Z1", "ZJJCHC", OTHER)},
        {"f7": "19710809", "f13": "18817000001"},
        {"f5": "赵^一鸣"},
    ],
)
async def test_another_person_is_neither_she_nor_asked_about(say, every, fields):
    await say("ADT^A04", "0800", person("T1", PHONE, f3=card("T1", "SHTH01", NUMBER)))
    await say("ADT^A04", "0900", there(**fields), by=THERE)

    assert len(await every("Patient")) == 2
    assert await asked(every) == []


async def test_one_institutions_two_numbers_are_two_records_to_be_asked_about(say, every):
    await say("ADT^A04", "0800", person("T1", PHONE))
    await say("ADT^A04", "0900", person("T2", PHONE))

    assert len(await every("Patient")) == 2
    assert await asked(every) == ["probable"]


async def test_twins_stay_two_also_when_they_come_at_once(say, every):
    one, other = {"f5": "陆^家明", "f7": "19900506"}, {"f5": "陆^家亮", "f7": "19900506"}
    said = [
        say("ADT^A04", "0800", there("Z1", **one), by=THERE),
        say("ADT^A04", "0800", there("Z2", **other), by=THERE),
        say("ADT^A04", "0800", person("T1", PHONE, **one), by=HERE),
        say("ADT^A04", "0800", person("T2", PHONE, **other), by=HERE),
    ]
    await asyncio.gather(*said)

    patients = await every("Patient")
    assert {one["name"][0]["text"] for one in patients} == {"陆家明", "陆家亮"}
    assert len(patients) == 2


async def test_a_child_on_its_mothers_card_is_a_patient_of_its_own_from_then_on(say, every):
    mother = person("T1", PHONE, f3=card("T1", "SHTH01", NUMBER))
    child = there(f3=card("Z1", "ZJJCHC", NUMBER), f5="周^小宝", f7="20240220", f8="M")
    for time in ("0800", "0900"):
        await say("ADT^A08", time, mother)
        await say("ADT^A08", time, child, by=THERE)

    names = sorted(one["name"][0]["text"] for one in await every("Patient"))
    assert names == sorted(["周小宝", "沈桂芳"])
    assert await asked(every) == ["possible"]


async def test_a_merge_by_message_answers_the_question(say, every):
    await say("ADT^A04", "0800", person("T1", PHONE))
    await say("ADT^A04", "0900", person("T2", PHONE))
    await say("ADT^A40", "1000", person("T1", PHONE), segment("MRG", f1="T2^^^SHTH01^PI"))
    [task] = await every("Task")
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == ("completed", "merged")

    await say("ADT^A37", "1100", person("T1", PHONE), person("T2", PHONE))
    [task] = await every("Task")
    assert task["status"] == "rejected"
