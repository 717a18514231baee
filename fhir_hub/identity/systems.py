"""Which `system` an identifier has: one canonical address a kind, aliases resolved to it.

The same number is written under several systems in China (the health ministry's OID, HL7 China's,
an older one). Whoever writes or searches goes through `canonical`, so both find the one person.
What has no public system lives under `BASE`, in the namespace of the authority that issued it.

Spec: https://hl7.org/fhir/R4/identifier-registry.html; DOMAIN 3.2
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote

BASE = "https://fhir-hub.example"

RESIDENT_ID = "urn:oid:2.16.156.10011.1.3"
SOCIAL_SECURITY_CARD = "urn:oid:2.16.840.1.113883.2.23.1.19.2"
INSURANCE_CARD = "urn:oid:2.16.156.10011.1.15"
HEALTH_CARD = "urn:oid:2.16.156.10011.1.19"
HEALTH_RECORD = "urn:oid:2.16.156.10011.1.2"
INSTITUTION_CODE = "urn:oid:2.16.156.10011.1.5"
USCC = f"{BASE}/sid/uscc"
ORGANIZATION = f"{BASE}/sid/organization"
SLOT = f"{BASE}/sid/slot"
CONTRACT = f"{BASE}/sid/contract"

ALIASES = MappingProxyType(
    {
        "urn:oid:2.16.840.1.113883.2.23.1.19.1": RESIDENT_ID,
        "urn:oid:2.16.840.1.113883.2.23.1.9.1": RESIDENT_ID,
        "urn:oid:2.16.840.1.113883.2.23.1.9.2": SOCIAL_SECURITY_CARD,
    }
)

# An OID of these says what kind of number it is, not who issued it.
_KIND_OIDS = MappingProxyType(
    {
        "2.16.156.10011.1.11": "VN",
        "2.16.156.10011.1.12": "AN",
        "2.16.156.10011.1.13": "MR",
        "2.16.156.10011.1.14": "specimen",
        "2.16.156.10011.1.20": "prescription",
        "2.16.156.10011.1.24": "request",
        "2.16.156.10011.1.33": "report",
    }
)

# CX.5 as senders write it, where it alone names a national number.
_NATIONAL_TYPES = MappingProxyType(
    {
        **dict.fromkeys(
            ("NNCHN", "IDCARD", "ID CARD", "SFZ", "SFZH", "身份证", "身份证号", "居民身份证", "01"),
            RESIDENT_ID,
        ),
        **dict.fromkeys(("SSC", "SBK", "社保卡", "社会保障卡"), SOCIAL_SECURITY_CARD),
        **dict.fromkeys(("YB", "YBK", "医保", "医保卡", "医保卡号"), INSURANCE_CARD),
        **dict.fromkeys(("JKK", "健康卡", "居民健康卡", "电子健康卡"), HEALTH_CARD),
        **dict.fromkeys(("健康档案", "健康档案号", "JKDA"), HEALTH_RECORD),
    }
)

# The same, only where the sender names no authority: HL7 table 0203 uses them world-wide.
_BARE_TYPES = MappingProxyType({"ID": RESIDENT_ID, "SB": INSURANCE_CARD, "HC": HEALTH_CARD})

# Documents of value domain CV02.01.101, one system a kind.
_DOCUMENTS = MappingProxyType(
    {
        **dict.fromkeys(("PPN", "护照", "03"), "03"),
        **dict.fromkeys(("HKB", "户口簿", "居民户口簿", "02"), "02"),
        **dict.fromkeys(("军官证", "JGZ", "04"), "04"),
        **dict.fromkeys(("驾驶证", "05"), "05"),
        **dict.fromkeys(("出生医学证明", "出生医学证明编号", "出生证", "出生证编号"), "birth"),
        **dict.fromkeys(("港澳居民来往内地通行证", "港澳通行证", "回乡证", "06"), "06"),
        **dict.fromkeys(("台湾居民来往内地通行证", "台湾居民来往大陆通行证", "台胞证", "07"), "07"),
    }
)

# National numbers: strong enough to say who somebody is, whatever the sender.
STRONG = frozenset(
    {RESIDENT_ID, SOCIAL_SECURITY_CARD, INSURANCE_CARD, HEALTH_CARD, HEALTH_RECORD}
    | {f"{BASE}/sid/idtype-{code}" for code in _DOCUMENTS.values()}
)

# A canonical address and what else means the same.
_OTHERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        first: tuple(alias for alias, meant in ALIASES.items() if meant == first)
        for first in ALIASES.values()
    }
)

_SHORT = 200  # what is longer is not kept, so that what is kept is small
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_URI = re.compile(r"(?:https?://|urn:)\S+", re.IGNORECASE)


def canonical(system: str) -> str:
    """Return the canonical address of `system`: an alias resolved, a bare OID as `urn:oid:`.

    >>> canonical("2.16.840.1.113883.2.23.1.19.1")
    'urn:oid:2.16.156.10011.1.3'
    """
    return (_canonical if len(system) < _SHORT else _canonical.__wrapped__)(system)


@lru_cache(maxsize=4096)
def _canonical(system: str) -> str:
    if _OID.fullmatch(system):
        system = f"urn:oid:{system}"
    return ALIASES.get(system, system)


def aliases(system: str) -> tuple[str, ...]:
    """Return all systems that mean the same as `system`, the canonical one first."""
    first = canonical(system)
    return (first, *_OTHERS.get(first, ()))


def namespace(text: str) -> str:
    """Return an authority's name as one segment of an address, `unknown` if it is empty."""
    return (_namespace if len(text) < _SHORT else _namespace.__wrapped__)(text)


