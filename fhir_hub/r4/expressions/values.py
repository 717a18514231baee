"""What FHIRPath computes with: System values, and what the elements of FHIR are as such.

A collection is a list of `Node`s and System values (`bool`, `int`, `Decimal`, `str`, `Moment`,
`Amount`). An operator sees System values only: a FHIR `code` is a String, a `Quantity` an Amount.

Spec: http://hl7.org/fhirpath/N1/#types-and-reflection and https://hl7.org/fhir/R4/fhirpath.html
"""

from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from fhir_hub.r4.expressions.moments import Moment, compare, read_moment, same
from fhir_hub.r4.expressions.nodes import Node, Wrong

__all__ = ["Amount", "Items", "TypeInfo", "Wrong"]

Items = list[Any]


class TypeInfo(NamedTuple):
    """What `type()` answers."""

    namespace: str
    name: str


class Amount(NamedTuple):
    """A quantity; `unit` is a UCUM code, or with `is_calendar` a calendar word in the singular."""

    value: Decimal
    unit: str
    is_calendar: bool = False


_UCUM_TIME = {
    "s": ("second", 1),
    "ms": ("millisecond", 1),
    "min": ("minute", 1),
    "h": ("hour", 1),
    "d": ("day", 1),
    "wk": ("week", 1),
}
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
# unit → dimension and factor: the prefixes that clinical rules compare
_SCALES: dict[str, tuple[str, Decimal]] = {
    **{
        prefix + unit: (unit, Decimal(factor))
        for unit in ("g", "m", "L", "mol")
        for prefix, factor in (
            *(("k", "1000"), ("", "1"), ("d", "0.1"), ("c", "0.01")),
            *(("m", "0.001"), ("u", "0.000001"), ("n", "0.000000001")),
        )
    },
    **{name: ("s", Decimal(size)) for name, size in _SECONDS.items()},
    "millisecond": ("s", Decimal("0.001")),
    "month": ("a", Decimal(1)),
    "year": ("a", Decimal(12)),
    "mo": ("mo", Decimal(1)),
    "a": ("mo", Decimal(12)),
    "[in_i]": ("m", Decimal("0.0254")),
    "[ft_i]": ("m", Decimal("0.3048")),
    "[lb_av]": ("g", Decimal("453.59237")),
    "[oz_av]": ("g", Decimal("28.349523125")),
}
_TEXTS = frozenset(
    (
        *("string", "uri", "url", "canonical", "code", "id", "markdown", "oid", "uuid"),
        *("base64Binary", "xhtml", "System.String"),
    )
)
_MOMENTS = {"date": "Date", "dateTime": "DateTime", "instant": "DateTime", "time": "Time"}
_QUANTITIES = frozenset(("Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration"))


def system(item: Any) -> Any:
    """Return the System value of an item; the node itself if it is of a complex type.

    None stands for an element without a value.
    """
    if type(item) is not Node:
        return item
    value = item.value
    if item.type in _TEXTS or type(value) is bool or value is None:
        return value
    if kind := _MOMENTS.get(item.type):
        return read_moment(value, kind) or value if type(value) is str else value
    if type(value) is int:
        return Decimal(value) if item.type == "decimal" else value
    if item.type in _QUANTITIES and type(value) is dict:
        return _amount(value) or item
    return value if not item.inside else item


def _amount(value: dict[str, Any]) -> Amount | None:
    number = value.get("value")
    if type(number) is not int and not isinstance(number, Decimal):
        return None
    unit = value.get("code") or value.get("unit") or "1"
    return Amount(Decimal(number), unit) if isinstance(unit, str) else None


def one(items: Items) -> Any:
    """Return the System value of a collection of one, None of none; raises `Wrong` of more."""
    if not items:
        return None
    if len(items) > 1:
        raise Wrong("a single item is needed here")
    return system(items[0])


def truth(items: Items) -> bool | None:
    """Return the boolean of a collection: of a single item that is no boolean, true.

    Spec: http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections
    """
    if not items:
        return None
    value = one(items)
    return value if type(value) is bool else True


def type_of(item: Any) -> tuple[str, str]:
    """Return the namespace and the name of the type of an item."""
    if type(item) is Node:
        return ("System", item.type[7:]) if item.type.startswith("System.") else ("FHIR", item.type)
    if isinstance(item, Decimal):
        return "System", "Decimal"
    if isinstance(item, Moment):
        return "System", item.kind
    names = {bool: "Boolean", int: "Integer", str: "String", Amount: "Quantity"}
    return "System", names.get(type(item), "Any")


def equal(left: Any, right: Any) -> bool | None:
    """Return whether two items are equal; None if that is open (moments of other precision)."""
    left, right = system(left), system(right)
    if type(left) is Node and type(right) is Node:
        return left.type == right.type and bool(left.value == right.value)
    if isinstance(left, Moment) and isinstance(right, Moment):
        return same(left, right)
    if isinstance(left, Amount) or isinstance(right, Amount):
        pair = in_one_unit(_as_amount(left), _as_amount(right))
        return None if pair is None else pair[0] == pair[1]
    if isinstance(left, Moment | str) and isinstance(right, Moment | str):
        return _text_of(left) == _text_of(right)
    if (type(left) is bool) != (type(right) is bool):
        return False
    return type(left) is not Node and type(right) is not Node and bool(left == right)


