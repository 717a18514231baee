"""The full urls of a message, replaced by what they turn out to stand for.

Ten results refer to one patient, visit, specimen and order. They come to hold the same Reference
itself, so that what it says need be found out but once.

Spec: https://hl7.org/fhir/R4/bundle.html#references
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub.hl7v2.conversion.convert import Converted, with_resource
from fhir_hub.hl7v2.making import items
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.identity import match
from fhir_hub.identity.match import Number

_HOLDERS = frozenset({dict, list, tuple})
# Objects and arrays of these names are codes, quantities and the like: no full url is in them.
_HOLD_NONE = frozenset(
    {"code", "coding", "category", "interpretation", "class", "type", "priority"}
    | {"referenceRange", "valueQuantity", "valueCodeableConcept", "period", "address", "telecom"}
    | {"meta"}
)


def without_numbers(converted: Converted, numbers: set[Number]) -> Converted:
    """Return what a message says of a thing without the identifiers that are others'."""
    if not numbers:
        return converted
    kept = [
        identifier
        for identifier in converted.resource.get("identifier", ())
        if numbers.isdisjoint(match.numbers([identifier]))
    ]
    rest = {name: part for name, part in converted.resource.items() if name != "identifier"}
    return converted._replace(resource={**rest, "identifier": kept} if kept else rest)


class Rewriting:
    """What the full urls of one message stand for: `addresses`, such as `Patient/1`."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        # a Reference that is nothing but a full url, as nearly all are, and an array of that one
        self._references = {url: {"reference": address} for url, address in addresses.items()}
        self._arrays = {url: [reference] for url, reference in self._references.items()}

    def add(self, url: str, address: str) -> None:
        """Have one more full url stand for an address."""
        self.addresses[url] = address
        self._references[url] = reference = {"reference": address}
        self._arrays[url] = [reference]

    def converted(self, converted: Converted) -> Converted:
        """Return what a message says of a thing with what its full urls stand for."""
        said = with_resource(converted, self.of(converted.resource))
        if said.nulls or said.unsaid:
            nulls, unsaid = (
                items.rewritten(one, self.addresses) for one in (said.nulls, said.unsaid)
            )
            said = said._replace(nulls=nulls, unsaid=unsaid)
        if said.removes:
            gone = match.numbers(said.removes.get("identifier", ()))
            said = without_numbers(said, set(gone))
            said = said._replace(removes=self.of(dict(said.removes)))
        return said

    def of(self, node: Resource) -> Resource:
        """Return the JSON object with each full url in it replaced by what it stands for.

        An array of references that comes to hold the same one twice keeps it once. `node` is not
        changed; what holds no full url is not copied. Nobody may change what comes back.
        """
        changed = None
        for name, value in node.items():
            kind = type(value)
            new: Any
            if kind is str:
                if value not in self.addresses:
                    continue
                new = self.addresses[value]
            elif kind not in _HOLDERS or name in _HOLD_NONE:
                continue
            elif kind is not dict:
                new = self._each(value)
            elif len(value) == 1 and type(url := value.get("reference")) is str:
                new = self._references.get(url, value)
            else:
                new = self.of(value)
            if new is value:
                continue
            if changed is None:
                changed = dict(node)
            changed[name] = new
        return node if changed is None else changed

    def _each(self, items: Sequence[Any]) -> Sequence[Any]:
        if type(items) is list and len(items) == 1 and type(only := items[0]) is dict:
            url = only.get("reference") if len(only) == 1 else None
            if type(url) is str:
                return self._arrays.get(url, items)
        made: list[Any] = []
        is_same, refer = type(items) is list, len(items) > 1
        for item in items:
            kind, new = type(item), item
            if kind is dict:
                if len(item) == 1 and type(url := item.get("reference")) is str:
                    new = self._references.get(url, item)
                else:
                    new = self.of(item)
                    refer = refer and "reference" in new
            else:
                refer = False
                if kind is list or kind is tuple:
                    new = self._each(item)
                elif kind is str:
                    new = self.addresses.get(item, item)
            is_same = is_same and new is item
            made.append(new)
        if refer:
            return list({one["reference"]: one for one in made}.values())
        return items if is_same else made
