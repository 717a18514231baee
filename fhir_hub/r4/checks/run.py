"""Check a resource: everything that is wrong with it at once, each with its FHIRPath.

Spec: https://hl7.org/fhir/R4/validation.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from fhir_hub.errors import InvalidResource, Issue
from fhir_hub.r4.checks.advised_codes import AdvisedCodes
from fhir_hub.r4.checks.chinese import with_chinese
from fhir_hub.r4.checks.issues import LIMIT, Unknown, within
from fhir_hub.r4.checks.profiles.bindings import ListedCodes
from fhir_hub.r4.checks.profiles.run import Profiles
from fhir_hub.r4.checks.structure import Structures
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.expressions.evaluate import Expressions
from fhir_hub.r4.packages import Package, Packages
from fhir_hub.r4.terminology.engine import Terminology
from fhir_hub.r4.terminology.formal import FormalSource
from fhir_hub.r4.terminology.membership import Membership
from fhir_hub.r4.terminology.sources import OwnSource, Shelf, Source


class Checks:
    """The checks of every type of `definitions`, compiled when a type is first met.

    Profiles are those of `packages`, and R4's own; `membership` answers for bindings.
    `unknown` is the severity of a claim to keep a profile that is in neither.
    """

    def __init__(
        self,
        definitions: Definitions,
        packages: Packages | None = None,
        membership: Membership | None = None,
        *,
        unknown: str = "warning",
    ) -> None:
        self._structures = Structures(definitions, Expressions(definitions))
        self._resource_types = definitions.resource_types
        known = packages or Packages()

        def find(canonical: str) -> dict[str, Any] | None:
            return known.structure_definition(canonical) or definitions.profile(canonical)

        membership = membership or ListedCodes(definitions)
        self._profiles = Profiles(definitions, find, membership, unknown=unknown)
        self._codes = AdvisedCodes(definitions, membership)

    def check(self, resource: Any, unknown: Unknown | None = None) -> list[Issue]:
        """Return what R4 finds wrong with `resource`, at most 100 issues; empty if it is valid.

        Of its elements only what is `unknown` is looked at, if that is given.
        """
        try:
            issues = self._structures.resource(resource, unknown=unknown)
        except RecursionError:
            deep = [Issue("structure", "nest less deeply: no resource needs so many levels")]
            return with_chinese(deep)
        return self._placed(resource, issues[:LIMIT]) if issues else []

    def check_profiles(self, resource: Any, asked: Sequence[str] = ()) -> list[Issue]:
        """Return what R4 and profiles find wrong with `resource`, at most 100 issues.

        Held against it are the profiles that it claims, `asked`, and those of its extensions; the
        same goes for the resources in it.
        """
        issues = self.check(resource)
        try:
            more = self._profiles.issues(resource, asked)
        except RecursionError:
            return issues
        told = {(each.code, each.expression) for each in issues if each.severity == "error"}
        placed = self._placed(resource, more)
        # what R4 says of an element already, a profile need not say again
        issues += [each for each in placed if (each.code, each.expression) not in told]
        return [*self._profiles.not_to_be_held(asked), *issues][:LIMIT]

    def advised_codes(self, resource: Any) -> list[Issue]:
        """Return a warning for each code outside an extensible or preferred binding of R4.

        At most 100; none of what is too broken to be read.
        """
        if any(issue.severity == "error" for issue in self.check(resource)):
            return []
        return self._placed(resource, self._codes.issues(resource)[:LIMIT])

    def advice(self, resource: Any) -> list[Issue]:
        """Return what R4 calls best practice and `resource`, if it is valid, does not do."""
        if self.check(resource):
            return []
        return self._placed(resource, self._structures.advice(resource))

    def require(self, resource: Any, unknown: Unknown | None = None) -> bool:
        """Raise `InvalidResource` with every error that `resource` has, if it has one.

        Say whether there is nothing at all to say of it. Of its elements only what is `unknown` is
        looked at, if that is given.
        """
        if issues := self.check(resource, unknown):
            _raise_errors(issues)
        return not issues

    def _placed(self, resource: Any, issues: Iterable[Issue]) -> list[Issue]:
        """Return `issues` with the resource's type in front of their expressions."""
        resource_type = resource.get("resourceType") if isinstance(resource, dict) else None
        if isinstance(resource_type, str) and resource_type in self._resource_types:
            return with_chinese(within(resource_type, list(issues)))
        return with_chinese([replace(each, expression=each.expression[1:]) for each in issues])


def make_checks(
    definitions: Definitions, packages: Packages, *, unknown: str = "warning"
) -> Checks:
    """Return the checks of R4 and of `packages`, whose value sets and code systems they know."""
    sources: list[Source] = [Shelf(packages.all()), FormalSource(), OwnSource(Package())]
    return Checks(definitions, packages, Terminology(sources), unknown=unknown)


def _raise_errors(issues: list[Issue]) -> None:
    errors = [issue for issue in issues if issue.severity == "error"]
    if errors:
        raise InvalidResource(errors[0].diagnostics, *errors)
