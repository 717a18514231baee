"""References that say `Type/id` and nothing else, as most do: what they say follows from that.

A message refers to its own patient, visit and order, which no message before it did: such elements
are never known by their content. But what is right of a reference to one patient is right of one
to any, and the entries are those of the same parameters.

Spec: https://hl7.org/fhir/R4/references.html#literal
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub.r4.references import Literal, parse_reference
from fhir_hub.search.entry import Entry, entry_of
from fhir_hub.search.found import NO_PARTS, Found, found_of


class PlainReferences:
    """What plain References at one place say, to types to which one has been right there.

    `parameters` are those that find them, each by the reference alone.
    """

    def __init__(self, parameters: Sequence[str]) -> None:
        self._parameters = parameters
        # alone, and in a list: R4 allows a place one of the two
        self._right: tuple[set[str], set[str]] = (set(), set())

    def found(self, value: Any) -> Found | None:
        """Return what a value says, None for what is no plain reference that is surely right."""
        is_list = type(value) is list
        right = self._right[is_list]
        if not right:
            return None
        literals: dict[Literal, None] = {}
        for item in value if is_list else (value,):
            literal = _plain(item)
            if literal is None or literal[1] not in right:
                return None
            literals[literal] = None
        if not literals:
            return None
        parameters = self._parameters
        entries: list[Entry] = [
            entry_of((parameter, "reference", literal[0], "", None, None, "", 0))
            for literal in literals
            for parameter in parameters
        ]
        return found_of((entries, list(literals), NO_PARTS, bool(parameters)))

    def learn(self, value: Any) -> bool:
        """Take note of a value with which nothing is wrong; say whether all of it is plain."""
        is_list = type(value) is list
        literals = [_plain(item) for item in (value if is_list else (value,))]
        self._right[is_list].update(one[1] for one in literals if one is not None)
        return None not in literals


def _plain(item: Any) -> Literal | None:
    """Return what a Reference says that says `Type/id` alone, None for any other."""
    if type(item) is not dict or len(item) != 1:
        return None
    text = item.get("reference")
    if type(text) is not str:
        return None
    literal = parse_reference(text)
    return literal if literal[0] == text and literal[2] else None
