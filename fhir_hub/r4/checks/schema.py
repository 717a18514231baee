"""JSON Schema for our own files (mappings, settings, profile rules): the door of `jsonschema`.

Not for resources: a schema of all R4 takes a thousand times as long as the compiled checks.

Spec: https://json-schema.org/draft/2020-12
"""

from typing import Any

from jsonschema.validators import validator_for

_SHOWN = 300


def problems(document: Any, schema: dict[str, Any]) -> list[str]:
    """Return what `schema` finds wrong with `document`: JSON pointer, colon, what is wrong.

    The whole document has the pointer `/`. Empty if it is valid.

    >>> problems({"to": 1}, {"properties": {"to": {"type": "string"}}})
    ["/to: 1 is not of type 'string'"]

    Spec: https://www.rfc-editor.org/rfc/rfc6901
    """
    validator = validator_for(schema)(schema)
    errors = validator.iter_errors(document)
    return sorted(f"{_pointer(each.absolute_path)}: {each.message[:_SHOWN]}" for each in errors)


def _pointer(path: Any) -> str:
    return "/" + "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)
