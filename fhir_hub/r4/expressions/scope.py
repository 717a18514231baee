"""What an expression may refer to while it is evaluated, besides the items it is applied to.

Spec: https://hl7.org/fhir/R4/fhirpath.html#variables
"""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_hub.r4.expressions.nodes import Node
from fhir_hub.r4.expressions.values import Items

MOST_STEPS = 200_000


class Scope:
    """`$this`, `$index`, `$total`, `%resource`, `%rootResource`, `%context`; one an evaluation.

    `bundle` is full URL or `Type/id` → resource, of the Bundle that all is in, once asked for.
    `steps` counts what was looked at, so that an expression cannot run for long.
    """

    __slots__ = ("bundle", "context", "index", "now", "resource", "root", "steps", "this", "total")

    def __init__(self, context: Items, resource: Node, root: Node, now: str) -> None:
        self.this = self.context = context
        self.resource, self.root, self.now = resource, root, now
        self.index: int = 0
        self.total: Items = []
        self.steps = 0
        self.bundle: Mapping[str, Any] | None = None


Evaluate = Callable[[Items, Scope], Items]
Function = Callable[..., Items]
