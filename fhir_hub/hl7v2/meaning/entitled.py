"""Whose word is enough to merge a record into another one, or to take a number off it.

Who told the record himself may, and a facility that the settings trust: an EMPI of the region.
Another one merges those alone whom name or birth date does not deny to be one person, and takes no
number that he did not issue: people decide there.

Spec: docs/hl7v2-meaning.md; HL7v2 chapter 3, A40 and A43
"""

from collections.abc import Iterable, Sequence

from fhir_hub.errors import VersionConflict
from fhir_hub.hl7v2.meaning.numbers_moved import is_losing, moving
from fhir_hub.hl7v2.meaning.teller import is_told_by_another
from fhir_hub.hl7v2.meaning.telling import Telling
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity import doubles

_MERGES = (
    "one of the two is another institution's: neither name nor birth date agree"
    " / 其中一份档案属于其他机构：姓名与出生日期均不符"
)
_MOVES = "the number and its record are another institution's / 该号码及其所属档案均属于其他机构"


def require_merge(priors: Iterable[Resource], survivor: Thing, telling: Telling) -> None:
    """Raise `VersionConflict` where the teller may not merge the stored `priors` into a survivor.

    The survivor is what is stored of it, and what the message says.
    """
    known = survivor.stored or {}
    for prior in priors:
        is_anothers = _is_anothers(known, telling) or _is_anothers(prior, telling)
        both = (known, survivor.resource)
        if is_anothers and any(doubles.has_anothers_number(one, prior) for one in both):
            raise VersionConflict(_MERGES, expression="Patient.identifier")


def require_move(things: Sequence[Thing], telling: Telling) -> None:
    """Raise `VersionConflict` where the teller may not take a number off a stored record (A43)."""
    own = telling.teller.system.removesuffix("application")
    for thing in things:
        if thing.resource_type != "Patient" or not is_losing(thing) or thing.stored is None:
            continue
        are_own = all(number.system.startswith(own) for number in moving([thing]))
        if not are_own and _is_anothers(thing.stored, telling):
            raise VersionConflict(_MOVES, expression="Patient.identifier")


def _is_anothers(record: Resource, telling: Telling) -> bool:
    teller = telling.teller
    return not telling.trust(teller.system) and is_told_by_another(record, teller)
