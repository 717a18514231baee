"""References that say `Type/id` and nothing else, as most do: what they say follows from that.

A message refers to its own patient, visit and order, which no message before it did: such elements
are never known by their content. But what is right of a reference to one patient is right of one
to any, and the entries are those of the same parameters.

Spec: https://hl7.org/fhir/R4/references.html#literal
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub.r4.references import Literal, plain_reference
from fhir_hub.search.entry import Entry, entry_of
from fhir_hub.search.found import Found, Part, found_of

_MOST_LATELY = 16


class PlainReferences:
    """What plain References at one place say, to types to which one has been right there.

    `parameters` are those that find them, each by the reference alone.
    """

    def __init__(self, parameters: Sequence[str]) -> None:
        self._parameters = parameters
        # alone, and in a list: R4 allows a place one of the two
        self._right: tuple[set[str], set[str]] = (set(), set())
        # what one reference said of late: ten results of a message refer to the same
        self._lately: tuple[dict[str, Found], dict[str, Found]] = ({}, {})

    def found(self, value: Any) -> Found | None:
        """Return what a value says, None for what is no plain reference that is surely right."""
        is_list = type(value) is list
        right, parameters = self._right[is_list], self._parameters
        if not right:
            return None
        one = value if not is_list else value[0] if len(value) == 1 else None
        text = one.get("reference") if type(one) is dict and len(one) == 1 else None
        lately = self._lately[is_list]
        if type(text) is str and (known := lately.get(text)) is not None:
            return known
        literals = []
        entries: list[Entry] = []
        for item in value if is_list else (value,):
            literal = _plain(item)
            if literal is None or literal[1] not in right:
                return None
            literals.append(literal)
            for parameter in parameters:
                entries.append(
                    entry_of((parameter, "reference", literal[0], "", None, None, "", 0))
                )
        if len(literals) != 1:
            if not literals:
                return None
            entries, literals = [*dict.fromkeys(entries)], [*dict.fromkeys(literals)]
        found = found_of((Part(entries), literals, (), bool(parameters)))
        if type(text) is str:
            if len(lately) >= _MOST_LATELY:
                lately.clear()
            lately[text] = found
        return found

    def learn(self, value: Any, _: Found) -> bool:
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
    return plain_reference(text) if type(text) is str else None
