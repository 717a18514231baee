"""JSON Patch (RFC 6902) on a resource: the only use of the `jsonpatch` package.

Numbers are compared by value (1.0 is 1.00) and kept digit for digit. Twenty copies of a list into
itself would be a million: what is copied is counted before it is.

Spec: https://hl7.org/fhir/R4/http.html#patch and RFC 6902
"""

import copy
from typing import Any

import jsonpatch
import jsonpointer

from fhir_hub import fhirjson
from fhir_hub.errors import CannotApply, InvalidResource

_MOST = 1000
_LONGEST_TOLD = 200
_MOST_COPIED = 100_000  # values that all operations of a patch may copy


def patched(resource: dict[str, Any], operations: Any) -> dict[str, Any]:
    """Return a copy of the resource with the operations applied, all or none.

    Raises `InvalidResource` for what is no JSON Patch, `CannotApply` if an operation does not
    fit: a path that is not there, a test that fails.
    """
    if not isinstance(operations, list) or len(operations) > _MOST:
        raise InvalidResource(f"a JSON Patch is a list of at most {_MOST} operations")
    changed: Any = copy.deepcopy(resource)
    left = _MOST_COPIED
    for index, operation in enumerate(operations):
        place = f"operation {index} of the JSON Patch"
        try:
            if isinstance(operation, dict) and operation.get("op") == "copy":
                left -= _size(jsonpointer.resolve_pointer(changed, operation["from"]), left)
                if left < 0:
                    raise CannotApply(f"a JSON Patch copies at most {_MOST_COPIED} values")
            changed = jsonpatch.JsonPatch([operation]).apply(changed, in_place=True)
        except jsonpatch.JsonPatchTestFailed:
            raise CannotApply(f"{place}: the test of {_named(operation)} fails") from None
        except (jsonpatch.JsonPatchConflict, jsonpointer.JsonPointerException):
            raise CannotApply(f"{place}: {_named(operation)} does not fit the resource") from None
        except (jsonpatch.JsonPatchException, TypeError, KeyError, AttributeError, ValueError):
            raise InvalidResource(f"{place} is not as RFC 6902 says") from None
    if not isinstance(changed, dict):
        raise CannotApply("the patch leaves no resource")
    fhirjson.require_shallow(changed)
    return changed


def _named(operation: dict[str, Any]) -> str:
    """Return the paths of an operation as they are told: where it is, not what was written."""
    told = (operation.get("from"), operation.get("path"))
    return " or ".join(repr(one[:_LONGEST_TOLD]) for one in told if isinstance(one, str))


def _size(value: Any, most: int) -> int:
    """Return how many values are in `value`, itself too; more than `most` if there are more."""
    count, waiting = 0, [value]
    while waiting and count <= most:
        count += 1
        one = waiting.pop()
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
    return count
