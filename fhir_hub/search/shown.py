"""A plan as text that a person can read: its shape, its names, and no value of it.

What is searched for may be a person's name or number, and an explanation is made to be passed on.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterable, Iterator, Sequence

from fhir_hub.search.plan import (
    Among,
    And,
    Except,
    Has,
    Is,
    LinkedBy,
    Links,
    Near,
    Not,
    Or,
    Plan,
    Range,
    SortKey,
    Test,
    Text,
    Together,
)


def shown_plan(plan: Plan) -> str:
    """Return the plan as lines, what belongs to a node two blanks further in.

    >>> print(shown_plan(And((Has("name", "string", (Text("x"),)), Not(Has("code", "token"))))))
    all of
      name (string): starts
      not
        code (token): any
    """
    return "\n".join(_lines(plan, ""))


def shown_sort(sort: Sequence[SortKey]) -> str:
    """Return the order of results; it ends with the order of creation."""
    keys = [
        f"{'-' if key.descending else ''}{'+'.join((key.parameter, *key.others))} ({key.kind})"
        for key in sort
    ]
    return ", ".join([*keys, "creation"])


def _lines(plan: Plan, indent: str) -> Iterator[str]:
    match plan:
        case And(plans):
            yield f"{indent}all of" if plans else f"{indent}everything"
            yield from _inner(plans, indent)
        case Or(plans):
            yield f"{indent}one of" if plans else f"{indent}nothing"
            yield from _inner(plans, indent)
        case Not(inner):
            yield f"{indent}not"
            yield from _inner((inner,), indent)
        case Has(parameter, kind, tests):
            yield f"{indent}{parameter} ({kind}): {_tests(tests)}"
        case Together(parameter, parts):
            asked = ", ".join(f"{kind} {_test(test)}" for kind, test in parts)
            yield f"{indent}{parameter}, in one group: {asked}"
        case Links(parameter, resource_types, inner, is_canonical):
            types = " or ".join(resource_types)
            yield f"{indent}refers {_way(parameter, is_canonical)} to {types}, of which"
            yield from _inner((inner,), indent)
        case LinkedBy(resource_type, parameter, inner, is_canonical):
            way = _way(f"{resource_type}.{parameter}", is_canonical)
            yield f"{indent}referred to {way}, of which"
            yield from _inner((inner,), indent)


def _way(parameter: str, is_canonical: bool) -> str:
    return f"by the canonical {parameter}" if is_canonical else f"by {parameter}"


def _inner(plans: Iterable[Plan], indent: str) -> Iterator[str]:
    for plan in plans:
        yield from _lines(plan, f"{indent}  ")


def _tests(tests: Sequence[Test]) -> str:
    found: dict[str, int] = {}
    for test in tests:
        name = _test(test)
        found[name] = found.get(name, 0) + 1
    return " or ".join(f"{n} of {name}" if n > 1 else name for name, n in found.items()) or "any"


def _test(test: Test) -> str:
    match test:
        case Is(code, system):
            parts = [n for n, part in (("code", code), ("system", system)) if part is not None]
            return f"equal {' and '.join(parts)}" if parts else "any"
        case Among(codes, system):
            return f"one of {len(codes)} codes{'' if system is None else ' and system'}"
        case Text(_, mode):
            return mode
        case Range(any_of, system, code, unit):
            ranges = " or ".join(
                " and ".join(f"{c.bound} {c.operator} ?" for c in comparisons)
                for comparisons in any_of
            )
            units = [name for name in (system, code, unit) if name is not None]
            return f"{ranges} in a unit" if units else ranges
        case Near():
            return "within a distance"
        case Except(tests):
            return f"none of ({_tests(tests)})"
