"""A difference, sent back as a patch, makes the second version of the first.

Spec: https://hl7.org/fhir/R4/fhirpatch.html
"""

import made_records
import parts
import pytest
from hypothesis import HealthCheck, given, settings

from fhir_hub import fhirjson
from fhir_hub.r4.difference import difference
from fhir_hub.r4.fhirpath_patch import patched


@pytest.mark.no_cover  # many rounds of what other tests cover
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(made_records.two_of_a_type.seeded())
def test_a_difference_is_the_patch_that_makes_it(pair):
    name, first, second = pair
    before, after = tree({"resourceType": name, **first}), tree({"resourceType": name, **second})
    rows = difference(before, after, parts.definitions())
    made = patched(before, {"resourceType": "Parameters", "parameter": rows}, parts.definitions())

    assert fhirjson.canonical(without_empty(made)) == fhirjson.canonical(without_empty(after))


@pytest.mark.parametrize(
    ("first", "second", "paths"),
    [
        pytest.param({}, {"source": "urn:a"}, ["Patient.meta"], id="labelled"),
        pytest.param({"source": "urn:a"}, {}, ["Patient.meta.source"], id="label gone"),
        pytest.param({}, {}, [], id="no label"),
    ],
)
def test_what_the_server_says_in_meta_is_no_difference_and_in_no_ones_way(first, second, paths):
    of_server = {"versionId": "1", "lastUpdated": "2024-02-29T10:00:00Z"}
    before = {"resourceType": "Patient", "meta": of_server | first, "active": True}
    after = {"resourceType": "Patient", "meta": {"versionId": "2"} | second, "active": True}
    rows = difference(before, after, parts.definitions())
    made = patched(before, {"resourceType": "Parameters", "parameter": rows}, parts.definitions())

    assert [row["part"][1]["valueString"] for row in rows] == paths
    assert made == before | {"meta": of_server | second}


def tree(resource):
    """Read it as a server does: what hypothesis makes may be one object in two places."""
    return fhirjson.loads(fhirjson.dumps(resource))


def without_empty(value):
    if isinstance(value, dict):
        kept = {name: without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in ({}, [])}
    if isinstance(value, list):
        return [inner for inner in map(without_empty, value) if inner not in ({}, [])]
    return value
