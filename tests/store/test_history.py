"""`history`: newest first, at three levels, without gaps.

Spec: https://hl7.org/fhir/R4/http.html#history
"""

import pytest


@pytest.fixture
async def filled(store, change):
    """Write a1, b1, device d1, a2, b2 (deleted), a3; a second apart."""
    for made in (
        change("a"),
        change("b"),
        change("d", resource_type="Device"),
        change("a", version_id=2),
        change("b", version_id=2, method="DELETE"),
        change("a", version_id=3),
    ):
        await store.write([made])
    return store


def names(page) -> list[str]:
    return [f"{stored.logical_id}{stored.version_id}" for stored in page.matches]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ((), ["a3", "b2", "a2", "d1", "b1", "a1"]),
        (("Patient",), ["a3", "b2", "a2", "b1", "a1"]),
        (("Patient", "a"), ["a3", "a2", "a1"]),
        (("Device", "d"), ["d1"]),
        (("Device", "a"), []),
        (("Group",), []),
        (("Group", "a"), []),
    ],
)
async def test_each_level_has_its_versions_newest_first(filled, level, expected):
    page = await filled.history(*level, with_total=True)

    assert names(page) == expected
    assert page.total == len(expected)
    assert page.cursor == ""


@pytest.mark.parametrize("level", [(), ("Patient",), ("Patient", "a")])
async def test_pages_follow_one_another(filled, level):
    everything = names(await filled.history(*level))
    found, before = [], 0
    while True:
        page = await filled.history(*level, count=2, before=before, with_total=True)
        assert page.total == len(everything)
        found += names(page)
        if not page.cursor:
            break
        before = int(page.cursor)

    assert found == everything


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"since": 4_000_000}, ["a3", "b2", "a2"]),
        ({"since": 4_000_001}, ["a3", "b2"]),
        ({"since": 1}, ["a3", "b2", "a2", "d1", "b1", "a1"]),
        ({"since": 9_000_000}, []),
        ({"since": 4_000_000, "before": 6}, ["b2", "a2"]),
        ({"at": (4_500_000, 4_500_000)}, ["a2", "d1", "b1"]),
        ({"at": (5_000_000, 5_000_000)}, ["b2", "a2", "d1"]),
        ({"at": (4_500_000, 5_000_000)}, ["b2", "a2", "d1", "b1"]),
        ({"at": (3_999_999, 4_000_000)}, ["a2", "d1", "b1", "a1"]),
        ({"at": (1, 999_999)}, []),
        ({"at": (0, 9_000_000)}, ["a3", "b2", "a2", "d1", "b1", "a1"]),
        ({"at": (9_000_000, 9_000_001), "count": 1}, ["a3"]),
        ({"count": 0}, []),
    ],
)
async def test_a_time_narrows_the_history(filled, options, expected):
    page = await filled.history(**options, with_total=True)

    assert names(page) == expected
    if "before" not in options and "count" not in options:
        assert page.total == len(expected)


async def test_one_resource_at_a_time(filled):
    assert names(await filled.history("Patient", "a", at=(4_500_000, 4_500_000))) == ["a2"]
    assert names(await filled.history("Patient", "a", since=4_000_000)) == ["a3", "a2"]


async def test_a_clock_that_went_back_hides_nothing(store, change):
    for number, moment in enumerate((50, 20, 70, 30, 60)):
        await store.write([change(f"p{number}", at=moment)])

    assert names(await store.history(since=50)) == ["p41", "p21", "p01"]
    assert names(await store.history(since=61)) == ["p21"]


async def test_history_of_nothing_is_empty(store):
    page = await store.history(with_total=True)

    assert (page.matches, page.cursor, page.total) == ([], "", 0)
    assert (await store.history(since=5)).matches == []
