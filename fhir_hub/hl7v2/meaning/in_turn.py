"""A message that comes late, laid in its place: what its sender told since is laid over it again.

The journal has what a sender told of a resource, so what holds follows from all of it in the order
of its times, whatever the order in which it came. It is worked out twice by what lays any message,
without the late one and with it. Where the two differ the late one tells something, and that is
taken where what is stored is what follows without it. Else somebody told it of whom the journal
knows nothing, and the late message only fills in what is not there.

What a visit was before it remembers, and that depends on all that was told; so it is worked out
from nothing, else from the visit as it was before the first message that is known. All else follows
from what is stored with what was told since.

Spec: HL7v2 chapter 3, EVN-2; DOMAIN 4 (out-of-order A08)
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import Converted
from fhir_hub.hl7v2.meaning import visits
from fhir_hub.hl7v2.meaning.since import TOLD_SINCE
from fhir_hub.hl7v2.meaning.teller import TOLD_BY, Teller
from fhir_hub.hl7v2.storing.merge import Resource

_FRAME = ("id", "meta", "resourceType")
_STAMPS = (TOLD_BY, TOLD_SINCE)
_META = ("profile", "security", "tag", "extension")


class Step(NamedTuple):
    """What one message tells of a resource: who tells it and when, its date, and what."""

    teller: Teller
    day: str
    converted: Converted


class Known(NamedTuple):
    """What else a teller told of a resource, the first first.

    `is_whole`: nothing was told later than the message at hand that is not among it.
    """

    steps: tuple[Step, ...] = ()
    is_whole: bool = False


# Lays a step over what holds before it (None: nothing), where the first step is as of a time.
Lay = Callable[[Resource | None, Step, int], Resource]
_Pair = tuple[Resource, Resource, frozenset[str]]


def laid(stored: Resource, filled: Resource, late: Step, known: Known, lay: Lay) -> Resource:
    """Return what holds with a late message in its place.

    `filled` is what is `stored` with what it fills in where nothing is known.
    """
    pairs = list(_pairs(stored, late, known, lay))
    result = dict(filled)
    names = dict.fromkeys((*stored, *filled, *(name for pair in pairs for name in pair[1])))
    for name in names:
        if name not in _FRAME:
            _take(result, name, stored, pairs)
    meta = _meta(stored)
    of_meta = [(_meta(base), _meta(told), frozenset[str]()) for base, told, _ in pairs]
    for name in _META:
        _take(meta, name, _meta(stored), of_meta)
    stamps = [one for one in _extensions(stored) if one.get("url") in _STAMPS]
    if stamps:
        others = meta.get("extension", [])
        is_same = _same(others, _meta(stored).get("extension", []))
        meta["extension"] = _extensions(stored) if is_same else [*others, *stamps]
    return {**result, "meta": meta} if meta else result


def _pairs(stored: Resource, late: Step, known: Known, lay: Lay) -> Iterator[_Pair]:
    """Yield what follows without and with the late message, and which elements do not so."""
    own = frozenset[str]()
    if stored["resourceType"] == "Encounter":
        own = visits.REMEMBERED
        every = sorted((*known.steps, late), key=lambda step: step.teller.time)
        first = every[0].teller.time
        for seed in (None, visits.as_of(stored, first)):
            yield fold(seed, known.steps, lay), fold(seed, every, lay), frozenset()
    since = [step for step in known.steps if step.teller.time > late.teller.time]
    if known.is_whole:
        yield fold(stored, since, lay), fold(stored, (late, *since), lay), own


def fold(seed: Resource | None, steps: Iterable[Step], lay: Lay) -> Resource:
    """Return what holds after one message after another, where `seed` held before."""
    state, first = seed, 0
    for step in steps:
        first = first or step.teller.time
        state = lay(state, step, first if seed is None else 0)
    return state or {}


def _take(result: Resource, name: str, stored: Resource, pairs: Sequence[_Pair]) -> None:
    """Set an element to what follows with the late message, where it is what does without it."""
    for base, told, without in pairs:
        if name in without or not _same(base.get(name), stored.get(name)):
            continue
        if name in told:
            result[name] = told[name]
        else:
            result.pop(name, None)
        return


def _meta(resource: Resource) -> Resource:
    """Return what `meta` says, but for the stamps."""
    meta: Resource = dict(resource.get("meta", {}))
    others = [one for one in _extensions(resource) if one.get("url") not in _STAMPS]
    meta.pop("extension", None)
    return {**meta, "extension": others} if others else meta


def _extensions(resource: Resource) -> list[Any]:
    return list(resource.get("meta", {}).get("extension", ()))


def _same(one: Any, other: Any) -> bool:
    return one is other or fhirjson.canonical([one]) == fhirjson.canonical([other])
