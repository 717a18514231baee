"""The opaque cursor of a search page: where the page ended, and of which query.

A page goes on after the sort values and the creation number of its last match, so it stays
right while others write. The check in front keeps a cursor from being used with another query.
"""

import base64
import binascii
import json
from zlib import crc32

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter
from fhir_hub.search.plan import And, Has, Or, Plan, Query

Value = str | int | float | None


def check_of(query: Query) -> int:
    """Return a number that tells this query's types, plan and order from another's."""
    asked = (query.resource_types, query.plan, query.sort)
    try:
        text = fhirjson.dumps(asked) + _joints(query.plan).encode()
    except (ValueError, TypeError):  # what is not Unicode
        text = repr(asked).encode(errors="replace")
    return crc32(text)


def _joints(plan: Plan) -> str:
    """Return how the parts of a plan are joined, which their JSON does not tell."""
    if type(plan) is Has:
        return "."
    if isinstance(plan, And | Or):
        if all(type(one) is Has for one in plan.plans):  # nearly always
            return f"{type(plan).__name__}({'.' * len(plan.plans)})"
        return f"{type(plan).__name__}({''.join(map(_joints, plan.plans))})"
    inner: Plan | None = getattr(plan, "plan", None)
    return f"-{_joints(inner)}" if inner is not None else "."


def write_cursor(query: Query, values: tuple[Value, ...]) -> str:
    """Return the cursor that stands after `values`: the sort values, then the creation number."""
    said = [check_of(query), *values]
    # of sort values one may be infinite, which FHIR's JSON has no number for
    is_plain = not query.sort
    text = fhirjson.dumps(said) if is_plain else json.dumps(said, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def read_cursor(query: Query) -> tuple[Value, ...]:
    """Return the values in `query.after`, which is not empty.

    Raises `InvalidParameter` if it is not a cursor of this query.
    """
    try:
        padded = query.after.encode("ascii") + b"=" * (-len(query.after) % 4)
        check, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise InvalidParameter("the page cursor cannot be read") from None
    *sorts, last = values or [None]
    if (
        check != check_of(query)
        or len(sorts) != len(query.sort)
        or type(last) is not int
        or not all(value is None or type(value) in (str, int, float) for value in sorts)
    ):
        raise InvalidParameter("the page cursor belongs to another search")
    return (*sorts, last)
