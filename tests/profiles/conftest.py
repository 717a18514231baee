"""The checks of `validation = "profiles"`, with the packages that come with the hub."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from parts import definitions
from profiles.cn_parts import package

from fhir_hub.errors import Issue
from fhir_hub.identity.rules import IDENTIFIER_RULES
from fhir_hub.r4.checks.run import make_checks
from fhir_hub.r4.checks.site_rules import SiteRules


@pytest.fixture(scope="session")
def check() -> Callable[..., list[Issue]]:
    """Return what names every issue of a resource, held against what it claims and `asked`."""
    checks = make_checks(definitions(), package())
    rules = SiteRules(definitions(), IDENTIFIER_RULES, package().schemas)

    def every(resource: dict[str, Any], asked: Sequence[str] = ()) -> list[Issue]:
        return [*checks.check_profiles(resource, asked), *rules.check(resource)]

    return every
