"""What a sender's own codes mean: FHIR ConceptMaps as one dictionary from code to codings.

A map says of a code that the standard has one that is equal or wider, or that it has none. The
hub adds the first to what the sender wrote and asks nobody again about either. What no map knows
is told as an issue of its own code, so that it is counted each time it comes.

Spec: https://hl7.org/fhir/R4/conceptmap.html
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

Json = dict[str, Any]
UNMAPPED = "local-code"
# A wider code is true of what was meant; a narrower or an inexact one says more than was said.
_TRUE = frozenset({"equal", "equivalent", "wider", "subsumes"})
_NONE = frozenset({"unmatched", "disjoint"})


class LocalCode(NamedTuple):
    """A code without a standard one: its system, itself, what it is called, where it stood.

    `field` is `OBX-3`, or several of a message with a blank between them.
    """

    system: str
    code: str
    display: str
    field: str


class LocalCodes:
    """What local codes mean. Of several maps of one code the last counts."""

    __slots__ = ("_meanings",)

    def __init__(self, maps: Iterable[Mapping[str, Any]] = ()) -> None:
        self._meanings: dict[tuple[str, str], tuple[Json, ...]] = {}
        for one in maps:
            if one.get("status") != "retired":
                self._add(one)

    def of(self, system: str, code: str) -> tuple[Json, ...] | None:
        """Return the standard codings of a code, none if there are none; None if nobody knows."""
        return self._meanings.get((system, code))

    def joined(self, more: "LocalCodes") -> "LocalCodes":
        """Return what both say; of a code that both know `more` counts."""
        both = LocalCodes()
        both._meanings = self._meanings | more._meanings
        return both

    def digest(self) -> str:
        """Return eight hex digits that are the same wherever the codes mean the same."""
        return sha256(repr(sorted(self._meanings.items())).encode()).hexdigest()[:8]

    def __bool__(self) -> bool:
        """Say whether any code is mapped."""
        return bool(self._meanings)

    def _add(self, resource: Mapping[str, Any]) -> None:
        for group in resource.get("group", ()):
            source, target = group.get("source", ""), group.get("target", "")
            for element in group.get("element", ()):
                targets = element.get("target", ())
                kinds = {one.get("equivalence", "") for one in targets}
                found = tuple(
                    _coding(target, one)
                    for one in targets
                    if target  # a code of no system says nothing
                    if one.get("equivalence") in _TRUE and one.get("code")
                )
                if "code" in element and (found or kinds & _NONE):
                    self._meanings[source, element["code"]] = found


def _coding(system: str, target: Mapping[str, Any]) -> Json:
    parts = {"system": system, "code": target["code"], "display": target.get("display", "")}
    return {name: text for name, text in parts.items() if text}


def told(system: str, code: str, display: str) -> str:
    """Return the text of the issue that a code has no standard one; `unmapped` takes it apart."""
    return f"{system}|{code}|{display}"


def unmapped(issues: Iterable[tuple[str, str, Any]]) -> tuple[LocalCode, ...]:
    """Return the codes of a message that no map knows, each once."""
    found: dict[tuple[str, str], LocalCode] = {}
    for issue, text, row in issues:
        if issue == UNMAPPED:
            system, code, display = text.split("|", 2)
            field = str(row.sources[0]) if row and row.sources else ""
            known = found.setdefault((system, code), LocalCode(system, code, display, field))
            if field not in (fields := known.field.split()):
                found[system, code] = known._replace(field=" ".join([*fields, field]))
    return tuple(found.values())
