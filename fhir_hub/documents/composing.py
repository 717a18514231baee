"""Sections with their narrative, and where each entry comes from: what all documents share.

Spec: https://hl7.org/fhir/R4/composition.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_hub.documents.archive import MOST, Archive
from fhir_hub.documents.assembly import Contents
from fhir_hub.documents.narrative import table
from fhir_hub.documents.sameness import Fact
from fhir_hub.documents.sections import LOINC
from fhir_hub.documents.wording import institutions_of, row_of, what_of
from fhir_hub.referral.reading import each, key_of
from fhir_hub.repository.unit import Resource
from fhir_hub.store.base import Key

NEWEST_ONLY = f"仅包含最近 {MOST} 条 / only the newest {MOST} are looked at"


@dataclass(frozen=True, slots=True)
class Part:
    """A section to be written: its code and title, its facts, words besides, statements made."""

    code: str
    display: str
    title: str
    facts: Sequence[Fact] = ()
    notes: tuple[str, ...] = ()
    made: tuple[str, ...] = ()


async def write(
    contents: Contents, archive: Archive, composition: Resource, parts: Iterable[Part]
) -> Resource:
    """Return the document of a Composition and these sections, each entry with its institutions.

    `contents` has taken in what the sections and the Composition lead to.
    """
    parts = [*parts]
    facts = [fact for part in parts for fact in part.facts]
    copies = [one for fact in facts for one in fact.copies]
    origins = await archive.records_of(key_in(one) for fact in facts for one in fact.all())
    records = await contents.records([key_in(fact.resource) for fact in facts], origins)
    surroundings = await _tellers(archive, [*origins, *copies])
    known = {**surroundings, **contents.stored}
    by_target: dict[Key, list[Resource]] = {}
    for record in origins:
        for target in each(record, "target"):
            if key := key_of(target):
                by_target.setdefault(key, []).append(record)
    written = [_section(contents, part, known, by_target) for part in parts]
    return contents.bundle(composition | {"section": written}, records)


async def _tellers(archive: Archive, resources: Iterable[Resource]) -> dict[Key, Resource]:
    """Return the institutions that Provenance and the copies of facts name."""
    wanted = set()
    for one in resources:
        for agent in each(one, "agent"):
            wanted |= {key_of(agent.get(name)) for name in ("who", "onBehalfOf")}
        wanted |= {key_of(by) for by in each(one, "performer")}
    found = await archive.read_many(sorted(key for key in wanted if key is not None))
    return {key_in(one): one for one in found}


def _section(
    contents: Contents,
    part: Part,
    known: dict[Key, Resource],
    records: dict[Key, list[Resource]],
) -> dict[str, Any]:
    rows, entries = [], []
    for fact in part.facts:
        told_by: list[str] = []
        for one in fact.all():
            told_by += institutions_of(one, known, records.get(key_in(one), ())[:1])
        told_by = list(dict.fromkeys(told_by))
        rows.append(row_of(fact.resource, known, told_by))
        display = " · ".join(filter(None, (what_of(fact.resource, known), "; ".join(told_by))))
        address = contents.address(key_in(fact.resource))
        entries.append({"reference": address, "display": display})
    entries += [{"reference": urn} for urn in part.made]
    section: dict[str, Any] = {"title": part.title}
    if part.code:
        coding = {"system": LOINC, "code": part.code}
        coding |= {"display": part.display} if part.display else {}
        section["code"] = {"coding": [coding]}
    section["text"] = table(rows, part.notes)
    return section | ({"entry": entries} if entries else {})


def key_in(resource: Resource) -> Key:
    """Return which resource this is."""
    return Key(resource["resourceType"], str(resource["id"]))


def moment_text(moment: datetime, archive: Archive) -> str:
    """Return a moment as the dateTime of the hub's zone, to the second."""
    return moment.astimezone(archive.zone).replace(microsecond=0).isoformat()
