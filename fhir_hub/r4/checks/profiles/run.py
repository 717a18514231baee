"""Hold resources against profiles: those they claim, those asked for, those of their extensions.

Spec: https://hl7.org/fhir/R4/profiling.html and resource.html#profile
"""

from collections.abc import Iterable
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks import contained
from fhir_hub.r4.checks.issues import LIMIT, NONE, Check, Issues, Scope, within
from fhir_hub.r4.checks.messages import issue
from fhir_hub.r4.checks.profiles.extensions import Extensions
from fhir_hub.r4.checks.profiles.items import Item
from fhir_hub.r4.checks.profiles.slicing import slicing_check
from fhir_hub.r4.checks.profiles.tree import Tools, item_check
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.expressions.evaluate import Expressions, Node
from fhir_hub.r4.snapshots import (
    BrokenProfile,
    Find,
    Snapshot,
    Snapshots,
    UnknownProfile,
)
from fhir_hub.r4.terminology.membership import Membership

_ANY = ("Resource", "DomainResource")
_SHOWN = 200
_SHORT = 500  # what is longer is not kept, so that what is kept is small
_MOST_KNOWN = 10_000
_MOST = 20  # profiles of one resource; more would be work without end


class Profiles:
    """The checks of the profiles that `find` finds, each made on first use.

    `unknown` is the severity of a claim to keep a profile that nobody knows.
    """

    def __init__(
        self,
        definitions: Definitions,
        find: Find,
        membership: Membership,
        *,
        unknown: str = "warning",
    ) -> None:
        self._definitions, self._unknown = definitions, unknown
        self._snapshots = Snapshots(definitions, find)
        self._checks: dict[str, Check | None] = {}
        expressions = Expressions(
            definitions,
            conforms=self._conforms,
            is_member=lambda system, code, value_set: membership.contains(value_set, system, code),
        )
        self._tools = Tools(self._snapshots, expressions, membership, self._check_of, slicing_check)
        self._extensions = Extensions(
            definitions, expressions.tree, self._snapshots, self._check_of
        )

    def issues(self, resource: Any, asked: Iterable[str] = ()) -> list[Issue]:
        """Return what profiles find wrong in a resource and in the resources in it.

        `asked` are held against the resource, besides those that each claims in `meta.profile`.
        Expressions are relative: `.name[0]`.
        """
        found: list[Issue] = []
        if type(resource) is dict:
            self._resource(resource, None, list(asked), "", found)
        return list(dict.fromkeys(found))[:LIMIT]

    def _resource(
        self,
        resource: dict[str, Any],
        outer: Scope | None,
        asked: list[str],
        step: str,
        found: list[Issue],
    ) -> None:
        name = resource.get("resourceType")
        if type(name) is not str or name not in self._definitions.resource_types:
            return
        if outer is None:
            inner = contained.scope_of(resource) if "contained" in resource else {}
            scope = Scope(inner, resource, resource)
        else:
            scope = outer._replace(resource=resource)
        for canonical in dict.fromkeys(asked):
            if check := self._check_of(canonical):
                found += within(step, check(resource, scope))
        for canonical in _claimed(resource):
            if canonical not in asked:
                found += within(step, self._held(resource, scope, canonical))
        if len(found) < LIMIT:
            found += within(step, self._extensions.issues(resource, scope))
        for inside, each, is_contained in _resources(resource):
            if len(found) < LIMIT:
                self._resource(each, scope if is_contained else None, [], step + inside, found)

    def not_to_be_held(self, asked: Iterable[str]) -> list[Issue]:
        """Return an error for each of `asked` that is not known, or cannot be read."""
        return [self._absent(each, "", "error") for each in asked if not self._check_of(each)]

    def _held(self, resource: dict[str, Any], scope: Scope, canonical: str) -> Issues:
        check = self._check_of(canonical)
        if check is not None:
            return check(resource, scope)
        return [self._absent(canonical, ".meta.profile", self._unknown)]

    def _absent(self, canonical: str, expression: str, severity: str) -> Issue:
        try:
            self._snapshots.snapshot(canonical)
        except UnknownProfile:
            code, key = "not-found", "profile-unknown"
        except BrokenProfile:
            code, key = "processing", "profile-broken"
        return issue(code, key, expression, severity, profile=canonical[:_SHOWN])

    def _check_of(self, canonical: str) -> Check | None:
        if canonical in self._checks:
            return self._checks[canonical]
        check: Check | None = None
        try:
            check = self._made(self._snapshots.snapshot(canonical), canonical.partition("|")[0])
        except (UnknownProfile, BrokenProfile):
            check = None
        if len(canonical) < _SHORT:
            if len(self._checks) >= _MOST_KNOWN:
                self._checks.clear()
            self._checks[canonical] = check
        return check

    def _made(self, snapshot: Snapshot, url: str) -> Check:
        held = item_check(snapshot.root, url, self._tools)
        is_resource = self._definitions.kind(snapshot.type) == "resource"
        told = [issue("structure", "profile-type", profile=url, type=snapshot.type)]

        def check(value: Any, scope: Scope) -> Issues:
            if type(value) is not dict:
                return NONE
            is_other = value.get("resourceType") != snapshot.type
            if is_resource and is_other and snapshot.type not in _ANY:
                return told
            return held(Item(value, None, snapshot.type, ""), scope) if held else NONE

        return check

    def _conforms(self, node: Node, url: str) -> bool | None:
        check = self._check_of(url)
        if check is None or type(node.value) is not dict:
            return None
        scope = Scope({}, node.value, node.value)
        return not any(each.severity == "error" for each in check(node.value, scope))


def _claimed(resource: dict[str, Any]) -> list[str]:
    meta = resource.get("meta")
    profiles = meta.get("profile") if type(meta) is dict else None
    found = [each for each in profiles if type(each) is str] if type(profiles) is list else []
    return found[:_MOST]


def _resources(resource: dict[str, Any]) -> list[tuple[str, dict[str, Any], bool]]:
    """Return the resources in a resource: where, which, and whether it is contained."""
    found: list[tuple[str, dict[str, Any], bool]] = []
    for name, is_contained in (("contained", True), ("entry", False), ("parameter", False)):
        rows = resource.get(name)
        for at, row in enumerate(rows if type(rows) is list else ()):
            if type(row) is not dict:
                continue
            if is_contained:
                found.append((f".contained[{at}]", row, True))
            elif type(row.get("resource")) is dict:
                found.append((f".{name}[{at}].resource", row["resource"], False))
    return found
