"""JSON Patch (RFC 6902) on a resource: the only use of the `jsonpatch` package.

Numbers are compared by value (1.0 is 1.00) and kept digit for digit.

Spec: https://hl7.org/fhir/R4/http.html#patch and RFC 6902
"""

from typing import Any

import jsonpatch
import jsonpointer

from fhir_hub.errors import CannotApply, InvalidResource

_MOST = 1000


def patched(resource: dict[str, Any], operations: Any) -> dict[str, Any]:
    """Return a copy of the resource with the operations applied, all or none.

    Raises `InvalidResource` for what is no JSON Patch, `CannotApply` if an operation does not
    fit: a path that is not there, a test that fails.
    """
    if not isinstance(operations, list) or len(operations) > _MOST:
        raise InvalidResource(f"a JSON Patch is a list of at most {_MOST} operations")
    changed: Any = resource
    for index, operation in enumerate(operations):
        place = f"operation {index} of the JSON Patch"
        try:
            changed = jsonpatch.JsonPatch([operation]).apply(changed)
        except jsonpatch.JsonPatchTestFailed:
            raise CannotApply(f"{place}: the test fails") from None
        except (jsonpatch.JsonPatchConflict, jsonpointer.JsonPointerException):
            raise CannotApply(f"{place}: its path does not fit the resource") from None
        except (jsonpatch.JsonPatchException, TypeError, KeyError, AttributeError, ValueError):
            raise InvalidResource(f"{place} is not as RFC 6902 says") from None
    if not isinstance(changed, dict):
        raise CannotApply("the patch leaves no resource")
    return changed
