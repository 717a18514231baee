"""What `_include` and `_revinclude` ask for, as data; the repository follows it.

Spec: https://hl7.org/fhir/R4/search.html#revinclude
"""

from typing import NamedTuple


class Include(NamedTuple):
    """Follow the references under `parameter` of resources of `resource_type`.

    `parameter` is the name that entries are stored under, or `*`: every reference parameter. For
    `_include` the resource type may be `*`: any. Only a target of `target_type` counts; empty
    is any. With `iterate` it is followed from included resources too.
    """

    resource_type: str
    parameter: str
    target_type: str = ""
    iterate: bool = False
