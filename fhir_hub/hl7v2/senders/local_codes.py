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
    """What local codes mean, by the code system that a map leads to: in each the last map counts.

    Only maps that are in use count: `active` ones that are not `experimental`.
    """

    __slots__ = ("_meanings",)

    def __init__(self, maps: Iterable[Mapping[str, Any]] = ()) -> None:
        self._meanings: dict[tuple[str, str], dict[str, tuple[Json, ...]]] = {}
        for one in maps:
            if one.get("status") == "active" and not one.get("experimental"):
                self._add(one)

    def of(self, system: str, code: str) -> tuple[Json, ...] | None:
        """Return the standard codings of a code, none if there are none; None if nobody knows."""
        found = self._meanings.get((system, code))
        if found is None:
            return None
        return tuple([one for codings in found.values() for one in codings])

    def joined(self, more: "LocalCodes") -> "LocalCodes":
        """Return what both say; of a code that both know in one system `more` counts."""
        both = LocalCodes()
        for one in (self, more):
            for (system, code), found in one._meanings.items():
                for target, codings in found.items():
                    both._say(system, code, target, codings)
        return both

    def digest(self) -> str:
        """Return eight hex digits that are the same wherever the codes mean the same."""
        told = sorted((key, sorted(found.items())) for key, found in self._meanings.items())
        return sha256(repr(told).encode()).hexdigest()[:8]

    def __bool__(self) -> bool:
        """Say whether any code is mapped."""
        return bool(self._meanings)

    def _add(self, resource: Mapping[str, Any]) -> None:
        for group in resource.get("group", ()):
            source, target = group.get("source", ""), group.get("target", "")
            for element in group.get("element", ()):
                targets = element.get("target", ())
                kinds = {one.get("equivalence", "") for one in targets}
                found = tuple(_coding(target, one) for one in targets if target and _is_true(one))
                if "code" in element and (found or kinds & _NONE):
                    self._say(source, element["code"], target, found)

    def _say(self, system: str, code: str, target: str, found: tuple[Json, ...]) -> None:
        known = self._meanings.setdefault((system, code), {})
        if not target:  # there is none in any system
            known.clear()
        known[target] = found


def _is_true(target: Mapping[str, Any]) -> bool:
    """Say whether a target is true of every use of a code, and all that is to be said of it."""
    has_more = "dependsOn" in target or "product" in target
    return target.get("equivalence") in _TRUE and bool(target.get("code")) and not has_more


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
