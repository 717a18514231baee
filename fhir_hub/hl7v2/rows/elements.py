"""Where a map's row puts its value: a path of FHIR elements, checked against R4's definitions.

`contact.name`, `dispenseRequest.validityPeriod.start`, `value` (a choice, whose type the value
says), `effectiveDateTime` (a choice of one type). Rows that write to the same item of a list
name it alike: `participant[attender].individual`, `participant[attender].type`. Without a name,
each segment makes its own item.

Spec: https://hl7.org/fhir/R4/elementdefinition.html#path
"""

import re
from functools import lru_cache
from typing import NamedTuple

from fhir_hub.nearest import did_you_mean
from fhir_hub.r4.definitions import Definitions, Element, Structure

_STEP = re.compile(r"([A-Za-z]+)(?:\[([A-Za-z0-9._-]+)\])?")
_BACKBONES = ("BackboneElement", "Element")


class Step(NamedTuple):
    """One element on the way: its name, whether it is a list, and which item (`""` is unnamed)."""

    name: str
    is_list: bool
    label: str = ""


class Target(NamedTuple):
    """Where a value goes. `types` are the FHIR types that it may have, `choice` says that the
    type is appended to the last step's name; `references` the resource types it may refer to;
    `codes` are those that R4 allows where it lists all (a required binding of a `code`)."""

    parents: tuple[Step, ...]
    last: Step
    types: tuple[str, ...]
    references: tuple[str, ...] = ()
    choice: bool = False
    codes: frozenset[str] = frozenset()

    def may_refer_to(self, resource_type: str) -> bool:
        """Say whether a Reference there may be to that type; one without targets may to any."""
        is_open = not self.references or "Resource" in self.references
        return is_open or resource_type in self.references


@lru_cache(maxsize=2048)  # the rows of a segment stand in the maps of many messages
def target(definitions: Definitions, resource_type: str, path: str) -> Target:
    """Return where `path` leads in a resource of that type; raises `ValueError` if nowhere."""
    structure = definitions.structure(resource_type)
    if structure is None:
        raise ValueError(f"R4 has no resource type {resource_type}")
    prefix, steps = resource_type, path.split(".")
    parents: list[Step] = []
    for number, text in enumerate(steps):
        match = _STEP.fullmatch(text)
        if not match:
            raise ValueError(f"not an element: {text!r}")
        name, label = match[1], match[2] or ""
        element, kind = element_of(structure, prefix, name)
        if element is None:
            names = (one.removeprefix(f"{prefix}.") for one in structure.elements)
            there = [one for one in names if "." not in one]
            raise ValueError(f"{prefix} has no element {name}{did_you_mean(name, there)}")
        if label and not element.is_list:
            raise ValueError(f"{prefix}.{name} is no list: an item of it cannot be named")
        step = Step(name, element.is_list, label)
        if number == len(steps) - 1:
            found = _target(tuple(parents), step, element, kind)
            return found._replace(codes=_codes(definitions, element, found.types))
        parents.append(step)
        structure, prefix = inside(definitions, structure, element, kind)
    raise AssertionError("a path has a last step")


def element_of(structure: Structure, prefix: str, name: str) -> tuple[Element | None, str]:
    """Return the element, and the type that `name` chooses of a choice (`*`: any of them)."""
    if found := structure.elements.get(f"{prefix}.{name}"):
        return found, ""
    if found := structure.elements.get(f"{prefix}.{name}[x]"):
        return found, "*"
    for position in (at for at, letter in enumerate(name) if letter.isupper()):
        if found := structure.elements.get(f"{prefix}.{name[:position]}[x]"):
            chosen = name[position:]
            for one in found.types:
                if one.code[:1].upper() + one.code[1:] == chosen:
                    return found, one.code
    return None, ""


def _target(parents: tuple[Step, ...], step: Step, element: Element, kind: str) -> Target:
    types = tuple(_simple(one.code) for one in element.types)
    if kind not in ("", "*"):
        types = (kind,)
    if element.content_reference:
        types = ("BackboneElement",)
    references = tuple(
        target for one in element.types if one.code == "Reference" for target in one.targets
    )
    return Target(parents, step, types, references, kind == "*")


def _codes(definitions: Definitions, element: Element, types: tuple[str, ...]) -> frozenset[str]:
    binding = element.binding
    if types != ("code",) or binding is None or binding.strength != "required":
        return frozenset()
    listed = definitions.codes(binding.value_set) or {}
    return frozenset(code for codes in listed.values() for code in codes)


def _simple(code: str) -> str:
    return "string" if code.startswith("System.") else code


def inside(
    definitions: Definitions, structure: Structure, element: Element, kind: str
) -> tuple[Structure, str]:
    """Return the structure and path in which an element's own elements are defined."""
    if element.content_reference:
        return structure, element.content_reference.lstrip("#")
    codes = [kind] if kind not in ("", "*") else [one.code for one in element.types]
    if len(codes) != 1:
        raise ValueError(f"{element.path} has several types: write one behind its name")
    if codes[0] in _BACKBONES:
        return structure, element.path
    inner = definitions.structure(codes[0])
    if inner is None or inner.kind == "primitive-type":
        raise ValueError(f"{element.path} has no elements")
    return inner, codes[0]
