"""A JSON Schema compiled to one function that says whether a document is valid, and no more.

Most documents are: they need no words, and `jsonschema`, which has them, takes fifty times as
long. Compiled are the keywords that our own files use, as draft 2020-12 means them; a schema with
another one is not, nor one that is wrong: `schema.py` has `jsonschema` read those.

Spec: https://json-schema.org/draft/2020-12/json-schema-validation
"""

import re
from collections.abc import Callable, Mapping
from itertools import starmap
from numbers import Number
from typing import Any

Holds = Callable[[Any], bool]
_Defined = dict[str, Holds]
_Compiler = Callable[[Any, Mapping[str, Any], _Defined], Holds]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
# these say nothing of a document; the last three are those of `schema_rules.py`
_TELLING = frozenset({"title", "description", "message", "severity", "appliesTo"})
_REFERENCE = re.compile(r"#/\$defs/([A-Za-z0-9_-]+)")


class _CannotCompile(Exception):
    """The schema is left to `jsonschema`: it says something else, or is wrong."""


def compiled(schema: Mapping[str, Any]) -> Holds | None:
    """Return what says of a document whether `schema` holds for it; None: ask `jsonschema`."""
    own = {key: value for key, value in schema.items() if key not in ("$schema", "$defs")}
    definitions = schema.get("$defs", {})
    try:
        _require(schema.get("$schema", DRAFT) == DRAFT and isinstance(definitions, dict))
        # a reference may come before what it means
        defined: _Defined = dict.fromkeys(definitions, _never)
        for name, one in definitions.items():
            defined[name] = _schema(one, defined)
        return _schema(own, defined)
    except (_CannotCompile, re.error, RecursionError):
        return None


def _require(is_so: bool) -> None:
    if not is_so:
        raise _CannotCompile


def _never(value: Any) -> bool:
    return False


def _always(value: Any) -> bool:
    return True


def _schema(schema: Any, defined: _Defined) -> Holds:
    if isinstance(schema, bool):
        return _always if schema else _never
    _require(isinstance(schema, dict))
    said = {keyword: wanted for keyword, wanted in schema.items() if keyword not in _TELLING}
    _require(said.keys() <= _KEYWORDS.keys())
    _require(all(isinstance(schema.get(keyword, ""), str) for keyword in ("title", "description")))
    parts = [_KEYWORDS[keyword](wanted, said, defined) for keyword, wanted in said.items()]
    if len(parts) == 1:
        return parts[0]

    def holds(value: Any) -> bool:
        for part in parts:  # noqa: SIM110 - all(…) makes a generator for each value
            if not part(value):
                return False
        return True

    return holds


def _schemas(wanted: Any, defined: _Defined) -> list[Holds]:
    _require(isinstance(wanted, list) and bool(wanted))
    return [_schema(one, defined) for one in wanted]


def _texts(wanted: Any) -> frozenset[str]:
    _require(isinstance(wanted, list) and all(isinstance(one, str) for one in wanted))
    _require(len(set(wanted)) == len(wanted))
    return frozenset(wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool)


_TYPES: Mapping[str, Holds] = {
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": _is_integer,
}


def _type(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    _require(isinstance(wanted, str) and wanted in _TYPES)
    return _TYPES[wanted]


def _limit(type_name: str, is_kept: Callable[[Any, int], bool]) -> _Compiler:
    """Return the compiler of a keyword that gives values of one type a limit."""
    is_of_type = _TYPES[type_name]

    def compile_limit(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
        _require(type(wanted) is int and (type_name == "number" or wanted >= 0))
        return lambda value: not is_of_type(value) or is_kept(value, wanted)

    return compile_limit


def _enum(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    texts = _texts(wanted)
    return lambda value: isinstance(value, str) and value in texts


def _pattern(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    _require(isinstance(wanted, str))
    search = re.compile(wanted).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _required(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    names = _texts(wanted)
    return lambda value: not isinstance(value, dict) or names <= value.keys()


def _items(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    holds = _schema(wanted, defined)
    return lambda value: not isinstance(value, list) or all(map(holds, value))


def _each(is_valid: Callable[[str, Any], bool]) -> Holds:
    """Return what asks each key of an object, with its value."""
    return lambda value: not isinstance(value, dict) or all(starmap(is_valid, value.items()))


def _properties(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    _require(isinstance(wanted, dict))
    by_key = {key: _schema(one, defined) for key, one in wanted.items()}
    return _each(lambda key, one: key not in by_key or by_key[key](one))


def _pattern_properties(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    _require(isinstance(wanted, dict))
    by_pattern = [(re.compile(key).search, _schema(one, defined)) for key, one in wanted.items()]
    return _each(lambda key, one: all(holds(one) for matches, holds in by_pattern if matches(key)))


def _additional(wanted: Any, schema: Mapping[str, Any], defined: _Defined) -> Holds:
    holds = _schema(wanted, defined)
    properties, by_pattern = schema.get("properties", {}), schema.get("patternProperties", {})
    _require(isinstance(properties, dict) and isinstance(by_pattern, dict))
    named, patterns = frozenset(properties), [re.compile(key).search for key in by_pattern]
    return _each(
        lambda key, one: key in named or any(matches(key) for matches in patterns) or holds(one)
    )


def _one_of(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    ways = _schemas(wanted, defined)
    return lambda value: sum(holds(value) for holds in ways) == 1


def _any_of(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    ways = _schemas(wanted, defined)
    return lambda value: any(holds(value) for holds in ways)


def _all_of(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    ways = _schemas(wanted, defined)
    return lambda value: all(holds(value) for holds in ways)


def _reference(wanted: Any, _: Mapping[str, Any], defined: _Defined) -> Holds:
    match = _REFERENCE.fullmatch(wanted) if isinstance(wanted, str) else None
    _require(match is not None and match[1] in defined)
    name = match[1] if match else ""
    return lambda value: defined[name](value)


_KEYWORDS: Mapping[str, _Compiler] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "minLength": _limit("string", lambda value, least: len(value) >= least),
    "minimum": _limit("number", lambda value, least: bool(value >= least)),
    "maximum": _limit("number", lambda value, most: bool(value <= most)),
    "minItems": _limit("array", lambda value, least: len(value) >= least),
    "items": _items,
    "minProperties": _limit("object", lambda value, least: len(value) >= least),
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "allOf": _all_of,
    "$ref": _reference,
}
