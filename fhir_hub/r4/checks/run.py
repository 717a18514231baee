"""Check a resource: everything that is wrong with it at once, each with its FHIRPath.

Spec: https://hl7.org/fhir/R4/validation.html
"""

from typing import Any

from fhir_hub.errors import InvalidResource, Issue
from fhir_hub.r4.definitions import Definitions


class Checks:
    """The checks of every type of `definitions`, compiled when a type is first met."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def check(self, resource: Any) -> list[Issue]:
        """Return what is wrong with `resource`, at most about a hundred issues; empty if valid."""
        if not isinstance(resource, dict):
            return [Issue("structure", "a resource is a JSON object")]
        resource_type = resource.get("resourceType")
        known = self._definitions.resource_types
        if not isinstance(resource_type, str) or resource_type not in known:
            return [Issue("invalid", "resourceType must name a type of R4", "resourceType")]
        return []

    def require(self, resource: Any) -> None:
        """Raise `InvalidResource` with every error that `resource` has, if it has one."""
        errors = [issue for issue in self.check(resource) if issue.severity == "error"]
        if errors:
            raise InvalidResource(errors[0].diagnostics, *errors)
