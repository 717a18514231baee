"""What a site asks beyond R4 and its profiles: rules of identifiers, and a sender's own schemas.

FHIR says what an identifier looks like, a country says which numbers can be right. Such a rule is
a function with the `system` for a name; it is given to this room from above (`identity/rules.py`)
because what a Chinese number means is no business of R4. A rule is asked wherever an Identifier
of its system stands: in a resource, a contained one, a reference, an extension.

Spec: https://hl7.org/fhir/R4/datatypes.html#Identifier
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import LIMIT, within
from fhir_hub.r4.checks.schema_rules import SchemaRules
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.element_names import ElementNames, Named
from fhir_hub.r4.packages import SchemaFile

Json = Mapping[str, Any]
# identifier, resource that it stands in and is its own (None in a Reference) → issues; their
# expressions go on from the identifier (`.value`), or from the resource (`birthDate`)
IdentifierRule = Callable[[Json, Json | None], Sequence[Issue]]


class SiteRules:
    """The rules of a site, for every resource that it takes."""

    def __init__(
        self,
        definitions: Definitions,
        identifiers: Mapping[str, IdentifierRule],
        schemas: Sequence[SchemaFile] = (),
        known_sources: Collection[str] | None = None,
    ) -> None:
        """Raise `InvalidPackage` if a schema is no good, or for none of `known_sources`.

        `identifiers` are by system.
        """
        self._identifiers = identifiers
        self._schemas = SchemaRules(definitions, schemas, known_sources)
        self._names = ElementNames(definitions)
        self._known: dict[tuple[str, str], Named] = {}

    def check(self, resource: Any, sources: Sequence[str] = ()) -> list[Issue]:
        """Return what breaks the rules in a resource that is valid R4, at most 100 issues."""
        resource_type = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(resource_type, str):
            return []
        found = self._schemas.check(resource, sources)
        for issue in self._inside(resource, resource_type, resource_type, resource):
            if len(found) == LIMIT:
                break
            found.append(issue)
        return found

    def _inside(self, value: Any, path: str, where: str, owner: Json) -> Iterator[Issue]:
        """Yield the issues in an object at `path`, which the definitions place at `where`."""
        for key, child in value.items():
            if type(child) is not dict and (type(child) is not list or not child):
                continue
            named = self._known.get((where, key)) or self._name(where, key)
            if named is None:
                continue
            step, inside = f"{path}.{named.name}", self._names.inside(named.element, named.type)
            is_list = type(child) is list
            for number, each in enumerate(child if is_list else (child,)):
                if type(each) is not dict:
                    break
                at = f"{step}[{number}]" if is_list else step
                if "resourceType" in each:
                    yield from self._inside(each, at, str(each["resourceType"]), each)
                    continue
                if named.type == "Identifier":
                    own = owner if value is owner and key == "identifier" else None
                    yield from self._of_identifier(each, own, at, path)
                yield from self._inside(each, at, inside, owner)

    def _name(self, where: str, key: str) -> Named | None:
        if named := self._names.of_key(where, key):
            self._known[where, key] = named  # as many as the definitions have, no more
        return named

    def _of_identifier(
        self, identifier: Json, owner: Json | None, at: str, path: str
    ) -> list[Issue]:
        system = identifier.get("system")
        rule = self._identifiers.get(system) if isinstance(system, str) else None
        return _placed(rule(identifier, owner), at, path) if rule else []


def _placed(issues: Sequence[Issue], at: str, path: str) -> list[Issue]:
    placed = []
    for issue in issues:
        of_identifier = not issue.expression or issue.expression.startswith(".")
        placed += within(at if of_identifier else f"{path}.", [issue])
    return placed
