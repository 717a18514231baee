"""A difference, sent back as a patch, makes the second version of the first.

Spec: https://hl7.org/fhir/R4/fhirpatch.html
"""

import made_records
import parts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_hub import fhirjson
from fhir_hub.r4.difference import difference
from fhir_hub.r4.fhirpath_patch import patched

two_of_a_type = st.sampled_from(made_records.TYPES).flatmap(
    lambda name: st.tuples(
        st.just(name), made_records.RESOURCES[name], made_records.RESOURCES[name]
    )
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(two_of_a_type)
def test_a_difference_is_the_patch_that_makes_it(pair):
    name, first, second = pair
    before, after = {"resourceType": name, **first}, {"resourceType": name, **second}
    rows = difference(before, after, parts.definitions())
    made = patched(before, {"resourceType": "Parameters", "parameter": rows}, parts.definitions())

    assert fhirjson.canonical(without_empty(made)) == fhirjson.canonical(without_empty(after))


def without_empty(value):
    if isinstance(value, dict):
        kept = {name: without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in ({}, [])}
    if isinstance(value, list):
        return [inner for inner in map(without_empty, value) if inner not in ({}, [])]
    return value
