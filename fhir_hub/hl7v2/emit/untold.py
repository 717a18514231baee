"""What of its resources a message does not say: elements without a row, and what of others is left.

The rows note each value that they have written, by where it stands: of what nobody noted it is
told that there is no field for it. What a value of a datatype says beyond its HL7v2 counterpart
(who wrote a note, of which kind a number's use is) stands in a list here.

Spec: DESIGN 5, promise 5
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.emit.backwards import Found
from fhir_hub.hl7v2.emit.conclusions import ELEMENTS
from fhir_hub.hl7v2.emit.spots import Spot

Json = dict[str, Any]
_SERVICE = frozenset(
    {
        "resourceType",
        "id",
        "meta",
        "text",
        "implicitRules",
        "language",
        "contained",
        "modifierExtension",
    }
)
# What of a datatype no writer looks at.
_BEYOND: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Annotation": frozenset({"authorReference", "authorString", "time"}),
        "Attachment": frozenset({"creation", "hash", "language", "size", "title"}),
    }
)


class Told:
    """What the rows have written: elements of a resource, and their values by where they stand."""

    def __init__(self) -> None:
        self._elements: set[tuple[int, str]] = set()
        self._values: dict[tuple[int, str, int], str] = {}

    def element(self, resource: Json, element: str, *, is_whole: bool = False) -> None:
        """Take note of an element of which something is told, or (`is_whole`) all that it says."""
        self._elements.add((id(resource), element))
        if is_whole:
            self._values[id(resource), element, 0] = ""

    def values(self, found: Iterable[Found]) -> None:
        """Take note of values that are told."""
        for one in found:
            self._values[one.at] = one.fhir_type

    def left_out(self, spots: Sequence[Spot]) -> Iterator[str]:
        """Return the paths of what no row has written (`Patient.photo`, `Patient.contact.period`).

        Of several items of a list of which some are told, the others by their place.
        """
        seen: set[int] = set()
        names_kin = any(spot.segment == "NK1" for spot in spots)
        for spot in spots:
            for resource in spot.drafts.values():
                if id(resource) in seen or spot.is_extract:
                    continue
                seen.add(id(resource))
                for element, value in resource.items():
                    is_service = element in _SERVICE or element.startswith("_")
                    # an OBX of its own, without a row
                    path = f"{resource['resourceType']}.{element}"
                    is_told = element in spot.tells or path in spot.tells
                    if is_service or element in ELEMENTS or is_told:
                        continue
                    if element == "contact" and names_kin:  # a relative of that name is told
                        rest, _ = self._rest(path, resource, element, value)
                        yield from (one for one in rest if "." in one[len(path) :])
                    elif (id(resource), element) in self._elements:
                        rest, _ = self._rest(path, resource, element, value)
                        yield from (one for one in rest if one not in spot.tells)
                    else:
                        yield path

    def _rest(self, path: str, holder: Json, name: str, value: Any) -> tuple[list[str], bool]:
        """Return what of an element is not told, and whether anything of it is."""
        items = value if isinstance(value, list) else [value]
        done = [self._item(path, (id(holder), name, at), one) for at, one in enumerate(items)]
        if not any(is_told for _, is_told in done):
            return [path], False
        left: list[str] = []
        for at, (rest, is_told) in enumerate(done):
            left += rest if is_told else [f"{path}[{at}]"]
        return left, True

    def _item(self, path: str, at: tuple[int, str, int], item: Any) -> tuple[list[str], bool]:
        kind = self._values.get(at)
        if kind is not None:
            beyond = _BEYOND.get(kind, frozenset())
            return [f"{path}.{one}" for one in item if one in beyond] if beyond else [], True
        if not isinstance(item, dict):
            return [], False
        parts = [
            self._rest(f"{path}.{name}", item, name, one)
            for name, one in item.items()
            if name != "id" and not name.startswith("_")
        ]
        return [one for rest, _ in parts for one in rest], any(is_told for _, is_told in parts)
