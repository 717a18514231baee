"""Tests of one entry as MongoDB asks them: of a flat string, and of an object with fields.

A flat string passes a test of codes or texts if it equals a string, or meets a regular expression
that begins with the parameter and what is known of the code, so an index leads to it.

Spec: https://hl7.org/fhir/R4/search.html#ptypes
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bson.regex import Regex

from fhir_hub.errors import InvalidParameter
from fhir_hub.search.kinds.position import DEGREE, HALF
from fhir_hub.search.plan import (
    Among,
    Compare,
    Except,
    Is,
    Near,
    Range,
    Test,
    Text,
)
from fhir_hub.store.mongo.documents import (
    ANY_VERSION,
    BETWEEN,
    escaped,
    interval_name,
    named,
    number,
)
from fhir_hub.store.mongo.driver import Document

Pattern = str | Regex[str]
NEVER: Document = {"_id": {"$in": []}}
_LONGEST = 30_000  # of a regular expression; MongoDB takes 32,764
_MOST_PREFIXES = 2_000
_OPERATORS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "=": "$eq"}
_ONE = "(?:[^\x01\x02]|\x02[abc])*"  # of a code: characters, those that are escaped as a whole
_LAST = r"(?![\s\S])"  # the end; `$` is also before a last newline
_special = re.compile(r"[\\.^$*+?()\[\]{}|/#&~-]")


def literal(text: str) -> str:
    """Return a text as part of a regular expression."""
    return _special.sub(r"\\\g<0>", text)


def regex(pattern: str) -> Regex[str]:
    """Return a regular expression. Raises `InvalidParameter` if it is longer than MongoDB takes."""
    if len(pattern) > _LONGEST:
        raise InvalidParameter("a value of the search is too long")
    return Regex(pattern)


def joined(all_of: Sequence[Document]) -> Document:
    """Return the conjunction; values of different fields are one document."""
    parts = [part for part in all_of if part]
    if NEVER in parts:
        return NEVER
    if len(parts) < 2:
        return parts[0] if parts else {}
    whole: Document = {}
    others: list[Document] = []
    for part in parts:
        is_plain = all(isinstance(value, str) for value in part.values())
        if is_plain and not set(part) & set(whole):
            whole |= part
        else:
            others.append(part)
    return whole | ({"$and": others} if others else {})


def inside(*parts: Document) -> Document:
    """Return the conditions of one object of an array as one."""
    whole: Document = {}
    for part in parts:
        if set(part) & set(whole):
            return {"$and": [one for one in parts if one]}
        whole |= part
    return whole


def either(any_of: Sequence[Document]) -> Document:
    """Return the disjunction."""
    parts = [part for part in any_of if part != NEVER]
    if {} in parts:
        return {}
    if len(parts) < 2:
        return parts[0] if parts else NEVER
    return {"$or": parts}


def negated(part: Document) -> Document:
    """Return the negation."""
    if part in (NEVER, {}):
        return {} if part else NEVER
    return {"$nor": [part]}


def patterns(parameter: str, kind: str, test: Test, *, is_alone: bool = False) -> list[Pattern]:
    """Return what flat strings of a parameter pass a test of codes or texts: one of these.

    With `is_alone` each string is asked for itself: of a reference to a version, which stands
    there twice, not the one that names none.
    """
    start = named(parameter, kind)
    match test:
        case Is(None, None):
            return [regex("^" + literal(start))]
        case Is(None, system):
            end = f"(?:{BETWEEN}|{_LAST})"
            return [regex(f"^{literal(start)}{_ONE}{BETWEEN}{literal(escaped(system or ''))}{end}")]
        case Is(code, system):
            return list(_codes(start, kind, (code or "",), system, is_alone=is_alone))
        case Among(codes, system):
            return list(_codes(start, kind, sorted(codes), system, is_alone=is_alone))
        case Text(value, mode):
            return list(_texts(start, kind, value, mode))
        case _:
            return []  # a code has no bounds and no position


def _codes(
    start: str, kind: str, codes: Sequence[str], system: str | None, *, is_alone: bool = False
) -> Iterator[Pattern]:
    for code in codes:
        begun = start + escaped(code)
        if system is None:
            if kind == "reference" and not is_alone:
                yield begun + BETWEEN
                yield ANY_VERSION + begun
            else:
                yield regex("^" + literal(begun + BETWEEN))
            continue
        whole = begun + BETWEEN + escaped(system)
        yield whole
        if kind in ("string", "uri"):  # a text may follow
            yield regex("^" + literal(whole + BETWEEN))


def _texts(start: str, kind: str, value: str, mode: str) -> Iterator[Pattern]:
    begun, text = "^" + literal(start), literal(escaped(value))
    if mode in ("starts", "below"):
        yield regex(begun + text)
    elif mode == "contains":
        yield regex(begun + _ONE + text)
    elif mode == "ends":
        yield regex(begun + _ONE + text + BETWEEN)
    elif mode == "exact":
        said = BETWEEN + text if value else ""
        yield regex(f"{begun}{_ONE}{BETWEEN}{_ONE}{said}{_LAST}")
    elif mode == "above":
        if len(value) > _MOST_PREFIXES:
            raise InvalidParameter(f"a uri of the search has more than {_MOST_PREFIXES} characters")
        prefixes = [value[:length] for length in range(len(value) + 1)]
        yield from _codes(start, kind, prefixes, None)
    elif mode == "version":
        url, _, version = value.partition("|")
        named_so = literal(escaped(url) + BETWEEN + escaped(version))
        yield regex(rf"{begun}{named_so}(?:\.|{BETWEEN}|{_LAST})")
    else:
        raise InvalidParameter("words are searched for in the full text alone")


def of_fields(test: Test) -> Document:
    """Return the condition that an object with the fields of an entry passes a test."""
    match test:
        case Is(code, system):
            return joined([*_equal("c", code), *_equal("s", system)])
        case Among(codes, system):
            one = {"c": {"$in": [code or None for code in sorted(codes)]}}
            return joined([one, *_equal("s", system)])
        case Text(value, mode):
            return _text_of_fields(value, mode)
        case Range(any_of, system, code, unit):
            ranges = [joined([_compared(c) for c in comparisons]) for comparisons in any_of]
            units = [] if unit is None else [either([*_equal("c", unit), *_equal("x", unit)])]
            return joined([either(ranges), *_equal("s", system), *_equal("c", code), *units])
        case Near():
            reach = test.degrees + 1e-6
            return {"l": {"$gte": test.latitude - reach, "$lte": test.latitude + reach}}
        case Except(tests):
            return negated(either([of_fields(one) for one in tests]))


def _equal(field: str, value: str | None) -> list[Document]:
    """Return that a field is a value, which is left out if it is empty; of None: anything."""
    return [] if value is None else [{field: value or None}]


def _text_of_fields(value: str, mode: str) -> Document:
    text = literal(value)
    if mode == "exact":
        return {"x": value or None}
    if mode == "above":
        return {"c": {"$in": [value[:end] or None for end in range(len(value) + 1)]}}
    if mode == "version":
        url, _, version = value.partition("|")
        return {"c": url or None, "s": regex(rf"^{literal(version)}(?:\.|{_LAST})")}
    if mode == "words":
        return {"c": regex(f"(?:^| ){text}(?: |{_LAST})")}
    if not value:
        return {}
    if mode == "contains":
        return {"c": regex(text)}
    return {"c": regex(text + _LAST if mode == "ends" else "^" + text)}


def _compared(compare: Compare) -> Document:
    field = "l" if compare.bound == "low" else "h"
    return {field: {_OPERATORS[compare.operator]: number(compare.value)}}


def is_near(parameter: str, test: Near) -> Document:
    """Return the condition that some position of a parameter is near enough.

    It says what `half_chord` of the search says.
    """
    north = {"$sin": {"$multiply": [{"$subtract": ["$$e.l", test.latitude]}, HALF]}}
    east = {"$sin": {"$multiply": [{"$subtract": ["$$e.h", test.longitude]}, HALF]}}
    narrowing: list[Any] = [
        {"$cos": {"$multiply": [test.latitude, DEGREE]}},
        {"$cos": {"$multiply": ["$$e.l", DEGREE]}},
    ]
    chord = {
        "$add": [
            {"$multiply": [north, north]},
            {"$multiply": [*narrowing, {"$multiply": [east, east]}]},
        ]
    }
    mine = {"$eq": ["$$e.k", interval_name(parameter, "special")]}
    places = {"$filter": {"input": {"$ifNull": ["$d", []]}, "as": "e", "cond": mine}}
    near = {"$map": {"input": places, "as": "e", "in": {"$lte": [chord, test.half_chord]}}}
    return {"$expr": {"$anyElementTrue": [near]}}
