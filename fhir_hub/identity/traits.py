"""What of a Patient is compared with another: each field brought to one form, once.

Names are brought to one width, dot and form of each character, and read in pinyin without the
sounds that southern ears take for one (zh and z, -ng and -n). A birth date or sex that is not
said is taken from a valid resident ID. What is stored is never changed by any of this.

Spec: DOMAIN 3.1, 3.4, 3.6
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from fhir_hub.identity import addresses, match, names, phones, resident_id, systems
from fhir_hub.identity.match import Number
from fhir_hub.identity.variants import unified
from fhir_hub.search.kinds import pinyin

Json = Mapping[str, Any]
T = TypeVar("T")

_SOUNDS = re.compile(r"(?<=[zcs])h|(?<=n)g")
_SYLLABLE = (
    "(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?"
    "(?:iang|iong|uang|ang|eng|ing|ong|ian|iao|uai|uan|van|ai|an|ao|ei|en|er|ia|ie|in|iu|ou|ua|ui|"
    "un|uo|ue|ve|[aeiouv])"
)
_PINYIN = re.compile(f"(?:{_SYLLABLE})+")
_ONE = re.compile(_SYLLABLE)
_NEWBORN = re.compile(  # twins have the same
    r".+之[长次大小双三]?[子女婴]|.*(?:新生儿|婴儿|[男女]婴)|(?:baby|bb)(?:boy|girl|of).*"
)
_NOBODY = re.compile(
    r"(?:无名|佚名|未知|不详|三无|姓名).{0,4}|unknown.*|j(?:ohn|ane)doe|doej(?:ohn|ane)"
)
REAL = 2  # the rank of a name, and no stand-in
_PHONE = re.compile(r"\d{7,}")
_SAME_DIGITS = re.compile(r"(\d)\1{6,}|1[3-9]\d(\d)\2{6,}|1(?:38001380|23456789?)\d*")
_NO_DATES = ("1900-01-01", "1899-12-30", "1901-01-01", "1970-01-01", "9999-12-31")
_LONGEST = 60
_MOST = 32  # names, places and numbers that are compared, each with each of the other


class Name(NamedTuple):
    """A name: `text` whole and unified, its parts, its pinyin in a row, and how that sounds.

    `syllables` are as they sound too. `letters` are those of the pinyin in the alphabet's order,
    without g and h: they stay the same when family and given name change places, and however
    syllables are parted.
    """

    text: str
    family: str
    given: str
    plain: str
    sound: str
    syllables: tuple[str, ...]
    letters: str


class Address(NamedTuple):
    """A place to live: its district, its road, and the numbers of house and room."""

    district: str
    road: str
    numbers: tuple[str, ...]


class Traits(NamedTuple):
    """What is compared.

    Birth dates are written as FHIR's, that of the record before that of its resident ID. `claimed`
    are resident IDs as told, right or wrong, `valid` those of them that can be right. `visits` are
    numbers of visits and accounts.
    """

    names: tuple[Name, ...]
    birth_dates: tuple[str, ...]
    gender: str
    phones: frozenset[str]
    addresses: tuple[Address, ...]
    numbers: tuple[Number, ...]
    valid: frozenset[str]
    claimed: frozenset[str]
    visits: frozenset[Number] = frozenset()


def rank_of(text: str) -> int:
    """Return how much a whole name tells of who has it: `REAL`, less if it only stands in for one.

    >>> rank_of("沈桂芳") == REAL > rank_of("沈桂芳之子") > rank_of("无名氏") == rank_of("Doe John")
    True
    """
    return _rank_of(text[:_LONGEST])


@lru_cache(16_384)
def _rank_of(text: str) -> int:
    return _rank(unified(names.comparable(text)))


def _rank(whole: str) -> int:
    if not whole or _NOBODY.fullmatch(whole):
        return 0
    return 1 if _NEWBORN.fullmatch(whole) else REAL


def traits_of(patient: Json) -> Traits:
    """Return what of a Patient is compared: what can be read, and of very many the first."""
    identifiers = _dicts(patient.get("identifier"))
    numbers = match.numbers(identifiers)
    valid = frozenset(n.value for n in numbers if n.system == systems.RESIDENT_ID)
    claimed = {_text(one, "value") for one in identifiers if _is_resident_id(one)}
    told = [resident_id.examine(value) for value in sorted(valid)]
    dates = [_text(patient, "birthDate"), *(one.birth_date for one in told)]
    gender = _text(patient, "gender")
    if gender not in ("male", "female"):
        gender = next((one.gender for one in told), "")
    return Traits(
        _few(map(_name, _dicts(patient.get("name")))),
        _few(one for one in dates if one not in _NO_DATES),
        gender,
        frozenset(_phones(_dicts(patient.get("telecom")))),
        _few(map(_address, _dicts(patient.get("address")))),
        numbers,
        valid,
        frozenset(
            resident_id.normalise(one)
            for one in sorted(one for one in claimed if 15 <= len(one) <= 24)[:_MOST]
        ),
        match.visit_numbers(identifiers),
    )


def _few(found: Iterable[T | None]) -> tuple[T, ...]:
    """Return what there is, each once."""
    return tuple(islice(dict.fromkeys(one for one in found if one), _MOST))


def _is_resident_id(identifier: Json) -> bool:
    return systems.canonical(_text(identifier, "system")) == systems.RESIDENT_ID


def _name(name: Json) -> Name | None:
    if name.get("use") in ("nickname", "anonymous"):
        return None
    family = _text(name, "family")
    given = "".join(one for one in _list(name.get("given")) if isinstance(one, str))
    text = _text(name, "text") or f"{family} {given}"
    return _compared(text[:_LONGEST], family[:_LONGEST], given[:_LONGEST])


@lru_cache(16_384)
def _compared(text: str, family: str, given: str) -> Name | None:
    if names.is_damaged(text):
        return None
    whole, family, given = (unified(names.comparable(part)) for part in (text, family, given))
    if _rank(whole) < REAL:
        return None
    if names.has_han(whole):
        if not (family and given and family + given == whole):
            parts = names.split(whole)
            family, given = parts if parts else ("", whole)
        sounds = pinyin.syllables(whole)
    else:
        sounds = tuple(s for word in _words(text) for s in _parted(word))
    plain = "".join(sounds)
    alike = tuple(_SOUNDS.sub("", one) for one in sounds)
    letters = "".join(sorted(plain.replace("g", "").replace("h", "")))
    return Name(whole, family, given, plain, _SOUNDS.sub("", plain), alike, letters)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", names.comparable(text.replace(" ", "-")))


def _parted(word: str) -> list[str]:
    """Return the syllables of a word that can be pinyin, else the word."""
    return _ONE.findall(word) if _PINYIN.fullmatch(word) else [word]


def _phones(telecoms: Iterable[Json]) -> Iterable[str]:
    for telecom in telecoms:
        if telecom.get("system") not in ("phone", "sms", None) or telecom.get("use") == "old":
            continue
        phone = phones.normalise(_text(telecom, "value")[:_LONGEST])
        digits = phone.value.partition("-")[0][-11:] if phone else ""
        if _PHONE.fullmatch(digits) and not _SAME_DIGITS.fullmatch(digits):
            yield digits


def _address(address: Json) -> Address | None:
    if address.get("use") == "old":
        return None
    lines = [one for one in _list(address.get("line")) if isinstance(one, str)]
    parts = [_text(address, name) for name in ("state", "city", "district")]
    text = "".join([*parts, *lines]) if lines else _text(address, "text")
    return _place(text[:200], parts[2][:_LONGEST])


@lru_cache(16_384)
def _place(text: str, district: str) -> Address | None:
    parsed = addresses.parse(names.comparable(text))
    rest = "".join(parsed.lines)
    district = names.comparable(district) or parsed.district
    head = re.split(r"\d", rest, maxsplit=1)[0]
    road = re.sub(r".*(?:街道|[镇乡])(?!路)", "", head)
    numbers = tuple(re.findall(r"\d+", rest))
    return Address(district, road, numbers) if district or road or numbers else None


def _text(node: Json, name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[Json]:
    return [one for one in _list(value) if isinstance(one, Mapping)]
