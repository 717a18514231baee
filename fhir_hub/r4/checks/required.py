"""What a resource must be before it is stored, by the setting `validation` of where it is from.

Spec: docs/profiles.md
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.r4.checks.issues import Unknown
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.definitions import Definitions
from fhir_hub.settings import Validation


def requirement(
    checks: Checks,
    site_rules: SiteRules,
    definitions: Definitions,
    validation: Validation,
    sources: Sequence[str],
) -> Callable[..., bool]:
    """Return what raises `InvalidResource` for a resource from `sources`, as a setting wants.

    It is given the names of what R4 is not known to find right, None if of nothing it is known,
    and says whether R4 finds nothing at all to say of that.
    """
    if validation == "profiles":
        return partial(_require, checks, site_rules, sources)
    return checks.require if validation == "r4" else partial(_known, definitions)


def _require(
    checks: Checks,
    site_rules: SiteRules,
    sources: Sequence[str],
    resource: Any,
    unknown: Unknown | None = None,
) -> bool:
    """Raise `InvalidResource` with every error of R4, profiles, identifiers and schemas.

    What R4 is known to find right may still break a profile, so all is looked at.
    """
    issues = [*checks.check_profiles(resource), *site_rules.check(resource, sources)]
    if errors := [issue for issue in issues if issue.severity == "error"]:
        raise InvalidResource(errors[0].diagnostics, *errors)
    return not issues


def _known(definitions: Definitions, resource: Any, unknown: Unknown | None = None) -> bool:
    """Raise `InvalidResource` unless the hub can handle `resource`: the check of `off`."""
    resource_type = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(resource_type, str) or resource_type not in definitions.resource_types:
        raise InvalidResource("no resource type of R4", expression="resourceType")
    if not isinstance(resource.get("meta", {}), dict):
        raise InvalidResource("meta must be an object", expression=f"{resource_type}.meta")
    return False  # nobody has looked
