"""Resident IDs and credit codes: what is right, what cannot be, and why.

Spec: GB 11643-1999, GB 32100-2015; DOMAIN 3.1
"""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.identity import resident_id, uscc

_VALID = [
    "310229195304129989",
    "310229194811059976",
    "320525198602039996",
    "330421199108179964",
    "31022919570930997X",
    "310118201906019991",
]


@pytest.mark.parametrize("number", _VALID)
def test_a_number_with_a_right_check_is_valid(number):
    verdict = resident_id.examine(number)

    assert verdict.is_valid
    assert (verdict.value, verdict.former) == (number, "")
    assert verdict.birth_date == f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
    assert verdict.gender == ("male" if int(number[16]) % 2 else "female")
    assert verdict.division == number[:6]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        pytest.param("310229195304129988", "check-character", id="check digit"),
        pytest.param("31022919530412998", "length", id="17 characters"),
        pytest.param("310229195302309986", "birth-date", id="30 February"),
        pytest.param("999999195304129980", "province", id="no such province"),
        pytest.param("31022919530412998x?", "length", id="a character too many"),
        pytest.param("31022919530412998?", "characters", id="a character that is none"),
        pytest.param("31022953041299X", "characters", id="15 with an X"),
        pytest.param("111111111111111111", "filler", id="ones"),
        pytest.param("000000000000000000", "filler", id="zeros"),
        pytest.param("123456789012345678", "filler", id="counting"),
        pytest.param("", "length", id="nothing"),
    ],
)
def test_a_number_that_cannot_be_right_says_why(number, reason):
    verdict = resident_id.examine(number)

    assert not verdict.is_valid
    assert reason in verdict.reasons
    assert not resident_id.is_valid(number)


@pytest.mark.parametrize(
    "written",
    [
        "31022919570930997x",
        "３１０２２９１９５７０９３０９９７Ｘ",
        " 310229 19570930 997X ",
        "310229-19570930-997X",
    ],
)
def test_a_number_is_read_as_people_write_it(written):
    assert resident_id.examine(written).value == "31022919570930997X"
    assert resident_id.looks_like(written)


def test_fifteen_digits_become_eighteen_and_are_kept():
    verdict = resident_id.examine("310229530412998")

    assert verdict.is_valid
    assert (verdict.value, verdict.former) == ("310229195304129989", "310229530412998")


@pytest.mark.parametrize("division", ["310229", "320525", "320584", "310209", "830000", "911124"])
def test_a_retired_or_special_division_is_no_fault(division):
    first = f"{division}19860203999"

    assert resident_id.is_valid(first + resident_id.check_character(first))


def test_a_birth_after_today_is_a_fault_where_today_is_known():
    number = "310118201906019991"

    assert resident_id.examine(number, date(2019, 6, 1)).is_valid
    assert resident_id.examine(number, date(2019, 5, 31)).reasons == ("birth-date",)


def test_a_birth_before_anyone_alive_is_a_fault():
    first = "31022917000101998"

    assert "birth-date" in resident_id.examine(first + resident_id.check_character(first)).reasons


@given(st.text(max_size=24))
def test_any_text_gets_a_verdict(text):
    verdict = resident_id.examine(text)

    assert verdict.is_valid == (not verdict.reasons)
    assert verdict.is_valid <= (len(verdict.value) == 18)


@given(st.sampled_from(_VALID), st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_always_seen(number, position, step):
    wrong = str((int(number[position]) + step) % 10)

    assert not resident_id.is_valid(number[:position] + wrong + number[position + 1 :])


@given(st.dates(date(1901, 1, 2), date(2030, 12, 31)), st.integers(0, 999))
def test_the_check_character_agrees_with_the_other_way_to_compute_it(birth, sequence):
    first = f"310118{birth:%Y%m%d}{sequence:03}"

    expected = (1 - 2 * int(first, 13)) % 11
    assert resident_id.check_character(first) == "0123456789X"[expected]


@pytest.mark.parametrize(
    ("birth_date", "gender", "denied"),
    [
        ("1953-04-12", "female", ()),
        ("1953", "unknown", ()),
        ("", "", ()),
        ("1953-04-13", "male", ("birthDate", "gender")),
    ],
)
def test_a_number_denies_what_it_says_otherwise(birth_date, gender, denied):
    number = resident_id.examine("310229195304129989")

    assert resident_id.contradictions(number, birth_date, gender) == denied
    wrong = resident_id.examine("310229195304129988")
    assert resident_id.contradictions(wrong, birth_date, gender) == ()


def test_a_number_is_masked_but_for_its_ends():
    assert resident_id.masked("310229195304129989") == "310229********9989"
    assert resident_id.masked("12345") == "*****"


@pytest.mark.parametrize("code", ["91110000600037341L", "12310118DEM0000149", "12310000DEM000030N"])
def test_a_credit_code_with_a_right_check_is_valid(code):
    assert uscc.is_valid(code)
    assert uscc.is_valid(f" {code.lower()}")
    assert not uscc.is_valid(code[:-1] + ("1" if code[-1] != "1" else "2"))


@pytest.mark.parametrize("code", ["", "1231011", "12310118IOS0000149", "12310118DEM000014"])
def test_what_is_no_credit_code_is_refused(code):
    assert not uscc.is_valid(code)
