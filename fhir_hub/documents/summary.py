"""The International Patient Summary of a person, from what every institution told.

It is made when it is asked for, by the hub (its author is a Device), from the records of all that
was merged into hers. The same fact from two institutions stands there once, with both named.
What is restricted is left out.

Spec: https://hl7.org/fhir/uv/ips/
"""

from datetime import date

from fhir_hub.documents.archive import MOST, Archive
from fhir_hub.documents.assembly import Contents
from fhir_hub.documents.composing import NEWEST_ONLY, Part, key_in, moment_text, write
from fhir_hub.documents.disclosure import RESULTS_FOR, Ground, permission
from fhir_hub.documents.people import Person
from fhir_hub.documents.sameness import Fact, told_once
from fhir_hub.documents.sections import LOINC, SECTIONS, TYPES, Section, newest, statement
from fhir_hub.repository.unit import Resource
from fhir_hub.store.base import Key

_DATED = ("Observation", "DiagnosticReport")
_CARE = "http://terminology.hl7.org/CodeSystem/v3-ActClass"


async def summary(archive: Archive, person: Person, version: str) -> Resource:
    """Return the summary of a person: a Bundle of the type document. `version` is the hub's."""
    now = archive.clock()
    ground = Ground("summary", frozenset(person.ids))
    may = permission(ground, archive)
    same = dict.fromkeys(person.ids, person.ids[0])
    contents = Contents(archive, may, same)
    contents.stored[person.key] = person.patient
    record: dict[str, list[Resource]] = {}
    for name in TYPES:
        since = now - RESULTS_FOR if name in _DATED else None
        record[name] = await archive.of_patients(name, person.ids, since)
    today = now.astimezone(archive.zone).date()
    parts = [part for one in SECTIONS if (part := _part(one, record, contents, person, today))]
    own = await archive.own_organization()
    if own is not None and "id" in own:
        contents.put(own)
    await contents.follow()
    composition = _composition(contents, archive, person, version)
    if own is not None:
        address = contents.address(key_in(own)) if "id" in own else contents.make(own)
        composition["custodian"] = {"reference": address}
    return await write(contents, archive, composition, parts)


def _part(
    section: Section,
    record: dict[str, list[Resource]],
    contents: Contents,
    person: Person,
    today: date,
) -> Part | None:
    facts: list[Fact] = []
    for name in section.types:
        picked = [one for one in record[name] if section.picks(one, today) and contents.may(one)]
        told = told_once(picked, contents.archive)
        facts += newest(told) if name in _DATED else told
    facts = [fact for fact in facts if contents.put(fact.resource)]
    if facts:
        is_cut = any(len(record[name]) >= MOST for name in section.types)
        notes = (NEWEST_ONLY,) if is_cut else ()
        return Part(section.code, section.display, section.title, facts, notes)
    code, text = section.absent
    if not code:
        return None
    urn = contents.make(statement(section, contents.address(person.key)))
    return Part(section.code, section.display, section.title, notes=(text,), made=(urn,))


def _composition(contents: Contents, archive: Archive, person: Person, version: str) -> Resource:
    now = moment_text(archive.clock(), archive)
    hub = contents.make(
        {
            "resourceType": "Device",
            "deviceName": [{"name": "fhir-hub", "type": "manufacturer-name"}],
            "version": [{"value": version}],
        }
    )
    kind = {"system": LOINC, "code": "60591-5", "display": "Patient summary Document"}
    return {
        "resourceType": "Composition",
        "language": "zh-CN",
        "status": "final",
        "type": {"coding": [kind]},
        "subject": {"reference": contents.address(Key("Patient", person.ids[0]))},
        "date": now,
        "author": [{"reference": hub, "display": "fhir-hub"}],
        "title": "患者摘要 / International Patient Summary",
        "confidentiality": "N",
        "event": [
            {
                "code": [
                    {"coding": [{"system": _CARE, "code": "PCPR", "display": "care provision"}]}
                ],
                "period": {"end": now},
            }
        ],
    }
