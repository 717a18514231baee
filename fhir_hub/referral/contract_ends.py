"""What ends with a 1+1+1 contract: its programmes, and the consent that was given for it.

A contract that is ended takes with it each EpisodeOfCare whose `team` it is and each Consent that
names it among the actors of its provision; where a merge ended it, what is undone with that. The
priority channel and what a contract lets be seen end by themselves, because they ask whether it
holds on the day.

Spec: DOMAIN 1.3 S2, 2.2; https://hl7.org/fhir/R4/episodeofcare.html and consent.html
"""

from datetime import date

from fhir_hub.referral import contract_merges
from fhir_hub.referral.finding import find, read
from fhir_hub.referral.reading import at, each, key_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

_RUNNING = ("planned", "waitlist", "active", "onhold")


async def end_with(unit: Unit, contract: Resource, ended: Resource | None) -> None:
    """Stage the end of what ends with a contract; `ended` is what it is now, None: deleted."""
    patient, key = key_of(contract.get("subject")), Key("CareTeam", contract["id"])
    if patient is None:
        return
    is_mistake = ended is None or ended.get("status") == "entered-in-error"
    last = last_day(ended or contract, unit.today)
    keep = contract_merges.kept_like(ended)
    for stored in await find(unit, "EpisodeOfCare", patient=patient, status=_RUNNING):
        episode = read(stored)
        if any(key_of(team) == key for team in each(episode, "team")):
            status = "cancelled" if is_mistake or episode["status"] == "planned" else "finished"
            changed = keep(episode) | {
                "status": status,
                "period": _ended(episode.get("period"), last),
            }
            await unit.update(changed, stored.logical_id)
    for stored in await find(unit, "Consent", patient=patient, status="active"):
        consent = read(stored)
        actors = [key_of(one.get("reference")) for one in each(consent, "provision", "actor")]
        if key in actors:
            provision = dict(consent["provision"])
            provision["period"] = _ended(provision.get("period"), last)
            changed = keep(consent) | {"status": "inactive", "provision": provision}
            await unit.update(changed, stored.logical_id)


async def begin_again(unit: Unit, contract: Resource) -> None:
    """Stage what ended with a contract that a merge ended as it was before."""
    patient, key = key_of(contract.get("subject")), Key("CareTeam", contract["id"])
    assert patient is not None
    for kind in ("EpisodeOfCare", "Consent"):
        for stored in await find(unit, kind, patient=patient):
            resource = read(stored)
            teams = [key_of(team) for team in each(resource, "team")]
            teams += [key_of(one.get("reference")) for one in each(resource, "provision", "actor")]
            if key in teams and contract_merges.is_kept(resource):
                as_before = contract_merges.as_before(resource, unit.today)
                await unit.update(as_before, stored.logical_id)


def last_day(contract: Resource, today: date) -> str:
    """Return the last day of the contract: the end of its period, if that is past, or today."""
    end = str(at(contract, "period", "end") or "")[:10]
    return end if len(end) == 10 and end <= today.isoformat() else today.isoformat()


def _ended(period: object, last: str) -> Resource:
    known = dict(period) if isinstance(period, dict) else {}
    start = str(known.get("start", ""))[:10]
    return known | {"end": max(last, start)}
