"""A sender's own constraints: `*.schema.json` files, each for some types of resources.

Beside the keywords of JSON Schema a file says what it is for, and a part of it may say in words
what it wants and how bad it is to break it:

```json
{"appliesTo": {"resourceType": ["Observation"], "source": ["iot-gateway"]},
 "required": ["device"],
 "message": "say which device measured / 请填写测量设备", "severity": "warning"}
```

Without `source` it is for everybody. `source` is a name of `[sources.NAME]` in the settings.

Spec: https://json-schema.org/draft/2020-12; docs/profiles.md
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import LIMIT
from fhir_hub.r4.checks.schema import Schema, Violation
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.element_names import ElementNames
from fhir_hub.r4.package_files import InvalidPackage
from fhir_hub.r4.packages import SchemaFile

APPLIES_TO = "appliesTo"
_SEVERITIES = ("error", "warning", "information")
_CODES = {"required": "required", "type": "structure", "additionalProperties": "structure"}


class _Rule(NamedTuple):
    schema: Schema
    sources: frozenset[str]


class SchemaRules:
    """The schemas of packages, by the types of resources that they are for."""

    def __init__(
        self,
        definitions: Definitions,
        files: Sequence[SchemaFile],
        known_sources: Collection[str] | None = None,
    ) -> None:
        """Raise `InvalidPackage` with every file that is no schema or is for what there is not.

        That is a type that is not R4's, or a source that is not of `known_sources` (None: any is).
        """
        self._known_sources = known_sources
        self._names = ElementNames(definitions)
        self._rules: dict[str, list[_Rule]] = {}
        problems = []
        for file in files:
            try:
                self._take(file.schema, definitions)
            except ValueError as error:
                problems.append(f"{file.file}: {error} / JSON Schema 文件有误")
        if problems:
            raise InvalidPackage(*problems)

    def check(self, resource: Mapping[str, Any], sources: Sequence[str] = ()) -> list[Issue]:
        """Return where `resource`, from one of `sources`, breaks the schemas of its type."""
        resource_type = str(resource.get("resourceType"))
        issues = []
        for rule in self._rules.get(resource_type, ()):
            if rule.sources and rule.sources.isdisjoint(sources):
                continue
            for violation in rule.schema.violations(resource):
                issues.append(self._issue(violation, resource, resource_type))
                if len(issues) == LIMIT:
                    return issues
        return issues

    def _take(self, schema: dict[str, Any], definitions: Definitions) -> None:
        applies = schema.get(APPLIES_TO)
        if not isinstance(applies, dict) or set(applies) - {"resourceType", "source"}:
            raise ValueError(f'say {APPLIES_TO}: {{"resourceType": […], "source": […]}}')
        types, sources = (applies.get(key, []) for key in ("resourceType", "source"))
        if not types or not all(_are_texts(each) for each in (types, sources)):
            raise ValueError(f"{APPLIES_TO}: resourceType and source are arrays of names")
        if unknown := [each for each in types if each not in definitions.resource_types]:
            raise ValueError(f"{APPLIES_TO}: {unknown[0]} is no type of R4")
        known = self._known_sources
        if known is not None and (unknown := [each for each in sources if each not in known]):
            raise ValueError(f"{APPLIES_TO}: {unknown[0]} is no source of {', '.join(known)}")
        rule = _Rule(Schema(schema), frozenset(sources))
        for resource_type in types:
            self._rules.setdefault(resource_type, []).append(rule)

    def _issue(self, found: Violation, resource: Mapping[str, Any], resource_type: str) -> Issue:
        severity = found.schema.get("severity")
        english, _, chinese = str(found.schema.get("message") or _told(found)).partition(" / ")
        return Issue(
            _CODES.get(found.keyword, "business-rule"),
            english,
            self._expression(found.path, resource, resource_type),
            severity if severity in _SEVERITIES else "error",
            chinese,
        )

    def _expression(
        self, path: tuple[str | int, ...], resource: Mapping[str, Any], resource_type: str
    ) -> str:
        """Return a path of JSON keys as FHIRPath: `valueQuantity` is `value`."""
        expression, where = resource_type, resource_type
        value: Any = resource
        for step in path:
            value = _part(value, step)
            if isinstance(step, int):
                expression += f"[{step}]"
                continue
            named = self._names.of_key(where, step.removeprefix("_")) if where else None
            expression += f".{named.name if named else step}"
            where = self._names.inside(named.element, named.type) if named else ""
            if isinstance(value, Mapping) and "resourceType" in value:
                where = str(value["resourceType"])
        return expression


def _part(value: Any, step: str | int) -> Any:
    """Return what stands at `step`, None if nothing does."""
    if isinstance(value, list):
        return value[step] if isinstance(step, int) else None
    return value.get(step) if isinstance(value, Mapping) else None


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _told(found: Violation) -> str:
    """Return what to do, in words that do not show the resource's own values."""
    wanted = found.schema.get(found.keyword)
    if found.keyword == "required":
        return f"the sender's rules want {found.path[-1]} / 该来源要求填写此元素"
    return f"the sender's rules say {found.keyword}: {wanted} / 不符合该来源的约束"
