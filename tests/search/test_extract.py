"""Resources to index entries, and which parameters share an index.

Spec: https://hl7.org/fhir/R4/search.html
"""

from decimal import Decimal

import parts
import pytest

from fhir_hub.errors import InvalidResource
from fhir_hub.search.entry import UNNAMED, Entry
from fhir_hub.search.extract import Extractor

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
SUGAR = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"profile": ["urn:p"], "source": "urn:hl7v2:ZJJCHC", "lastUpdated": "2024-01-01"},
    "identifier": [{"system": "urn:i", "value": "1-1"}],
    "status": "final",
    "category": [{"coding": [{"system": "urn:c", "code": "laboratory"}]}],
    "code": {"coding": [{"system": LOINC, "code": "14771-0", "display": "glucose"}]},
    "subject": {"reference": "Patient/p1"},
    "encounter": {"reference": "http://hub.test/fhir/Encounter/e1/_history/3"},
    "effectiveDateTime": "2025-03-10T09:00:00+08:00",
    "performer": [{"reference": "Practitioner/d1"}, {"identifier": {"value": "x"}}],
    "valueQuantity": {"value": Decimal("9.8"), "unit": "mmol/L", "code": "mmol/L", "system": UCUM},
}
NINE = 1741568400_000000


def test_an_observation_says_each_thing_once(entries):
    code = Entry("code", "token", "14771-0", LOINC)
    value = Entry("value-quantity", "quantity", "mmol/L", UCUM, 9.8, 9.8, "mmol/L")
    assert set(entries(SUGAR)) == {
        Entry("_profile", "uri", "urn:p"),
        Entry("_source", "uri", "urn:hl7v2:ZJJCHC"),
        Entry("identifier", "token", "1-1", "urn:i"),
        Entry("status", "token", "final"),
        Entry("category", "token", "laboratory", "urn:c"),
        code,
        Entry("code:text", "string", "glucose", text="glucose"),
        Entry("subject", "reference", "Patient/p1"),
        Entry("encounter", "reference", "Encounter/e1", "3"),
        Entry("date", "date", low=NINE, high=NINE + 1_000_000),
        Entry("performer", "reference", "Practitioner/d1"),
        Entry("performer", "reference", ""),
        Entry("performer:identifier", "token", "x"),
        value,
    }


def test_a_pair_has_entries_of_its_own_only_where_its_parts_may_stand_apart(entries):
    code, text = {"coding": [{"code": "a"}]}, {"text": "b"}
    said = [
        {"code": code, "valueCodeableConcept": text},
        {"code": code, "valueDateTime": "2024"},
        {"code": code, "valueString": "b"},  # where the text of a concept is a value too
        {"component": [{"code": code, "valueQuantity": {"value": 1}}]},
    ]
    found = [entries({"resourceType": "Observation"} | one) for one in said]
    names = [[entry.parameter for entry in one if entry.group] for one in found]
    assert names == [
        [],
        [],
        ["code-value-string.1", "code-value-string.0"],
        ["component-code-value-quantity.1", "component-code-value-quantity.0"],
    ]


def test_what_stands_twice_is_kept_once(entries):
    twice = SUGAR | {"identifier": SUGAR["identifier"] * 2}
    assert entries(twice) == entries(SUGAR)


def test_an_appointment_s_actors_share_an_index(entries):
    actors = ("Patient/p1", "Practitioner/d1", "Location/l1")
    appointment = {
        "resourceType": "Appointment",
        "participant": [{"actor": {"reference": one}, "status": "accepted"} for one in actors],
    }
    found = [e.code for e in entries(appointment) if e.kind == "reference"]
    assert found == list(actors)


def test_filters_choose_what_is_said(entries):
    plan = {
        "resourceType": "PlanDefinition",
        "relatedArtifact": [
            {"type": "depends-on", "resource": "urn:d"},
            {"type": "successor", "resource": "urn:s"},
        ],
        "library": ["urn:l"],
    }
    found = {(e.parameter, e.code) for e in entries(plan)}
    assert found == {("depends-on", "urn:d"), ("depends-on", "urn:l"), ("successor", "urn:s")}


def test_an_extension_is_searched_by_its_value(entries):
    url = "http://hl7.org/fhir/StructureDefinition/observation-geneticsAminoAcidChangeName"
    gene = {"resourceType": "Observation", "extension": [{"url": url, "valueString": "p.Arg"}]}
    assert entries(gene) == (Entry("amino-acid-change", "string", "p.arg", text="p.Arg"),)


