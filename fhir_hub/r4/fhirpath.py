"""Search expressions compiled to paths: which keys to follow in the JSON, and what type is there.

The types come from the definitions, so a choice element becomes one path a type
(`Observation.value` → `valueQuantity`, `valueString` …) and whoever reads a value knows what it
is without looking. A path is data, keys and filters; `select` follows one, and an index may
weave many into one walk.

Spec: http://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/search.html#fhirpath
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fhir_hub.r4.definitions import Definitions, Element
from fhir_hub.r4.fhirpath_text import (
    At,
    Binary,
    Call,
    CannotCompile,
    Constant,
    Name,
    Node,
    Steps,
    Variable,
    parse_expression,
)
from fhir_hub.r4.references import parse_reference

Values = list[Any]
Condition = Callable[[Any, dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps the items that pass; `resolves_to` is the type that a reference must name, if any.

    Filters of one text do the same. A filter is asked with the item and the whole resource.
    """

    text: str
    passes: Condition
    resolves_to: str = ""


class Position(NamedTuple):
    """Keeps the item at a number, from 0."""

    number: int


class Computed(NamedTuple):
    """Replaces the item by true or false. Computations of one text do the same."""

    text: str
    condition: Condition


Step = str | Filter | Position | Computed


class Place(NamedTuple):
    """Where in the definitions a path has arrived: a structure and a path in it."""

    structure: str
    path: str


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from the context (or with `from_root` from the resource), and the FHIR type there.

    `element` is the definition of the last key; None for the context itself.
    """

    steps: tuple[Step, ...]
    type: str
    place: Place
    element: Element | None = None
    from_root: bool = False


def compile_paths(
    expression: str, resource_type: str, definitions: Definitions, at: Path | None = None
) -> tuple[Path, ...]:
    """Return the paths of `expression` for a resource type; branches of other types fall away.

    `at` is the context if it is not the resource: the base of a composite. Raises
    `CannotCompile` if R4's definitions have no such element, or for FHIRPath beyond search.

    Spec: https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
    """
    compiler = _Compiler(resource_type, definitions)
    return tuple(compiler.paths(parse_expression(expression), at or compiler.root))


def children(path: Path, name: str, definitions: Definitions) -> list[Path]:
    """Return the paths of the element `name` below `path`, one a type; empty if there is none."""
    structure = definitions.structure(path.place.structure)
    if structure is None:
        return []
    element = structure.elements.get(f"{path.place.path}.{name}")
    if element is not None:
        types = [t.code for t in element.types] or [""]
        return [_child(path, name, code, element) for code in types]
    element = structure.elements.get(f"{path.place.path}.{name}[x]")
    if element is None:
        return []
    codes = (t.code for t in element.types)
    return [_child(path, f"{name}{code[0].upper()}{code[1:]}", code, element) for code in codes]


def select(path: Path, item: Any, resource: dict[str, Any]) -> Values:
    """Return the values that `path` finds, from `item` of `resource`."""
    found: Values = [resource if path.from_root else item]
    for step in path.steps:
        if not found:
            break
        if type(step) is str:
            inner = [value[step] for value in found if type(value) is dict and step in value]
            found = []
            for value in inner:
                found += value if type(value) is list else (value,)
        elif isinstance(step, Position):
            found = found[step.number : step.number + 1]
        elif isinstance(step, Computed):
            found = [step.condition(value, resource) for value in found]
        elif isinstance(step, Filter):
            found = [value for value in found if step.passes(value, resource)]
    return found


def _child(path: Path, key: str, code: str, element: Element) -> Path:
    if element.content_reference:
        # "#Questionnaire.item": the same elements again, one level deeper
        place = Place(path.place.structure, element.content_reference.partition("#")[2])
        code = "BackboneElement"
    elif code in ("BackboneElement", "Element"):
        place = Place(path.place.structure, element.path)
    else:
        place = Place(code, code)
    return Path((*path.steps, key), code, place, element, path.from_root)


class _Compiler:
    """Compiles one expression for one resource type."""

    def __init__(self, resource_type: str, definitions: Definitions) -> None:
        self._type, self._definitions = resource_type, definitions
        self.root = Path((), resource_type, Place(resource_type, resource_type))

    def paths(self, node: Node, at: Path) -> list[Path]:
        match node:
            case Binary("|", left, right):
                return self.paths(left, at) + self.paths(right, at)
            case Binary("as", left, Name(code)):
                return _of_type(self.paths(left, at), code)
            case Binary():
                condition = self._condition(node, at)
                return [Path((*at.steps, Computed(repr(node), condition)), "boolean", at.place)]
            case Steps(steps):
                return self._follow(steps, at)
            case Constant() | At():
                raise CannotCompile("a literal is no path")
            case _:
                return self._follow((node,), at)

    def _follow(self, steps: Iterable[Node], at: Path) -> list[Path]:
        found = [at]
        for number, step in enumerate(steps):
            if number == 0 and isinstance(step, Name) and step.text[0].isupper():
                found = self._start(step.text)
            else:
                found = [path for before in found for path in self._step(step, before)]
            if not found:
                break
        return found

    def _start(self, name: str) -> list[Path]:
        """Return the resource if it is of the type `name`, else nothing."""
        parent: str = self._type
        while parent:
            if parent == name:
                return [self.root]
            structure = self._definitions.structure(parent)
            parent = structure.base if structure else ""
        return []

    def _step(self, step: Node, at: Path) -> list[Path]:
        match step:
            case Name(name):
                found = children(at, name, self._definitions)
                if not found:
                    raise CannotCompile(f"{at.place.path} has no element {name}")
                return found
            case At(number):
                return [replace(at, steps=(*at.steps, Position(number)))]
            case Variable("resource"):
                return [replace(self.root, from_root=True)]
            case Call("as" | "ofType", (Name(code),)):
                return _of_type([at], code)
            case Call("where", (condition,)):
                return [replace(at, steps=(*at.steps, self._filter(condition, at)))]
            case Call("extension", (Constant(str(url)),)):
                keep = Filter(
                    url, lambda item, _: isinstance(item, dict) and item.get("url") == url
                )
                extensions = children(at, "extension", self._definitions)
                return [replace(path, steps=(*path.steps, keep)) for path in extensions]
            case Binary():
                return self.paths(step, at)
            case _:
                raise CannotCompile(
                    f"no {getattr(step, 'name', 'such step')} in search expressions"
                )

    def _filter(self, node: Node, at: Path) -> Filter:
        match node:
            case Binary("is", Call("resolve", ()), Name(name)):
                return Filter(repr(node), lambda item, top: _refers_to(item, top, name), name)
        return Filter(repr(node), self._condition(node, at))

    def _condition(self, node: Node, at: Path) -> Condition:
        here = replace(at, steps=())
        match node:
            case Binary("and", left, right):
                first, second = self._condition(left, at), self._condition(right, at)
                return lambda item, top: first(item, top) and second(item, top)
            case Binary("=" | "!=" as operator, left, Constant(value)):
                paths, is_equal = self.paths(left, here), operator == "="

                def compares(item: Any, top: dict[str, Any]) -> bool:
                    found = _select_all(paths, item, top)
                    # FHIRPath: nothing compared with something is neither true nor false
                    return bool(found) and (_same(found, value) is is_equal)

                return compares
            case Steps((*before, Call("exists", ()))):
                some = self.paths(Steps(tuple(before)), here)
                return lambda item, top: bool(_select_all(some, item, top))
            case Call("hasExtension", (Constant(str(url)),)):
                return lambda item, _: _has_extension(item, url)
        raise CannotCompile("a condition that search does not need")


def _of_type(paths: list[Path], code: str) -> list[Path]:
    # R4's own expressions write DateTime for dateTime
    codes = (code, code[0].lower() + code[1:])
    return [path for path in paths if path.type in codes]


def _select_all(paths: list[Path], item: Any, resource: dict[str, Any]) -> Values:
    return [value for path in paths for value in select(path, item, resource)]


def _same(found: Values, value: Any) -> bool:
    return len(found) == 1 and type(found[0]) is type(value) and bool(found[0] == value)


def _has_extension(item: Any, url: str) -> bool:
    extensions = item.get("extension") if isinstance(item, dict) else None
    found = extensions if isinstance(extensions, list) else ()
    return any(isinstance(one, dict) and one.get("url") == url for one in found)


def _refers_to(item: Any, resource: dict[str, Any], resource_type: str) -> bool:
    """Return whether a Reference names a resource of the type, as far as its text tells."""
    text = item.get("reference") if isinstance(item, dict) else None
    if not isinstance(text, str):
        return isinstance(item, dict) and item.get("type") == resource_type
    if text.startswith("#"):
        contained = resource.get("contained")
        return any(
            isinstance(one, dict)
            and (one.get("id"), one.get("resourceType")) == (text[1:], resource_type)
            for one in (contained if isinstance(contained, list) else ())
        )
    return (parse_reference(text).resource_type or item.get("type")) == resource_type
