"""From R4's definitions to checks: a type when it is first met, an element when it is first met.

`Structures` answers the check of a type. A type's elements lead to other types' checks, also in
circles (an extension has extensions), which is no matter as nothing is looked up before it is met.

Spec: https://hl7.org/fhir/R4/elementdefinition.html and json.html
"""

from typing import Any, NamedTuple

from fhir_hub.errors import Issue
from fhir_hub.nearest import nearest
from fhir_hub.r4.checks import codes, contained, narrative, references
from fhir_hub.r4.checks.interpreted import Interpreted, Shortcuts
from fhir_hub.r4.checks.invariants import INVARIANTS
from fhir_hub.r4.checks.issues import NONE, Check, Issues, Scope, Unknown, scope_of, wrong_kind
from fhir_hub.r4.checks.objects import Field, Needed, Shape, object_of
from fhir_hub.r4.checks.primitives import PRIMITIVES, element_id
from fhir_hub.r4.definitions import Definitions, Element, ElementType, Structure
from fhir_hub.r4.expressions.evaluate import Expressions

_INLINE = ("Element", "BackboneElement")
_NEAR = 2  # letters by which a name that is meant may be longer or shorter: few are compared


class _Form(NamedTuple):
    """One JSON name: its element, and which of the element's types it is."""

    element: Element
    type: ElementType | None


class Structures:
    """The checks of the types of `definitions`, made when they are asked for."""

    def __init__(
        self,
        definitions: Definitions,
        expressions: Expressions,
        shortcuts: Shortcuts = INVARIANTS,
    ) -> None:
        self._definitions = definitions
        self._shortcuts = shortcuts
        self._interpreted = Interpreted(expressions, shortcuts)
        self._types: dict[str, Check] = {}

    def resource(
        self, value: Any, scope: Scope | None = None, unknown: Unknown | None = None
    ) -> Issues:
        """Return the issues of a resource that stands by itself; `scope` is of what it stands in.

        A resource in a Bundle or in Parameters is such a resource too: what it contains is its own.
        Of its elements only what is `unknown` is looked at, if that is given.
        """
        if type(value) is not dict:
            return wrong_kind("a resource (a JSON object)", value)
        resource_type = value.get("resourceType")
        if type(resource_type) is not str:
            return [Issue("invalid", "give the resourceType", ".resourceType")]
        if resource_type not in self._definitions.resource_types:
            advice = "give a resource type of R4 as resourceType (146 of them, case matters)"
            return [Issue("invalid", advice, ".resourceType")]
        if "contained" not in value:
            meta = value.get("meta") if unknown is not None else None
            return self.type(resource_type)(value, scope_of(({}, value, value, unknown, meta)))
        within = Scope(contained.scope_of(value), value, value)
        issues = self.type(resource_type)(value, within)
        return issues or contained.issues(value)

    def advice(self, resource: dict[str, Any]) -> list[Issue]:
        """Return what R4 recommends for a resource that is right, and that it does not do."""
        family = self._family(resource["resourceType"])
        scope = Scope({}, resource, resource)
        rules = self._interpreted.advice(map(self._element, family))
        return [issue for rule in rules for issue in rule(resource, scope)]

    def _contained(self, value: Any, scope: Scope) -> Issues:
        """Return the issues of a resource contained in another, whose scope it shares."""
        name = value.get("resourceType") if type(value) is dict else None
        if type(name) is str and name in self._definitions.resource_types:
            return self.type(name)(value, scope._replace(resource=value))
        return self.resource(value)

    def type(self, name: str) -> Check:
        """Return the check of the type `name`, which the definitions must know."""
        check = self._types.get(name)
        if check is None:
            check = self._types[name] = self._compile(name)
        return check

    def _compile(self, name: str) -> Check:
        if name in PRIMITIVES:
            return PRIMITIVES[name]
        if name == "xhtml":
            return narrative.narrative
        structure = self._definitions.structure(name)
        assert structure is not None, name
        return self._object(structure, name)

    def _object(self, structure: Structure, path: str) -> Check:
        """Return the check of the objects at `path` of `structure`."""
        forms = _forms(structure, path)

        def field(name: str) -> Field | None:
            form = forms.get(name)
            return self._field(structure, form, name) if form else None

        def advice(name: str) -> str:
            return _advice(structure, path, name)

        is_resource = structure.kind == "resource" and path == structure.name
        needed = tuple(
            _needed(forms, form.element)
            for form in {form.element.path: form for form in forms.values()}.values()
            if form.element.min
        )
        choices = {
            mark + name: _step(form.element)
            for name, form in forms.items()
            for mark in ("", "_")
            if form.element.path.endswith("[x]")
        }
        family = self._family(path)
        rules = tuple(rule.check for name in family for rule in self._shortcuts.get(name, ()))
        rules += self._interpreted.rules(map(self._element, family))
        says_more = not is_resource and path != "Element"
        extension = _later(self, "Element")
        return object_of(Shape(path, field, advice, needed, choices, rules, extension, says_more))

    def _family(self, path: str) -> list[str]:
        """Return `path` and the types that the type at `path` is derived from."""
        family = [path]
        while (structure := self._definitions.structure(family[-1])) and structure.base:
            family.append(structure.base)
        return family

    def _element(self, path: str) -> Element:
        structure = self._definitions.structure(path.partition(".")[0])
        assert structure is not None, path
        return structure.elements[path]

    def _field(self, structure: Structure, form: _Form, name: str) -> Field:
        element, element_type = form
        if name == "resourceType":
            return Field(_nothing, ".resourceType", False, False)
        item = self._item(structure, element, element_type)
        if not self._is_inline(structure, element, element_type):
            code = element_type.code if element_type else "BackboneElement"
            item = self._interpreted.narrowed(item, element, code)
        is_primitive = element_type is not None and _is_primitive(element_type.code)
        return Field(item, _step(element), element.is_list, is_primitive)

    def _is_inline(self, structure: Structure, element: Element, of: ElementType | None) -> bool:
        """Return whether the values are objects of `element` itself, whose rules go with them."""
        return of is not None and of.code in _INLINE and element.path != structure.name

    def _item(self, structure: Structure, element: Element, of: ElementType | None) -> Check:
        """Return the check of one value of `element` in the type `of`."""
        if element.content_reference:
            return self._inline(structure, element.content_reference.removeprefix("#"))
        assert of is not None, element.path
        if self._is_inline(structure, element, of):
            return self._inline(structure, element.path)
        if of.code == "Resource":
            return self._contained if element.path.endswith(".contained") else self.resource
        if element.path.endswith(".id") and of.code == "string":
            return element_id
        narrowed = [name for name in of.profiles if self._definitions.is_type(name)]
        check = self.type(narrowed[0] if narrowed else of.code)
        if of.code == "Reference":
            targets = (*of.targets, *references.ERRATA.get(element.path, ()))
            return references.reference(check, targets, self._definitions.resource_types)
        if element.binding and element.binding.strength == "required":
            return self._bound(check, of.code, element.binding.value_set)
        return check

    def _bound(self, check: Check, code: str, value_set: str) -> Check:
        """Return `check`, of the type `code`, narrowed to the codes of `value_set`."""
        listed = self._definitions.codes(value_set)
        if code == "code":
            return codes.bound_code(listed) if listed else codes.FORMS.get(value_set, check)
        return codes.bound_concept(check, listed) if listed else check

    def _inline(self, structure: Structure, path: str) -> Check:
        check = self._types.get(path)
        if check is None:
            check = self._types[path] = self._object(structure, path)
        return check


