"""Names in the language that is asked for: `de`, `zh-CN, en;q=0.5`, `de, *;q=0`.

A name is a display or a designation, with its language; the display of a code system is in the
system's own. `*;q=0` means that no other language will do, and then there may be no name.

Spec: https://hl7.org/fhir/R4/valueset-operation-expand.html (displayLanguage), RFC 4647
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fhir_hub.r4.terminology.concepts import Concept, Facts
from fhir_hub.r4.terminology.formal import is_language
from fhir_hub.r4.terminology.problems import Problem, Unanswerable


class Name(NamedTuple):
    """One name of a concept; `language` is empty if it is not said."""

    value: str
    language: str
    row: Facts


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages that are asked for, the best first. `text` is as they were written.

    `is_strict`: no other language will do.
    """

    text: str = ""
    ranges: tuple[str, ...] = ()
    is_strict: bool = False

    def fits(self, language: str) -> int | None:
        """Return the place of the range that a language fits, None if it fits none.

        >>> read_languages("zh, en").fits("zh-CN"), read_languages("de").fits("en")
        (0, None)
        """
        lowered = language.lower()
        for place, one in enumerate(self.ranges):
            wanted = one.lower()
            if lowered == wanted or lowered.startswith(f"{wanted}-"):
                return place
        return None


def read_languages(text: str) -> Languages:
    """Return the languages of a header or parameter; raises `Unanswerable` if it is none.

    >>> read_languages("de,*; q=0").is_strict, read_languages("en;q=0.2, zh").ranges
    (True, ('zh', 'en'))
    """
    found: list[tuple[float, int, str]] = []
    is_strict = False
    for place, part in enumerate(text.split(",") if text.strip() else ()):
        tag, _, weight = part.partition(";")
        tag, quality = tag.strip(), _quality(weight)
        if tag == "*":
            is_strict = quality == 0
        elif not is_language(tag) or quality is None:
            raise _invalid(text)
        elif quality > 0:
            found.append((-quality, place, tag))
    return Languages(text, tuple(tag for _, _, tag in sorted(found)), is_strict)


def _quality(text: str) -> float | None:
    if not text.strip():
        return 1.0
    name, _, number = text.partition("=")
    try:
        quality = float(number)
    except ValueError:
        return None
    return quality if name.strip() == "q" and 0 <= quality <= 1 else None


def _invalid(text: str) -> Unanswerable:
    return Unanswerable.of(
        Problem(
            "error",
            "processing",
            "invalid-display",
            "INVALID_DISPLAY_NAME",
            f"Invalid displayLanguage: '{text[:80]}'",
        )
    )


def names(concept: Concept, own_language: str, row: Facts | None = None) -> Iterator[Name]:
    """Yield the names of a concept: those of the value set (`row`), its display, the others."""
    row = row or {}
    if display := row.get("display"):
        yield Name(str(display), str(row.get("language", "")), {})
    yield from _designations(row.get("designation", ()))
    if concept.display:
        yield Name(concept.display, own_language, {})
    yield from _designations(concept.designations)


def _designations(rows: Sequence[Facts]) -> Iterator[Name]:
    for one in rows:
        yield Name(str(one.get("value", "")), str(one.get("language", "")), one)


def best(all_names: Sequence[Name], languages: Languages) -> Name | None:
    """Return the name to show: in the best language that there is, else the first.

    None if there is none, or only the languages asked for will do and there is none of them.
    """
    fitting = [
        (place, number)
        for number, name in enumerate(all_names)
        if name.language and (place := languages.fits(name.language)) is not None
    ]
    if fitting:
        return all_names[min(fitting)[1]]
    if languages.is_strict:
        all_names = [name for name in all_names if not name.language]
    displays = [name for name in all_names if not name.row]
    return displays[0] if displays else None
