"""Guards of a search that was made a moment before, as a unit of work makes it.

A store may know that nothing was written since that matters. It must not think so wrongly.
"""

import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import And, Has, Is, LinkedBy, Not, Plan, Query
from fhir_hub.store.base import Conflict, Guard, Indexed, Key

OPEN, DONE = Entry("status", "token", "open", "urn:s"), Entry("status", "token", "done", "urn:s")
WANTED = And((Has("for", "reference", (Is("Patient/p"),)), Has("status", "token", (Is("open"),))))
ANY_OF_TWO = Has("for", "reference", (Is("Patient/q"), Is("Patient/p")))


def of(patient: str) -> Entry:
    return Entry("for", "reference", f"Patient/{patient}")


async def found(store, plan: Plan) -> Guard:
    """Return the guard of what is found now, so that it holds at a commit of now."""
    page = await store.search(Query(("Task",), plan))
    return Guard("Task", plan, frozenset(one.logical_id for one in page.matches), page.as_of)


@pytest.fixture
async def tasks(store, change):
    """Return what makes changes of Tasks, in a store with two, that has been asked before."""

    def task(logical_id, *entries, version_id=1, method=None):
        more = {"version_id": version_id, "method": method}
        return change(logical_id, *entries, resource_type="Task", **more)

    await store.write([task("a", of("p"), OPEN), task("b", of("q"), OPEN)])
    for n, plan in enumerate((WANTED, ANY_OF_TWO, Not(WANTED), Has("_id", "token", (Is("n"),)))):
        await store.write([change(f"w{n}")], [await found(store, plan)])
    await store.write([change("last")])
    return task


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda task: task("n", of("q"), OPEN), id="another's"),
        pytest.param(lambda task: task("n", of("p"), DONE), id="another state"),
        pytest.param(lambda task: task("b", of("q"), DONE, version_id=2), id="an update"),
        pytest.param(lambda task: task("a", of("p"), OPEN, version_id=2), id="the same again"),
        pytest.param(lambda task: task("b", version_id=2, method="DELETE"), id="a deletion"),
    ],
)
async def test_a_guard_holds_whatever_else_is_written(store, change, tasks, written):
    guard = await found(store, WANTED)
    await store.write([written(tasks)])

    assert await store.write([change("x")], [guard])


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda task: task("n", of("p"), OPEN), id="a new one"),
        pytest.param(lambda task: task("n", of("q"), of("p"), DONE, OPEN), id="of two each"),
        pytest.param(lambda task: task("b", of("p"), OPEN, version_id=2), id="comes to be one"),
        pytest.param(lambda task: task("a", of("p"), DONE, version_id=2), id="is one no more"),
        pytest.param(lambda task: task("a", of("q"), OPEN, version_id=2), id="another's now"),
        pytest.param(lambda task: task("a", version_id=2, method="DELETE"), id="a deletion"),
    ],
)
async def test_a_guard_does_not_hold_when_the_search_would_find_others(
    store, change, tasks, written
):
    guard = await found(store, WANTED)
    await store.write([written(tasks)])
    for n in range(3):  # however long ago
        await store.write([change(f"later{n}")])

    with pytest.raises(Conflict):
        await store.write([change("x")], [guard])
    assert await store.read(Key("Patient", "x")) is None


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("kept", [0, 1, 2, 5])
async def test_a_guard_knows_what_was_written_however_little_is_remembered(
    store, change, tasks, monkeypatch, kept
):
    monkeypatch.setattr("fhir_hub.store.sqlite.touched._KEPT", kept)
    guards = [await found(store, WANTED)]
    for n in range(6):
        await store.write([tasks(f"q{n}", of("q"), OPEN)])
        guards.append(await found(store, WANTED))
    assert await store.write([change("x")], guards)

    await store.write([tasks("n", of("p"), OPEN)])
    for n in range(6):
        for number, guard in enumerate(guards):
            with pytest.raises(Conflict):
                await store.write([change(f"y{n}-{number}")], [guard])
        await store.write([tasks(f"r{n}", of("q"), OPEN)])


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(ANY_OF_TWO, id="one of two"),
        pytest.param(Not(WANTED), id="what is not so"),
        pytest.param(Has("_id", "token", (Is("n"),)), id="by its id"),
        pytest.param(Has("_type", "token", (Is("Task"),)), id="by its type"),
        pytest.param(Has("for", "reference"), id="present"),
    ],
)
async def test_a_guard_of_any_form_sees_a_new_one(store, change, tasks, plan):
    guard = await found(store, plan)
    await store.write([tasks("n", of("q"), DONE)])

    with pytest.raises(Conflict):
        await store.write([change("x")], [guard])


async def test_a_guard_may_have_found_what_is_newer_than_it_surely_saw(store, change, tasks):
    guard = await found(store, WANTED)
    await store.write([tasks("n", of("p"), OPEN)])
    guard = guard._replace(logical_ids=guard.logical_ids | {"n"})
    assert await store.write([change("x")], [guard])
    await store.write([tasks("n", of("p"), DONE, version_id=2)])

    with pytest.raises(Conflict):
        await store.write([change("y")], [guard])


async def test_a_guard_of_a_type_without_resources_sees_the_first(store, change):
    await store.write([change("before")])
    guard = await found(store, WANTED)
    await store.write([change("asked")], [guard])
    await store.write([change("a", of("p"), OPEN, resource_type="Task")])

    with pytest.raises(Conflict):
        await store.write([change("x")], [guard])


async def test_a_guard_sees_what_others_refer(store, change, tasks):
    plan = And((ANY_OF_TWO, LinkedBy("Flag", "about", Has("status", "token", (Is("open"),)))))
    await store.write([change("w")], [await found(store, plan)])
    guard = await found(store, plan)
    about = Entry("about", "reference", "Task/b")
    await store.write([change("f", about, OPEN, resource_type="Flag")])

    with pytest.raises(Conflict):
        await store.write([change("x")], [guard])


async def test_a_guard_sees_what_is_indexed_anew(store, change, tasks):
    guard = await found(store, WANTED)
    await store.reindex([Indexed(Key("Task", "b"), 1, (of("p"), OPEN))], {}, 0)

    with pytest.raises(Conflict):
        await store.write([change("x")], [guard])


async def test_of_many_who_found_nothing_one_writes(store, change, tasks, together):
    plan = And((Has("for", "reference", (Is("Patient/z"),)), Has("status", "token", (Is("open"),))))
    await store.write([change("w")], [await found(store, plan)])
    guard = await found(store, plan)
    outcomes = await together(
        *(store.write([tasks(f"n{n}", of("z"), OPEN)], [guard]) for n in range(20))
    )

    assert sum(isinstance(one, Conflict) for one in outcomes) == 19


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(And((And((WANTED.plans[0],)), And((WANTED.plans[1],)))), id="an And of Ands"),
        pytest.param(And((WANTED.plans[0],)), id="an And of one"),
        pytest.param(And((WANTED, Not(Has("_id", "token", (Is("z"),))))), id="with a Not"),
    ],
)
async def test_a_guard_of_whatever_form_holds_until_there_is_another_match(
    store, change, tasks, plan
):
    guard = await found(store, plan)

    assert await store.write([tasks("n", of("q"), OPEN)], [guard])
    await store.write([tasks("o", of("p"), OPEN)], [guard])
    with pytest.raises(Conflict):
        await store.write([change("x")], [guard])
