"""No search that an index can answer scans a table, at 100,000 resources.

SQLite says which way it takes (EXPLAIN QUERY PLAN), and how far it goes is counted in steps of its
virtual machine, which are the same on every machine: to read this table from end to end takes 0.8
million. What a search finds resources by is extracted from a few generated records, as the hub
does it, and then written again and again for other people.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import parts
import pytest

from bench.records import home_id, institutions, patient_id, record, result_id
from fhir_hub.search.entry import Entry, entry_of
from fhir_hub.search.parse import parse_search
from fhir_hub.search.plan import Query
from fhir_hub.store.base import Change
from fhir_hub.store.sqlite.connection import open_reader
from fhir_hub.store.sqlite.reads import Reader
from fhir_hub.store.sqlite.store import open_sqlite

MODELS, COPIES = 20, 42
MOST_STEPS, LONGER = 230_000, 560_000
WHO, LOINC, CLASS = f"Patient/{patient_id(77)}", "http://loinc.org", "urn:oid:2.16.156.10011.1.19"
MANY = ",".join(f"{LOINC}|{number}-0" for number in range(300))
RESULT, HOME = result_id(77, 1, 2), home_id(77, 3)

QUICK = f"""
Observation
Observation?_id={RESULT}
Observation?_id={RESULT},{HOME}
Observation?patient={WHO}
Observation?subject={WHO}&_sort=-date
Observation?patient={WHO}&code={LOINC}|14771-0&date=ge2025-03-01
Observation?patient={WHO}&code={LOINC}|14771-0&date=ge2025-03-01&date=lt2025-06-01&_sort=date
Observation?patient={WHO}&_total=accurate
Observation?code={LOINC}|14771-0
Observation?code=14771-0,4548-4
Observation?code={LOINC}|14771-0&_sort=-date
Observation?code={LOINC}|
Observation?code={MANY}
Observation?code={MANY}&_sort=-date
Observation?patient={WHO}&code={MANY}
Observation?status=final&identifier={MANY}
Observation?status=final
Observation?status=final&_sort=-date
Observation?status:not=final
Observation?status:not=final&_total=accurate
Observation?code:not={LOINC}|14771-0
Observation?code:not={LOINC}|14771-0&_sort=-date
Observation?code:text=空腹
Observation?identifier=https://fhir-hub.example/sid/SHTH01|L77
Observation?_sort=-date
Observation?_sort=date
Observation?_sort=-_lastUpdated
Observation?_sort=code
Observation?date=2025-04-05
Observation?date=eq2025-04-05
Observation?date=gt2025-04-05
Observation?date=lt2025-04-05
Observation?date=ge2025-04-05
Observation?date=le2025-04-05
Observation?date=sa2025-04-05
Observation?date=eb2025-04-05
Observation?date=ap2025-04-05
Observation?date=ge2025-04-05&date=lt2025-04-07
Observation?date=ge2025-04-05&date=lt2025-04-07&_sort=-date
Observation?date=ge2025-04-05&_sort=-date
Observation?date=ge2025-04-05&_sort=date
Observation?date=lt2026-04-05&_sort=-date
Observation?value-quantity=gt100
Observation?value-quantity=lt5&_sort=-date
Observation?value-quantity=170|http://unitsofmeasure.org|g/L
Observation?code-value-quantity={LOINC}|14771-0$gt11
Observation?performer:missing=true
Observation?performer:missing=false
Observation?specimen:missing=true
Observation?encounter:missing=true
Observation?_lastUpdated=gt2026-01-01
Observation?subject:Patient.identifier={CLASS}|310118D00000077
Observation?subject:Patient.name=王
Observation?patient.name=wang&code={LOINC}|14771-0
Observation?patient.organization.name=苏州
Observation?patient.general-practitioner.identifier=T00007
Observation?patient.organization.name=苏州&code={LOINC}|4548-4
Observation?encounter.service-provider.identifier=QPRHP
Observation?_has:DiagnosticReport:result:code={LOINC}|24323-8
Observation?subject:identifier=none
Observation?_tag=none
Observation?_profile=http://none.example
Patient?name=王
Patient?name=wang
Patient?family=wang&gender=female
Patient?name:contains=伟
Patient?phone=13000000077
Patient?identifier=310118D00000077
Patient?identifier={CLASS}|310118D00000077
Patient?identifier={CLASS}|
Patient?identifier=310118D00000077,310118D00000078
Patient?birthdate=lt1990&_sort=birthdate
Patient?birthdate:missing=true
Patient?gender=male&_total=accurate
Patient?gender:not=male
Patient?gender:not=male&_total=accurate
Patient?address=上海市
Patient?deceased=true
Patient?organization=Organization/ZJJCHC&_sort=family
Patient?organization.name=苏州&_sort=-birthdate
Patient?_has:Observation:patient:code={LOINC}|4548-4
Patient?_has:Condition:patient:code=I10.x00
Patient?_has:MedicationRequest:patient:status=active&gender=female
Patient?_has:Observation:patient:_has:DiagnosticReport:result:code={LOINC}|24323-8
Patient?_has:Observation:patient:code={LOINC}|59408-5&_sort=birthdate
Patient?_has:Encounter:patient:service-provider.name=苏州
Encounter?date=ge2025-06-01&date=lt2025-06-08&_sort=date
Encounter?class=IMP&date=ge2025-06-01&date=lt2025-06-08
Encounter?participant=Practitioner/T00017&_sort=-date
Appointment?actor=Practitioner/T00017&date=ge2025-06-01&date=lt2025-06-08
Appointment?status=booked&date=ge2025-06-01&_sort=date
Appointment?patient={WHO}
Condition?code=http://hl7.org/fhir/sid/icd-10|I10.x00&_sort=-recorded-date
Condition?patient={WHO}&clinical-status=active
MedicationRequest?status=active&_sort=-authoredon
MedicationRequest?patient={WHO}&status=active,stopped
MedicationRequest?requester=Practitioner/T00007
DiagnosticReport?result=Observation/{RESULT}
DiagnosticReport?result.code={LOINC}|14771-0
DiagnosticReport?patient={WHO}&_sort=-date
Practitioner?name=wang
Organization?name=苏州
?_lastUpdated=gt2026-01-01
?_id={RESULT}
"""
# what has to go through many rows of one index range: to count them, or to sort them
LONG = f"""
Observation?date=ge2025-04-05&_total=accurate
Observation?date=lt2025-04-05&_total=accurate
Observation?date=ne2025-04-05
Observation?date=ge2020&_sort=-_lastUpdated
Observation?_lastUpdated=ge2020&_sort=-_lastUpdated
Observation?encounter:missing=true&_total=accurate
Observation?code={LOINC}|14771-0&_total=accurate
Observation?status=final&_total=accurate
Observation?value-quantity=gt10&_total=accurate
Observation?_lastUpdated=ge2020&_total=accurate
Observation?code:not={LOINC}|14771-0&_total=accurate
Observation?patient.general-practitioner.identifier=T00007&_sort=-date
Observation?patient.general-practitioner.identifier=T00007&_total=accurate
"""


Copier = Callable[[int, int], Entry]


def copier(entry: Entry, model: int) -> Copier | None:
    """Return what makes the entry of the record `model` one of the person `number`.

    None for what is everybody's: the same entry is that of all of them.
    """
    parameter, kind, code, system, low, high, *rest = entry
    if kind == "date" and low is not None and high is not None:

        def later(number: int, hours: int) -> Entry:
            by = hours * 3_600_000_000
            return entry_of((parameter, kind, code, system, low + by, high + by, *rest))

        return later
    old, short = f"{model:09}000000000", f"D{model:08}"
    if old not in code and short not in code:
        return None

    def renamed(number: int, hours: int) -> Entry:
        new = code.replace(old, f"{number:09}000000000").replace(short, f"D{number:08}")
        return entry_of((parameter, kind, new, system, low, high, *rest))

    return renamed


def models() -> Iterator[tuple[int, str, str, tuple[Entry, ...]]]:
    """Yield model, type, logical id and entries of the resources of a few records."""
    for resource in institutions():
        entries = parts.extractor().entries(resource)
        yield 0, resource["resourceType"], resource["id"], entries
    for model in range(1, MODELS + 1):
        for some in record(model):
            for resource in some:
                entries = parts.extractor().entries(resource)
                yield model, resource["resourceType"], resource["id"], entries


def changes() -> Iterator[list[Change]]:
    known = [
        (model, *key, [(entry, copier(entry, model)) for entry in entries])
        for model, *key, entries in models()
    ]
    for copy in range(COPIES):
        group = []
        for model, resource_type, logical_id, copied in known:
            number = model + copy * MODELS
            if model == 0 and copy:
                continue
            moment = 1_700_000_000_000_000 + copy * 1_000_000
            new = logical_id.replace(f"{model:09}000000000", f"{number:09}000000000")
            entries = tuple(make(number, copy) if make else entry for entry, make in copied)
            group.append(Change(resource_type, new, 1, moment, "POST", b"{}", entries))
        yield group


async def fill(path: Path) -> int:
    store, _ = open_sqlite(path)
    stored = 0
    for group in changes():
        await store.write(group)
        stored += len(group)
    await store.close()
    return stored


def read(text: str) -> Query:
    resource_type, _, query = text.partition("?")
    asked = parse_search(
        (resource_type,) if resource_type else (),
        parse_qsl(query),
        parameters=parts.parameters(),
        zone=parts.ZONE,
        base="http://hub.test/fhir",
    )
    return asked.query


def steps(reader: Reader, query: Query) -> int:
    """Return how many steps of SQLite's machine the search takes, in thousands rounded up."""
    told = 0

    def count() -> bool:
        nonlocal told
        told += 1
        return False

    reader.connection.set_progress_handler(count, 1000)
    try:
        reader.search(query)
    finally:
        reader.connection.set_progress_handler(None)
    return told * 1000


def complaints(reader: Reader, text: str, most: int) -> Iterator[str]:
    """Yield what is wrong with the way that a search takes."""
    query = read(text)
    lines = reader.explain(query)
    # p, found and subquery-n are rows of this search; t1, t2 ... are tables
    for line in lines:
        if re.search(r"^SCAN t\d", line) or "AUTOMATIC" in line:
            yield f"{text}: {line}"
    if (taken := steps(reader, query)) > most:
        yield f"{text}: {taken:,} steps"


@pytest.mark.no_cover  # many rounds of what other tests cover
def test_no_indexed_search_scans_a_table_of_100_000_resources(tmp_path):
    path = tmp_path / "hub.sqlite"
    assert asyncio.run(fill(path)) >= 100_000
    connection = open_reader(path, 16_384)
    reader = Reader(connection)
    try:
        wrong = [
            said
            for texts, most in ((QUICK, MOST_STEPS), (LONG, LONGER))
            for text in texts.strip().splitlines()
            for said in complaints(reader, text, most)
        ]
        assert wrong == []
    finally:
        connection.close()
