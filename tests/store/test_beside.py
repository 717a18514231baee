"""What stands beside a reference to a patient: from an older file the same as written anew."""

import apsw
import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import And, Compare, Has, Is, Query, Range
from fhir_hub.store.base import Indexed, Key
from fhir_hub.store.sqlite.beside import OF_PEOPLE
from fhir_hub.store.sqlite.beside import SAID as SAYS
from fhir_hub.store.sqlite.migrations import MIGRATIONS
from fhir_hub.store.sqlite.store import open_sqlite

ROWS = "SELECT * FROM by_code WHERE code LIKE 'Patient/%' ORDER BY parameter, code, rid"
WHO = Entry("subject", "reference", "Patient/1")
DAY = Entry("date", "date", low=5, high=7)
SAID = [
    (WHO, Entry("status", "token", "final"), Entry("code", "token", "a", "urn:1"), DAY),
    (WHO, Entry("code", "token", "a", "urn:1"), Entry("code", "token", "b"), DAY._replace(high=6)),
    (WHO, DAY, DAY._replace(low=1), Entry("code:text", "string", "a")),
    (WHO, Entry("code", "token", "odd\x1fcode"), Entry("date", "date", high=3)),
    (WHO, Entry("code", "token", "a" * 500)),
    (Entry("performer", "reference", "Practitioner/1"), DAY),
]
# before references said more: the tables as they were, with the rows as they were
OLDER = """
ALTER TABLE by_code DROP COLUMN tokens;
ALTER TABLE by_code DROP COLUMN low;
ALTER TABLE by_code DROP COLUMN high;
ALTER TABLE by_code DROP COLUMN sequence;
ALTER TABLE by_code DROP COLUMN logical_id;
INSERT INTO by_low SELECT * FROM by_point;
INSERT INTO by_high SELECT parameter, low + 1000000, rid FROM by_point;
DROP TABLE by_point;
PRAGMA user_version = 6;
"""
UNTOLD = "UPDATE by_code SET tokens = NULL, low = NULL, high = NULL, sequence = NULL"


def asked(code: str, system: str | None) -> Query:
    since = Range(((Compare("low", ">=", 6),), (Compare("high", ">", 6),)))
    parts = (
        Has("subject", "reference", (Is("Patient/1"),)),
        Has("code", "token", (Is(code, system),)),
        Has("date", "date", (since,)),
    )
    return Query(("Observation",), And(parts))


async def found(path) -> list[list[str]]:
    store, _ = open_sqlite(path)
    try:
        queries = [asked(*one) for one in (("a", "urn:1"), ("a", None), ("b", ""), ("a", "urn:2"))]
        return [[one.logical_id for one in (await store.search(q)).matches] for q in queries]
    finally:
        await store.close()


def rows(path) -> list[tuple]:
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(ROWS).fetchall()
    finally:
        connection.close()


@pytest.fixture
async def path(tmp_path, change):
    store, _ = open_sqlite(tmp_path / "hub.db")
    for number, entries in enumerate(SAID):
        await store.write([change(str(number), *entries, resource_type="Observation")])
    await store.close()
    return tmp_path / "hub.db"


async def test_a_row_says_the_codes_and_the_one_date_of_its_resource(path):
    said = [row[4:7] for row in rows(path)]

    assert [text and text.count("\x1e") for text, _, _ in said] == [3, 3, 1, None, None]
    assert [ends for _, *ends in said] == [
        [5, 7],
        [5, 6],
        [None] * 2,
        [float("-inf"), 3],
        [None] * 2,
    ]


async def test_a_file_of_an_older_program_is_given_what_a_new_one_writes(path):
    written, answers = rows(path), await found(path)
    connection = apsw.Connection(str(path))
    connection.execute(OLDER)
    connection.close()

    assert await found(path) == answers == [["0"], ["0"], [], []]
    assert rows(path) == written
    assert len(MIGRATIONS) > 6


async def test_a_row_that_says_nothing_is_asked_the_other_way(path):
    answers = await found(path)
    connection = apsw.Connection(str(path))
    connection.execute(UNTOLD)
    connection.close()

    assert await found(path) == answers


async def test_an_update_says_anew_what_stands_beside(path, change):
    store, _ = open_sqlite(path)
    later = (WHO, Entry("code", "token", "b"), DAY)
    await store.write([change("0", *later, resource_type="Observation", version_id=2)])
    await store.close()

    assert await found(path) == [[], [], ["0"], []]


async def versions(path) -> list[int]:
    store, _ = open_sqlite(path)
    try:
        who = Query(("Observation",), Has("subject", "reference", (Is("Patient/1"),)))
        return [one.version_id for one in (await store.search(who)).matches]
    finally:
        await store.close()


async def test_the_version_that_stands_beside_is_the_current_one(path, change):
    store, _ = open_sqlite(path)
    same, others = SAID[0], (WHO, DAY)
    for number, entries, version_id in (("0", same, 2), ("1", others, 2), ("0", same, 3)):
        told = change(number, *entries, resource_type="Observation", version_id=version_id)
        await store.write([told])
    key = Key("Observation", "2")
    await store.reindex([Indexed(key, 1, SAID[1])], {}, await store.generation())
    await store.write(
        [change("3", resource_type="Observation", version_id=2, method="DELETE")],
    )
    await store.close()

    assert await versions(path) == [3, 2, 1, 1]
    sql = f"{ROWS.replace('*', 'rid, tokens, low, high, sequence, logical_id')}"
    connection = apsw.Connection(str(path))
    told = connection.execute(sql).fetchall()
    connection.execute(f"UPDATE by_code SET {SAYS} WHERE {OF_PEOPLE}")
    assert connection.execute(sql).fetchall() == told
    assert all(row[4] for row in told)
    connection.close()
