"""The operators of FHIRPath: functions of two collections that answer a collection.

Spec: http://hl7.org/fhirpath/N1/#operations
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhir_hub.r4.expressions.moments import Moment, add
from fhir_hub.r4.expressions.values import (
    Amount,
    Items,
    Wrong,
    contains,
    distinct,
    equal_items,
    equivalent_items,
    in_one_unit,
    is_number,
    one,
    order,
    truth,
)

_UNITS = {"s": "second", "ms": "millisecond", "min": "minute", "h": "hour", "d": "day"}
_UNITS["wk"] = "week"
_UCUM_ONLY = ("a", "mo")


def _boolean(value: bool | None) -> Items:
    return [] if value is None else [value]


def _negated(value: bool | None) -> bool | None:
    return None if value is None else not value


def _ordered(accept: Callable[[int], bool]) -> Callable[[Items, Items], Items]:
    def compare(left: Items, right: Items) -> Items:
        first, second = one(left), one(right)
        if first is None or second is None:
            return []
        found = order(first, second)
        return [] if found is None else [accept(found)]

    return compare


def _in(left: Items, right: Items) -> Items:
    if not left:
        return []
    if len(left) > 1:
        raise Wrong("`in` needs a single item")
    return [contains(right, left[0])]


def _and(left: Items, right: Items) -> Items:
    first, second = truth(left), truth(right)
    if first is False or second is False:
        return [False]
    return [True] if first and second else []


def _or(left: Items, right: Items) -> Items:
    first, second = truth(left), truth(right)
    if first or second:
        return [True]
    return [] if first is None or second is None else [False]


def _xor(left: Items, right: Items) -> Items:
    first, second = truth(left), truth(right)
    return [] if first is None or second is None else [first != second]


def _implies(left: Items, right: Items) -> Items:
    first, second = truth(left), truth(right)
    if first is False or second:
        return [True]
    return [False] if first and second is False else []


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, Moment) and isinstance(right, Amount):
        return _moved(left, right, 1)
    if isinstance(left, Amount) and isinstance(right, Amount):
        return _summed(left, right, 1)
    if is_number(left) and is_number(right):
        return left + right
    raise Wrong("+ needs two numbers, texts or quantities, or a moment and a duration")


def _minus(left: Any, right: Any) -> Any:
    if isinstance(left, Moment) and isinstance(right, Amount):
        return _moved(left, right, -1)
    if isinstance(left, Amount) and isinstance(right, Amount):
        return _summed(left, right, -1)
    if is_number(left) and is_number(right):
        return left - right
    raise Wrong("- needs two numbers or quantities, or a moment and a duration")


def _moved(moment: Moment, amount: Amount, sign: int) -> Moment | None:
    unit = amount.unit if amount.is_calendar else _UNITS.get(amount.unit, amount.unit)
    if unit in _UCUM_ONLY:
        raise Wrong("a UCUM year or month is no calendar duration; write year or month")
    if unit not in (*_UNITS.values(), "year", "month"):
        raise Wrong("only a duration can be added to a moment")
    return add(moment, amount.value * sign, unit)


def _summed(left: Amount, right: Amount, sign: int) -> Amount | None:
    if left.unit == right.unit:
        return Amount(left.value + sign * right.value, left.unit, left.is_calendar)
    pair = in_one_unit(left, right)
    if pair is None:
        return None
    scale = in_one_unit(left._replace(value=Decimal(1)), right)
    assert scale is not None
    return Amount((pair[0] + sign * pair[1]) / scale[0], left.unit, left.is_calendar)


def _times(left: Any, right: Any) -> Any:
    if is_number(left) and is_number(right):
        return left * right
    return _of_amounts(left, right, Decimal.__mul__)


def _divided(left: Any, right: Any) -> Any:
    if is_number(left) and is_number(right):
        return Decimal(left) / Decimal(right) if right else None
    return _of_amounts(left, right, Decimal.__truediv__)


def _of_amounts(left: Any, right: Any, act: Callable[[Decimal, Decimal], Decimal]) -> Any:
    amounts = [
        each if isinstance(each, Amount) else Amount(Decimal(each), "1")
        for each in (left, right)
        if isinstance(each, Amount) or is_number(each)
    ]
    if len(amounts) != 2:
        raise Wrong("* and / need numbers or quantities")
    first, second = amounts
    is_product = act is Decimal.__mul__
    if not is_product and not second.value:
        return None
    if second.unit == "1":
        return first._replace(value=act(first.value, second.value))
    if is_product and first.unit == "1":
        return second._replace(value=act(first.value, second.value))
    if not is_product:
        pair = in_one_unit(first, second)
        return (
            Amount(pair[0] / pair[1], "1")
            if pair
            else Amount(first.value / second.value, f"{first.unit}/{second.unit}")
        )
    unit = f"{first.unit}2" if first.unit == second.unit else f"{first.unit}.{second.unit}"
    return Amount(first.value * second.value, unit)


def _whole_divided(left: Any, right: Any) -> Any:
    _need_numbers(left, right)
    return int(Decimal(left) / Decimal(right)) if right else None


def _rest(left: Any, right: Any) -> Any:
    _need_numbers(left, right)
    if not right:
        return None
    rest = Decimal(left) % Decimal(right)
    return int(rest) if type(left) is int and type(right) is int else rest


def _need_numbers(*values: Any) -> None:
    if not all(map(is_number, values)):
        raise Wrong("div and mod need two numbers")


def _arithmetic(act: Callable[[Any, Any], Any]) -> Callable[[Items, Items], Items]:
    def compute(left: Items, right: Items) -> Items:
        first, second = one(left), one(right)
        if first is None or second is None:
            return []
        try:
            found = act(first, second)
        except ArithmeticError:
            return []
        return [] if found is None else [found]

    return compute


def _joined(left: Items, right: Items) -> Items:
    texts = [one(items) for items in (left, right)]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise Wrong("& needs two texts")
    return ["".join(text or "" for text in texts)]


OPERATORS: Mapping[str, Callable[[Items, Items], Items]] = {
    "=": lambda left, right: _boolean(equal_items(left, right)),
    "!=": lambda left, right: _boolean(_negated(equal_items(left, right))),
    "~": lambda left, right: [equivalent_items(left, right)],
    "!~": lambda left, right: [not equivalent_items(left, right)],
    "<": _ordered(lambda found: found < 0),
    "<=": _ordered(lambda found: found <= 0),
    ">": _ordered(lambda found: found > 0),
    ">=": _ordered(lambda found: found >= 0),
    "|": lambda left, right: distinct([*left, *right]),
    "in": _in,
    "contains": lambda left, right: _in(right, left),
    "and": _and,
    "or": _or,
    "xor": _xor,
    "implies": _implies,
    "+": _arithmetic(_plus),
    "-": _arithmetic(_minus),
    "*": _arithmetic(_times),
    "/": _arithmetic(_divided),
    "div": _arithmetic(_whole_divided),
    "mod": _arithmetic(_rest),
    "&": _joined,
}
