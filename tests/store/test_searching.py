"""`search`: what a plan means, in which order, page by page."""

import pytest
from stored_examples import LOINC, OBSERVATIONS, PATIENTS, numbers, token

from fhir_hub.errors import InvalidParameter
from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import (
    EVERYTHING,
    Has,
    Is,
    Query,
    SortKey,
    Text,
)


@pytest.fixture
async def filled(store, change):
    """Write three patients, of two organizations, and four observations about two of them."""
    await store.write(
        [
            change(
                "o1",
                Entry("name", "string", "hospital", text="Hospital"),
                resource_type="Organization",
            ),
            change(
                "o2", Entry("name", "string", "centre", text="Centre"), resource_type="Organization"
            ),
            change(
                "p1",
                Entry("name", "string", "shen guofang", text="Shen Guofang"),
                Entry("name", "string", "沈国芳", text="沈国芳"),
                Entry("gender", "token", "female", "http://hl7.org/fhir/administrative-gender"),
                Entry("birthdate", "date", low=100, high=200),
                Entry("organization", "reference", "Organization/o1"),
                Entry("identifier", "token", "1", "urn:a"),
                Entry("identifier", "token", "2"),
            ),
            change(
                "p2",
                Entry("name", "string", "li wei", text="Li Wei"),
                Entry("gender", "token", "male", "http://hl7.org/fhir/administrative-gender"),
                Entry("birthdate", "date", low=150, high=160),
                Entry("organization", "reference", "Organization/o2"),
                Entry("identifier", "token", "1", "urn:b"),
            ),
            change("p3", Entry("organization", "reference", "Organization/gone")),
        ]
    )
    await store.write(
        [
            change(
                f"b{number}",
                Entry("subject", "reference", f"Patient/{patient}"),
                Entry("code", "token", code, LOINC),
                Entry(
                    "value",
                    "quantity",
                    "mg",
                    "http://ucum",
                    low=value - 0.5,
                    high=value + 0.5,
                    text="mg",
                ),
                Entry("code-value.0", "token", code, LOINC, group=1),
                Entry(
                    "code-value.1",
                    "quantity",
                    "mg",
                    "http://ucum",
                    low=value - 0.5,
                    high=value + 0.5,
                    group=1,
                ),
                Entry("code-value.0", "token", "other", LOINC, group=2),
                Entry(
                    "code-value.1",
                    "quantity",
                    "mmol",
                    "http://ucum",
                    low=899.5,
                    high=900.5,
                    group=2,
                ),
                Entry("profile", "uri", f"http://x/{number}/y"),
                resource_type="Observation",
            )
            for number, patient, code, value in (
                (1, "p1", "glu", 5),
                (2, "p1", "hb", 120),
                (3, "p2", "glu", 9),
                (4, "gone", "glu", 7),
            )
        ]
    )
    return store


# What is stored is the same for each: to store it takes longer than to ask.
@pytest.mark.parametrize(
    ("resource_type", "rows"), [("Patient", PATIENTS), ("Observation", OBSERVATIONS)]
)
async def test_a_plan_finds(filled, resource_type, rows):
    for plan, expected in rows:
        page = await filled.search(Query((resource_type,), plan, with_total=True))

        assert [stored.logical_id for stored in page.matches] == expected.split(), plan
        assert (page.total, page.cursor) == (len(expected.split()), ""), plan


@pytest.mark.parametrize(
    ("types", "plan", "expected"),
    [
        ((), EVERYTHING, "o1 o2 p1 p2 p3 b1 b2 b3 b4"),
        (("Patient", "Organization", "Group"), EVERYTHING, "o1 o2 p1 p2 p3"),
        ((), Has("name", "string"), "o1 o2 p1 p2"),
        ((), token("_id", Is("p1"), Is("b2")), "p1 b2"),
        (
            ("Observation", "Patient"),
            Has("_lastUpdated", "date", (numbers(("low", "<", 4_000_000)),)),
            "p1",
        ),
        (("Group",), EVERYTHING, ""),
    ],
)
async def test_several_types_are_searched_at_once(filled, types, plan, expected):
    page = await filled.search(Query(types, plan, with_total=True))

    assert [stored.logical_id for stored in page.matches] == expected.split()
    assert page.total == len(expected.split())


