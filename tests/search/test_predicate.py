"""What a plan means for one resource, where no query text leads.

Spec: https://hl7.org/fhir/R4/search.html
"""

import pytest
from searching import Known

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import (
    EVERYTHING,
    Compare,
    Has,
    Is,
    LinkedBy,
    Links,
    Not,
    Or,
    Range,
    Text,
    Together,
)
from fhir_hub.search.predicate import meets, passes

EVERYONE: list[Known] = []
PATIENT = Known("Patient", "1", 50, (Entry("name", "string", "li"),), EVERYONE)
OBSERVATION = Known(
    "Observation",
    "1",
    60,
    (
        Entry("subject", "reference", "Patient/1"),
        Entry("date", "date", low=None, high=20),
        Entry("c.0", "token", "a", group=1),
        Entry("c.1", "quantity", low=1, high=1, group=2),
    ),
    EVERYONE,
)
EVERYONE += [PATIENT, OBSERVATION]


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        (EVERYTHING, [PATIENT, OBSERVATION]),
        (Or(), []),
        (Not(Has("name", "string")), [OBSERVATION]),
        (Has("name", "token"), []),
        (Has("_id", "token", (Is("1"),)), [PATIENT, OBSERVATION]),
        (
            Has("_lastUpdated", "date", (Range(((Compare("high", ">", 51),),)),)),
            [OBSERVATION],
        ),
        (Has("date", "date", (Range(((Compare("low", "<", -(10**30)),),)),)), [OBSERVATION]),
        (Has("date", "date", (Range(((Compare("high", "=", 20),),)),)), [OBSERVATION]),
        (Has("date", "date", (Range(((),)),)), [OBSERVATION]),
        (Has("date", "date", (Range(()),)), []),
        (Together("c", (("token", Is("a")),)), [OBSERVATION]),
        (Together("c", (("token", Is("a")), ("quantity", Range(((),))))), []),
        (Together("c", ()), []),
        (Links("subject", ("Patient",), EVERYTHING), [OBSERVATION]),
        (Links("subject", (), Has("name", "string")), [OBSERVATION]),
        (Links("subject", ("Group",), EVERYTHING), []),
        (Links("subject", ("Patient",), Not(EVERYTHING)), []),
        (LinkedBy("Observation", "subject", EVERYTHING), [PATIENT]),
        (LinkedBy("Observation", "device", EVERYTHING), []),
    ],
)
def test_a_plan_chooses_resources(plan, found):
    assert [one for one in EVERYONE if meets(plan, one)] == found


@pytest.mark.parametrize(
    ("test", "is_passed"),
    [
        (Is(), True),
        (Is("mg", "urn:s"), True),
        (Is("mg", ""), False),
        (Text("m"), True),
        (Text("g", "contains"), True),
        (Text("毫克", "exact"), True),
        (Text("mgx", "above"), True),
        (Text("m", "below"), True),
        (Range(((Compare("low", ">=", 5), Compare("high", "<=", 5)),), unit="毫克"), True),
        (Range(((Compare("low", ">=", 5),),), unit="mg"), True),
        (Range(((Compare("low", ">=", 5),),), unit="g"), False),
        (Range(((Compare("low", ">", 5),), (Compare("high", "<", 5),))), False),
    ],
)
def test_an_entry_passes_a_test(test, is_passed):
    assert passes(test, Entry("q", "quantity", "mg", "urn:s", 5, 5, "毫克")) is is_passed
