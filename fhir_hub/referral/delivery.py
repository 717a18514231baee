"""When a referral has reached who is asked: his system acknowledged it, or a work list showed it.

Either way the hub itself does the step from requested to received. A work list is a search of Tasks
by `owner` that would show the referral after that step too, so that who polls for it loses
nothing. There is no sign-in yet: when there is, only the owner's own reading counts.

Spec: DOMAIN 2.5 (delivered)
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from fhir_hub.errors import FhirError, Unavailable
from fhir_hub.referral.finding import read
from fhir_hub.referral.states import is_referral, state_of
from fhir_hub.referral.tasks import advance, tasks_of
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.unit import Unit
from fhir_hub.settings.referral import ReferralSettings
from fhir_hub.store.base import Key, Stored

_REFERRALS = ("REF^I12", "REF^I13")


class Delivery:
    """Takes the step for what was delivered; the settings say whether reading counts."""

    def __init__(self, repository: Repository, settings: ReferralSettings) -> None:
        self._repository, self._by_reading = repository, settings.is_delivered_by_reading

    async def acknowledged(self, event: str, address: str) -> None:
        """Take the step for the referral of a message that was accepted (AA, CA)."""
        kind, _, logical_id = address.partition("/")
        if event not in _REFERRALS:
            return
        key = Key(kind, logical_id)

        async def work(unit: Unit) -> None:
            stored = [await unit.current(key)] if kind == "Task" else await tasks_of(unit, key)
            for one in stored:
                if one is not None and _is_on_its_way(one):
                    await advance(unit, one, "received")

        await self._done(work)

    async def shown(self, pairs: Iterable[tuple[str, str]], matches: Sequence[Stored]) -> None:
        """Take the step for the referrals that a search of Tasks shows, if it is a work list."""
        found = [one for one in matches if _is_on_its_way(one)] if self._by_reading else []
        if not found or not is_work_list(pairs):
            return

        async def work(unit: Unit) -> None:
            for one in found:
                current = await unit.current(Key("Task", one.logical_id))
                if current is not None and _is_on_its_way(current):
                    await advance(unit, current, "received")

        await self._done(work)

    async def _done(self, work: Callable[[Unit], Awaitable[None]]) -> None:
        try:
            await self._repository.commit(work)
        except Unavailable:
            raise
        except FhirError:  # somebody else was faster: it is not on its way any more
            return


def is_work_list(pairs: Iterable[tuple[str, str]]) -> bool:
    """Say whether a search of Tasks is one by owner that takes what is received.

    >>> is_work_list([("owner", "Organization/1"), ("status", "requested,received")])
    True
    >>> is_work_list([("owner", "Organization/1"), ("status", "requested")])
    False
    """
    asked = list(pairs)
    names = {name.partition(":")[0].partition(".")[0] for name, _ in asked}
    statuses = [value.split(",") for name, value in asked if name == "status"]
    takes = all(any(one.endswith("received") for one in values) for values in statuses)
    rest = any(name.startswith(("status:", "business-status")) for name, _ in asked)
    return "owner" in names and takes and not rest


def _is_on_its_way(stored: Stored) -> bool:
    if stored.is_deleted or b'"requested"' not in stored.content:
        return False
    task = read(stored)
    state = state_of(task) if is_referral(task) else None
    return state is not None and state.name == "requested"
