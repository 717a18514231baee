"""Where the rules of 1+1+1 meet the one way to change data.

After a request, bundle or message is staged, each staged record of a type below is held to its
rules, and what follows is staged in the same unit, until nothing more follows. So a PUT, a bundle
entry and an HL7v2 message obey the same rules, and all or nothing is written.

Spec: DOMAIN 2
"""

from collections.abc import Collection
from datetime import datetime

from fhir_hub.referral import contracts, encounters, tasks
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.settings import BusinessRules
from fhir_hub.store.base import Key

_MOST_ROUNDS = 20
_FOLLOW = {
    "Appointment": encounters.follow_appointment,
    "CareTeam": contracts.follow,
    "DiagnosticReport": encounters.follow_report,
    "DocumentReference": encounters.follow_report,
    "Encounter": encounters.follow_encounter,
}


def conduct(business_rules: BusinessRules) -> "Conduct | None":
    """Return the rules as a setting wants them, None for none."""
    return None if business_rules == "off" else Conduct(is_strict=business_rules == "enforce")


class Conduct:
    """The rules, for what comes from one source.

    With `is_strict` (commands over FHIR) what a referral lacks is refused; else (copies of what
    happened elsewhere) it is warned of.
    """

    types: Collection[str] = frozenset(("Task", *_FOLLOW))

    def __init__(self, *, is_strict: bool) -> None:
        self._is_strict = is_strict

    def complete(self, before: Resource | None, after: Resource, now: datetime) -> Resource:
        """Return `after` with what the house adds: both statuses of a referral's Task."""
        return tasks.complete(before, after, now) if after["resourceType"] == "Task" else after

    async def follow(self, unit: Unit) -> None:
        """Hold what is staged to the rules; raises `NotInThisState`, `RuleBroken`."""
        done: set[tuple[Key, bytes]] = set()
        for _ in range(_MOST_ROUNDS):
            due = [
                (key, change.content)
                for key, change in unit.changes.items()
                if key.resource_type in self.types
                and change.content
                and (key, change.content) not in done
            ]
            if not due:
                return
            for key, content in due:
                done.add((key, content))
                await self._follow_one(unit, key)

    async def _follow_one(self, unit: Unit, key: Key) -> None:
        if key.resource_type == "Task":
            await tasks.follow(unit, key, is_strict=self._is_strict)
        else:
            await _FOLLOW[key.resource_type](unit, key)