def _text_of(value: Moment | str) -> str:
    return value.text if isinstance(value, Moment) else value


def _as_amount(value: Any) -> Amount | None:
    if isinstance(value, Amount):
        return value
    is_number = type(value) is int or isinstance(value, Decimal)
    return Amount(Decimal(value), "1") if is_number else None


def in_one_unit(left: Amount | None, right: Amount | None) -> tuple[Decimal, Decimal] | None:
    """Return two amounts in one unit, None if there is none that is known here."""
    if left is None or right is None:
        return None
    left, right = _in_words(left), _in_words(right)
    if left.unit == right.unit:
        return left.value, right.value
    first, second = _SCALES.get(left.unit), _SCALES.get(right.unit)
    if first is None or second is None or first[0] != second[0]:
        return None
    return left.value * first[1], right.value * second[1]


def _in_words(amount: Amount) -> Amount:
    """Return an amount with UCUM's seconds to weeks as calendar words; they are the same."""
    word = _UCUM_TIME.get(amount.unit)
    return Amount(amount.value, word[0], is_calendar=True) if word else amount


def equal_items(left: Items, right: Items) -> bool | None:
    """Return whether two collections are equal, None if one is empty or it is open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answers = [equal(*pair) for pair in zip(left, right, strict=True)]
    if False in answers:
        return False
    return None if None in answers else True


def equivalent(left: Any, right: Any) -> bool:
    """Return whether two items mean the same: case, blanks and digits apart."""
    left, right = system(left), system(right)
    if isinstance(left, str) and isinstance(right, str):
        return " ".join(left.casefold().split()) == " ".join(right.casefold().split())
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return _rounded_equal(left, right)
    if isinstance(left, Moment) and isinstance(right, Moment):
        return same(left, right) is True
    if isinstance(left, Amount) and isinstance(right, Amount):
        pair = in_one_unit(left, right)
        return pair is not None and _rounded_equal(*pair)
    if type(left) is Node and type(right) is Node:
        return _alike(left.value, right.value)
    return equal(left, right) is True


def _rounded_equal(left: Any, right: Any) -> bool:
    if not is_number(left) or not is_number(right):
        return False
    first, second = Decimal(left), Decimal(right)
    digits = max(int(number.as_tuple().exponent) for number in (first, second))
    unit = Decimal(1).scaleb(min(digits, 0))
    try:
        return first.quantize(unit) == second.quantize(unit)
    except InvalidOperation:  # more digits than can be rounded
        return first == second


def _alike(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        names = {key for key in (*left, *right) if key != "id"}
        return all(key in left and key in right and _alike(left[key], right[key]) for key in names)
    if isinstance(left, list) and isinstance(right, list):
        rest = list(right)
        for item in left:
            found = next((each for each in rest if _alike(item, each)), None)
            if found is None:
                return False
            rest.remove(found)
        return not rest
    return equivalent(left, right) if not isinstance(left, dict | list) else False


def equivalent_items(left: Items, right: Items) -> bool:
    """Return whether two collections mean the same, in any order."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for item in left:
        at = next((at for at, each in enumerate(rest) if equivalent(item, each)), None)
        if at is None:
            return False
        del rest[at]
    return True


def order(left: Any, right: Any) -> int | None:
    """Return -1, 0 or 1 for two items of a type, None if open; raises `Wrong` of other types."""
    left, right = system(left), system(right)
    if isinstance(left, Moment) and isinstance(right, Moment):
        if (left.kind == "Time") != (right.kind == "Time"):
            raise Wrong("a time and a date cannot be ordered")
        return compare(left, right)
    if isinstance(left, Amount) and isinstance(right, Amount):
        pair = in_one_unit(left, right)
        return None if pair is None else _sign(*pair)
    if isinstance(left, Moment | str) and isinstance(right, Moment | str):
        moments = [
            each if isinstance(each, Moment) else read_moment(each) for each in (left, right)
        ]
        if type(left) is str and type(right) is str:
            return _sign(left, right)
        if moments[0] and moments[1]:
            return compare(moments[0], moments[1])
    elif is_number(left) and is_number(right):
        return _sign(left, right)
    raise Wrong("values of different types cannot be ordered")


def is_number(value: Any) -> bool:
    """Return whether a System value is an Integer or a Decimal."""
    return type(value) is int or isinstance(value, Decimal)


def _sign(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def contains(items: Items, item: Any) -> bool:
    """Return whether `item` equals one of `items`."""
    return any(equal(each, item) is True for each in items)


def distinct(items: Items) -> Items:
    """Return the items, each once, in order."""
    simple: set[Any] = set()
    found: Items = []
    for item in items:
        value = system(item)
        if type(value) is str:
            if value in simple:
                continue
            simple.add(value)
        elif contains(found, item):
            continue
        found.append(item)
    return found
