"""The text of references, and where they stand.

Spec: https://hl7.org/fhir/R4/references.html#literal
"""

import pytest

from fhir_hub.r4.references import OwnReferences, find_references, parse_reference

BASE = "http://hub.test/fhir"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", ("Patient/1", "Patient", "1", "")),
        ("Patient/1/_history/2", ("Patient/1", "Patient", "1", "2")),
        (f"{BASE}/Patient/1", ("Patient/1", "Patient", "1", "")),
        (f"{BASE}/Patient/1/_history/2", ("Patient/1", "Patient", "1", "2")),
        (f"{BASE}2/Patient/1", (f"{BASE}2/Patient/1", "Patient", "", "")),
        ("https://a.b/c/Patient/1", ("https://a.b/c/Patient/1", "Patient", "", "")),
        ("https://a.b/Patient/1/_history/3", ("https://a.b/Patient/1", "Patient", "", "3")),
        ("https://a.b/page", ("https://a.b/page", "", "", "")),
        ("urn:uuid:1", ("urn:uuid:1", "", "", "")),
        ("#p1", ("#p1", "", "", "")),
        ("#", ("#", "", "", "")),
        ("", ("", "", "", "")),
        ("patient/1", ("patient/1", "", "", "")),
        ("Patient?identifier=x|y", ("Patient?identifier=x|y", "", "", "")),
        ("Patient/1\n", ("Patient/1\n", "", "", "")),
    ],
)
def test_a_reference_has_parts(text, expected):
    assert parse_reference(text, BASE) == expected


def test_a_base_may_end_with_a_slash():
    assert parse_reference(f"{BASE}/Patient/1", f"{BASE}/").logical_id == "1"


def test_references_are_found_wherever_they_stand():
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "performer": [{"display": "x"}, {"reference": "Practitioner/2"}],
        "component": [{"extension": [{"valueReference": {"reference": "urn:uuid:3"}}]}],
        "contained": [{"resourceType": "Patient", "link": [{"other": {"reference": "#"}}]}],
        "extension": [[1, {"reference": 5}]],
    }
    found = {path: holder["reference"] for holder, path in find_references(resource)}
    assert found == {
        "Observation.subject": "Patient/1",
        "Observation.performer[1]": "Practitioner/2",
        "Observation.component[0].extension[0].valueReference": "urn:uuid:3",
        "Observation.contained[0].link[0].other": "#",
    }


def test_a_found_reference_can_be_rewritten_in_place():
    resource = {"resourceType": 5, "subject": {"reference": "urn:uuid:1"}}
    for holder, path in find_references(resource):
        assert path == "Resource.subject"
        holder["reference"] = "Patient/1"
    assert resource["subject"] == {"reference": "Patient/1"}


def test_references_below_the_own_base_are_found_in_the_text_of_a_resource():
    found = OwnReferences("https://hub.example/fhir").find(
        b'{"a":{"reference":"https://hub.example/fhir/Patient/1/_history/2"},'
        b'"b":[{"reference":"Patient/1"},{"reference":"Patient/1"}],'
        b'"c":{"reference":"https://other.example/fhir/Patient/3"},"d":{"reference":"#x"},'
        b'"e":{"reference":"urn:uuid:1"},"f":"{\\"reference\\":\\"Patient/4\\"}",'
        b'"g":{"reference":"Patient?identifier=5"}}'
    )

    assert [one[1:] for one in found] == [
        ("Patient", "1", "2"),
        ("Patient", "1", ""),
        ("Patient", "", ""),
    ]