def _forms(structure: Structure, path: str) -> dict[str, _Form]:
    """Return JSON name → form, of the elements directly under `path`."""
    forms: dict[str, _Form] = {}
    for element in structure.elements.values():
        parent, _, name = element.path.rpartition(".")
        if parent != path or element.max == "0":
            continue
        if not name.endswith("[x]"):
            forms[name] = _Form(element, element.types[0] if element.types else None)
            continue
        for each in element.types:
            forms[name[:-3] + each.code[0].upper() + each.code[1:]] = _Form(element, each)
    if structure.kind == "resource" and path == structure.name:
        forms["resourceType"] = _Form(Element(f"{path}.resourceType", 1, "1"), None)
    return forms


def _needed(forms: dict[str, _Form], element: Element) -> Needed:
    names = [name for name, form in forms.items() if form.element is element]
    return Needed((*names, *("_" + name for name in names)), _step(element))


def _step(element: Element) -> str:
    return "." + element.path.rpartition(".")[2].removesuffix("[x]")


def _is_primitive(code: str) -> bool:
    return code in PRIMITIVES or code == "xhtml"


def _nothing(value: Any, scope: Scope) -> Issues:
    return NONE


def _later(structures: Structures, name: str) -> Check:
    def check(value: Any, scope: Scope) -> Issues:
        return structures.type(name)(value, scope)

    return check


def _advice(structure: Structure, path: str, name: str) -> str:
    """Return what to do about `name`, which is no element of `path`."""
    plain = name.removeprefix("_")
    known: list[str] = []
    for element in structure.elements.values():
        parent, _, last = element.path.rpartition(".")
        if parent != path:
            continue
        if last[0] == plain[:1].lower() and abs(len(last) - len(plain)) <= _NEAR:
            known.append(last)
        if last.endswith("[x]") and plain.startswith(last[:-3]):
            wanted = ", ".join(each.code for each in element.types)
            return f"give {last} of {path} in one of its types: {wanted}"
        if last == plain and name != plain:
            return f"leave {name} out: only primitive elements have it; {plain} holds extensions"
    near = nearest(plain, known, most=1, likeness=0.7)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"leave {name} out: {path} has no such element{hint}"
