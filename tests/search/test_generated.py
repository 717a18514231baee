"""Generated queries: they agree with a naive reading, and none breaks the server.

`FHIR_HUB_TEST_EXAMPLES` is how many are tried.
"""

import os
from datetime import UTC, datetime, timedelta, timezone

import parts
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import find, read

from fhir_hub.errors import FhirError
from fhir_hub.search.parse import parse_search

pytestmark = pytest.mark.no_cover  # many rounds of what other tests cover

settings.register_profile(
    "search",
    max_examples=int(os.environ.get("FHIR_HUB_TEST_EXAMPLES", "150")),
    derandomize="FHIR_HUB_TEST_EXAMPLES" not in os.environ,
)
examples = settings.get_profile("search")

SYSTEMS, CODES = ("", "urn:a", "urn:b"), ("1", "2", "A", "a")
codings = st.fixed_dictionaries(
    {"system": st.sampled_from(SYSTEMS), "code": st.sampled_from(CODES)}
).map(lambda coding: {name: value for name, value in coding.items() if value})
concepts = st.lists(codings, max_size=3)
asked_tokens = st.lists(
    st.tuples(st.none() | st.sampled_from(SYSTEMS), st.sampled_from(("", *CODES))).filter(
        lambda pair: pair[1] or pair[0]
    ),
    min_size=1,
    max_size=3,
)


def written(system, code):
    return code if system is None else f"{system}|{code}"


@examples
@given(st.lists(concepts, max_size=6), asked_tokens, st.sampled_from(("", ":not", ":missing")))
def test_tokens_mean_what_r4_says(resources, asked, modifier):
    def is_match(coding):
        return any(
            (not code or coding["code"] == code)
            and (system is None or coding.get("system", "") == system)
            for system, code in asked
        )

    text = "true"
    if modifier != ":missing":
        text = ",".join(written(*pair) for pair in asked)
    expected = []
    for number, coded in enumerate(resources, 1):
        is_found = any(map(is_match, coded))
        if modifier == ":not":
            is_found = not is_found
        if modifier == ":missing":
            is_found = not coded
        if is_found:
            expected.append(str(number))

    observations = [{"resourceType": "Encounter", "type": [{"coding": c}]} for c in resources]
    assert find(observations, f"Encounter?type{modifier}={text}") == expected


CHINA = timezone(timedelta(hours=8))
START = datetime(2023, 12, 30, tzinfo=CHINA)
WIDTHS = {
    "%Y-%m-%d": timedelta(days=1),
    "%Y-%m-%dT%H:%M": timedelta(minutes=1),
    "%Y-%m-%dT%H:%M:%S": timedelta(seconds=1),
    "%Y-%m-%dT%H:%M:%S.%f": timedelta(microseconds=1),
}


@st.composite
def times(draw):
    """Return a time as it is written, with its first moment and the first after it."""
    step = draw(st.sampled_from((timedelta(hours=12), timedelta(seconds=30))))
    moment = START + step * draw(st.integers(0, 8))
    zone = draw(st.sampled_from((CHINA, CHINA, UTC)))
    form = draw(st.sampled_from(list(WIDTHS)))
    local = moment.astimezone(zone)
    text = local.strftime(form)
    if "T" in form and zone is UTC:
        text += draw(st.sampled_from(("Z", "+00:00")))
    else:
        local = moment
        text = moment.strftime(form)
    start = datetime.strptime(local.strftime(form), form).replace(tzinfo=local.tzinfo)
    return text, start, start + WIDTHS[form]


FAR = (datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))


@st.composite
def targets(draw):
    """Return an element of an Observation, with the range that it covers."""
    text, start, end = draw(times())
    kind = draw(st.sampled_from(("dateTime", "start", "end", "both")))
    if kind == "dateTime":
        return {"effectiveDateTime": text}, (start, end)
    if kind == "start":
        return {"effectivePeriod": {"start": text}}, (start, FAR[1])
    if kind == "end":
        return {"effectivePeriod": {"end": text}}, (FAR[0], end)
    other, _, last = draw(times())
    return {"effectivePeriod": {"start": text, "end": other}}, (start, max(last, start))


def matches(prefix, search, target):
    """Return what the table of prefixes says, in its own words."""
    (start, end), (low, high) = search, target
    contains = start <= low and high <= end
    above, below = high > end, low < start
    return {
        "": contains,
        "eq": contains,
        "ne": not contains,
        "gt": above,
        "lt": below,
        "ge": above or contains,
        "le": below or contains,
        "sa": low >= end,
        "eb": high <= start,
    }[prefix]


@examples
@given(
    st.lists(targets().filter(lambda t: t[1][0] < t[1][1]), max_size=6),
    times(),
    st.sampled_from(("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")),
)
def test_dates_mean_what_r4_says(known, asked, prefix):
    text, *search = asked
    observations = [{"resourceType": "Observation"} | element for element, _ in known]
    expected = [
        str(number)
        for number, (_, target) in enumerate(known, 1)
        if matches(prefix, tuple(search), target)
    ]
    query = f"Observation?date={prefix}{text.replace('+', '%2B')}"
    assert find(observations, query) == expected


names = st.sampled_from(
    [
        *parts.parameters().of("Observation"),
        *("_sort", "_count", "_include", "_revinclude", "_total", "_summary", "_elements", "_type"),
        *("_has:Provenance:target:_id", "patient.name", "subject:Patient.birthdate", "_text"),
    ]
)
modifiers = st.sampled_from(
    ["", ":not", ":missing", ":exact", ":identifier", ":Patient", ":", ":x"]
)
PIECES = (
    *("", ",", "|", "$", "\\", "ge", "ne", "1", "5.4", "e9", "2024", "-", "T10:00", "Z", "+", ":"),
    *("Patient", "/", "*", "true", "%FF", "\x00", "\ud800", "沈", " ", "urn:", "http://a/b/"),
)
pieces = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
queries = st.lists(
    st.tuples(st.builds("{}{}".format, names, modifiers) | st.text(max_size=9), pieces | st.text()),
    max_size=4,
)


@settings(examples, max_examples=examples.max_examples * 4)
@given(queries, st.sampled_from((("Observation",), ("Patient",), (), ("Patient", "Group"))))
def test_no_query_breaks_the_server(pairs, resource_types):
    for lenient in (False, True):
        try:
            parse_search(
                resource_types,
                pairs,
                parameters=parts.parameters(),
                zone=parts.ZONE,
                base="http://hub.test/fhir",
                lenient=lenient,
            )
        except FhirError as error:
            assert error.status == 400  # noqa: PT017 - an error is allowed, of this kind
            assert not lenient
    assert read("Patient?").query
