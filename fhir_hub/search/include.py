"""What `_include` and `_revinclude` ask for, as data; the repository follows it.

Spec: https://hl7.org/fhir/R4/search.html#revinclude
"""

from typing import NamedTuple

from fhir_hub.errors import InvalidParameter, UnknownParameter
from fhir_hub.nearest import did_you_mean
from fhir_hub.search.advice import no_type
from fhir_hub.search.parameter import Parameter
from fhir_hub.search.parameters import Parameters

_ANY = "*"
MODIFIERS = ("iterate",)


class Include(NamedTuple):
    """Follow the references under `parameter` of resources of `resource_type`.

    `parameter` is the name that entries are stored under, or `*`: every reference parameter. For
    `_include` the resource type may be `*`: any. Only a target of `target_type` counts; empty
    is any. With `iterate` it is followed from included resources too.
    """

    resource_type: str
    parameter: str
    target_type: str = ""
    iterate: bool = False


def parse_include(value: str, modifier: str, parameters: Parameters) -> tuple[Include, ...]:
    """Return what `Type:parameter[:target]`, `Type:*` or `*` asks to follow from matches.

    Raises `UnknownParameter`, `InvalidParameter`.
    """
    iterate = _iterates("_include", modifier)
    if value == _ANY:
        return (Include(_ANY, _ANY, "", iterate),)
    source, code, target = _parts("_include", value, parameters)
    if code == _ANY:
        return (Include(source, _ANY, target, iterate),)
    return _includes("_include", source, code, target, iterate, parameters)


def parse_reverse_include(
    value: str, modifier: str, resource_types: tuple[str, ...], parameters: Parameters
) -> tuple[Include, ...]:
    """Return what `Type:parameter[:target]`, `Type:*` or `*` asks to follow to matches.

    `*` becomes every parameter that may point at one of `resource_types` (of none: at any).
    Raises `UnknownParameter`, `InvalidParameter`.
    """
    iterate = _iterates("_revinclude", modifier)
    if value == _ANY:
        sources, target = tuple(sorted(parameters.definitions.resource_types)), ""
    else:
        source, code, target = _parts("_revinclude", value, parameters)
        if code != _ANY:
            return _includes("_revinclude", source, code, target, iterate, parameters)
        sources = (source,)
    wanted = {target} if target else set(resource_types)
    return tuple(
        Include(source, parameter.code, target, iterate)
        for source in sources
        for parameter in parameters.of(source).values()
        if parameter.kind == "reference"
        and parameter.is_stored
        and (iterate or not wanted or wanted.intersection(parameter.targets))
    )


def _iterates(name: str, modifier: str) -> bool:
    if modifier and modifier not in MODIFIERS:
        # `:recurse` is STU3's word for it, and the one that many clients still write
        raise UnknownParameter(
            f"{name}: the modifier :{modifier[:60]} is not known; did you mean :iterate?"
        )
    return bool(modifier)


def _parts(name: str, value: str, parameters: Parameters) -> tuple[str, str, str]:
    source, *rest = value.split(":")
    if not rest or len(rest) > 2 or not rest[0]:
        raise InvalidParameter(f"{name}: write Type:parameter or Type:parameter:TargetType")
    target = rest[1] if len(rest) == 2 else ""
    known = parameters.definitions.resource_types
    for one in (source, target or source):
        if one not in known:
            raise InvalidParameter(no_type(name, one, known))
    return source, rest[0], target


def _includes(
    name: str, source: str, code: str, target: str, iterate: bool, parameters: Parameters
) -> tuple[Include, ...]:
    parameter = parameters.of(source).get(code)
    if parameter is None or parameter.kind != "reference":
        known = [p.code for p in parameters.of(source).values() if p.kind == "reference"]
        all_ = f"there are {', '.join(known[:9])}" if known else "it has none"
        near = did_you_mean(code, known, all_)
        raise UnknownParameter(f"{name}: {source} has no reference parameter {code[:60]!r}{near}")
    if target and target not in parameter.targets:
        raise InvalidParameter(f"{name}: {source}.{code} does not refer to {target}")
    return tuple(
        Include(source, index, wanted, iterate)
        for index in parameter.indexes
        for wanted in _wanted(parameter, target)
    )


def _wanted(parameter: Parameter, target: str) -> tuple[str, ...]:
    """Return the target types to ask one by one; an index may hold more than the parameter."""
    if target:
        return (target,)
    return parameter.targets if parameter.is_restricted else ("",)
