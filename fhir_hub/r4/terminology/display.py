"""Is the display of a coding one of the names that its concept has?

Case and surrounding space do not matter. In a language that is asked for, only names of that
language count; if the concept has none, its default name will do, and that is said.

Spec: https://hl7.org/fhir/R4/valueset-operation-validate-code.html (display)
"""

from collections.abc import Iterable, Sequence

from fhir_hub.r4.terminology import messages
from fhir_hub.r4.terminology.concepts import Concept
from fhir_hub.r4.terminology.languages import Languages, Name
from fhir_hub.r4.terminology.problems import Problem

_STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
_PAST = ("deprecated", "withdrawn", "inactive")


def check_display(
    given: str,
    named: str,
    concept: Concept,
    names: Sequence[Name],
    languages: Languages,
    place: str,
    *,
    is_lenient: bool,
) -> Problem | None:
    """Return what is wrong with the display `given` of a concept, None if nothing is."""
    past = {name.value: status for name in names if (status := _past(name))}
    names = [name for name in names if name.value not in past]
    valid = list(names)
    if languages.ranges:
        valid = [n for n in names if not n.language or languages.fits(n.language) is not None]
    if _is_among(given, valid):
        return None
    if not names:
        return None
    if given in past:
        values = [name.value for name in valid]
        return messages.inactive_display(given, concept.code, past[given], values, place)
    if not valid:
        fits = _is_among(given, names)
        return messages.no_display_in_language(
            given, named, concept.display, languages, place, is_valid=fits
        )
    by_space = _is_among(" ".join(given.split()), valid)
    return messages.wrong_display(
        given, named, _once(valid), languages, place, is_lenient=is_lenient, by_space=by_space
    )


def _past(name: Name) -> str:
    """Return the status of a name that is not used any more, empty for one that is."""
    for row in name.row.get("extension", ()):
        if row.get("url") == _STATUS and row.get("valueCode") in _PAST:
            return str(row["valueCode"])
    return ""


def _is_among(given: str, names: Iterable[Name]) -> bool:
    folded = given.casefold()
    return any(name.value.casefold() == folded for name in names)


def _once(names: Iterable[Name]) -> list[Name]:
    """Return the names without repetition, the language that is said first."""
    found: dict[str, Name] = {}
    for name in names:
        found.setdefault(name.value, name)
    return list(found.values())
