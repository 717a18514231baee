"""Types in FHIRPath: of which type an item is, and which items are of a type.

FHIR's `boolean` and FHIRPath's own `Boolean` are two types; a name without `FHIR.` or `System.`
is FHIR's if FHIR has one of that name.

Spec: http://hl7.org/fhirpath/N1/#types and https://hl7.org/fhir/R4/fhirpath.html#types
"""

from typing import Any, NamedTuple

from fhir_hub.r4.expressions.nodes import Tree
from fhir_hub.r4.expressions.values import Items, TypeInfo, Wrong, type_of
from fhir_hub.r4.fhirpath_text import CannotCompile, Name, Steps
from fhir_hub.r4.fhirpath_text import Node as Syntax

SYSTEM_TYPES = frozenset(
    ("Any", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity")
)


class TypeName(NamedTuple):
    """A type as an expression names it; `namespace` may be empty."""

    namespace: str
    name: str


def named_type(node: Syntax) -> TypeName:
    """Return the type that a part of an expression names; raises `CannotCompile`."""
    match node:
        case Name(name):
            return TypeName("", name)
        case Steps((Name(namespace), Name(name))):
            return TypeName(namespace, name)
    raise CannotCompile("a type is needed here")


def is_of(tree: Tree, item: Any, wanted: TypeName) -> bool:
    """Return whether an item is of a type, or of one that is derived from it."""
    namespace, name = type_of(item)
    if namespace == "System":
        return wanted.namespace != "FHIR" and wanted.name in (name, "Any")
    return wanted.namespace != "System" and wanted.name in tree.family(name)


def is_type(tree: Tree, items: Items, wanted: TypeName) -> Items:
    """Return whether a single item is of a type; raises `Wrong` for several."""
    if len(items) > 1:
        raise Wrong("`is` needs a single item")
    return [is_of(tree, items[0], wanted)] if items else []


def as_type(tree: Tree, items: Items, wanted: TypeName) -> Items:
    """Return the items that are of a type; R4's own invariants apply `as` to several."""
    return of_type(tree, items, wanted)


def of_type(tree: Tree, items: Items, wanted: TypeName) -> Items:
    """Return the items of a type. Of a primitive type's own children none is: a code is no string.

    Spec: https://hl7.org/fhir/R4/fhirpath.html#polymorphism
    """
    found = []
    for item in items:
        name = type_of(item)[1]
        is_primitive = name[:1].islower()
        if is_of(tree, item, wanted) and not (is_primitive and name != wanted.name):
            found.append(item)
    return found


def info(items: Items) -> Items:
    """Return namespace and name of the type of each item."""
    return [TypeInfo(*type_of(item)) for item in items]