@lru_cache(maxsize=1024)
def _namespace(text: str) -> str:
    return quote(text.strip(), safe="-._~") or "unknown"


def universal(identifier: str, kind: str = "") -> str:
    """Return the system of an HD's universal id (HD.2) of a kind (HD.3), `""` if it names none.

    >>> universal("2.16.156.10011.1.19", "ISO")
    'urn:oid:2.16.156.10011.1.19'
    """
    if not identifier:  # as nearly always
        return ""
    bare = identifier.removeprefix("urn:oid:")
    if _OID.fullmatch(bare):
        return "" if bare in _KIND_OIDS else canonical(bare)
    if _UUID.fullmatch(identifier):
        return f"urn:uuid:{identifier.lower()}"
    if _URI.fullmatch(identifier):
        return canonical(identifier)
    named = kind.strip().upper() not in ("", "ISO", "UUID", "GUID", "URI")
    return f"{BASE}/sid/{namespace(identifier)}" if identifier and named else ""


def patient_number(authority: str, type_code: str = "") -> str:
    """Return the system of a number that `authority` gives its patients, by the type of CX.5.

    >>> patient_number("SHTH01"), patient_number("WJPH01", "MR")
    ('https://fhir-hub.example/sid/SHTH01/patient-id', 'https://fhir-hub.example/sid/WJPH01/mr')
    """
    kind = type_code.strip().lower()
    local = "patient-id" if kind in ("", "pi") else namespace(kind)
    return f"{BASE}/sid/{namespace(authority)}/{local}"


def national(type_code: str, *, has_authority: bool) -> str:
    """Return the system that a type of CX.5 means by itself, `""` for the authority's own types."""
    kind = type_code.strip().upper()
    if system := _NATIONAL_TYPES.get(kind, "" if has_authority else _BARE_TYPES.get(kind, "")):
        return system
    if code := _DOCUMENTS.get(kind):
        return f"{BASE}/sid/idtype-{code}"
    return ""


def kind_of_oid(identifier: str) -> str:
    """Return the type that an OID of a kind of number means (`VN`, `AN` …), `""` for others."""
    return _KIND_OIDS.get(identifier.removeprefix("urn:oid:"), "")


def authority_system(authority: str) -> str:
    """Return the namespace of an authority's numbers of orders, appointments, prescriptions."""
    return (_authority if len(authority) < _SHORT else _authority.__wrapped__)(authority)


@lru_cache(maxsize=1024)
def _authority(authority: str) -> str:
    return f"{BASE}/sid/{namespace(authority)}"


def practitioner(facility: str) -> str:
    """Return the namespace of a facility's staff numbers."""
    return f"{BASE}/sid/{namespace(facility)}/practitioner"


def location(facility: str) -> str:
    """Return the namespace of a facility's rooms and beds."""
    return f"{BASE}/sid/{namespace(facility)}/location"


def device(facility: str) -> str:
    """Return the namespace of a facility's devices."""
    return f"{BASE}/sid/{namespace(facility)}/device"
