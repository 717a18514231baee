"""Searches of resources: a page, a total, and how they are found.

A search of several statements (far ends of chains, the page, the total) runs in one snapshot:
what holds for one holds for all. One within a write runs in its transaction.
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub.search.plan import EVERYTHING, LinkedBy, Links, Plan, Query
from fhir_hub.store.base import Page
from fhir_hub.store.cursor import read_cursor, write_cursor
from fhir_hub.store.mongo.conditions import FEW, Asked, Conditions
from fhir_hub.store.mongo.documents import of_resource
from fhir_hub.store.mongo.driver import Connection, Document, Session
from fhir_hub.store.mongo.pages import page_stages
from fhir_hub.store.mongo.patterns import NEVER
from fhir_hub.store.mongo.schema import HUB, ORDER, RESOURCE, SPREADS
from fhir_hub.store.mongo.spreads import Spreads, is_range

_ALL = 1_000_000_000  # far ends: a transaction may not join (`$lookup`) a sharded collection


class Searches:
    """Answers the searches of one database; `few` is for tests."""

    def __init__(self, connection: Connection, few: int = FEW) -> None:
        self._connection, self._few = connection, few
        self._spreads, self._changes = Spreads(), 0

    async def page(self, query: Query, session: Session = None) -> Page:
        """Return a page of live resources that meet a query."""
        is_several = query.with_total or is_chained(query.plan) or asks_ranges(query.plan)
        if session is None and is_several:
            async with self._connection.session(is_snapshot=True) as snapshot:
                return await self._page(query, snapshot)
        return await self._page(query, session)

    async def _page(self, query: Query, session: Session) -> Page:
        after = read_cursor(query) if query.after else ()
        asked = await self._asked(query, session)
        found: list[Document] = []
        if query.count > 0 and asked.where != NEVER:
            stages = page_stages(asked, query.sort, after, query.count + 1)
            found = await self._connection.aggregate(RESOURCE, stages, session=session)
        total = await self._total(query, asked, session) if query.with_total else None
        matches = [of_resource(document) for document in found[: query.count]]
        cursor = ""
        if len(found) > query.count and matches:
            last = found[query.count - 1]
            values = [last.get(f"s{place}") for place in range(len(query.sort))]
            cursor = write_cursor(query, (*map(_plain, values), int(last["n"])))
        return Page(matches, cursor, total)

    async def logical_ids(self, query: Query, session: Session, spreads: Spreads) -> frozenset[str]:
        """Return the logical ids of the matches; if there are more than `count`, not of all."""
        asked = await self._asked(query, session, spreads, _ALL)
        if asked.where == NEVER:
            return frozenset()
        stages = [*asked.pipeline(), {"$limit": query.count}, {"$project": {"i": 1}}]
        found = await self._connection.aggregate(RESOURCE, stages, session=session)
        return frozenset(document["i"] for document in found)

    async def explain(self, query: Query) -> list[str]:
        """Return each statement, its values left out, followed by the steps of MongoDB's plan."""
        lines: list[str] = []
        async with self._connection.session(is_snapshot=True) as session:

            async def run(stages: list[Document]) -> list[Document]:
                lines.append(shown(stages))
                return await self._connection.aggregate(RESOURCE, stages, session=session)

            spreads = await self._known(query.plan, session)
            conditions = Conditions(run, spreads, self._few)
            asked = await conditions.asked(query.plan, query.resource_types)
        after = read_cursor(query) if query.after else ()
        statements = []
        if query.count > 0:
            statements.append(page_stages(asked, query.sort, after, query.count + 1))
        if query.with_total:
            statements.append([*asked.pipeline(), {"$count": "found"}])
        for stages in statements:
            lines.append(shown(stages))
            told = await self._connection.command(
                "explain",
                {"aggregate": RESOURCE, "pipeline": stages, "cursor": {}},
                verbosity="queryPlanner",
            )
            lines += list(_steps(told))
        return lines

    async def known(self, changes: int, session: Session) -> Spreads:
        """Return the spreads of intervals after so many changes of them."""
        if changes != self._changes:
            kept = await self._connection.find_one(HUB, {"_id": SPREADS}, session=session)
            self._spreads, self._changes = Spreads(kept["rows"] if kept else ()), changes
        return self._spreads

    async def _known(self, plan: Plan, session: Session) -> Spreads:
        """Return the spreads of intervals, as they are in the snapshot, if a plan needs them."""
        if not asks_ranges(plan):
            return self._spreads
        order = await self._connection.find_one(
            HUB, {"_id": ORDER}, fields={"w": 1}, session=session
        )
        return await self.known(int(order["w"]) if order else 0, session)

    async def _asked(
        self, query: Query, session: Session, spreads: Spreads | None = None, few: int = 0
    ) -> Asked:
        async def run(stages: list[Document]) -> list[Document]:
            return await self._connection.aggregate(RESOURCE, stages, session=session)

        if spreads is None:
            spreads = await self._known(query.plan, session)
        conditions = Conditions(run, spreads, few or self._few)
        return await conditions.asked(query.plan, query.resource_types)

    async def _total(self, query: Query, asked: Asked, session: Session) -> int:
        """Return how many meet a query; of whole types the number is kept."""
        if asked.where == NEVER:
            return 0
        if query.plan == EVERYTHING:
            order = await self._connection.find_one(HUB, {"_id": ORDER}, session=session)
            counts: dict[str, int] = order["c"] if order else {}
            types = set(query.resource_types) or set(counts)
            return sum(counts.get(name, 0) for name in types)
        stages = [*asked.pipeline(), {"$count": "found"}]
        found = await self._connection.aggregate(RESOURCE, stages, session=session)
        return int(found[0]["found"]) if found else 0


def _plain(value: Any) -> Any:
    """Return a sort value as JSON has it; BSON's integers are a class of their own."""
    return int(value) if isinstance(value, int) else value


def is_chained(plan: Plan) -> bool:
    """Say whether a plan looks at other resources than the one that it is asked of."""
    if isinstance(plan, Links | LinkedBy):
        return True
    return any(map(is_chained, _inside(plan)))


def asks_ranges(plan: Plan) -> bool:
    """Say whether a plan, or one inside it, asks for intervals by their bounds."""
    return is_range(plan) or any(map(asks_ranges, _inside(plan)))


def _inside(plan: Plan) -> Sequence[Plan]:
    inner: Plan | None = getattr(plan, "plan", None)
    return getattr(plan, "plans", ()) if inner is None else (inner,)


def shown(value: Any, key: str = "") -> str:
    """Return a pipeline as text, with `?` for each value."""
    if isinstance(value, dict):
        inner = ", ".join(f"{name}: {shown(one, name)}" for name, one in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        if key in ("$in", "$nin") and len(value) > 1:
            return f"[{len(value)} values]"
        return f"[{', '.join(shown(one, key) for one in value)}]"
    if key in ("t", "from", "localField", "foreignField", "as") and isinstance(value, str):
        return value
    return value if isinstance(value, str) and value.startswith("$") else "?"


def _steps(told: Any) -> list[str]:
    """Return the stages of the winning plan with the indexes that they walk, the last one first."""
    found: list[str] = []
    if isinstance(told, dict):
        if "stage" in told and isinstance(told["stage"], str):
            index = f" {told['indexName']}" if "indexName" in told else ""
            found.append(told["stage"] + index)
        for name, inner in told.items():
            if name not in ("rejectedPlans", "command"):
                found += _steps(inner)
    elif isinstance(told, list):
        for inner in told:
            found += _steps(inner)
    return found