def test_a_system_s_alias_is_stored_as_the_system():
    extractor = Extractor(parts.parameters(), parts.ZONE, aliases={"urn:old": "urn:new"})
    patient = {
        "resourceType": "Person",
        "identifier": [{"system": "urn:old", "value": "1"}],
        "managingOrganization": {"identifier": {"system": "urn:old", "value": "2"}},
    }
    assert [e.system for e in extractor.entries(patient) if e.code] == ["urn:new", "urn:new"]


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"resourceType": None},
        {"resourceType": []},
        {"resourceType": "Nothing", "id": "1"},
        {"resourceType": "Resource", "meta": {"tag": [{"code": "x"}]}},
        {"resourceType": "Observation", "meta": "boo", "code": [], "component": [[], {}, None]},
        {"resourceType": "Observation", "subject": [[{"reference": "Patient/1"}]]},
        {"resourceType": "Bundle", "entry": {"resource": 5}},
    ],
)
def test_what_is_no_resource_says_nothing(entries, resource):
    # a reference is one wherever it stands, so that what it refers to is not deleted
    said = [entry for entry in entries(resource) if entry.parameter != UNNAMED]
    assert [entry for entry in said if entry.code] == []


def test_a_date_that_is_none_is_an_error(entries):
    with pytest.raises(InvalidResource):
        entries({"resourceType": "Patient", "birthDate": "yesterday"})


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("subject", ["Patient/p1"]),
        ("patient", ["Patient/p1"]),
        ("encounter", ["Encounter/e1"]),
        ("performer", ["Practitioner/d1"]),
        ("*", ["Encounter/e1", "Patient/p1", "Practitioner/d1"]),
        ("device", []),
        ("code", []),
        ("nothing", []),
    ],
)
def test_references_are_given_for_includes(parameter, expected):
    extractor = Extractor(parts.parameters(), parts.ZONE, base="http://hub.test/fhir")
    assert sorted(extractor.references(SUGAR, parameter)) == expected
    assert extractor.references({"resourceType": "Nothing"}, parameter) == []
    assert extractor.references({"resourceType": []}, parameter) == []


def test_a_restricted_parameter_refers_to_its_type_only():
    extractor = Extractor(parts.parameters(), parts.ZONE)
    group = SUGAR | {"subject": {"reference": "Group/g1"}}
    assert extractor.references(group, "patient") == []
    assert extractor.references(group, "subject") == ["Group/g1"]


def test_every_type_has_its_parameters():
    parameters, count, stored = parts.parameters(), 0, 0
    types = sorted(parameters.definitions.resource_types)
    for name in types:
        for code, parameter in parameters.of(name).items():
            assert parameter.code == code
            assert parameter.is_stored == (parameter.indexes == (code,))
            for index in parameter.indexes:
                assert parameters.of(name)[index].is_stored
                assert parameters.of(name)[index].kind == parameter.kind
            count += 1
            stored += parameter.is_stored
    assert (len(types), count) == (146, 2582)
    assert stored < count


@pytest.mark.parametrize(
    ("resource_type", "code", "indexes", "targets"),
    [
        ("Observation", "patient", ("subject",), ("Patient",)),
        ("Observation", "subject", ("subject",), ("Device", "Group", "Location", "Patient")),
        ("Encounter", "practitioner", ("participant",), ("Practitioner",)),
        ("AllergyIntolerance", "patient", ("patient",), ("Patient",)),
        ("AuditEvent", "patient", ("agent", "entity"), ("Patient",)),
        ("Observation", "combo-code", ("code", "component-code"), ()),
        ("Patient", "phonetic", ("name",), ()),
    ],
)
def test_each_place_is_stored_once(resource_type, code, indexes, targets):
    parameter = parts.parameters().of(resource_type)[code]
    assert (parameter.indexes, parameter.targets) == (indexes, targets)
    assert parameter.index == indexes[0]


def test_what_does_not_work_is_not_among_the_parameters():
    parameters = parts.parameters()
    for resource_type, code in (
        ("Patient", "_text"),
        ("Patient", "age"),
        ("Resource", "_content"),
    ):
        assert code not in parameters.of(resource_type)
        assert parameters.refused(resource_type, code)
    assert parameters.refused("Patient", "near") == ""
    assert parameters.refused("Patient", "nothing") == ""
