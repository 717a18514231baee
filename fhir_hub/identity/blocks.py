"""By which keys a Patient is found as somebody's possible double, and never by a scan.

A few short keys of each Patient stand in the store's index like any code: birth date with each
syllable of the name, the name's letters with year and with day, a phone. Two records of one
person share one of them even if one field is wrong, because each key leaves out another. The
asker looks up his own keys, and those of the date in the other calendar.

Spec: DOMAIN 3.4; search/entry.py (entries)
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_hub.identity import lunar, match
from fhir_hub.identity.traits import Traits, traits_of
from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Has, Is, Plan

INDEX = "_same-person"


def keys(traits: Traits) -> tuple[str, ...]:
    """Return the keys that stand in the index for a Patient."""
    return tuple(dict.fromkeys(_keys(traits, traits.birth_dates)))


def wanted_keys(traits: Traits) -> tuple[str, ...]:
    """Return the keys by which its doubles are looked up."""
    turned = [other for one in traits.birth_dates for other in lunar.others(one)]
    return tuple(dict.fromkeys(_keys(traits, (*traits.birth_dates, *turned))))


def _keys(traits: Traits, dates: Iterable[str]) -> Iterable[str]:
    whole = [one for one in dates if len(one) == 10]
    for name in traits.names:
        for one in whole:
            year, day = one[:4], one[5:]
            yield from (f"d{year}{day}{syllable}" for syllable in dict.fromkeys(name.syllables))
            yield f"m{day}{name.letters}"
        yield from (f"y{one[:4]}{name.letters}" for one in dates)
    yield from (f"p{phone}" for phone in sorted(traits.phones))


def plan_of(found: Iterable[str]) -> Plan:
    """Return the plan that finds who has one of the keys."""
    return Has(INDEX, "token", tuple(Is(key) for key in found))


def entries(patient: Mapping[str, Any]) -> list[Entry]:
    """Return the index entries of a Patient's keys; none of one that was merged away."""
    if match.survivor_id(patient):
        return []
    return [Entry(INDEX, "token", key) for key in keys(traits_of(patient))]


DERIVED = {"Patient": entries}
