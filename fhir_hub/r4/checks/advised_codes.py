"""Extensible and preferred bindings of R4's own elements: advice on codes, never a refusal.

A write asks only what is an error, so this stands apart from the structural checks and walks the
resource by itself. What is not as the definitions say is passed over: the checks have named it.

Spec: https://hl7.org/fhir/R4/terminologies.html#strength
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NO_SCOPE, within
from fhir_hub.r4.checks.profiles.bindings import binding_check
from fhir_hub.r4.checks.profiles.items import Item, ItemCheck
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.element_names import ElementNames, Named
from fhir_hub.r4.terminology.membership import Membership

_ADVICE = ("extensible", "preferred")
_CODED = ("code", "Coding", "CodeableConcept")


class _Row(NamedTuple):
    """What a JSON key stands for: its FHIRPath step, type, where its inside is defined, check."""

    step: str
    type: str
    inside: str
    check: ItemCheck | None


class AdvisedCodes:
    """Tells of codes outside the value sets that R4 advises; `membership` knows what is in them."""

    def __init__(self, definitions: Definitions, membership: Membership) -> None:
        self._names, self._membership = ElementNames(definitions), membership
        self._rows: dict[tuple[str, str], _Row | None] = {}

    def issues(self, resource: dict[str, Any]) -> list[Issue]:
        """Return a warning for each code that R4 advises against, by FHIRPath below the type."""
        return list(self._object(str(resource.get("resourceType")), resource, ""))

    def _object(self, where: str, node: dict[str, Any], path: str) -> Iterator[Issue]:
        for key, value in node.items():
            row = self._row(where, key)
            if row is None:
                continue
            listed = value if isinstance(value, list) else [value]
            for place, one in enumerate(listed):
                index = f"[{place}]" if isinstance(value, list) else ""
                yield from self._value(row, one, f"{path}.{row.step}{index}")

    def _value(self, row: _Row, value: Any, path: str) -> Iterator[Issue]:
        if row.check is not None and value is not None:
            yield from within(path, row.check(Item(value, None, row.type, ""), NO_SCOPE))
        if isinstance(value, dict):
            inside = row.inside or value.get("resourceType")
            if isinstance(inside, str):
                yield from self._object(inside, value, path)

    def _row(self, where: str, key: str) -> _Row | None:
        place = (where, key)
        if place not in self._rows:
            named = self._names.of_key(where, key)
            self._rows[place] = self._made(named) if named else None
        return self._rows[place]

    def _made(self, named: Named) -> _Row:
        name, element, type_name = named
        binding, check = element.binding, None
        if binding and binding.strength in _ADVICE and type_name in _CODED:
            facts = {"strength": binding.strength, "valueSet": binding.value_set}
            check = binding_check(facts, self._membership)
        return _Row(name, type_name, self._names.inside(element, type_name), check)
