"""The leaves of resources: each primitive value with the object that holds it, and its path.

An object's place in its resource may shift until the conversion ends; the object itself stays.
So what a row made is remembered by its holder, and gets its path (`Patient.name[0].family`) last.

Spec: https://hl7.org/fhir/R4/fhirpath.html#simple
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

Json = dict[str, Any]
_ADDRESSES = ("urn:", "http:", "https:")
_WORDS = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"\[\d+\]")
_DATE = re.compile(r"\d{4}(-\d\d)*(T.*)?")


class Element(NamedTuple):
    """A value: what holds it, under which name or at which place; its path without numbers."""

    holder: Any
    at: str | int
    generic: str
    value: Any

    @property
    def key(self) -> tuple[str, Any]:
        """Return what it is compared by: all references are alike."""
        is_reference = self.at == "reference" and isinstance(self.value, str)
        return (self.generic, "" if is_reference else self.value)

    @property
    def is_hash(self) -> bool:
        """Say whether it is (of) a code made of what it was told by, and holds nothing of that."""
        if self.at not in ("code", "system"):
            return False
        return str(self.holder.get("code", "")).startswith("urn:uuid:")

    @property
    def place(self) -> tuple[int, str | int]:
        """Return what tells it from every other."""
        return (id(self.holder), self.at)


def elements_of(node: Any, generic: str) -> Iterator[Element]:
    """Yield the values in a JSON object or array."""
    items: Iterable[tuple[Any, Any]] = node.items() if isinstance(node, dict) else enumerate(node)
    for at, value in items:
        name = f"{generic}.{at}" if isinstance(node, dict) else generic
        if isinstance(value, dict | list | tuple):
            yield from elements_of(value, name)
        elif at != "resourceType":
            yield Element(node, at, name, value)


Paths = dict[int, list[str]]


def paths_of(resources: Iterable[Json], changes: Iterable[Json]) -> Paths:
    """Return the paths of every object and array in the resources of a Bundle, by its `id()`.

    Of several resources of a type it begins with the number among them: `Observation[2]`. What
    stands in several places (a number of an order and its report) has several. Those that
    are only `changes` of what is stored are in no Bundle: `changes ServiceRequest.status`.
    """
    found: dict[int, list[str]] = {}
    for sign, listed in (("", list(resources)), ("changes ", list(changes))):
        counts: dict[str, int] = {}
        types = [one["resourceType"] for one in listed]
        for resource, kind in zip(listed, types, strict=True):
            number = counts[kind] = counts.get(kind, -1) + 1
            root = f"{kind}[{number}]" if types.count(kind) > 1 else kind
            _enter(resource, f"{sign}{root}", found)
    return found


def _enter(node: Any, path: str, found: dict[int, list[str]]) -> None:
    found.setdefault(id(node), []).append(path)
    if isinstance(node, dict):
        for name, value in node.items():
            if isinstance(value, dict | list | tuple):
                _enter(value, f"{path}.{name}", found)
    else:
        for number, value in enumerate(node):
            if isinstance(value, dict | list | tuple):
                _enter(value, f"{path}[{number}]", found)


class Places:
    """Where the values of resources are in a Bundle: `entries` are its resources, and of which.

    A message that tells several times of one thing makes one entry of several resources. Those
    that are only `changes` of what is stored are in no Bundle.
    """

    def __init__(
        self, entries: Sequence[tuple[Json, Sequence[Json]]], changes: Iterable[Json]
    ) -> None:
        self._paths = paths_of((whole for whole, _ in entries), changes)
        self._wholes: dict[int, Json] = {}
        for whole, held in entries:
            if len(held) > 1:
                self._paths[id(held[0])] = self._paths[id(whole)]
                self._wholes |= dict.fromkeys(map(id, held[1:]), whole)

    def root(self, resource: Json) -> str:
        """Return the path of a resource that is not told of twice."""
        return self._paths[id(resource)][0]

    def path(self, element: Element, resource: Json) -> str:
        """Return where a value of a resource is now, `""` if it is not there any more.

        Where what tells of the same thing before says the same, it is that.
        """
        found = path_of(element, self._paths, resource)
        if not found and (whole := self._wholes.get(id(resource))):
            alike = elements_of(whole, whole["resourceType"])
            same = next((one for one in alike if one.key == element.key), None)
            return path_of(same, self._paths, whole) if same else ""
        return found

    def is_joined(self, resource: Json) -> bool:
        """Say whether what came before told of the same thing."""
        return id(resource) in self._wholes


def path_of(element: Element, paths: Paths, resource: Json) -> str:
    """Return where a value is now, `""` if it is not there any more.

    Of several places it is that in `resource`.
    """
    starts = paths.get(id(element.holder), ())
    if not starts:
        return ""
    start = starts[0] if len(starts) == 1 else _meant(element, starts, paths, resource)
    holder, at = element.holder, element.at
    if isinstance(holder, dict):
        return f"{start}.{at}" if at in holder else ""
    if element.value in holder and isinstance(at, int):
        number = at if holder[at : at + 1] == [element.value] else holder.index(element.value)
        return f"{start}[{number}]"
    return ""


def _meant(element: Element, starts: Sequence[str], paths: Paths, resource: Json) -> str:
    root = f"{paths.get(id(resource), ('',))[0]}."
    name = element.generic.lstrip("+").removesuffix(f".{element.at}")
    return min(
        starts, key=lambda start: (not start.startswith(root), _NUMBER.sub("", start) != name)
    )


def text_of(element: Element) -> Any:
    """Return the value of an element; of data in base64 the text that it is of, if it is of one."""
    if element.at != "data" or not isinstance(element.value, str):
        return element.value
    try:
        return base64.b64decode(element.value).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return element.value


def says(value: Any, text: str) -> bool:
    """Say whether a value of FHIR says what a text of HL7v2 does: whole, in it, or as a date."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int | Decimal | float):
        return str(value) == text.strip().lstrip("+")
    shown, wanted = _plain(str(value)), _plain(text)
    if shown == wanted or ((len(wanted) > 1 or not wanted.isascii()) and wanted in shown):
        return True
    if len(wanted) == 1:  # `1` of the bed W-3-1
        return not shown.startswith(_ADDRESSES) and wanted in _WORDS.findall(str(value).casefold())
    digits = "".join(_DIGITS.findall(text))
    held = "".join(_DIGITS.findall(str(value)))
    if _DATE.fullmatch(str(value)) and len(digits) > 3:
        return held.startswith(digits[:8])
    return len(digits) > 6 and held.endswith(digits[-11:])


def is_same(value: Any, text: str) -> bool:
    """Say whether a text or number of FHIR is one of HL7v2."""
    return says(value, text) if isinstance(value, Decimal) else _is_text(value, text)


def _is_text(value: Any, text: str) -> bool:
    return isinstance(value, str) and _plain(value) == _plain(text)


def _plain(text: str) -> str:
    return "".join(text.casefold().split())
