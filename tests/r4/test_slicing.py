"""Slices: values are sorted by discriminators, and each kind is held to its rules.

Spec: https://hl7.org/fhir/R4/profiling.html#slicing
"""

from typing import Any

import pytest
from r4.profile_parts import BASE, OWN, Json, checks, found, profile, row, slicing
from r4.samples import LOINC, UCUM, extended, observation, patient

A, B = {"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}
C = {"system": "urn:c", "value": "3"}
BY_SYSTEM = ("value", "system")
CODE = {"coding": [{"system": UCUM, "code": "a"}]}


def sliced(*rows: Json, path: str = "Patient.identifier", **facts: Any) -> Json:
    """Return a profile that slices identifiers by system into a and b."""
    how = slicing(BY_SYSTEM, **facts)
    return profile(
        "one",
        "Patient",
        row(path, slicing=how),
        row(f"{path}:a", min=1, max="1"),
        row(f"{path}:a.system", min=1, fixedUri="urn:a"),
        row(f"{path}:b"),
        row(f"{path}:b.system", min=1, patternUri="urn:b"),
        *rows,
    )


@pytest.mark.parametrize(
    ("definition", "identifiers", "expected"),
    [
        (sliced(), [A], []),
        (sliced(), [C, B, A], []),
        (sliced(), [B], [("required", "Patient.identifier")]),
        (sliced(), [A, B, A], [("structure", "Patient.identifier")]),
        (sliced(rules="closed"), [A, C], [("structure", "Patient.identifier[1]")]),
        (sliced(rules="openAtEnd"), [A, B, C], []),
        (sliced(rules="openAtEnd"), [A, C, B], [("structure", "Patient.identifier")]),
        (sliced(ordered=True), [A, C, B], []),
        (sliced(ordered=True), [B, A], [("structure", "Patient.identifier")]),
        (
            sliced(row("Patient.identifier:b.period", min=1)),
            [A, C, B],
            [("required", "Patient.identifier[2].period")],
        ),
        (
            sliced(row("Patient.identifier:@default.use", min=1), rules="closed"),
            [A, C],
            [("required", "Patient.identifier[1].use")],
        ),
        (
            sliced(
                row("Patient.identifier:b", slicing=slicing(("exists", "assigner"))),
                row("Patient.identifier:b/known", max="1"),
                row("Patient.identifier:b/known.assigner", min=1),
                row("Patient.identifier:b/known.use", min=1),
            ),
            [A, B, B | {"assigner": {"display": "x"}}],
            [("required", "Patient.identifier[2].use")],
        ),
    ],
)
def test_slices_by_value(definition: Json, identifiers: list[Json], expected: list[Any]) -> None:
    assert found(patient(identifier=identifiers), definition) == expected


def test_slices_by_pattern_of_what_is_below() -> None:
    definition = profile(
        "one",
        "Observation",
        row("Observation.component", slicing=slicing(("pattern", "code"))),
        row("Observation.component:a", min=1),
        row("Observation.component:a.code", patternCodeableConcept=CODE),
        row("Observation.component:a.value[x]", min=1, type=[{"code": "Quantity"}]),
    )
    other = {"code": LOINC, "valueString": "x"}
    broken = observation(component=[other, {"code": CODE, "valueString": "x"}])

    assert found(broken, definition) == [("structure", "Observation.component[1].value")]
    assert found(observation(component=[other]), definition) == [
        ("required", "Observation.component")
    ]


def test_slices_by_type() -> None:
    definition = profile(
        "one",
        "Observation",
        row("Observation.value[x]", slicing=slicing(("type", "$this"), rules="closed")),
        row("Observation.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
        row("Observation.value[x]:valueQuantity.system", min=1),
        row("Observation.value[x]:valueString", type=[{"code": "string"}], maxLength=3),
    )

    assert found(observation(valueQuantity={"value": 1}), definition) == [
        ("required", "Observation.value.system")
    ]
    assert found(observation(valueString="abcd"), definition) == [("too-long", "Observation.value")]
    assert found(observation(valueInteger=1), definition) == [("structure", "Observation.value")]


def test_slices_by_the_type_of_a_reference() -> None:
    to = {"code": "Reference", "targetProfile": [BASE + "Practitioner"]}
    definition = profile(
        "one",
        "Observation",
        row("Observation.performer", slicing=slicing(("profile", "resolve()"))),
        row("Observation.performer:person", min=1, max="1", type=[to]),
        row("Observation.performer:person.display", min=1),
    )
    places = [{"reference": "Organization/1"}]
    people = [{"reference": "Practitioner/1"}]

    assert found(observation(performer=places), definition) == [
        ("required", "Observation.performer")
    ]
    assert found(observation(performer=places + people), definition) == [
        ("required", "Observation.performer[1].display")
    ]


def test_slices_by_profile() -> None:
    coded = profile("coded", "Identifier", row("Identifier.system", min=1, fixedUri="urn:a"))
    definition = profile(
        "one",
        "Patient",
        row("Patient.identifier", slicing=slicing(("profile", "$this"))),
        row("Patient.identifier:coded", max="1")
        | {"type": [{"code": "Identifier", "profile": [coded["url"]]}]},
    )

    assert found(patient(identifier=[A, B, B]), definition, coded) == []
    assert found(patient(identifier=[A, B, A]), definition, coded) == [
        ("structure", "Patient.identifier")
    ]


def test_slices_by_an_extension_and_without_discriminator() -> None:
    definition = profile(
        "one",
        "Patient",
        row("Patient.telecom", slicing={"rules": "open"}),
        row("Patient.telecom:phone", min=1),
        row("Patient.telecom:phone.system", min=1, fixedCode="phone"),
    )
    mail = {"system": "email", "value": "x"}

    assert found(patient(telecom=[mail]), definition) == [("required", "Patient.telecom")]
    assert found(patient(telecom=[mail, mail | {"system": "phone"}]), definition) == []


def test_rows_without_ids_are_read_in_order() -> None:
    definition = sliced(row("Patient.identifier:b.use", min=1))
    for each in definition["differential"]["element"]:
        del each["id"]

    assert found(patient(identifier=[A]), definition) == []
    assert found(patient(identifier=[A, B]), definition) == [
        ("required", "Patient.identifier[1].use")
    ]


def extension(name: str, *rows: Json, where: str = "Patient") -> Json:
    url = row("Extension.url", fixedUri=OWN + name)
    context = [{"type": "element", "expression": where}]
    return profile(name, "Extension", url, *rows, kind="complex-type", context=context)


RACE = extension(
    "race",
    row("Extension.value[x]", max="0"),
    row("Extension.extension", slicing=slicing(("value", "url"))),
    row("Extension.extension:text", min=1, max="1"),
    row("Extension.extension:text.url", fixedUri="text"),
    row("Extension.extension:text.value[x]", min=1, type=[{"code": "string"}]),
)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (extended({"url": OWN + "race", "extension": [{"url": "text", "valueString": "x"}]}), []),
        (
            extended({"url": OWN + "race", "extension": [{"url": "text", "valueInteger": 1}]}),
            [("structure", "Patient.extension[0].extension[0].value")],
        ),
        (
            extended({"url": OWN + "race", "extension": [{"url": "more", "valueString": "x"}]}),
            [("required", "Patient.extension[0].extension")],
        ),
        (
            extended({"url": OWN + "race", "valueString": "x"}),
            [
                ("required", "Patient.extension[0].extension"),
                ("structure", "Patient.extension[0].value"),
            ],
        ),
        (
            observation(
                extension=[
                    {"url": OWN + "race", "extension": [{"url": "text", "valueString": "x"}]}
                ]
            ),
            [("extension", "Observation.extension[0]")],
        ),
        (
            patient(
                _birthDate={
                    "extension": [
                        {"url": OWN + "race", "extension": [{"url": "text", "valueString": "x"}]}
                    ]
                }
            ),
            [("extension", "Patient.birthDate.extension[0]")],
        ),
        (
            patient(modifierExtension=[{"url": OWN + "nobody", "valueBoolean": True}]),
            [("extension", "Patient.modifierExtension[0].url")],
        ),
    ],
)
def test_an_extension_is_held_against_its_definition(resource: Json, expected: list[Any]) -> None:
    issues = checks(RACE).check_profiles(resource)

    assert sorted((i.code, i.expression) for i in issues) == sorted(expected)


def test_a_profile_asks_for_an_extension_by_its_definition() -> None:
    owner = profile(
        "owner",
        "Patient",
        row("Patient.extension:race", min=1)
        | {"type": [{"code": "Extension", "profile": [OWN + "race"]}]},
    )
    fine = extended({"url": OWN + "race", "extension": [{"url": "text", "valueString": "x"}]})

    assert found(patient(), owner, RACE) == [("required", "Patient.extension")]
    assert found(fine, owner, RACE) == []
