"""What R4 demands of a resource at least: elements that must be there, at the top and in parts.

A message may leave out what FHIR wants. A part that lacks something is left out, a resource that
does is not made, and the report says so; nothing is invented to fill the gap.

Spec: https://hl7.org/fhir/R4/conformance-rules.html#cardinality
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_hub.r4.definitions import Definitions, Element

REVERSED = " before its start"  # of an end that is left out
Json = dict[str, Any]
_BACKBONES = ("BackboneElement", "Element")
# Invariants that ask for one of several elements: app-1, org-1, pat-1, imm-1.
_ANY_OF = {
    "Appointment.participant": ("type", "actor"),
    "Organization": ("identifier", "name"),
    "Patient.contact": ("name", "telecom", "address", "organization"),
    "Immunization.education": ("documentType", "reference"),
}


@dataclass(frozen=True, slots=True)
class Needs:
    """What an object needs: for each required element the names that it may have in JSON.

    `parts` are the elements in it that have needs of their own, `periods` those whose start
    must be before their end. Of `any_of` one must be there.
    """

    required: tuple[tuple[str, ...], ...]
    parts: tuple[tuple[str, "Needs"], ...]
    periods: tuple[str, ...]
    any_of: tuple[str, ...] = ()


_ANNOTATION = Needs((("text",),), (), ())


class Completeness:
    """The needs of resource types, read from the definitions at first use."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._needs: dict[str, Needs] = {}

    def missing(self, resource: Json, leave_out: list[str]) -> str:
        """Return the name of a required element that is not there, `""` if all are.

        Parts that lack something are taken out of `resource`; `leave_out` gets their paths.
        """
        resource_type = resource["resourceType"]
        needs = self._needs.get(resource_type)
        if needs is None:
            needs = self._needs[resource_type] = self._read(resource_type)
        if "occurrenceTiming" in resource or "dosageInstruction" in resource:
            _straighten_bounds(resource, leave_out)
        if "orderDetail" in resource and "code" not in resource:  # prr-1
            del resource["orderDetail"]
            leave_out.append(f"{resource_type}.orderDetail without code")
        lacking = _lacks(resource, needs, resource_type, leave_out)
        if not lacking and "item" in resource and resource_type == "Linkage":
            return "a second item" if len(resource["item"]) < 2 else ""  # lnk-1
        return lacking

    def _read(self, resource_type: str) -> Needs:
        structure = self._definitions.structure(resource_type)
        assert structure is not None
        children: dict[str, list[Element]] = {}
        for path, element in structure.elements.items():
            children.setdefault(path.rpartition(".")[0], []).append(element)
        return self._of(resource_type, children)

    def _of(self, path: str, children: dict[str, list[Element]]) -> Needs:
        required, parts, periods = [], [], []
        for element in children.get(path, ()):
            name = element.path.rpartition(".")[2]
            if element.min:
                required.append(tuple(_names(name, element)))
            periods += [one for one in _names(name, element) if one.lower().endswith("period")]
            if any(one.code == "Annotation" for one in element.types):
                parts.append((name, _ANNOTATION))
            elif any(one.code in _BACKBONES for one in element.types):
                inner = self._of(element.path, children)
                if inner.required or inner.parts or inner.periods or inner.any_of:
                    parts.append((name, inner))
        return Needs(tuple(required), tuple(parts), tuple(periods), _ANY_OF.get(path, ()))


def _names(name: str, element: Element) -> Iterator[str]:
    if not name.endswith("[x]"):
        yield name
        return
    for one in element.types:
        yield name[:-3] + one.code[:1].upper() + one.code[1:]


def _lacks(node: Json, needs: Needs, path: str, leave_out: list[str]) -> str:
    for name, inner in needs.parts:
        held = node.get(name)
        if held is None:
            continue
        items = held if isinstance(held, list) else [held]
        kept = []
        for item in items:
            if lacking := _lacks(item, inner, f"{path}.{name}", leave_out):
                leave_out.append(f"{path}.{name} without {lacking}")
            else:
                kept.append(item)
        if len(kept) == len(items):
            continue
        if kept and isinstance(held, list):
            node[name] = kept
        else:
            del node[name]
    for name in needs.periods:
        if name in node and _is_reversed(node[name]):
            del node[name]["end"]
            leave_out.append(f"{path}.{name}.end{REVERSED}")
    if needs.any_of and not any(name in node for name in needs.any_of):
        return needs.any_of[0]
    for names in needs.required:
        if names[0] not in node and not any(name in node for name in names):
            return names[0]
    return ""


def _straighten_bounds(resource: Json, leave_out: list[str]) -> None:
    """Take off a timing what its bounds cannot have: an end before the start, a duration too.

    Two segments that tell of one timing may each say one form.
    """
    held = [resource.get("occurrenceTiming")]
    held += [one.get("timing") for one in resource.get("dosageInstruction", ())]
    held += [one.get("valueTiming") for one in resource.get("extension", ())]
    for timing in held:
        repeat: Json = timing.get("repeat", {}) if timing else {}
        bounds: Json = repeat.get("boundsPeriod", {})
        if bounds and repeat.pop("boundsDuration", None):
            leave_out.append(f"{resource['resourceType']} timing: boundsDuration and boundsPeriod")
        if _is_reversed(bounds):
            del bounds["end"]
            leave_out.append(f"{resource['resourceType']} timing: boundsPeriod.end{REVERSED}")


def _is_reversed(period: Any) -> bool:
    """Say whether a Period ends before it starts, as far as both are equally precise."""
    if not isinstance(period, dict) or "start" not in period or "end" not in period:
        return False
    start, end = str(period["start"]), str(period["end"])
    if len(start) > 10 < len(end):
        return datetime.fromisoformat(start) > datetime.fromisoformat(end)
    shorter = min(len(start), len(end), 10)
    return start[:shorter] > end[:shorter]
