"""References that say `Type/id` and nothing else, as most do: what they say follows from that.

A message refers to its own patient, visit and order, which no message before it did: such elements
are never known by their content. But what is right of a reference to one patient is right of one
to any, and the entries are those of the same parameters.

Spec: https://hl7.org/fhir/R4/references.html#literal
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub.r4.references import Literal, plain_reference
from fhir_hub.search.entry import entry_of
from fhir_hub.search.found import Found, Part, found_of

_MOST_LATELY = 16


class PlainReferences:
    """What plain References at one place say, to types to which one has been right there.

    `parameters` are those that find them, each by the reference alone. `last` is the value of one
    reference that was looked at last, `said` what it says: ten results may hold the same itself.
    """

    def __init__(self, parameters: Sequence[str]) -> None:
        self._parameters = parameters
        # alone, and in a list: R4 allows a place one of the two
        self._right: tuple[set[str], set[str]] = (set(), set())
        # what one reference said of late: ten results of a message refer to the same
        self._lately: tuple[dict[str, Found], dict[str, Found]] = ({}, {})
        self.last: Any = self  # which is no value
        self.said: Found | None = None

    def found(self, value: Any) -> Found | None:
        """Return what a value says, None for what is no plain reference that is surely right."""
        if type(value) is dict:
            return self._of_one(value, value, False)
        if type(value) is not list:
            return None
        if len(value) == 1:
            return self._of_one(value, value[0], True)
        right, literals = self._right[True], []
        for item in value:
            literal = _plain(item)
            if literal is None or literal[1] not in right:
                return None
            literals.append(literal)
        return self._of_all([*dict.fromkeys(literals)]) if literals else None

    def _of_one(self, value: Any, item: Any, is_list: bool) -> Found | None:
        """Return what a value says that is one item, alone or in a list."""
        if type(item) is not dict or len(item) != 1:
            return None
        text, lately = item.get("reference"), self._lately[is_list]
        if type(text) is not str:
            return None
        if (found := lately.get(text)) is None:
            literal = plain_reference(text)
            if literal is None or literal[1] not in self._right[is_list]:
                return None
            if len(lately) >= _MOST_LATELY:
                lately.clear()
            found = lately[text] = self._of_all([literal])
        self.last, self.said = value, found
        return found

    def _of_all(self, literals: list[Literal]) -> Found:
        """Return what References say, each once."""
        entries = [
            entry_of((parameter, "reference", literal[0], "", None, None, "", 0))
            for literal in literals
            for parameter in self._parameters
        ]
        return found_of((Part(entries), literals, (), bool(entries)))

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
