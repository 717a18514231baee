"""What is refused of a site's own SearchParameter before anything is compiled, and of which types.

Spec: https://hl7.org/fhir/R4/searchparameter.html
"""

import pytest
from parts import definitions

from fhir_hub.errors import InvalidResource
from fhir_hub.search.own import read_row, require, types_of

GOOD = {
    "resourceType": "SearchParameter",
    "url": "http://hospital.test/SearchParameter/x",
    "status": "active",
    "code": "contact-name",
    "base": ["Patient"],
    "type": "string",
    "expression": "Patient.contact.name.family",
}


def tried(**changes):
    """Return the (code, type) pairs that `require` lets a compiler try."""
    seen = []
    resource = {name: value for name, value in (GOOD | changes).items() if value is not None}
    require(
        resource,
        definitions(),
        [],
        known=lambda resource_type: {"birthdate": None} if resource_type == "Patient" else {},
        try_out=lambda row, resource_type: seen.append((row.code, resource_type)),
    )
    return seen


def test_a_good_one_is_tried_for_each_type_that_it_is_of():
    assert tried(base=["Person", "Patient"]) == [
        ("contact-name", "Patient"),
        ("contact-name", "Person"),
    ]


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"type": "colour"}, "type"),
        ({"type": None}, "type"),
        ({"type": 7}, "type"),
        ({"code": ""}, "code"),
        ({"code": "birthdate"}, "code"),
        ({"base": ["Patient", "Person2"]}, "base[1]"),
        ({"base": "Patient"}, "base"),
        ({"base": [7]}, "base"),
        ({"base": []}, "base"),
        ({"target": ["Resource", "Nobody"]}, "target[1]"),
        ({"expression": 7}, "expression"),
        ({"type": "composite", "component": "both"}, "component"),
    ],
)
def test_what_r4_does_not_have_is_refused_where_it_is(changes, element):
    with pytest.raises(InvalidResource) as refused:
        tried(**changes)
    assert refused.value.issues[0].expression == f"SearchParameter.{element}"


def test_an_abstract_base_stands_for_the_types_below_it():
    every = types_of(read_row(GOOD | {"base": ["Resource"]}), definitions())
    domain = types_of(read_row(GOOD | {"base": ["DomainResource"]}), definitions())
    assert every == tuple(sorted(definitions().resource_types))
    assert set(every) - set(domain) == {"Binary", "Bundle", "Parameters"}