SORTS = [
    (("birthdate", "date"), "p1 p2 p3"),
    (("birthdate", "date", True), "p1 p2 p3"),
    (("name", "string"), "p2 p1 p3"),
    (("name", "string", True), "p1 p2 p3"),
    (("gender", "token", True), "p2 p1 p3"),
    (("organization", "reference"), "p3 p1 p2"),
    (("_lastUpdated", "date", True), "p3 p2 p1"),
    (("_lastUpdated", "date"), "p1 p2 p3"),
    (("_id", "token", True), "p3 p2 p1"),
    (("never", "token"), "p1 p2 p3"),
    (("identifier", "token"), "p1 p2 p3"),
    (("identifier", "token", True), "p1 p2 p3"),
]


async def test_a_sort_orders_and_what_has_no_value_comes_last(filled):
    for key, expected in SORTS:
        page = await filled.search(Query(("Patient",), sort=(SortKey(*key),)))

        assert [stored.logical_id for stored in page.matches] == expected.split(), key


async def test_several_sort_keys_count_in_turn(store, change):
    await store.write(
        [
            change("a", Entry("x", "token", "1"), Entry("y", "number", low=5, high=6)),
            change("b", Entry("x", "token", "1"), Entry("y", "number", low=9, high=10)),
            change("c", Entry("x", "token", "1")),
            change("d", Entry("y", "number", low=None, high=None)),
            change("e", Entry("x", "token", "0"), Entry("x", "token", "9")),
        ]
    )
    x, y = ("x", "token"), ("y", "number")

    async def ordered(*sort: SortKey, **options: object) -> str:
        page = await store.search(Query(("Patient",), sort=sort, **options))
        return "".join(stored.logical_id for stored in page.matches)

    assert await ordered(SortKey(*x), SortKey(*y)) == "eabcd"
    assert await ordered(SortKey(*x, True), SortKey(*y, True)) == "ebacd"
    assert await ordered(SortKey(*y, True)) == "dbace"
    assert await ordered(SortKey(*y)) == "dabce"


async def walk(store, query: Query, between=None) -> list[str]:
    """Return what all pages of the query hold, one after the other."""
    found: list[str] = []
    while True:
        page = await store.search(query)
        assert len(page.matches) <= query.count
        found += [stored.logical_id for stored in page.matches]
        if not page.cursor:
            return found
        if between:
            await between()
        query = Query(
            query.resource_types, query.plan, query.sort, query.count, page.cursor, query.with_total
        )


@pytest.mark.parametrize(
    "sort",
    [
        (),
        (SortKey("name", "string", True),),
        (SortKey("birthdate", "date"),),
        (SortKey("gender", "token"), SortKey("_lastUpdated", "date", True)),
        (SortKey("never", "token"), SortKey("_id", "token", True)),
    ],
)
async def test_pages_hold_everything_once_in_order(filled, sort):
    for types in (("Patient",), ()):
        whole = await filled.search(Query(types, sort=sort, count=100))
        for count in (1, 2, 3, 50):
            found = await walk(filled, Query(types, sort=sort, count=count))

            assert found == [stored.logical_id for stored in whole.matches], (types, count)


async def test_pages_stay_right_while_others_write(store, change):
    await store.write(
        [change(f"p{n:02}", Entry("rank", "number", low=n, high=n)) for n in range(30)]
    )
    news = iter(range(100))

    async def between() -> None:
        number = next(news)
        await store.write([change(f"n{number}", Entry("rank", "number", low=-1, high=-1))])
        current = await store.read(("Patient", "p00"))
        made = change("p00", version_id=current.version_id + 1)
        await store.write([made])

    by_rank = Query(("Patient",), sort=(SortKey("rank", "number"),), count=4)
    found = await walk(store, by_rank, between)

    assert [name for name in found if name[0] == "p"][:30] == [f"p{n:02}" for n in range(30)]
    found = await walk(store, Query(("Patient",), Has("rank", "number"), count=4), between)
    assert [name for name in found if name[0] == "p"] == [f"p{n:02}" for n in range(1, 30)]


async def test_count_0_asks_for_the_total_alone(filled):
    page = await filled.search(Query(("Patient",), count=0, with_total=True))

    assert (page.matches, page.cursor, page.total) == ([], "", 3)
    assert (await filled.search(Query(("Patient",)))).total is None


