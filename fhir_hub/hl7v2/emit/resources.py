"""The resources that a message is made of, and how one of them leads to another.

Spec: https://hl7.org/fhir/R4/references.html
"""

from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]


class Resources:
    """Some resources, each with the address by which others refer to it (`Patient/1`, a URN)."""

    def __init__(self, items: Iterable[tuple[str, Json]]) -> None:
        self._all: list[Json] = []
        self._by_address: dict[str, Json] = {}
        self._by_number: dict[tuple[str, str, str], Json] = {}
        self._contained: dict[int, Json] = {}  # by the Reference that leads to it
        for address, resource in items:
            self.add(address, resource)

    def add(self, address: str, resource: Json) -> None:
        """Take one more resource."""
        self._all.append(resource)
        kind = resource["resourceType"]
        addresses = [address, f"{kind}/{resource['id']}" if "id" in resource else ""]
        for one in filter(None, addresses):
            self._by_address.setdefault(one, resource)
        for number in numbers(resource):
            self._by_number.setdefault(
                (kind, number.get("system", ""), number.get("value", "")), resource
            )

        held = {f"#{one.get('id', '')}": one for one in resource.get("contained", ())}
        if held:
            self._contained |= {
                id(one): held[one["reference"]]
                for one in _local(resource)
                if one["reference"] in held
            }

    def __iter__(self) -> Iterator[Json]:
        """Return all of them in order."""
        return iter(self._all)

    def of_type(self, resource_type: str) -> list[Json]:
        """Return those of a type, in order."""
        return [one for one in self._all if one["resourceType"] == resource_type]

    def resolve(self, reference: Any) -> Json | None:
        """Return what a Reference leads to, `None` if it is not here."""
        if not isinstance(reference, dict):
            return None
        address = str(reference.get("reference", ""))
        if address.startswith("#"):
            return self._contained.get(id(reference))
        if address:
            short = "/".join(address.partition("/_history/")[0].split("/")[-2:])
            return self._by_address.get(address) or self._by_address.get(short)
        number, kind = reference.get("identifier", {}), reference.get("type", "")
        key = (kind, number.get("system", ""), number.get("value", ""))
        return self._by_number.get(key) if number else None

    def resolved(self, references: Any) -> list[Json]:
        """Return what the References of a list (or one) lead to, as far as it is here."""
        listed = references if isinstance(references, list) else [references]
        return [found for one in listed if (found := self.resolve(one)) is not None]

    def referring(self, resource_type: str, element: str, target: Json) -> list[Json]:
        """Return the resources of a type whose `element` leads to `target`."""
        return [
            one
            for one in self.of_type(resource_type)
            if any(found is target for found in self.resolved(one.get(element)))
        ]


def _local(node: Any) -> Iterator[Json]:
    """Return the References of a resource that lead to what it contains."""
    if isinstance(node, list):
        for one in node:
            yield from _local(one)
    elif isinstance(node, dict):
        if str(node.get("reference", "")).startswith("#"):
            yield node
        for one in node.values():
            if isinstance(one, dict | list):
                yield from _local(one)


def numbers(resource: Json) -> list[Json]:
    """Return the identifiers of a resource."""
    held = resource.get("identifier", [])
    return [one for one in (held if isinstance(held, list) else [held]) if isinstance(one, dict)]


def of_bundle(bundle: Json) -> Resources:
    """Return the resources of a Bundle, or the one resource that is none."""
    if bundle.get("resourceType") != "Bundle":
        return Resources([("", bundle)])
    entries = (one for one in bundle.get("entry", ()) if "resource" in one)
    return Resources((one.get("fullUrl", ""), one["resource"]) for one in entries)
