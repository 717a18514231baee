"""Whose word is enough to merge two records or to part them, or to take something off one.

Who told the record himself may, and a facility that the settings trust: an EMPI of the region.
Another one merges them unless neither name nor birth date agree, parts only what he merged, and
takes no number that he did not issue, nor a visit that he did not tell: people decide there.

Spec: docs/hl7v2-meaning.md; HL7v2 chapter 3, A37, A40, A43 to A45
"""

from collections.abc import Iterable, Sequence

from fhir_hub.errors import VersionConflict
from fhir_hub.hl7v2.meaning.numbers_moved import is_left, moving
from fhir_hub.hl7v2.meaning.teller import Teller, institution_of, is_told_by_another, stamps_of
from fhir_hub.hl7v2.meaning.telling import Telling
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing, patients_of
from fhir_hub.identity import doubles, match, systems

_NOT_ONE = (
    "one of the two is another institution's: neither name nor birth date agree"
    " / 其中一份档案属于其他机构：姓名与出生日期均不符"
)
_NOT_PARTED = "another institution made the two one / 两份档案由其他机构合并或关联，须由其拆分"
_MOVES = ("A43", "A44", "A45")
_MOVED = "it is of another institution's record / 该号码或就诊属于其他机构的档案"


def require_merge(priors: Iterable[Resource], survivor: Thing, telling: Telling) -> None:
    """Raise `VersionConflict` where the teller may not merge the stored `priors` into a survivor.

    The survivor is what is stored of it, and what the message says.
    """
    known = survivor.stored or {}
    for prior in priors:
        is_anothers = _is_anothers(known, telling) or _is_anothers(prior, telling)
        both = (known, survivor.resource)
        if is_anothers and any(doubles.has_anothers_number(one, prior) for one in both):
            raise VersionConflict(_NOT_ONE, expression="Patient.identifier")


def require_unlink(one: Resource, other: Resource, by: str, telling: Telling) -> None:
    """Raise `VersionConflict` where the teller may not part two records that `by` made one (A37).

    Who did may, who knows both, and who knows one, unless one authority numbered them both:
    whoever told a record, or issued a number of it, knows it.
    """
    known = [_knows(telling.teller, record) for record in (one, other)]
    if by == telling.teller.facility_system or telling.is_trusted or all(known):
        return
    if not any(known) or not _domains(one).isdisjoint(_domains(other)):
        raise VersionConflict(_NOT_PARTED, expression="Patient.link")


def _knows(teller: Teller, record: Resource) -> bool:
    own = teller.facility_system.removesuffix("application")
    is_told = teller.system in map(institution_of, stamps_of(record))
    return is_told or any(system.startswith(own) for system in _domains(record))


def _domains(record: Resource) -> set[str]:
    """Return the systems of a record's own numbers: each is of an authority."""
    held = match.numbers(record.get("identifier", ()))
    return {one.system for one in held} - systems.STRONG


def require_move(things: Sequence[Thing], telling: Telling) -> None:
    """Raise `VersionConflict` where the teller may not take something off a stored record.

    That is a number (A43), or a visit or an account of it (A44, A45).
    """
    teller = telling.teller
    if teller.event not in _MOVES:  # as nearly always
        return
    own = teller.facility_system.removesuffix("application")
    left = {one.address: one.stored for one in things if is_left(one)}
    for thing in things:
        record = thing.stored or {}
        if thing.resource_type == "Patient":
            is_moved = any(not one.system.startswith(own) for one in moving([thing]))
        else:
            owners = [one for address in patients_of(record) if (one := left.get(address))]
            is_moved = bool(owners)
            if owners and not stamps_of(record):  # an account, which messages only name
                record = owners[0]
        if is_moved and _is_anothers(record, telling):
            raise VersionConflict(_MOVED, expression=f"{thing.resource_type}.identifier")


def _is_anothers(record: Resource, telling: Telling) -> bool:
    return not telling.is_trusted and is_told_by_another(record, telling.teller)