@pytest.mark.parametrize("cursor", ["x", "AAAA", "é", "bnVsbA", "WzFd", "W10", "=" * 9, "[" * 5000])
async def test_a_cursor_that_is_none_of_ours_is_refused(filled, cursor):
    with pytest.raises(InvalidParameter):
        await filled.search(Query(("Patient",), after=cursor))


async def test_a_cursor_belongs_to_its_query(filled):
    cursor = (await filled.search(Query(("Patient",), count=1))).cursor

    for other in (
        Query(("Observation",), after=cursor),
        Query(("Patient",), token("gender"), after=cursor),
        Query(("Patient",), sort=(SortKey("name", "string"),), after=cursor),
    ):
        with pytest.raises(InvalidParameter):
            await filled.search(other)


@pytest.mark.parametrize("words", [(), ("_text", "_content")], ids=["", "with its words"])
async def test_one_code_of_two_systems_is_found_once(store, change, words):
    both = [Entry("identifier", "token", "7", "urn:a"), Entry("identifier", "token", "7", "urn:b")]
    await store.write([change("p", *both, *(Entry(name, "text", " a ") for name in words))])

    page = await store.search(Query(("Patient",), token("identifier", Is("7")), with_total=True))
    assert ([stored.logical_id for stored in page.matches], page.total) == (["p"], 1)


async def test_thousands_of_alternatives_are_one_search(filled):
    many = tuple(Is(f"x{number}") for number in range(3000))

    page = await filled.search(Query(("Patient",), token("identifier", *many, Is("2"))))
    assert [stored.logical_id for stored in page.matches] == ["p1"]
    many = tuple(Is(f"x{number}", "urn:a") for number in range(1500))
    page = await filled.search(Query(("Patient",), token("identifier", *many, Is("1", "urn:a"))))
    assert [stored.logical_id for stored in page.matches] == ["p1"]
    texts = tuple(Text(f"x{number}") for number in range(1500))
    page = await filled.search(Query(("Patient",), Has("name", "string", (*texts, Text("li")))))
    assert [stored.logical_id for stored in page.matches] == ["p2"]


async def test_status_counts_current_resources_by_type(filled, change):
    await filled.write([change("p1", version_id=2, method="DELETE")])
    await filled.write([change("b1", version_id=2, resource_type="Observation")])

    status = await filled.status()

    assert status.resources == {"Observation": 4, "Organization": 2, "Patient": 2}
    assert status.sequence == 11
    assert status.size_bytes > 0


async def test_a_total_that_is_asked_again_counts_what_was_written_meanwhile(store, change):
    asked = Query(("Patient",), Has("gender", "token", (Is("female"),)), count=0, with_total=True)
    totals = []

    for number in range(3):
        await store.write([change(f"p{number}", Entry("gender", "token", "female"))])
        totals += [(await store.search(asked)).total, (await store.search(asked)).total]
    await store.write([change("p0", version_id=2, method="DELETE")])
    totals.append((await store.search(asked)).total)

    assert totals == [1, 1, 2, 2, 3, 3, 2]


async def test_several_searches_at_once_find_what_each_finds(filled):
    """Of codes with a system, as of a message's numbers, or of anything else."""
    numbers = Has("identifier", "token", (Is("1", "urn:a"), Is("1", "urn:b"), Is("9", "urn:a")))
    results = Has("code", "token", (Is("glu", LOINC), Is("none", "urn:of-nobody")))
    of_no_type = Query(("Slot",), numbers, count=1000)
    asked = [Query(("Patient",), numbers, count=1000), Query(("Observation",), results, count=1000)]
    any_system = Query(("Patient",), Has("identifier", "token", (Is("2"),)), count=1000)
    one_page = Query(("Patient",), numbers, count=1)
    for several in ([], asked, [*asked, of_no_type], [*asked, any_system], [one_page, *asked]):
        pages = await filled.search_all(several)
        alone = [await filled.search(query) for query in several]
        assert [page[:2] for page in pages] == [page[:2] for page in alone]
    first, second = await filled.search_all(asked)
    assert [one.logical_id for one in first.matches] == ["p1", "p2"]
    assert second.matches
