"""The compiled definitions, as the rooms above read them.

Spec: https://hl7.org/fhir/R4/structuredefinition.html
"""

from fhir_hub.r4.definitions import Binding, ElementType, load_definitions

DEFINITIONS = load_definitions()


def test_r4_has_146_resource_types() -> None:
    assert len(DEFINITIONS.resource_types) == 146
    assert {"Patient", "Observation", "Appointment"} <= DEFINITIONS.resource_types
    assert not {"Resource", "DomainResource", "HumanName"} & DEFINITIONS.resource_types


def test_a_type_is_known_by_name_and_kind() -> None:
    assert DEFINITIONS.is_type("Resource")
    assert not DEFINITIONS.is_type("../index")
    assert DEFINITIONS.kind("Patient") == "resource"
    assert DEFINITIONS.kind("HumanName") == "complex-type"
    assert DEFINITIONS.kind("date") == "primitive-type"
    assert DEFINITIONS.kind("Nothing") == ""
    assert DEFINITIONS.structure("Nothing") is None


def test_a_structure_has_inherited_elements_in_the_definitions_order() -> None:
    patient = DEFINITIONS.structure("Patient")

    assert patient is not None
    assert (patient.name, patient.kind, patient.base) == ("Patient", "resource", "DomainResource")
    assert list(patient.elements)[:5] == [
        "Patient",
        "Patient.id",
        "Patient.meta",
        "Patient.implicitRules",
        "Patient.language",
    ]
    assert patient.elements["Patient.id"].types == (ElementType("id"),)
    assert patient.elements["Patient.name"].is_list
    assert patient.elements["Patient.active"].modifier
    assert patient.elements["Patient.active"].summary
    gender = patient.elements["Patient.gender"]
    assert not gender.is_list
    assert gender.binding == Binding(
        "required", "http://hl7.org/fhir/ValueSet/administrative-gender"
    )
    assert DEFINITIONS.structure("Patient") is patient


def test_an_element_tells_targets_content_reference_and_invariants() -> None:
    observation = DEFINITIONS.structure("Observation")

    assert observation is not None
    elements = observation.elements
    assert elements["Observation.subject"].types[0].targets == (
        "Patient",
        "Group",
        "Device",
        "Location",
    )
    assert [each.code for each in elements["Observation.value[x]"].types][:2] == [
        "Quantity",
        "CodeableConcept",
    ]
    assert elements["Observation.component.referenceRange"].content_reference == (
        "#Observation.referenceRange"
    )
    assert {each.key for each in elements["Observation"].invariants} == {"obs-6", "obs-7"}


def test_every_search_parameter_has_a_base_and_a_known_type() -> None:
    rows = DEFINITIONS.search_parameters()

    assert len(rows) == 1387
    assert [row.url for row in rows] == sorted(row.url for row in rows)
    for row in rows:
        assert row.base, row.url
        assert all(DEFINITIONS.is_type(name) for name in (*row.base, *row.target)), row.url


def test_a_composite_search_parameter_names_its_components() -> None:
    rows = {row.url: row for row in DEFINITIONS.search_parameters()}
    row = rows["http://hl7.org/fhir/SearchParameter/Observation-code-value-quantity"]

    assert (row.code, row.type, row.base) == ("code-value-quantity", "composite", ("Observation",))
    assert [(part.code, part.expression) for part in row.components] == [
        ("code", "code"),
        ("value-quantity", "value.as(Quantity)"),
    ]
    assert all(part.url in rows for part in row.components)


def test_codes_are_those_of_required_bindings() -> None:
    assert DEFINITIONS.codes("http://hl7.org/fhir/ValueSet/administrative-gender") == {
        "http://hl7.org/fhir/administrative-gender": {"male", "female", "other", "unknown"}
    }
    assert DEFINITIONS.codes("http://hl7.org/fhir/ValueSet/mimetypes") is None
