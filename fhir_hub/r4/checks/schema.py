"""JSON Schema for our own files, and for what a site asks of a sender: the door of `jsonschema`.

Not for R4 itself: a schema of all R4 takes a thousand times as long as the compiled checks. A
schema may refer to its own parts only, so that no check ever goes to the network.

Spec: https://json-schema.org/draft/2020-12
"""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_hub.nearest import did_you_mean
from fhir_hub.r4.checks.compiled_schema import compiled

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_SHOWN = 300
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Violation(NamedTuple):
    """A place where a document breaks a schema.

    `path` are the keys and numbers that lead there, `keyword` is what was broken, `schema` the
    schema that says so. The document's own values are not in it.
    """

    path: tuple[str | int, ...]
    keyword: str
    schema: dict[str, Any]


class Schema:
    """A schema that was looked at once, for many documents.

    A document for which it holds costs little (`compiled_schema.py`); `jsonschema` tells what is
    wrong with another, and is not even loaded before there is one.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        """Raise `ValueError` if it is no schema, or refers to something outside of itself."""
        self._schema = schema
        self._holds = compiled(schema)
        if self._holds is None:
            _require_schema(schema)

    def problems(self, document: Any) -> list[str]:
        """Return what is wrong with `document`: JSON pointer, colon, what is wrong.

        The whole document has the pointer `/`. Empty if it is valid.

        >>> Schema({"properties": {"to": {"type": "string"}}}).problems({"to": 1})
        ["/to: 1 is not of type 'string'"]

        Spec: https://www.rfc-editor.org/rfc/rfc6901
        """
        return sorted(told for each in self._errors(document) for told in _told(each))

    def violations(self, document: Any) -> Iterator[Violation]:
        """Yield where `document` breaks the schema; what `properties` of it are missing too."""
        for each in self._errors(document):
            path = tuple(each.absolute_path)
            if each.validator == "required":
                path = (*path, _missing(each))
            schema = each.schema if isinstance(each.schema, dict) else {}  # `false`: never
            yield Violation(path, str(each.validator or "false"), schema)

    def _errors(self, document: Any) -> Iterable["ValidationError"]:
        if self._holds is not None and self._holds(document):
            return ()
        found: Iterable[ValidationError] = self._validator.iter_errors(document)
        return found

    @cached_property
    def _validator(self) -> Any:
        from jsonschema.validators import validator_for

        return validator_for(self._schema)(self._schema)


def _require_schema(schema: dict[str, Any]) -> None:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"{_pointer(error.absolute_path)}: {error.message[:_SHOWN]}") from None
    for reference in _references(schema):
        _require_inside(reference, schema)


def _missing(error: "ValidationError") -> str:
    """Return the name of the property that is required and not there."""
    missing: list[str] = [name for name in error.validator_value if name not in error.instance]
    named = [name for name in missing if repr(name) in error.message]
    return (named or missing)[0]


def _told(error: "ValidationError") -> Iterator[str]:
    """Yield what is wrong; of keys that may not be there each by itself, with the nearest."""
    path = tuple(error.absolute_path)
    if error.validator == "required":
        yield f"{_pointer(path)}: {_missing(error)} is missing"
        return
    if error.validator != "additionalProperties" or error.validator_value is not False:
        yield f"{_pointer(path)}: {_types_said(error) or error.message[:_SHOWN]}"
        return
    known = sorted(error.schema.get("properties", ()))
    patterns = error.schema.get("patternProperties", ())
    for key in error.instance:
        if key in known or any(re.search(one, key) for one in patterns):
            continue
        near = did_you_mean(key, known, f"there are: {', '.join(known)}")
        yield f"{_pointer((*path, key))}: there is no such key{near}"


def _types_said(error: "ValidationError") -> str:
    """Return which types a value might be of, `""` if it is not that it is of none of several."""
    parts = error.context or ()
    if not parts or any(one.validator != "type" or one.relative_path for one in parts):
        return ""
    types = ", ".join(repr(one.validator_value) for one in parts)
    return f"{repr(error.instance)[:60]} is not of type {types}"


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in _REFERENCES and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)


def _require_inside(reference: str, schema: dict[str, Any]) -> None:
    if reference == "#":
        return
    place: Any = schema
    for step in reference.removeprefix("#/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        place = place.get(name) if isinstance(place, dict) else None
    if not reference.startswith("#/") or place is None:
        raise ValueError(f"{reference}: refer to a part of the same schema (#/$defs/…)")


def _pointer(path: Any) -> str:
    return "/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)
