"""`resolve()`: what a reference names, as far as the resource at hand tells.

A contained resource and one in the same Bundle are there. Of any other the text still tells the
type, which is what nearly every rule asks; whoever asks for more gets an error, not a no.

Spec: https://hl7.org/fhir/R4/fhirpath.html#functions and bundle.html#references
"""

from collections.abc import Iterator
from typing import Any

from fhir_hub.r4.expressions.nodes import Node, Tree
from fhir_hub.r4.expressions.scope import Scope
from fhir_hub.r4.references import parse_reference


def resolve(tree: Tree, item: Any, scope: Scope) -> Node | None:
    """Return the resource that a Reference or a uri names; None if not even its type is known."""
    value = item.value if type(item) is Node else item
    text = value.get("reference") if type(value) is dict else value
    if isinstance(text, str):
        if text.startswith("#"):
            return _contained(tree, text[1:], scope)
        found = _entry(tree, text, scope)
        if found is not None:
            return found
        resource_type = parse_reference(text).resource_type
        if tree.is_type(resource_type):
            return Node(None, resource_type, resource_type)
    stated = value.get("type") if type(value) is dict else None
    if isinstance(stated, str) and tree.is_type(stated):
        return Node(None, stated, stated)
    return None


def _contained(tree: Tree, logical_id: str, scope: Scope) -> Node | None:
    if not logical_id:
        return scope.root
    for each in scope.root.value.get("contained", ()):
        if type(each) is dict and each.get("id") == logical_id:
            return tree.root(each)
    return None


def _entry(tree: Tree, text: str, scope: Scope) -> Node | None:
    if scope.root.type != "Bundle":
        return None
    if scope.bundle is None:
        scope.bundle = dict(_addresses(scope.root.value))
    resource = scope.bundle.get(text)
    return None if resource is None else tree.root(resource)


def _addresses(bundle: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for entry in bundle.get("entry", ()):
        if type(entry) is dict and type(resource := entry.get("resource")) is dict:
            yield str(entry.get("fullUrl")), resource
            yield f"{resource.get('resourceType')}/{resource.get('id')}", resource
