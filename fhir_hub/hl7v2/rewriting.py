"""The full urls of a message, replaced by what they turn out to stand for.

Spec: https://hl7.org/fhir/R4/bundle.html#references
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_hub.hl7v2.merge import Resource

_HOLDERS = frozenset({dict, list, tuple})
# Objects and arrays of these names are codes, quantities and the like: no full url is in them.
_HOLD_NONE = frozenset(
    {"code", "coding", "category", "interpretation", "class", "type", "priority"}
    | {"referenceRange", "valueQuantity", "valueCodeableConcept", "period", "address", "telecom"}
    | {"meta"}
)


def rewritten(node: Resource, addresses: Mapping[str, str]) -> Resource:
    """Return the JSON object with each full url in it replaced by what it stands for.

    An array of references that comes to hold the same one twice keeps it once. `node` is not
    changed; what holds no full url is not copied.
    """
    changed = None
    for name, value in node.items():
        kind = type(value)
        new: Any
        if kind is str:
            if value not in addresses:
                continue
            new = addresses[value]
        elif kind not in _HOLDERS or name in _HOLD_NONE:
            continue
        elif kind is not dict:
            new = _each(value, addresses)
        elif len(value) == 1 and type(url := value.get("reference")) is str:
            # a Reference that is nothing but a full url, as nearly all are
            if url not in addresses:
                continue
            new = {"reference": addresses[url]}
        else:
            new = rewritten(value, addresses)
        if new is value:
            continue
        if changed is None:
            changed = dict(node)
        changed[name] = new
    return node if changed is None else changed


def _each(items: Sequence[Any], addresses: Mapping[str, str]) -> Sequence[Any]:
    made: list[Any] = []
    is_same, refer = type(items) is list, len(items) > 1
    for item in items:
        kind, new = type(item), item
        if kind is dict:
            if len(item) == 1 and type(url := item.get("reference")) is str:
                if url in addresses:
                    new = {"reference": addresses[url]}
            else:
                new = rewritten(item, addresses)
                refer = refer and "reference" in new
        else:
            refer = False
            if kind is list or kind is tuple:
                new = _each(item, addresses)
            elif kind is str:
                new = addresses.get(item, item)
        is_same = is_same and new is item
        made.append(new)
    if refer:
        return list({one["reference"]: one for one in made}.values())
    return items if is_same else made
