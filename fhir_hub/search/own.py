"""Search parameters of a site's own: what a SearchParameter resource adds to those of R4.

A resource of status `active` is read as the same record that R4's own definitions are, and
compiled by the same code. What cannot work is refused when the resource is written, with the
reason; a draft may say anything.

Spec: https://hl7.org/fhir/R4/searchparameter.html
"""

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from fhir_hub.errors import InvalidResource, NotSupported
from fhir_hub.r4.definitions import Component, Definitions, SearchParameterRow
from fhir_hub.search.kinds.table import KINDS

Resource = dict[str, Any]

TYPE = "SearchParameter"
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_ABSTRACT = ("Resource", "DomainResource")


class OwnParameter(NamedTuple):
    """An active parameter: the resource that defines it, and from which sequence on it has held.

    Everything that was written after `since` is indexed by it.
    """

    logical_id: str
    row: SearchParameterRow
    since: int = 0

    @property
    def mark(self) -> str:
        """What tells an index that was built for this from one for an earlier definition."""
        return sha256(repr((self.row, self.since)).encode("utf-8", "replace")).hexdigest()[:16]


def is_active(resource: Resource) -> bool:
    """Return whether a SearchParameter is meant to work."""
    return resource.get("status") == "active"


def read_row(resource: Resource) -> SearchParameterRow:
    """Return what an active SearchParameter defines.

    Raises `InvalidResource` if a part of it is missing or not of its type.
    """
    components = resource.get("component", ())
    return SearchParameterRow(
        url=_text(resource, "url"),
        code=_text(resource, "code"),
        type=_text(resource, "type"),
        base=_texts(resource, "base"),
        expression=_text(resource, "expression") if "expression" in resource else "",
        target=_texts(resource, "target"),
        components=tuple(
            Component("", _text(part, "definition").partition("|")[0], _text(part, "expression"))
            for part in (components if isinstance(components, list | tuple) else ())
            if isinstance(part, dict)
        ),
    )


def types_of(row: SearchParameterRow, definitions: Definitions) -> tuple[str, ...]:
    """Return the resource types that a parameter is of, sorted."""
    found = set(row.base) & definitions.resource_types
    if "Resource" in row.base:
        return tuple(sorted(definitions.resource_types))
    if "DomainResource" in row.base:
        found |= {name for name in definitions.resource_types if _is_domain(name, definitions)}
    return tuple(sorted(found))


def require(
    resource: Resource,
    definitions: Definitions,
    others: Iterable[OwnParameter],
    known: Callable[[str], Mapping[str, Any]],
    try_out: Callable[[SearchParameterRow, str], None],
) -> None:
    """Raise unless the active SearchParameter `resource` can work beside `others`.

    `known` says what R4 has for a type, `try_out` compiles a row for one and raises what is in
    the way. Raises `InvalidResource` (400) for what R4 does not have, a code that is taken;
    `NotSupported` (422) for what this server cannot index.
    """
    row = read_row(resource)
    _require_words(row, definitions)
    types = types_of(row, definitions)
    for other in others:
        is_other = other.logical_id != resource.get("id")
        shared = set(types).intersection(types_of(other.row, definitions))
        if is_other and other.row.code == row.code and shared:
            raise _refused(
                "code", f"{row.code} is the code of SearchParameter/{other.logical_id} already"
            )
    for resource_type in types:
        if row.code in known(resource_type):
            raise _refused("code", f"R4 has a parameter {row.code} for {resource_type}")
        try_out(row, resource_type)


def _require_words(row: SearchParameterRow, definitions: Definitions) -> None:
    if not _CODE.fullmatch(row.code):
        raise _refused("code", "a code begins with a letter and goes on with letters, digits, -")
    if row.type == "special":
        raise NotSupported(
            "type special: what it means is not in the resource", expression=f"{TYPE}.type"
        )
    if row.type != "composite" and row.type not in KINDS:
        raise _refused("type", "no type of search parameters in R4")
    for place, name in enumerate(row.base):
        if name not in definitions.resource_types and name not in _ABSTRACT:
            raise _refused(f"base[{place}]", "no resource type of R4")
    for place, name in enumerate(row.target):
        if name not in definitions.resource_types and name != "Resource":
            raise _refused(f"target[{place}]", "no resource type of R4")
    if not row.base:
        raise _refused("base", "a search parameter is of some resource type")
    if not row.expression:
        raise NotSupported(
            "without an expression nothing can be indexed", expression=f"{TYPE}.expression"
        )
    if row.type == "composite" and len(row.components) < 2:
        raise _refused("component", "a composite has two parts or more")


def _is_domain(name: str, definitions: Definitions) -> bool:
    parent = name
    while parent and parent != "DomainResource":
        structure = definitions.structure(parent)
        parent = structure.base if structure else ""
    return bool(parent)


def _refused(element: str, reason: str) -> InvalidResource:
    return InvalidResource(reason, expression=f"{TYPE}.{element}")


def _text(node: Mapping[str, Any], name: str) -> str:
    value = node.get(name)
    if not isinstance(value, str) or not value:
        raise _refused(name, "it is needed, as a text")
    return value


def _texts(node: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = node.get(name, ())
    if not isinstance(values, list | tuple) or not all(isinstance(one, str) for one in values):
        raise _refused(name, "it must be a list of texts")
    return tuple(dict.fromkeys(values))
