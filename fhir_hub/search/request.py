"""A search request, read: what to find, what to add to it, and how to show it.

Spec: https://hl7.org/fhir/R4/search.html#return
"""

from dataclasses import dataclass
from typing import Literal

from fhir_hub.errors import Issue
from fhir_hub.search.include import Include
from fhir_hub.search.plan import Query

Total = Literal["none", "estimate", "accurate"]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search request. `used` are the pairs that the self link repeats.

    `issues` say what lenient handling ignored. `summary` is a value of `_summary` or empty;
    `elements` those of `_elements`. `is_explained`: the plan is asked for instead of results.
    """

    resource_types: tuple[str, ...]
    query: Query
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    total: Total = "none"
    summary: str = ""
    elements: tuple[str, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    issues: tuple[Issue, ...] = ()
    is_explained: bool = False
