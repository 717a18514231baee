"""How surely two Patients are one person, and why: numbers first, then the weight of the rest.

Different valid resident IDs are two persons, whatever else agrees. The same national number, or
the same number of the same issuer, is one, unless both name and birth date speak against it:
then somebody used another's card. Else the bits of all fields add up to a probability, and rules
keep it honest: a name is never enough, nor is a name with a birth date certain, and what two
twins share (all but a given name and a number) never makes them one.

Spec: Fellegi and Sunter (1969); DOMAIN 0.12, 3.1, 3.4
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from fhir_hub.identity import lunar, systems
from fhir_hub.identity.traits import Address, Name, Traits
from fhir_hub.identity.weights import (
    ALONE,
    CERTAIN,
    FIELDS,
    HOUSEHOLD_BITS,
    POSSIBLE,
    PRIOR,
    PROBABLE,
    Level,
    name_level,
)

Grade = Literal["certain", "probable", "possible", "certainly-not"]
GRADES: tuple[Grade, ...] = ("certain", "probable", "possible", "certainly-not")
_LEAST = {"certain": CERTAIN, "probable": PROBABLE, "possible": POSSIBLE, "certainly-not": 0.0}
_MOST = {"certain": 1.0, "probable": 0.99, "possible": 0.89, "certainly-not": 0.04}
_SURE_NAMES = ("same", "sound", "swapped", "family-differs")
_SURE_DATES = ("same", "lunar", "typo")
_DIFFERENT = ("different", "family")
# a changed telephone is no denial (one pair in three has one): its bits count, and that is all
_AGAINST = frozenset((field, "different") for field in ("address", "residentId"))
_MONTHS = frozenset(f"{month:02}" for month in range(1, 13))


class Part(NamedTuple):
    """What one field says: its degree of agreement and its bits."""

    field: str
    level: str
    bits: float


class Score(NamedTuple):
    """The grade (R4's match-grade), a score from 0 to 1 that orders as grades do, and why."""

    grade: Grade
    score: float
    parts: tuple[Part, ...] = ()

    def level(self, field: str) -> str:
        """Return how a field agrees, `""` if one of the two does not have it."""
        return next((part.level for part in self.parts if part.field == field), "")


def compare(one: Traits, other: Traits) -> Score:
    """Return how surely two Patients are one person."""
    if one.valid and other.valid and one.valid.isdisjoint(other.valid):
        return Score("certainly-not", 0.0, (Part("residentId", "two-valid", -99.0),))
    parts = tuple(_parts(one, other))
    weighed = _limited(parts, PRIOR + sum(part.bits for part in parts))
    shared = set(one.numbers).intersection(other.numbers)
    if not shared and _is_one_visit(one, other, weighed):
        number = Part("number", "same-visit", 99.0)
        return Score("certain", 1.0, (number, *parts))
    if not shared:
        return _at_most_probable(weighed) if _numbered_twice(one, other) else weighed
    is_national = any(number.system in systems.STRONG for number in shared)
    number = Part("number", "national" if is_national else "same-issuer", 99.0)
    if contradicts(one, other):
        return Score("possible", _MOST["possible"], (number, *parts))
    return Score("certain", 1.0, (number, *parts))


def _is_one_visit(one: Traits, other: Traits, weighed: Score) -> bool:
    """Say whether the two have one visit's number, the same name and birth date, and one sex.

    A mother and her child share a visit, never a name; neither has another number of the issuer's.
    """
    if one.visits.isdisjoint(other.visits) or _numbered_twice(one, other):
        return False
    is_whole = weighed.level("name") == "same" and weighed.level("birthDate") == "same"
    return is_whole and weighed.level("gender") != "different"


def _numbered_twice(one: Traits, other: Traits) -> bool:
    """Say whether one issuer, which must know them apart, has given both a number of its own."""
    issuers = {number.system for number in one.numbers} - systems.STRONG
    return any(number.system in issuers for number in other.numbers)


def _at_most_probable(found: Score) -> Score:
    parts = (*found.parts, Part("number", "two-of-one-issuer", 0.0))
    if found.grade != "certain":
        return found._replace(parts=parts)
    return Score("probable", _MOST["probable"], parts)


def contradicts(one: Traits, other: Traits) -> bool:
    """Say whether both name and birth date of two deny that they are one person."""
    name = _names(one.names, other.names)
    birth = _dates(one.birth_dates[:1], other.birth_dates[:1])
    is_other_name = name is not None and name[0] in _DIFFERENT
    return is_other_name and birth in ("different", "year")


def _parts(one: Traits, other: Traits) -> Iterable[Part]:
    if found := _names(one.names, other.names):
        yield Part("name", found[0], found[1].bits)
    if level := _dates(one.birth_dates, other.birth_dates):
        yield _part("birthDate", level)
    if one.gender and other.gender:
        yield _part("gender", "same" if one.gender == other.gender else "different")
    has_phone = False
    if one.phones and other.phones:
        has_phone = not one.phones.isdisjoint(other.phones)
        yield _part("phone", "same" if has_phone else "different")
    if level := _best(_address_level(a, b) for a in one.addresses for b in other.addresses):
        part = _part("address", level)
        is_said = has_phone and part.bits > HOUSEHOLD_BITS
        yield part._replace(bits=HOUSEHOLD_BITS) if is_said else part
    if one.claimed and other.claimed and not one.valid & other.valid:
        near = any(nearly_same(a, b) for a in one.claimed for b in other.claimed)
        yield _part("residentId", "near" if near else "different")


def _part(field: str, level: str) -> Part:
    return Part(field, level, FIELDS[field][level].bits)


def _limited(parts: Sequence[Part], bits: float) -> Score:
    """Return the score of the bits, no better than what agrees allows."""
    probability = 1 / (1 + 2.0 ** -min(max(bits, -99.0), 99.0))
    grade = next(one for one in GRADES if probability >= _LEAST[one])
    best = _best_grade({part.field: part.level for part in parts}, probability)
    grade = max(grade, best, key=GRADES.index)
    return Score(grade, min(probability, _MOST[grade]), tuple(parts))


def _best_grade(levels: Mapping[str, str], probability: float) -> Grade:
    """Return the best grade that these agreements may have, however much they weigh."""
    name, birth = levels.get("name", ""), levels.get("birthDate", "")
    has_number = levels.get("residentId") == "near"
    household = [levels.get(field) == "same" for field in ("phone", "address")]
    agreeing = [name not in ("", *_DIFFERENT), birth in _SURE_DATES, any(household), has_number]
    if sum(agreeing) < 2 or (name in _DIFFERENT and not has_number):
        return "certainly-not"
    if not has_number and name in ("near", ""):
        return "possible"  # brothers and sisters share one character, a household and a birthday
    is_whole = name == "same" and birth == "same"
    if levels.get("gender") == "different" or (birth != "same" and name != "same"):
        return "probable" if has_number and name in _SURE_NAMES else "possible"
    if name in _SURE_NAMES and birth in _SURE_DATES and (has_number or any(household)):
        return "certain"
    if name == "same" and birth in ("part", "") and all(household):
        return "certain"
    is_undenied = not _AGAINST.intersection((field, levels.get(field)) for field in levels)
    is_rare = is_whole and is_undenied and levels.get("gender") == "same" and probability >= ALONE
    return "certain" if is_rare else "probable"


def _names(one: Sequence[Name], other: Sequence[Name]) -> tuple[str, Level] | None:
    """Return the best agreement of any two names, with the chance of the rarer one."""
    found = [(_name_level(a, b), a, b) for a in one for b in other]
    if not found:
        return None
    order = list(FIELDS["name"])
    level, first, second = min(found, key=lambda row: order.index(row[0]))
    known = first if first.family else second
    return level, name_level(level, known.family, known.given)


def _name_level(one: Name, other: Name) -> str:
    if one.text == other.text:
        return "same"
    if one.sound and one.sound == other.sound:
        return "sound"
    if one.plain and len(one.plain) == len(other.plain) and other.plain in one.plain * 2:
        return "swapped"
    same = [a == b for a, b in zip(one.syllables, other.syllables, strict=False)]
    longest = max(len(one.syllables), len(other.syllables))
    if len(one.syllables) == len(other.syllables):
        if longest >= 3 and sum(same) == longest - 1:
            return "near" if same[0] else "family-differs"
        if longest < 3 and len(one.letters) >= 6 and _is_one_edit(one.sound, other.sound):
            return "near"
    elif longest == 3 and min(len(one.syllables), len(other.syllables)) == 2:
        shorter, longer = sorted((one.syllables, other.syllables), key=len)
        if shorter[0] == longer[0] and shorter[1] in longer[1:]:
            return "near"
    if _is_one_edit(one.sound, other.sound) and len(one.letters) >= 8:
        return "near"
    return "family" if same and same[0] else "different"


def _is_one_edit(one: str, other: str) -> bool:
    """Say whether one letter is another, too many or too few, or two neighbours are exchanged."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (a[:2] == b[:2][::-1] and a[2:] == b[2:])
    return a[1:] == b or b[1:] == a


def _dates(one: Sequence[str], other: Sequence[str]) -> str:
    return _best(_date_level(a, b) for a in one for b in other)


def _best(levels: Iterable[str]) -> str:
    found = [level for level in levels if level]
    order = [level for field in ("birthDate", "address") for level in FIELDS[field]]
    return min(found, key=order.index) if found else ""


def _date_level(one: str, other: str) -> str:
    if one == other:
        return "same" if len(one) == 10 else "part"
    shorter, longer = sorted((one.removesuffix("-01-01"), other.removesuffix("-01-01")), key=len)
    if longer.startswith(shorter):
        return "part"
    if len(one) == len(other) == 10:
        if other in lunar.others(one):
            return "lunar"
        if _is_date_typo(one, other):
            return "typo"
    return "year" if one[:4] == other[:4] else "different"


def _is_date_typo(one: str, other: str) -> bool:
    """Say whether one digit differs, or two are exchanged, or month and day."""
    if one[:4] == other[:4] and (one[5:7], one[8:]) == (other[8:], other[5:7]):
        return one[8:] in _MONTHS
    return nearly_same(one.replace("-", ""), other.replace("-", ""), least=8)


def nearly_same(one: str, other: str, least: int = 15) -> bool:
    """Say whether two numbers of one length differ in one digit, or by two that are exchanged.

    >>> nearly_same("310229195304129989", "310229195304129998")
    True
    """
    if len(one) != len(other) or len(one) < least:
        return False
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(places) <= 1:
        return True
    first, second = places[0], places[-1]
    is_exchanged = one[first] == other[second] and one[second] == other[first]
    return len(places) == 2 and second == first + 1 and is_exchanged


def _address_level(one: Address, other: Address) -> str:
    is_near = not (one.district and other.district) or one.district == other.district
    if is_near and one.road and one.road == other.road:
        return "same" if one.numbers and one.numbers == other.numbers else "road"
    if one.district and other.district:
        return "district" if is_near else "different"
    return ""
