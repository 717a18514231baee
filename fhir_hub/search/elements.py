"""What elements were lately found to say, so that what comes again is not looked at again.

Most of what a resource says others have said before it: its status, its category, its code, who
performed it, when, what is usual. An element directly in a resource or in its `meta` is known by
its text, or by the bytes of its JSON: that R4 finds nothing wrong with it, its index entries, and
what it refers to. What comes once (an identifier, a value) makes room for what comes again.

That holds because such an element means the same in every resource of its type. Where it may
mean another thing, the resource is looked at as a whole: one that contains others (`#id` leads
into it) or is an envelope of others, one with `_name` beside a name, and a type whose elements
have rules about the resource around them.

Spec: https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.references import ENVELOPES, Literal
from fhir_hub.search.entry import Entry
from fhir_hub.search.pairs import ANY_SHAPE, Shape

Resource = dict[str, Any]
ElementKey = tuple[str, str, bytes | str]  # the type, the element's name, its JSON or text

_KEPT = 1024  # in each of two generations
_LARGE = 1024  # bytes of an element that is not kept
_AROUND = ("%resource", "%rootResource", "%context")
# the second is no object, and yet may be a reference
_AROUND_IT = frozenset(("contained", "reference"))
META = "meta"
# the hub writes them into each resource
_SET = ("id", "versionId", "lastUpdated")


class Found(NamedTuple):
    """What an element says, each entry once, and what it refers to on this server.

    `parts` are the entries under the parts of composites. Not `is_named`: it may refer to what
    no parameter finds.
    """

    entries: Sequence[Entry]
    literals: Sequence[Literal]
    parts: Sequence[Sequence[Entry]] = ()
    is_named: bool = True


# `Found` of all its values, without a call of Python's own
found_of: Callable[
    [tuple[Sequence[Entry], Sequence[Literal], Sequence[Sequence[Entry]], bool]], Found
] = partial(tuple.__new__, Found)


class Known(NamedTuple):
    """The elements of one resource: what is known of some, by name, and the keys of the others.

    The name of one in `meta` is `meta.tag`; `shape` is what follows from the names. Not
    `is_by_element`: the resource has to be looked at as a whole.
    """

    found: Mapping[str, Found]
    new: Mapping[str, ElementKey]
    is_by_element: bool
    shape: Shape = ANY_SHAPE


WHOLE = Known(MappingProxyType({}), MappingProxyType({}), False)


class Elements:
    """What is known of elements, of at most some thousand."""

    def __init__(self) -> None:
        self._young: dict[ElementKey, Found] = {}
        self._old: dict[ElementKey, Found] = {}

    def known(self, resource_type: str, resource: Resource, shape: Shape = ANY_SHAPE) -> Known:
        """Return what is known of the elements of a resource that can be looked at by element."""
        found: dict[str, Found] = {}
        new: dict[str, ElementKey] = {}
        young = self._young
        for name, value in resource.items():
            kind = type(value)
            if kind is str and name != "id":
                content: bytes | str = value
            elif (kind is dict or kind is list) and name != META:
                content = fhirjson.dumps(value)
            else:
                continue
            key = (resource_type, name, content)
            one = young.get(key) if len(content) <= _LARGE else None
            if one is None and (one := self._before(key)) is None:
                new[name] = key
            else:
                found[name] = one
        if type(meta := resource.get(META)) is dict:
            for name, value in meta.items():
                if name[:1] == "_":
                    return WHOLE
                if name in _SET:
                    continue
                content = value if type(value) is str else fhirjson.dumps(value)
                place = f"meta.{name}"
                key = (resource_type, place, content)
                if (one := young.get(key) or self._before(key)) is None:
                    new[place] = key
                else:
                    found[place] = one
        return Known(found, new, True, shape)

    def _before(self, key: ElementKey) -> Found | None:
        """Return what is known of an element; what was known longer ago is kept on."""
        if len(key[2]) > _LARGE:
            return None
        one = self._young.get(key)
        if one is None and (one := self._old.get(key)) is not None:
            self.keep(key, one)
        return one

    def keep(self, key: ElementKey, found: Found) -> None:
        """Keep what was found of an element with which nothing is wrong."""
        if len(key[2]) > _LARGE:
            return
        if len(self._young) >= _KEPT:
            self._old, self._young = self._young, {}
        self._young[key] = found

    def forget(self) -> None:
        """Know nothing."""
        self._young, self._old = {}, {}


def once(entries: list[Entry]) -> Sequence[Entry]:
    """Return each of some entries once."""
    return entries if len(entries) < 2 else list(dict.fromkeys(entries))


def is_whole(names: Iterable[str]) -> bool:
    """Say whether a resource is to be looked at as a whole, by the names of its elements.

    No element of R4 has a dot in its name: that would be one in `meta`.
    """
    return any(name in _AROUND_IT or name[:1] == "_" or "." in name for name in names)


def stands_alone(resource_type: str, definitions: Definitions) -> bool:
    """Say whether what R4 asks of an element of a type is about that element alone."""
    structure = definitions.structure(resource_type)
    if structure is None or resource_type in ENVELOPES:
        return False
    return not any(
        name in invariant.expression
        for path, element in structure.elements.items()
        if "." in path
        for invariant in element.invariants
        for name in _AROUND
    )
