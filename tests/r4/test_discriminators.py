"""Discriminators: by which path of a value it belongs to a slice.

Spec: https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from typing import Any

import pytest
from r4.profile_parts import OWN, Json, found, profile, row, slicing
from r4.samples import LOINC, observation, patient

CODED = profile("coded", "Identifier", row("Identifier.system", min=1, fixedUri="urn:a"))
RANKED = profile("ranked", "Extension", row("Extension.url", fixedUri=OWN + "ranked"))
DOCTOR = profile("doctor", "Practitioner", row("Practitioner.active", min=1, fixedBoolean=True))
A, B = {"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}
RANK = {"url": OWN + "ranked", "valueCode": "high"}
MISSING = [("required", "Patient.identifier")]


def of_identifiers(how: Json, *rows: Json) -> Json:
    """Return a profile of one slice of identifiers that has to be there."""
    sliced = row("Patient.identifier", slicing=how)
    return profile("one", "Patient", sliced, row("Patient.identifier:it", min=1), *rows)


EXTENSION = row("Patient.identifier:it.extension", slicing=slicing(("value", "url")))
OF_RANK = {"type": [{"code": "Extension", "profile": [OWN + "ranked"]}]}


@pytest.mark.parametrize(
    ("definition", "answers"),
    [
        # what the slice does not say, the profile of its type says
        (
            profile(
                "one",
                "Patient",
                row("Patient.identifier", slicing=slicing(("value", "system"))),
                row(
                    "Patient.identifier:it",
                    min=1,
                    type=[{"code": "Identifier", "profile": [OWN + "coded"]}],
                ),
            ),
            [([A], []), ([B], MISSING)],
        ),
        # a profile that nobody knows says nothing: nothing belongs to the slice
        (
            profile(
                "one",
                "Patient",
                row("Patient.identifier", slicing=slicing(("value", "system"))),
                row(
                    "Patient.identifier:it",
                    max="0",
                    type=[{"code": "Identifier", "profile": [OWN + "unknown"]}],
                ),
            ),
            [([A], [])],
        ),
        (
            of_identifiers(
                slicing(("value", f"extension('{OWN}ranked').value")),
                EXTENSION,
                row("Patient.identifier:it.extension:rank", min=1) | OF_RANK,
                row("Patient.identifier:it.extension:rank.value[x]", fixedCode="high"),
            ),
            [([A | {"extension": [RANK]}], []), ([A], MISSING)],
        ),
        # an extension that the slice does not name
        (
            of_identifiers(slicing(("value", "extension('urn:other').value"))),
            [([A], MISSING)],
        ),
        (
            of_identifiers(
                slicing(("value", "$this.system"), ("value", "use")),
                row("Patient.identifier:it.system", fixedUri="urn:a"),
                row("Patient.identifier:it.use", fixedCode="usual"),
            ),
            [([A | {"use": "usual"}], []), ([A], MISSING)],
        ),
        # no path at all, one that is none, one of more than elements, one to nowhere
        (of_identifiers(slicing(("value", "system."))), [([A], MISSING)]),
        (of_identifiers(slicing(("value", "system.first()"))), [([A], MISSING)]),
        (of_identifiers(slicing(("value", "nothing.system"))), [([A], MISSING)]),
        (of_identifiers(slicing(("value", "type"))), [([A], MISSING)]),
        # a path that asks what is not at hand
        (
            of_identifiers(
                slicing(("profile", "assigner.resolve().name")),
                row("Patient.identifier:it.assigner", min=1),
            ),
            [([A | {"assigner": {"reference": "Organization/1"}}], MISSING)],
        ),
        # whether something is there
        (
            of_identifiers(
                slicing(("exists", "period")), row("Patient.identifier:it.period", max="0")
            ),
            [([A], []), ([A | {"period": {"start": "2024"}}], MISSING)],
        ),
    ],
)
def test_what_belongs_to_a_slice(
    definition: Json, answers: list[tuple[list[Json], list[Any]]]
) -> None:
    for given, told in answers:
        issues = found(patient(identifier=given), definition, CODED, RANKED)
        assert [each for each in issues if each[0] == "required"] == told


def test_a_slice_by_what_a_choice_holds() -> None:
    definition = profile(
        "one",
        "Observation",
        row("Observation.component", slicing=slicing(("value", "value.ofType(Quantity).unit"))),
        row("Observation.component:it", min=1),
        row("Observation.component:it.value[x]", slicing=slicing(("type", "$this"))),
        row("Observation.component:it.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
        row("Observation.component:it.value[x]:valueQuantity.unit", min=1, fixedString="kg"),
    )
    kilos = {"code": LOINC, "valueQuantity": {"value": 1, "unit": "kg"}}
    metres = {"code": LOINC, "valueQuantity": {"value": 1, "unit": "m"}}

    assert found(observation(component=[kilos]), definition) == []
    assert found(observation(component=[metres]), definition) == [
        ("required", "Observation.component")
    ]


@pytest.mark.parametrize(
    ("doctor", "expected"),
    [
        ({"resourceType": "Practitioner", "id": "d", "active": True}, []),
        (
            {"resourceType": "Practitioner", "id": "d"},
            [("required", "Observation.performer")],
        ),
        (
            {"resourceType": "Organization", "id": "d", "name": "x"},
            [("required", "Observation.performer")],
        ),
    ],
)
def test_a_slice_by_the_profile_of_who_is_contained(doctor: Json, expected: list[Any]) -> None:
    to = {"code": "Reference", "targetProfile": [OWN + "doctor"]}
    definition = profile(
        "one",
        "Observation",
        row("Observation.performer", slicing=slicing(("profile", "resolve()"))),
        row("Observation.performer:doctor", min=1, type=[to]),
    )
    resource = observation(contained=[doctor], performer=[{"reference": "#d"}])

    assert found(resource, definition, DOCTOR) == expected


def test_a_bundle_is_sliced_by_what_its_entries_hold() -> None:
    definition = profile(
        "one",
        "Bundle",
        row("Bundle.entry", slicing=slicing(("type", "resource"))),
        row("Bundle.entry:patient", min=1, max="1"),
        row("Bundle.entry:patient.resource", min=1, type=[{"code": "Patient"}]),
    )
    entry = {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient"}}
    other = {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Basic", "code": LOINC}}
    bundle = {"resourceType": "Bundle", "type": "collection"}

    assert found(bundle | {"entry": [other, entry]}, definition) == []
    assert found(bundle | {"entry": [other]}, definition) == [("required", "Bundle.entry")]
