"""A FHIR document: a Composition first, and everything that it leads to, each once.

What is stored keeps its own address as `fullUrl`, so a relative reference leads to it; what is
made for the document (the Composition itself, a statement that nothing is known) is named by a
`urn:uuid`, and what it refers to is written out. References are followed until nothing new is
found; one to what may not be told, or is not there, says only that it is not included.

Spec: https://hl7.org/fhir/R4/documents.html, bundle.html#references
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_hub.clock import instant
from fhir_hub.documents.archive import Archive
from fhir_hub.documents.disclosure import May
from fhir_hub.documents.wording import told_by
from fhir_hub.r4.references import parse_reference
from fhir_hub.referral.reading import each, key_of
from fhir_hub.repository.unit import Resource
from fhir_hub.store.base import Key

ABSENT = "未包含在本文档中 / not included in this document"
_MOST = 50_000
_UNMAPPED = "/StructureDefinition/unmapped-segment"
_TOLD = "/StructureDefinition/as-told"
_BINARY = re.compile(r"(?:^|/)(Binary/[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")


class Contents:
    """What goes into a document: stored resources by their key, made ones by their urn.

    `may` says what may be told, `same` of the id of a record that was merged away whose it is now.
    """

    def __init__(self, archive: Archive, may: May, same: Mapping[str, str]) -> None:
        self.archive, self.may, self._same = archive, may, same
        self.stored: dict[Key, Resource] = {}
        self.made: dict[str, Resource] = {}

    def put(self, resource: Resource) -> bool:
        """Take in a stored resource; return whether it may be told."""
        key = Key(resource["resourceType"], resource["id"])
        if key not in self.stored and len(self.stored) < _MOST and self.may(resource):
            self.stored[key] = resource
        return key in self.stored

    def make(self, resource: Resource) -> str:
        """Take in what is made for the document; return its name."""
        urn = self.archive.urn()
        self.made[urn] = resource
        return urn

    async def follow(self) -> None:
        """Take in what the resources refer to, and what that refers to, until there is no more."""
        asked: set[Key] = set()
        waiting = [*self.stored.values(), *self.made.values()]
        while waiting:
            wanted = {key for one in waiting for key in self._led_to(one)}
            new = sorted(wanted - asked - self.stored.keys())
            asked |= wanted
            found = await self.archive.read_many(new)
            waiting = [one for one in found if self.put(one)]

    def _led_to(self, node: Resource) -> Iterator[Key]:
        for address in _addresses(node):
            literal = parse_reference(address, self.archive.base)
            key = Key(literal.resource_type, literal.logical_id)
            if all(key):
                yield self._now(key)

    def _now(self, key: Key) -> Key:
        """Return which resource is meant, where it was merged away."""
        if key.resource_type == "Patient":
            return Key("Patient", self._same.get(key.logical_id, key.logical_id))
        return key

    def shown(self, resource: Resource, *, is_made: bool = False) -> Resource:
        """Return a resource as the document has it: its references lead to entries, or nowhere."""
        if resource["resourceType"] == "Patient":
            resource = _as_one(resource)
        found: Resource = self._rewritten(resource, is_made)
        return found

    def _rewritten(self, node: Any, is_made: bool) -> Any:
        """Return the JSON value with its references rewritten, without what that leaves empty."""
        if isinstance(node, dict):
            if isinstance(node.get("reference"), str):
                return self._reference(node, is_made)
            found = {}
            for name, value in node.items():
                new = self._rewritten(value, is_made) if isinstance(value, dict | list) else value
                if new or not isinstance(value, dict | list):
                    found[name] = new
            return found
        if isinstance(node, list):
            items = [self._rewritten(one, is_made) for one in node]
            if _are_references(node):
                return [one for one in items if one != _NOWHERE]
            return [one for one in items if one != {}]
        return node

    def _reference(self, node: Resource, is_made: bool) -> Resource:
        address = node["reference"]
        if address.startswith("#") or address in self.made:
            return node
        literal = parse_reference(address, self.archive.base)
        key = self._now(Key(literal.resource_type, literal.logical_id))
        if not all(key):
            return node  # absolute, and not of this server
        if key not in self.stored:
            return dict(_NOWHERE)
        return node | {"reference": self.address(key) if is_made else "/".join(key)}

    def address(self, key: Key) -> str:
        """Return the full address of a stored resource."""
        return f"{self.archive.base}/{key.resource_type}/{key.logical_id}"

    def bundle(self, composition: Resource, records: Iterable[Resource]) -> Resource:
        """Return the document; `records` tell where the entries come from, as far as they do."""
        archive = self.archive
        entries = [_entry(archive.urn(), self.shown(composition, is_made=True))]
        first = self.stored.items()
        entries += [_entry(self.address(key), self.shown(one)) for key, one in first]
        entries += [_entry(urn, self.shown(one, is_made=True)) for urn, one in self.made.items()]
        for one in records:
            entries.append(_entry(self.address(Key("Provenance", one["id"])), self.shown(one)))
        return {
            "resourceType": "Bundle",
            "identifier": {"system": "urn:ietf:rfc:3986", "value": archive.urn()},
            "type": "document",
            "timestamp": instant(archive.clock()),
            "entry": entries,
        }

    async def records(self, keys: Iterable[Key], known: Iterable[Resource]) -> list[Resource]:
        """Return the newest Provenance of each of these entries, of what is in the document only.

        `known` is all that is recorded of them, newest first. What it quotes of a message goes
        out: that is told of more than this document tells.
        """
        missing, found = set(keys), []
        for one in known:
            targets = [key for item in each(one, "target") if (key := key_of(item)) is not None]
            if missing.isdisjoint(targets):
                continue
            missing.difference_update(targets)
            inside = [{"reference": "/".join(key)} for key in targets if key in self.stored]
            found.append(_without_quotes(one) | {"target": inside})
        await self._take_agents(found)
        return found

    async def _take_agents(self, records: Iterable[Resource]) -> None:
        wanted = {
            key
            for one in records
            for agent in each(one, "agent")
            for name in ("who", "onBehalfOf")
            if (key := key_of(agent.get(name))) is not None
        }
        for one in await self.archive.read_many(sorted(wanted - self.stored.keys())):
            self.put(one)
        await self.follow()


_NOWHERE = {"display": ABSENT}


def _entry(full_url: str, resource: Resource) -> Resource:
    return {"fullUrl": full_url, "resource": resource}


def _as_one(patient: Resource) -> Resource:
    """Return the Patient without what each institution told of her, and without merged records."""
    rest = {name: value for name, value in patient.items() if name not in ("link", "contained")}
    kept = [one for one in each(patient, "extension") if not str(one.get("url")).endswith(_TOLD)]
    inside = [one for one in each(patient, "contained") if not told_by(one)]
    rest = {name: value for name, value in rest.items() if name != "extension"}
    rest |= {"extension": kept} if kept else {}
    return rest | ({"contained": inside} if inside else {})


def _without_quotes(record: Resource) -> Resource:
    kept = [one for one in each(record, "extension") if not str(one.get("url")).endswith(_UNMAPPED)]
    rest = {name: value for name, value in record.items() if name != "extension"}
    return rest | ({"extension": kept} if kept else {})


def _are_references(items: list[Any]) -> bool:
    return all(isinstance(one, dict) and isinstance(one.get("reference"), str) for one in items)


def _addresses(node: Any) -> Iterator[str]:
    """Yield what a resource refers to, and the Binary resources that its attachments name."""
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str):
            yield reference
        url = node.get("url")
        if isinstance(url, str) and (binary := _BINARY.search(url)):
            yield binary[1]
        for value in node.values():
            if isinstance(value, dict | list):
                yield from _addresses(value)
    elif isinstance(node, list):
        for item in node:
            yield from _addresses(item)
