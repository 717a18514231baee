"""Where a FHIRPath leads in a resource: the objects and lists to change, not only the values.

Paths here are what patches need: elements, numbers, `where`, `first`, `last`, `ofType`, `as`,
`extension`, `exists`, comparisons joined by `and` and `or`.

Spec: https://hl7.org/fhir/R4/fhirpatch.html#concept and http://hl7.org/fhirpath/N1/
"""

from typing import Any, NamedTuple

from fhir_hub.r4.element_names import ElementNames
from fhir_hub.r4.fhirpath_text import (
    At,
    Binary,
    Call,
    CannotCompile,
    Constant,
    Name,
    Node,
    Steps,
)

Json = dict[str, Any]


class Found(NamedTuple):
    """One element: its value, and where it stands.

    It is `owner[key]`, or with a `number` `owner[key][number]`; the resource itself has no owner.
    `name` is the element's in FHIRPath, `where` the place of its owner in the definitions,
    `inside` that of the elements in it (empty: it has none), `type` its FHIR type.
    """

    value: Any
    owner: Json | None
    key: str
    number: int | None
    name: str
    where: str
    inside: str
    type: str


class Places:
    """Finds elements of one resource."""

    def __init__(self, resource: Json, names: ElementNames) -> None:
        self._names = names
        name = str(resource.get("resourceType"))
        self._root = Found(resource, None, "", None, name, "", name, name)

    def find(self, node: Node) -> list[Found]:
        """Return the elements that a path leads to; raises `CannotCompile` for more than a path."""
        return self._find(node, [self._root], is_start=True)

    def _find(self, node: Node, at: list[Found], *, is_start: bool = False) -> list[Found]:
        match node:
            case Steps(steps):
                for number, step in enumerate(steps):
                    at = self._find(step, at, is_start=is_start and number == 0)
                return at
            case Name(name):
                if is_start and name in (self._root.name, "Resource", "DomainResource"):
                    return at
                return [inner for one in at for inner in self._children(one, name)]
            case At(number):
                return at[number : number + 1]
            case Binary("as", left, Name(code)):
                return _of_type(self._find(left, at, is_start=is_start), code)
            case Call(name, arguments):
                return self._call(name, arguments, at)
        raise CannotCompile("a path has elements, numbers and a few functions")

    def _call(self, name: str, arguments: tuple[Node, ...], at: list[Found]) -> list[Found]:
        match name, arguments:
            case "where", (condition,):
                return [one for one in at if self._holds(condition, one)]
            case "first", ():
                return at[:1]
            case "last", ():
                return at[-1:]
            case "single", ():
                if len(at) > 1:
                    raise CannotCompile("single() finds several")
                return at
            case (("ofType" | "as"), (Name(code),)):
                return _of_type(at, code)
            case "extension", (Constant(str(url)),):
                found = [inner for one in at for inner in self._children(one, "extension")]
                return [one for one in found if _url_of(one) == url]
        raise CannotCompile(f"the function {name[:30]} is not known here")

    def _children(self, parent: Found, name: str) -> list[Found]:
        if not isinstance(parent.value, dict) or not parent.inside:
            return []
        found = []
        for key in self._names.keys(parent.inside, name):
            named = self._names.of_key(parent.inside, key)
            if named is None or not {key, f"_{key}"} & parent.value.keys():
                continue
            value = parent.value.get(key, parent.value.get(f"_{key}"))
            listed = value if isinstance(value, list) else [value]
            for number, one in enumerate(listed):
                place = number if isinstance(value, list) else None
                inside = self._names.inside(named.element, named.type)
                if isinstance(one, dict) and "resourceType" in one:
                    inside = str(one["resourceType"])
                found.append(
                    Found(one, parent.value, key, place, name, parent.inside, inside, named.type)
                )
        return found

    def _holds(self, node: Node, at: Found) -> bool:
        match node:
            case Binary("and", left, right):
                return self._holds(left, at) and self._holds(right, at)
            case Binary("or", left, right):
                return self._holds(left, at) or self._holds(right, at)
            case Binary("=" | "!=" as operator, left, Constant(wanted)):
                values = [one.value for one in self._find(left, [at])]
                is_same = [type(one) is type(wanted) and one == wanted for one in values]
                return len(values) == 1 and is_same[0] is (operator == "=")
            case Steps((*before, Call("exists", arguments))):
                found = self._find(Steps(tuple(before)), [at])
                return (
                    any(self._holds(arguments[0], one) for one in found)
                    if arguments
                    else (bool(found))
                )
        raise CannotCompile("a condition compares an element with a text, number or boolean")


def _of_type(found: list[Found], code: str) -> list[Found]:
    return [one for one in found if code in (one.type, one.inside)]


def _url_of(one: Found) -> Any:
    return one.value.get("url") if isinstance(one.value, dict) else None
