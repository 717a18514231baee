"""A code system as a CodeSystem resource lists it, held in memory and indexed once.

The hierarchy is what is nested, and what the properties `parent` and `child` say. What
supplements add is in the resource already (`supplements.py`).

Spec: https://hl7.org/fhir/R4/codesystem.html
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_hub.r4.terminology.concepts import (
    INACTIVE,
    STANDARDS_STATUS,
    Concept,
    Facts,
    Header,
    as_text,
    fits_text,
    value_of,
    words_of,
)

_ABOVE = ("parent", "subsumedBy")


class ListedSystem:
    """The concepts of a resource, found by code."""

    def __init__(self, resource: Facts) -> None:
        self.header = header_of(resource)
        self._concepts: dict[str, Concept] = {}
        self._folded: dict[str, str] = {}
        self._parents: dict[str, list[str]] = {}
        self._children: dict[str, list[str]] = {}
        for row, parent in rows_of(resource.get("concept")):
            self._add(row, parent)

    def _add(self, row: Facts, parent: str) -> None:
        code = row.get("code")
        if not isinstance(code, str):
            return
        concept = self._concepts[code] = concept_of(row, self.header)
        if not self.header.is_case_sensitive:
            self._folded.setdefault(code.casefold(), code)
        if parent:
            self._link(code, parent)
        for name in _ABOVE:
            for value in concept.values(name):
                self._link(code, str(value))
        for value in concept.values("child"):
            self._link(str(value), code)

    def _link(self, child: str, parent: str) -> None:
        above = self._parents.setdefault(child, [])
        if parent not in above and parent != child:
            above.append(parent)
            self._children.setdefault(parent, []).append(child)

    def find(self, code: str) -> Concept | None:
        """Return the concept of a code."""
        found = self._concepts.get(code)
        if found is None and self._folded:
            found = self._concepts.get(self._folded.get(code.casefold(), ""))
        return found

    def codes(self) -> Iterator[str]:
        """Yield all codes, in the order of the resource."""
        yield from self._concepts

    def size(self) -> int:
        """Return how many codes there are."""
        return len(self._concepts)

    def parents(self, code: str) -> Sequence[str]:
        """Return the codes directly above."""
        return self._parents.get(code, ())

    def children(self, code: str) -> Sequence[str]:
        """Return the codes directly below."""
        return self._children.get(code, ())

    def is_below(self, code: str, ancestor: str) -> bool:
        """Say whether `ancestor` is somewhere above `code`."""
        return ancestor in self.above(code)

    def below(self, code: str) -> Iterator[str]:
        """Yield the codes below, depth first."""
        return _walk(code, self._children)

    def above(self, code: str) -> Iterator[str]:
        """Yield the codes above, the nearest first."""
        return _walk(code, self._parents)

    def with_property(self, name: str, value: str) -> None:
        """Return that there is no index: a scan of what is in memory is quick."""

    def with_text(self, text: str) -> Iterator[str]:
        """Yield the codes with all words of `text` in one of their names."""
        words = words_of(text)
        return (code for code, concept in self._concepts.items() if fits_text(concept, words))


def header_of(resource: Facts) -> Header:
    """Return what a CodeSystem resource says of itself."""
    return Header(
        url=str(resource.get("url", "")),
        version=str(resource.get("version", "")),
        content=str(resource.get("content", "complete")),
        is_case_sensitive=resource.get("caseSensitive") is not False,
        language=str(resource.get("language", "")),
        facts={name: value for name, value in resource.items() if name != "concept"},
    )


def concept_of(row: Facts, header: Header) -> Concept:
    """Return a concept of the resource `header`."""
    properties = list(_list(row, "property"))
    said = {str(one.get("code")): value_of(one) for one in properties}
    status = said.get(header.property_code("status"), "")
    is_inactive = said.get(header.property_code("inactive"))
    if is_inactive is None:
        is_inactive = status in INACTIVE
    if not status:
        status = next(
            (
                str(value_of(one))
                for one in _list(row, "extension")
                if one.get("url") == STANDARDS_STATUS
            ),
            "",
        )
    abstract = said.get(header.property_code("notSelectable"))
    return Concept(
        code=str(row["code"]),
        display=str(row.get("display", "")),
        definition=str(row.get("definition", "")),
        designations=tuple(_list(row, "designation")),
        properties=tuple(properties),
        extensions=tuple(_list(row, "extension")),
        status=as_text(status) if status else "",
        is_inactive=as_text(is_inactive) == "true",
        is_abstract=as_text(abstract) == "true",
    )


def _list(row: Facts, name: str) -> Iterator[Facts]:
    value = row.get(name)
    return (
        (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else iter(())
    )


def rows_of(concepts: Any) -> Iterator[tuple[Facts, str]]:
    """Yield each row of a tree with the code above it, in order, without recursion."""
    stack = [(iter(concepts) if isinstance(concepts, list) else iter(()), "")]
    while stack:
        rows, parent = stack[-1]
        row = next(rows, None)
        if row is None:
            stack.pop()
        elif isinstance(row, Mapping):
            yield row, parent
            if isinstance(below := row.get("concept"), list):
                stack.append((iter(below), str(row.get("code", ""))))


def _walk(code: str, links: Mapping[str, Sequence[str]]) -> Iterator[str]:
    seen = {code}
    stack = list(reversed(links.get(code, ())))
    while stack:
        one = stack.pop()
        if one not in seen:
            seen.add(one)
            yield one
            stack.extend(reversed(links.get(one, ())))
