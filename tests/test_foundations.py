"""Errors, JSON, clock and ids: what every room builds on."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub import clock, errors, fhirjson

MOMENT = datetime(2024, 2, 29, 10, 0, 0, 123456, tzinfo=UTC)


def test_an_instant_is_utc_to_the_millisecond():
    eight = timezone(timedelta(hours=8))
    assert clock.instant(MOMENT.astimezone(eight)) == "2024-02-29T10:00:00.123Z"
    assert clock.from_microseconds(clock.microseconds(MOMENT)) == MOMENT


async def test_rounds_go_on_after_a_fault_and_while_this_process_leads():
    done, faults, again = [], [], asyncio.Event()

    async def work():
        done.append(len(done))
        again.set()
        if len(done) == 1:
            raise OSError("the disk is full")

    async def until_again():
        again.clear()
        await again.wait()

    rounds = clock.Rounds(work, 0, faults.append)
    watching = asyncio.create_task(rounds.watch())
    await asyncio.sleep(0)
    assert not done
    rounds.lead()
    await until_again()
    await until_again()
    await rounds.rest()
    for _ in range(5):
        await asyncio.sleep(0)
    rested = len(done)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (len(done), [str(fault) for fault in faults]) == (rested, ["the disk is full"])
    rounds.lead()
    await until_again()
    watching.cancel()


def test_logical_ids_are_valid_differ_and_sort_by_time():
    made = [clock.new_logical_id() for _ in range(1000)]

    assert len(set(made)) == 1000
    assert all(len(one) == 22 and one.isalnum() for one in made)
    assert made[0][:9] <= made[-1][:9]
    assert clock.now().tzinfo is UTC


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied")
def test_a_copy_of_the_process_makes_other_logical_ids():
    make = (
        "import os; from fhir_hub.clock import *; os.fork(); os.write(1, new_logical_id().encode())"
    )
    made = subprocess.run([sys.executable, "-c", make], capture_output=True, check=True).stdout

    assert len(made) == 44
    assert made[9:22] != made[31:]


@pytest.mark.parametrize(
    "text",
    [
        "1.10",
        "72.50",
        "1e3",
        "1E-7",
        "0.00000000001",
        "-0.0",
        "100000000000000000000",
        "0.1e400",
        "-0",
    ],
)
def test_a_number_comes_back_digit_for_digit(text):
    assert fhirjson.dumps(fhirjson.loads(f"[{text}]".encode())) == f"[{text}]".encode()


def test_a_strange_number_still_computes():
    assert fhirjson.loads(b"1e3") + 1 == Decimal(1001)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
        ),
        max_leaves=20,
    )
)
def test_any_value_comes_back_from_both_forms(value):
    assert fhirjson.loads(fhirjson.dumps(value)) == value
    assert fhirjson.loads(fhirjson.pretty(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a" :1, "a"\n:2}',
        b'{"b":{"a":1,"x":":","a":2}}',
        b'[{"a":1},{"a":2,"\\u0061":3}]',
        b'{"a":"\\":","a":1}',
        b'{"a":"x\\u0022:","b":1,"b":2}',
        b'{"a":"\\n","b":1,"b":2}',
    ],
)
def test_a_key_that_stands_twice_is_refused(text):
    with pytest.raises(errors.InvalidResource, match="twice"):
        fhirjson.loads(text)


@pytest.mark.parametrize("text", [b'{"a":"\\":"}', b'{"a" : {"b" : ":"}}', b'[{"a":1},{"a":1}]'])
def test_colons_in_text_are_no_keys(text):
    assert fhirjson.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{} {}",
        b"NaN",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\\ud800"',
        b"1e999999999999999999999",
        b"[" * 201 + b"]" * 201,
        b'{"a":' * 201 + b"1" + b"}" * 201,
        b"[" * 100_000,
        # brackets in texts hide no level
        b'["]",' * 201 + b"1" + b',"["]' * 201,
        b'["}\\"]",' * 201 + b"1" + b',"["]' * 201,
        b'["x[",' * 200 + b'{"a[]":"{}","b":[]}' + b',"]y"]' * 200,
        b'["x",' * 199 + b'"m[]",[[],"m{}"]' + b',"y"]' * 199 + b" ",
    ],
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(errors.InvalidResource):
        fhirjson.loads(text)


def test_many_brackets_that_are_not_deep_are_read():
    assert len(fhirjson.loads(b"[" + b'{"a":["]"]},' * 300 + b"[{}]]")) == 301
    assert len(fhirjson.loads(b"[" + b'{"a":[""]},' * 300 + b"[{}]]")) == 301
    assert len(fhirjson.loads(b"[" + b'{"a":["mm[Hg]"]},' * 300 + b"[]]")) == 301
    assert fhirjson.loads(b'["x",' * 198 + b'"m[]",[[],"m{}"]' + b',"y"]' * 198)


def test_only_json_values_are_written():
    with pytest.raises(TypeError):
        fhirjson.dumps({"a": object()})


def all_errors():
    found = [errors.FhirError]
    for one in found:
        found += one.__subclasses__()
    return found


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_shows_itself_in_both_languages_to_both_sides(kind):
    status, outcome = errors.outcome(
        kind("the reason", expression="Patient.name")
        if kind is not errors.InvalidMessage
        else kind("the reason", location="PID-3")
    )
    (issue,) = outcome["issue"]

    assert (status, issue["code"]) == (kind.status, kind.code)
    assert issue["diagnostics"] == "the reason"
    english, chinese = kind.title
    assert issue["details"]["text"] == f"{english} / {chinese}"
    ack = errors.ack_for(kind("the reason"))
    assert ack.ack_code in ("AE", "AR")
    assert chinese in ack.text
    assert "the reason" in ack.text


def test_a_message_error_says_where():
    error = errors.InvalidMessage("no id", error_code="101", location="PID-3", ack_code="AR")

    assert errors.ack_for(error)[:3] == ("AR", "101", "PID-3")


def test_a_fault_of_ours_tells_nobody_what_it_holds():
    status, outcome = errors.outcome(ValueError("沈桂芳"))

    assert status == 500
    assert "沈桂芳" not in str(outcome) + errors.ack_for(ValueError("沈桂芳")).text


def test_several_issues_are_all_shown():
    error = errors.InvalidResource(
        "two", errors.Issue("value", "a", "Patient.a"), errors.Issue("required", "b")
    )

    _, outcome = errors.outcome(error)

    assert [issue.get("expression") for issue in outcome["issue"]] == [["Patient.a"], None]
