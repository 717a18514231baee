"""How surely two records are one person: what people and desks get wrong, and what twins share.

Spec: DOMAIN 3.1, 3.4, 3.6; docs/identity.md
"""

from pathlib import Path

import pytest

from fhir_hub.identity import lunar, resident_id, systems
from fhir_hub.identity.blocks import keys, wanted_keys
from fhir_hub.identity.score import compare
from fhir_hub.identity.traits import traits_of
from fhir_hub.identity.weights import CERTAIN, FIELDS, POSSIBLE, PROBABLE

NUMBER, WRONG_DIGIT, EXCHANGED = "310229195304129989", "310229195304129988", "310229195304192989"
PHONE, HOME = "13916123456", "上海市青浦区朱家角镇示范路200号302室"


def card(value, use="official"):
    return {"system": systems.RESIDENT_ID, "value": value, "use": use}


def person(name="沈桂芳", born="1953-04-12", phone=PHONE, home=HOME, gender="female", *cards):
    """Return a Patient; what is None is not known."""
    made = {"resourceType": "Patient", "gender": gender, "birthDate": born}
    if name:
        made["name"] = [name] if isinstance(name, dict) else [{"text": name}]
    if phone:
        made["telecom"] = [{"system": "phone", "value": phone}]
    if home:
        made["address"] = [{"text": home}]
    if cards:
        made["identifier"] = [card(one) if isinstance(one, str) else one for one in cards]
    return {key: value for key, value in made.items() if value is not None}


def grade(one, other):
    first, second = traits_of(one), traits_of(other)
    found = compare(first, second)
    assert compare(second, first).grade == found.grade
    return found.grade


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(person(phone="+86 139-1612-3456"), id="phone written otherwise"),
        pytest.param(person(phone=None), id="no phone"),
        pytest.param(person(phone="18817000001"), id="new phone"),
        pytest.param(person(home=None), id="no address"),
        pytest.param(person(home="江苏省苏州市吴江区松陵镇中山路1号"), id="moved"),
        pytest.param(person("沈 桂芳"), id="blank in the name"),
        pytest.param(person("沈桂方"), id="homophone"),
        pytest.param(person("Shen Guifang"), id="pinyin"),
        pytest.param(person("SHENGUIFANG"), id="pinyin in a row"),
        pytest.param(person({"family": "桂芳", "given": ["沈"]}), id="swapped"),
        pytest.param(person({"family": "Guifang", "given": ["Shen"]}), id="swapped pinyin"),
        pytest.param(person("沉桂芳"), id="family name misheard"),
        pytest.param(person(born="1953-12-04"), id="day and month exchanged"),
        pytest.param(person(born="1953-04-17"), id="a digit of the day"),
        pytest.param(person(born="1935-04-12"), id="digits of the year exchanged"),
        pytest.param(person(born="1953-05-24"), id="told by the moon"),
        pytest.param(
            person("沈桂芳", "1953-04-12", None, None, "female", card(EXCHANGED, "temp")),
            id="two digits of the card exchanged, nothing else known",
        ),
        pytest.param(
            person("沈桂芳", "1953-04-12", "18817000001", None, "female", card(WRONG_DIGIT, "old")),
            id="a wrong digit of the card, a new phone",
        ),
        pytest.param(
            person("沈桂", "1980-01-01", None, None, "male", NUMBER),
            id="the card, and all else bad",
        ),
    ],
)
def test_one_person_is_certain_whatever_one_desk_gets_wrong(other):
    known = person("沈桂芳", "1953-04-12", PHONE, HOME, "female", NUMBER)

    assert grade(known, other) == "certain"


def twin(name, *cards):
    return person(name, "1990-05-06", PHONE, HOME, "male", *cards)


ONE, TWO = "310118199005061017", "310118199005061033"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(twin("陆家明"), twin("陆家亮"), "possible", id="no cards"),
        pytest.param(twin("陆家明", ONE), twin("陆家亮", TWO), "certainly-not", id="two cards"),
        pytest.param(twin("陆家明", ONE), twin("陆家明", TWO), "certainly-not", id="same name too"),
        pytest.param(twin("陆明"), twin("陆亮"), "certainly-not", id="short names"),
        pytest.param(twin("陆家明"), twin("陆建军"), "certainly-not", id="names unlike"),
        pytest.param(twin("陆家明", ONE), twin("陆家亮"), "possible", id="one card"),
        pytest.param(
            twin("陆家明"),
            twin("陆家敏") | {"gender": "female"},
            "possible",
            id="brother and sister",
        ),
    ],
)
def test_twins_are_never_merged(one, other, expected):
    assert grade(one, other) == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(person(born=None, phone=None, home=None), "certainly-not", id="name alone"),
        pytest.param(
            person(born="1971-08-09", phone=None, home=None), "certainly-not", id="namesake"
        ),
        pytest.param(person(phone=None, home=None), "certain", id="rare name and birth date"),
        pytest.param(
            person(phone="18817000001", home=None), "certain", id="the same and another phone"
        ),
        pytest.param(
            person(phone=None, home="江苏省苏州市吴江区中山路1号"), "probable", id="and elsewhere"
        ),
        pytest.param(person(born="1953"), "certain", id="year, phone and address"),
        pytest.param(person(born="1953-01-01", home=None), "probable", id="year and phone"),
        pytest.param(person(born="1953-09-30"), "probable", id="another day of the year"),
        pytest.param(person(born=None, home=None), "probable", id="name and phone"),
        pytest.param(person("赵一鸣", born="1953-04-12"), "certainly-not", id="the household"),
        pytest.param(person("沈芳", "1979-01-02"), "certainly-not", id="a daughter"),
        pytest.param(person(gender="male"), "possible", id="the other sex"),
        pytest.param(person("沈桂芬"), "possible", id="another character"),
    ],
)
def test_what_is_not_known_makes_it_less_sure(other, expected):
    assert grade(person(), other) == expected


