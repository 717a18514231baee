"""The filters of a value set: which concepts of a code system are meant.

Each operator is one row of a table; it makes a test of a concept, and says which codes to
look through where that is fewer than all.

Spec: https://hl7.org/fhir/R4/valueset-filter-operator.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.expressions.patterns import NoPattern, pattern
from fhir_hub.r4.terminology.concepts import CodeSystem, Concept, Facts, as_text

Test = Callable[[Concept], bool]

_OF_CODES = ("concept", "code")


class Filter(NamedTuple):
    """A compiled filter: its test, and (not None) codes among which all that pass are found."""

    test: Test
    among: Callable[[], Iterable[str]] | None = None


class NoValue(InvalidParameter):
    """A filter has no value; the message is what a client is told."""


def compile_filter(row: Facts, system: CodeSystem) -> Filter:
    """Return the filter of a row of `compose.include.filter`.

    Raises `InvalidParameter` if R4 has no such operator, or not for such a property; `NoValue`.
    """
    name, operator = str(row.get("property", "")), str(row.get("op", ""))
    value = row.get("value")
    url = system.header.url
    if not isinstance(value, str) or not value:
        raise NoValue(
            f"The system {url} filter with property = {name}, op = {operator} has no value"
        )
    make = _OPERATORS.get(operator)
    if make is None:
        raise InvalidParameter(f"filter: there is no operator {operator[:40]!r} for {url}")
    return make(name, value, system)


def _is_a(name: str, value: str, system: CodeSystem) -> Filter:
    _codes_only(name, "is-a")

    def among() -> Iterator[str]:
        if system.find(value):
            yield value
            yield from system.below(value)

    return Filter(lambda c: c.code == value or system.is_below(c.code, value), among)


def _descendent_of(name: str, value: str, system: CodeSystem) -> Filter:
    _codes_only(name, "descendent-of")
    return Filter(lambda c: system.is_below(c.code, value), lambda: system.below(value))


def _child_of(name: str, value: str, system: CodeSystem) -> Filter:
    _codes_only(name, "child-of")
    return Filter(lambda c: value in system.parents(c.code), lambda: system.children(value))


def _descendent_leaf(name: str, value: str, system: CodeSystem) -> Filter:
    _codes_only(name, "descendent-leaf")
    return Filter(
        lambda c: not system.children(c.code) and system.is_below(c.code, value),
        lambda: system.below(value),
    )


def _is_not_a(name: str, value: str, system: CodeSystem) -> Filter:
    _codes_only(name, "is-not-a")
    return Filter(lambda c: c.code != value and not system.is_below(c.code, value))


def _generalizes(name: str, value: str, system: CodeSystem) -> Filter:
    _codes_only(name, "generalizes")

    def among() -> Iterator[str]:
        if system.find(value):
            yield value
            yield from system.above(value)

    return Filter(lambda c: c.code == value or system.is_below(value, c.code), among)


def _equals(name: str, value: str, system: CodeSystem) -> Filter:
    if name in _OF_CODES:
        return Filter(lambda c: c.code == value, lambda: (value,))
    if name == "parent":
        return Filter(lambda c: value in system.parents(c.code), lambda: system.children(value))
    if name == "child":
        return Filter(lambda c: value in system.children(c.code), lambda: system.parents(value))
    found = system.with_property(name, value)
    return Filter(
        lambda c: value in _texts(c, name, system),
        None if found is None else lambda: system.with_property(name, value) or (),
    )


def _in(name: str, value: str, system: CodeSystem) -> Filter:
    wanted = frozenset(part.strip() for part in value.split(","))
    if name in _OF_CODES:
        return Filter(lambda c: c.code in wanted, lambda: sorted(wanted))
    return Filter(lambda c: not wanted.isdisjoint(_texts(c, name, system)))


def _not_in(name: str, value: str, system: CodeSystem) -> Filter:
    wanted = frozenset(part.strip() for part in value.split(","))
    return Filter(lambda c: wanted.isdisjoint(_texts(c, name, system)))


def _regex(name: str, value: str, system: CodeSystem) -> Filter:
    try:
        is_match = pattern(value).fullmatch
    except NoPattern as error:
        raise InvalidParameter(f"filter: {value[:80]!r} is {error}") from None
    return Filter(lambda c: any(map(is_match, _texts(c, name, system))))


def _exists(name: str, value: str, system: CodeSystem) -> Filter:
    if value not in ("true", "false"):
        raise InvalidParameter(f"filter: exists is true or false, not {value[:40]!r}")
    wanted = value == "true"
    return Filter(lambda c: any(True for _ in _texts(c, name, system)) is wanted)


_OPERATORS: Mapping[str, Callable[[str, str, CodeSystem], Filter]] = {
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "generalizes": _generalizes,
    "=": _equals,
    "in": _in,
    "not-in": _not_in,
    "regex": _regex,
    "exists": _exists,
    # R5 has two more, which value sets of packages use already
    "child-of": _child_of,
    "descendent-leaf": _descendent_leaf,
}
OPERATORS = tuple(_OPERATORS)


def _codes_only(name: str, operator: str) -> None:
    if name not in _OF_CODES:
        raise InvalidParameter(f"filter: {operator} is for concepts, not for {name[:40]!r}")


def _texts(concept: Concept, name: str, system: CodeSystem) -> Iterator[str]:
    """Yield the values of a property of a concept, its code and names among them."""
    if name in _OF_CODES:
        yield concept.code
    elif name == "display":
        yield concept.display
    elif name == "definition":
        yield concept.definition
    elif name == "designation":
        yield from (str(row.get("value", "")) for row in concept.designations)
    elif name == "parent":
        yield from system.parents(concept.code)
    elif name == "child":
        yield from system.children(concept.code)
    elif name == system.header.property_code("inactive"):
        yield "true" if concept.is_inactive else "false"
    else:
        yield from map(as_text, concept.values(name))
