"""Reference: the resource that another one points at, by address or by identifier.

Spec: https://hl7.org/fhir/R4/search.html#reference
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.r4.references import parse_reference
from fhir_hub.search.context import Context
from fhir_hub.search.entry import Entry, entry_of, is_part_name
from fhir_hub.search.kinds import string, token
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.values import unescape
from fhir_hub.search.plan import Is, Test, Text

Add = Callable[[Any, int, list[Entry]], None]

_is_id = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch

CANONICAL = ("canonical", "uri")
TYPES = ("Reference", *CANONICAL, "Resource")


def adder(parameter: str, fhir_type: str, context: Context) -> Add:
    """Return what adds the entries of one value: its target, and its identifier if it has one."""
    if fhir_type in CANONICAL:
        return _canonical(parameter, has_fragment=fhir_type == "canonical")
    if fhir_type == "Resource":
        return _resource(parameter)
    base = context.base
    add_identifier = token.adder(f"{parameter}:identifier", "Identifier", context)
    shown, is_part = f"{parameter}:{token.TEXT}", is_part_name(parameter)

    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is not dict:
            return
        text = value.get("reference")
        if type(text) is str:
            address, _, _, version = parse_reference(text, base)
        else:
            # a reference without an address is not `:missing`, and nothing that a query can name
            named = value.get("type")
            address, version = f"{named}/" if named else "", ""
        out.append(entry_of((parameter, "reference", address, version, None, None, "", group)))
        if is_part or (len(value) == 1 and type(text) is str):
            return
        if "identifier" in value:
            add_identifier(value["identifier"], 0, out)
        if type(value.get("display")) is str and (code := string.normalise(value["display"])):
            out.append(entry_of((shown, "string", code, "", None, None, value["display"], 0)))

    return add


def _canonical(parameter: str, *, has_fragment: bool) -> Add:
    """Return what adds url and version; a fragment names a part of what has that url.

    Spec: https://hl7.org/fhir/R4/references.html#canonical
    """

    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is str and not value.startswith("#"):
            whole = value.partition("#")[0] if has_fragment else value
            address, _, version = whole.partition("|")
            out.append(entry_of((parameter, "reference", address, version, None, None, "", group)))

    return add


def _resource(parameter: str) -> Add:
    """Return what adds a resource inside a Bundle: R4 names `Bundle.composition` a reference."""

    def add(value: Any, group: int, out: list[Entry]) -> None:
        named = (value.get("resourceType"), value.get("id")) if type(value) is dict else (None,)
        if all(type(part) is str for part in named):
            code = "/".join(map(str, named))
            out.append(entry_of((parameter, "reference", code, "", None, None, "", group)))

    return add


def points_at(text: str, meaning: Meaning) -> tuple[Test, ...]:
    """Return what `id`, `Type/id` or an address asks; a bare id is one of any of the targets.

    Raises `InvalidResource` for a type that the parameter does not point at.

    Spec: https://hl7.org/fhir/R4/search.html#reference
    """
    value, targets = unescape(text), meaning.targets
    if _is_id(value):
        return tuple(Is(f"{target}/{value}") for target in targets) or (Is(value),)
    found = parse_reference(value, meaning.context.base)
    if found.logical_id:
        if targets and found.resource_type not in targets:
            raise InvalidResource(f"refers to {' or '.join(targets[:9])} only")
        return (Is(found.address, found.version_id or None),)
    if ":" not in value and "/" not in value:
        raise InvalidResource("a reference is written id, Type/id or as an absolute address")
    address, _, version = value.partition("|")  # of a canonical
    if found.version_id:
        address, version = found.address, found.version_id
    asked = Is(address, version or None)
    if "#" not in value:
        return (asked,)
    address, _, version = value.partition("#")[0].partition("|")
    return asked, Is(address, version or None)


def below(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `:below` asks of a canonical: any version of it, or those of the one it names.

    `url|1` finds `url|1` and `url|1.2`. Raises `InvalidResource` for what is no canonical.

    Spec: https://hl7.org/fhir/R4/search.html#versions
    """
    url, version = _named(text)
    return (Text(f"{url}|{version}", "version") if version else Is(url),)


def above(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `:above` asks of a canonical: those of which it is `:below`.

    `url|1.2` finds `url|1.2`, `url|1` and `url`, which names any version.
    """
    url, version = _named(text)
    parts = version.split(".") if version else []
    versions = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return tuple(Is(url, one) for one in ("", *versions))


def _named(text: str) -> tuple[str, str]:
    """Return url and version, or none, of a canonical."""
    url, _, version = unescape(text).partition("#")[0].partition("|")
    if ":" not in url:
        raise InvalidResource("of a reference to a url: write url or url|version")
    return url, version


def identified(text: str, meaning: Meaning) -> tuple[Test, ...]:
    """Return what `:identifier` asks of the identifier inside the reference."""
    return token.equals(text, Meaning(meaning.context))


def of_types(targets: Sequence[str]) -> tuple[Test, ...]:
    """Return what asks whether a reference is to one of the types, as far as its address tells."""
    return tuple(
        test
        for target in targets
        for test in (Text(f"{target}/", "starts"), Text(f"/{target}/", "contains"))
    )


MODIFIERS: Mapping[str, Modifier] = {
    "": Modifier(points_at),
    "above": Modifier(above, types=CANONICAL),
    "below": Modifier(below, types=CANONICAL),
    "identifier": Modifier(identified, part="identifier", types=("Reference",)),
    token.TEXT: Modifier(string.starts, part=token.TEXT, kind="string", types=("Reference",)),
}