def inpatient(name="王伟", born="1985-03-04", number="ZY0098811", **rest):
    """Return a Patient whom a message of a ward names by the number of her stay alone."""
    kind = {"coding": [{"code": "AN"}]}
    stay = {"system": "https://fhir-hub.example/sid/SGYY/an", "value": number, "type": kind}
    return person(name, born, None, None, **rest) | {"identifier": [stay]}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(inpatient(), "certain", id="the same stay"),
        pytest.param(inpatient(number="ZY1"), "probable", id="another stay"),
        pytest.param(inpatient("王伟之子", "2025-03-19"), "certainly-not", id="a newborn"),
        pytest.param(inpatient(born="1985-03-14"), "possible", id="another birth date"),
        pytest.param(inpatient(gender="male"), "possible", id="another sex"),
    ],
)
def test_the_number_of_a_stay_is_of_who_has_the_name_and_birth_date(other, expected):
    assert grade(inpatient(), other) == expected


@pytest.mark.parametrize("name", ["王伟之子", "新生儿", "王伟新生儿", "王伟女婴", "BABY BOY WANG"])
def test_twins_who_have_no_names_yet_are_not_one_by_the_number_of_their_mother_s_stay(name):
    child = inpatient(name, "2025-03-19")

    assert traits_of(child).names == ()
    assert grade(child, child) != "certain"


def test_a_frequent_name_with_its_birth_date_is_not_certain():
    wang = person("王伟", phone=None, home=None, gender="male")

    assert grade(wang, wang) == "probable"


def test_a_frequent_name_says_less_than_a_rare_one():
    rare = compare(traits_of(person("闾丘露薇")), traits_of(person("闾丘露薇"))).parts[0]
    frequent = compare(traits_of(person("王伟")), traits_of(person("王伟"))).parts[0]

    assert rare.bits > frequent.bits + 5


def test_of_very_many_names_and_places_only_the_first_are_compared():
    many = person() | {"name": [{"text": f"沈{chr(0x4E00 + n)}芳"} for n in range(300)]}
    many["address"] = [{"line": [f"盈港路{n}弄{n}号"]} for n in range(300)]
    traits = traits_of(many)

    assert (len(traits.names), len(traits.addresses)) == (32, 32)
    named_so = person(many["name"][0]["text"])
    assert grade(named_so, many) == grade(named_so, named_so | {"address": many["address"]})


def test_who_shows_anothers_card_is_not_taken_for_its_owner():
    mother = person("沈桂芳", "1953-04-12", PHONE, HOME, "female", NUMBER)
    child = person("周小宝", "2024-02-20", PHONE, HOME, "male", NUMBER)

    assert grade(mother, child) == "possible"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("刘国华", "劉國華"),
        ("王䶮", "王\ue863"),
        ("张丽", "Ｚｈａｎｇ　Ｌｉ"),
        ("司马光", "司馬光"),
    ],
)
def test_widths_variants_and_private_characters_are_one_name(one, other):
    assert compare(traits_of(person(one)), traits_of(person(other))).level("name") in (
        "same",
        "sound",
    )


def test_damaged_names_and_fillers_say_nothing():
    empty = traits_of(person("王?", "1900-01-01", "13800138000", None))

    assert (empty.names, empty.birth_dates, empty.phones) == ((), (), frozenset())
    assert traits_of(person("张丽之子")).names == ()
    assert traits_of({"name": "x", "telecom": [{}], "identifier": {}, "address": [1]}).names == ()


def test_the_calendars_table_knows_new_years_and_doubled_months():
    # 1953-02-14, 2020-01-25 and 2023-01-22 were new year's days; April of 2020 came twice
    assert lunar.others("1953-01-01")[0] == "1953-02-14"
    assert lunar.others("2020-01-25")[1] == "2020-01-01"
    assert lunar.others("2023-01-22")[1] == "2023-01-01"
    assert lunar.others("2020-05-23")[1] == "2020-04-01"
    assert lunar.others("2020-04-23")[1] == "2020-04-01"
    assert lunar.others("1899-01-01") == lunar.others("2020-13-01") == lunar.others("2020") == ()


@pytest.mark.parametrize(
    "other",
    [
        person(born="1953-04-17", phone=None),
        person(born="1963-04-12", phone=None),
        person("沈桂芬", phone=None),
        person("Guifang Shen", phone=None),
        person(born="1953-05-24", phone=None),
        person("周小宝", "2024-02-20"),
    ],
)
def test_who_may_be_one_person_shares_a_key(other):
    known = set(keys(traits_of(person())))

    assert known.intersection(wanted_keys(traits_of(other)))
    assert len(known) < 10


def test_the_weights_are_probabilities():
    for levels in FIELDS.values():
        assert sum(level.m for level in levels.values()) == pytest.approx(1, abs=0.011)
        assert all(0 < level.u < 1 for level in levels.values())
    assert CERTAIN > PROBABLE > POSSIBLE
    assert all(resident_id.is_valid(one) for one in (NUMBER, ONE, TWO))


def test_the_page_shows_the_weights_as_they_are():
    page = (Path(__file__).parents[2] / "docs" / "identity.md").read_text("utf-8")

    for field, levels in FIELDS.items():
        for name, one in levels.items():
            said = f"{one.m:g} | {one.u:g} | {one.bits:+.1f} | {one.meaning}"
            assert f"| `{field}` | `{name}` | {said} |" in page
    for grade_name, least in (("certain", CERTAIN), ("probable", PROBABLE), ("possible", POSSIBLE)):
        assert f"| `{grade_name}` | {least:g} |" in page
