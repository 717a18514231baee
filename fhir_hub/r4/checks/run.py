"""Check a resource: everything that is wrong with it at once, each with its FHIRPath.

Spec: https://hl7.org/fhir/R4/validation.html
"""

from typing import Any

from fhir_hub.errors import InvalidResource, Issue
from fhir_hub.r4.checks.issues import LIMIT, within
from fhir_hub.r4.checks.structure import Structures
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.expressions.evaluate import Expressions


class Checks:
    """The checks of every type of `definitions`, compiled when a type is first met."""

    def __init__(self, definitions: Definitions) -> None:
        self._structures = Structures(definitions, Expressions(definitions))
        self._resource_types = definitions.resource_types

    def check(self, resource: Any) -> list[Issue]:
        """Return what is wrong with `resource`, at most 100 issues; empty if it is valid."""
        try:
            issues = self._structures.resource(resource)
        except RecursionError:
            return [Issue("structure", "nest less deeply: no resource needs so many levels")]
        if not issues:
            return []
        resource_type = resource.get("resourceType") if isinstance(resource, dict) else None
        if isinstance(resource_type, str) and resource_type in self._resource_types:
            return within(resource_type, issues[:LIMIT])
        return [Issue(each.code, each.diagnostics, each.expression[1:]) for each in issues]

    def require(self, resource: Any) -> None:
        """Raise `InvalidResource` with every error that `resource` has, if it has one."""
        issues = self.check(resource)
        errors = [issue for issue in issues if issue.severity == "error"] if issues else issues
        if errors:
            raise InvalidResource(errors[0].diagnostics, *errors)
