"""Where the rules of 1+1+1 meet the one way to change data.

After a request, bundle or message is staged, each staged record of a type below is held to its
rules, and what follows is staged in the same unit, until nothing more follows. So a PUT, a bundle
entry and an HL7v2 message obey the same rules, and all or nothing is written.

Spec: DOMAIN 2
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from fhir_hub import fhirjson
from fhir_hub.clock import Stretch
from fhir_hub.errors import PreconditionFailed, PreconditionRequired
from fhir_hub.identity import review
from fhir_hub.referral import (
    contracts,
    encounters,
    follow_up,
    pools,
    prescriptions,
    screening,
    slots,
    special,
    tasks,
    waiting,
)
from fhir_hub.referral.completing import complete
from fhir_hub.referral.finding import Followed
from fhir_hub.referral.numbers import number_of
from fhir_hub.referral.readings import is_told_under, reading_of
from fhir_hub.referral.states import is_referral
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import Plan
from fhir_hub.settings import BusinessRules, Settings
from fhir_hub.settings.care import PoolSettings, PrescriptionSettings
from fhir_hub.settings.programmes import Programmes, Tables, load_programmes
from fhir_hub.settings.referral import ReferralSettings
from fhir_hub.store.base import Change, Key

_MOST_ROUNDS = 20


class OwnRules(NamedTuple):
    """What a site says itself, by the settings of these names."""

    referral: ReferralSettings = ReferralSettings()
    pools: Mapping[str, PoolSettings] = {}
    prescriptions: Mapping[str, PrescriptionSettings] = {}
    programmes: Programmes = Programmes()


def own_rules(settings: Settings) -> OwnRules:
    """Return what the settings say; raises `InvalidSettings` for a file that is no good."""
    programmes = load_programmes(settings.programmes)
    return OwnRules(settings.referral, settings.pools, settings.prescriptions, programmes)


Rule = Callable[[Unit, Followed], Awaitable[None]]


def conduct(business_rules: BusinessRules, own: OwnRules) -> "Conduct | None":
    """Return the rules as the settings want them, None for none."""
    return None if business_rules == "off" else Conduct(business_rules == "enforce", own)


class Conduct:
    """The rules, for what comes from one source.

    With `is_strict` (commands over FHIR) what a record lacks is refused; else (copies of what
    happened elsewhere) it is warned of.
    """

    def __init__(self, is_strict: bool, own: OwnRules | None = None) -> None:
        own = own or OwnRules()
        tables = Tables(own.programmes)
        self._rules: Mapping[str, tuple[Rule, ...]] = {
            "Appointment": (
                partial(slots.follow, tables=own.pools, is_strict=is_strict),
                partial(waiting.follow_appointment, tables=own.pools, is_strict=is_strict),
                encounters.follow_appointment,
                partial(special.follow_appointment, minutes=own.referral.escalate_minutes),
            ),
            "CarePlan": (partial(follow_up.follow_plan, programmes=own.programmes),),
            "CareTeam": (
                partial(
                    contracts.follow, least_days=own.referral.contract_days, is_strict=is_strict
                ),
            ),
            "DiagnosticReport": (encounters.follow_report,),
            "DocumentReference": (encounters.follow_report,),
            "Encounter": (encounters.follow_encounter,),
            "MedicationRequest": (
                partial(prescriptions.follow, tables=own.prescriptions, is_strict=is_strict),
            ),
            "Observation": (
                partial(_follow_observation, programmes=own.programmes, tables=tables),
            ),
            "Patient": (_review_patient,),
            "Slot": (
                partial(pools.follow_release, tables=own.pools, is_strict=is_strict),
                partial(waiting.follow_slot, tables=own.pools),
            ),
            "Task": (
                partial(tasks.follow, is_strict=is_strict, settings=own.referral),
                _review_task,
                encounters.follow_task,
            ),
        }
        settings = own.referral
        self._if_match = settings.if_match
        self.versioned: Collection[str] = () if settings.if_match == "off" else ("Task",)
        self._complete = partial(complete, is_strict=is_strict, valid_days=settings.valid_days)
        self._watched = own.programmes.codes()
        self.types: Collection[str] = ("Appointment", "Task")  # what `complete` adds to

    def complete(self, before: Resource | None, after: Resource, now: datetime) -> Resource:
        """Return `after` with what the house adds: a referral's statuses, since when one waits."""
        if after["resourceType"] == "Task":
            return self._complete(before, after, now)
        return waiting.complete(before, after, now)

    def number_of(self, resource: Resource) -> Plan | None:
        """Return what finds a referral by the number that its sender gave it, else None."""
        return number_of(resource)

    def require_version(self, current: Resource) -> None:
        """Raise as the setting `if_match` wants it if the record is the Task of a referral."""
        if not is_referral(current):
            return
        text = "a referral's Task is changed with If-Match: the version that it is changed from"
        error = PreconditionRequired if self._if_match == "428" else PreconditionFailed
        raise error(text)

    async def follow(self, unit: Unit) -> None:
        """Hold what is staged to the rules; raises `NotAllowed`, `NotInThisState`, `RuleBroken`."""
        last: dict[Key, bytes] = {}
        looked_at: dict[Key, Change] = {}
        stretch = Stretch()
        for _ in range(_MOST_ROUNDS):
            due = []
            for key, change in unit.changes.items():
                if looked_at.get(key) is change:
                    continue
                looked_at[key], content = change, change.content
                if content != last.get(key) and self._is_watched(unit, key):
                    due.append((key, content))
            if not due:
                return
            for key, content in due:
                await stretch.give_way()
                before = last.get(key) if key in last else _stored_before(unit, key)
                last[key] = content
                followed = Followed(key, _read(before), unit.staged(key))
                for rule in self._rules[key.resource_type]:
                    await rule(unit, followed)

    def _is_watched(self, unit: Unit, key: Key) -> bool:
        """Say whether some rule is about what is staged: of most codes there is none."""
        if key[0] != "Observation":
            return key[0] in self._rules
        observation = unit.staged(key)
        return observation is not None and is_told_under(observation, self._watched)


async def _follow_observation(
    unit: Unit, followed: Followed, *, programmes: Programmes, tables: Tables
) -> None:
    """Read a staged Observation, once for both: what it brings about, and whose it is to have."""
    observation = followed.after or followed.before or {}
    reading = reading_of(observation, tables, is_there=followed.after is not None)
    await screening.follow(unit, followed, reading, programmes=programmes)
    await follow_up.follow_reading(unit, followed, reading, programmes=programmes)


async def _review_patient(unit: Unit, followed: Followed) -> None:
    await review.follow_patient(unit, *followed)


async def _review_task(unit: Unit, followed: Followed) -> None:
    await review.follow_task(unit, *followed)


def _stored_before(unit: Unit, key: Key) -> bytes | None:
    stored = unit.before(key)
    return None if stored is None else stored.content


def _read(content: bytes | None) -> Resource | None:
    """Return the resource, None for one that is not there, or not any more."""
    resource: Resource | None = fhirjson.reread(content) if content else None
    return resource
