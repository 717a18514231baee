"""The organization that runs this hub, as the settings say it: checked once, at the start.

Spec: https://hl7.org/fhir/R4/organization.html; GB 32100-2015
"""

from typing import Any

from fhir_hub.identity.rules import IDENTIFIER_RULES
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.settings import InvalidSettings, Settings


def own_organization(settings: Settings, checks: Checks) -> dict[str, Any] | None:
    """Return the Organization that runs this hub, None if the settings do not say.

    Raises `InvalidSettings` if it is no valid one: by R4, or by the rules of its identifiers.
    """
    if settings.organization is None:
        return None
    resource = settings.organization.resource
    rules = SiteRules(load_definitions(), IDENTIFIER_RULES)
    issues = (*checks.check(resource), *rules.check(resource))
    wrong = [one for one in issues if one.severity == "error"]
    if wrong:
        lines = [
            f"[organization] {one.expression}: {one.diagnostics} / {one.chinese or '配置值无效'}"
            for one in wrong
        ]
        raise InvalidSettings("\n".join(lines))
    return resource
