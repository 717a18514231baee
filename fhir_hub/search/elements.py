"""What elements were lately found to say, so that what comes again is not looked at again.

Most of what a resource says others have said before it: its category, its code, who performed it,
what is usual. An element that is a list or an object directly in a resource is known by the bytes
of its JSON: that R4 finds nothing wrong with it, its index entries, and what it refers to. What
comes once (an identifier, a value) makes room for what comes again.

That holds because such an element means the same in every resource of its type. Where it may
mean another thing, the resource is looked at as a whole: one that contains others (`#id` leads
into it) or is an envelope of others, one with `_name` beside a name, and a type whose elements
have rules about the resource around them.

Spec: https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.references import ENVELOPES, Literal
from fhir_hub.search.entry import Entry

Resource = dict[str, Any]
_Key = tuple[str, str, bytes]  # the type, the element's name, its JSON

_KEPT = 1024  # in each of two generations
_LARGE = 1024  # bytes of an element that is not kept
_AROUND = ("%resource", "%rootResource", "%context")
# the second is no object, and yet may be a reference
_AROUND_IT = frozenset(("contained", "reference"))
_META = "meta"  # the hub writes into it


class Found(NamedTuple):
    """What an element says, and what it refers to on this server."""

    entries: Sequence[Entry]
    literals: Sequence[Literal]


class Known(NamedTuple):
    """The elements of one resource: what is known of some, by name, and the keys of the others.

    Not `is_by_element`: the resource has to be looked at as a whole.
    """

    found: Mapping[str, Found]
    new: Mapping[str, _Key]
    is_by_element: bool


WHOLE = Known(MappingProxyType({}), MappingProxyType({}), False)


class Elements:
    """What is known of elements, of at most some thousand."""

    def __init__(self) -> None:
        self._young: dict[_Key, Found] = {}
        self._old: dict[_Key, Found] = {}

    def known(self, resource_type: str, resource: Resource) -> Known:
        """Return what is known of the elements of a resource of a type that `stands_alone`."""
        if not _AROUND_IT.isdisjoint(resource):
            return WHOLE
        young, old = self._young, self._old
        found: dict[str, Found] = {}
        new: dict[str, _Key] = {}
        for name, value in resource.items():
            if type(value) is not dict and type(value) is not list:
                continue
            if name == _META:
                continue
            if name[:1] == "_":
                return WHOLE
            key = (resource_type, name, fhirjson.dumps(value))
            one = None
            if len(key[2]) <= _LARGE:
                one = young.get(key)
                if one is None and (one := old.get(key)) is not None:
                    self.keep(key, one)
            if one is not None:
                found[name] = one
            else:
                new[name] = key
        return Known(found, new, True)

    def keep(self, key: _Key, found: Found) -> None:
        """Keep what was found of an element with which nothing is wrong."""
        if len(key[2]) > _LARGE:
            return
        if len(self._young) >= _KEPT:
            self._old, self._young = self._young, {}
        self._young[key] = found

    def forget(self) -> None:
        """Know nothing."""
        self._young, self._old = {}, {}


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
