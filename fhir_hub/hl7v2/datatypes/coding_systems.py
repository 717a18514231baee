"""The FHIR system of a coding, from the name that CWE.3 gives it (HL7 table 0396 and Chinese ones).

A known name has its public address. `HL7nnnn` is a v2 table. `L`, or no name, is the sender's
own: a namespace of that facility, so that one hospital's `K` is never another's. Any other name
is a code system of ours under `BASE`.

Spec: https://terminology.hl7.org/CodeSystem/v2-0396; DOMAIN 3.3
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote

from fhir_hub.hl7v2.datatypes.parts import half_width
from fhir_hub.identity.systems import BASE, canonical, namespace

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
ICD_10_CN = f"{BASE}/CodeSystem/icd-10-cn"
ICD_9_CM_3_CN = f"{BASE}/CodeSystem/icd-9-cm-3-cn"
TCM = f"{BASE}/CodeSystem/gb-t-15657"
TCM_TERMS = f"{BASE}/CodeSystem/gb-t-16751"
NHSA_DRUG = f"{BASE}/CodeSystem/nhsa-drug"
V2 = "http://terminology.hl7.org/CodeSystem/v2-"
CVX = "http://hl7.org/fhir/sid/cvx"
MVX = "http://hl7.org/fhir/sid/mvx"
ISO_3166 = "urn:iso:std:iso:3166"
_WS = "urn:oid:2.16.156.10011.2.3.3"

_SYSTEMS = MappingProxyType(
    {
        "LN": LOINC,
        "LOINC": LOINC,
        "SCT": SNOMED,
        "SCT2": SNOMED,
        "SNOMED": SNOMED,
        "SNOMED-CT": SNOMED,
        "SNM3": "http://terminology.hl7.org/CodeSystem/SNM3",
        "UCUM": UCUM,
        "NULLFL": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
        "NCIT": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
        "ATC": "http://www.whocc.no/atc",
        "WC": "http://www.whocc.no/atc",
        "I10": ICD_10,
        "ICD10": ICD_10,
        "ICD-10": ICD_10,
        "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
        "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
        "ICD-10-CM": "http://hl7.org/fhir/sid/icd-10-cm",
        "I10P": "http://www.cms.gov/Medicare/Coding/ICD10",
        "ICD10PCS": "http://www.cms.gov/Medicare/Coding/ICD10",
        "I9": "http://hl7.org/fhir/sid/icd-9-cm",
        "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
        "I9CDX": "http://hl7.org/fhir/sid/icd-9-cm",
        "I9CP": "http://hl7.org/fhir/sid/icd-9-cm",
        "ICD9": "http://hl7.org/fhir/sid/icd-9-cm",
        "ICD-9": "http://hl7.org/fhir/sid/icd-9-cm",
        "ICD11": "http://id.who.int/icd/release/11/mms",
        "ICD-11": "http://id.who.int/icd/release/11/mms",
        "ICDO3": "http://terminology.hl7.org/CodeSystem/icd-o-3",
        "ICD-O-3": "http://terminology.hl7.org/CodeSystem/icd-o-3",
        "ICPC2": "http://hl7.org/fhir/sid/icpc-2",
        "ICPC-2": "http://hl7.org/fhir/sid/icpc-2",
        "C4": "http://www.ama-assn.org/go/cpt",
        "CPT": "http://www.ama-assn.org/go/cpt",
        "CPT4": "http://www.ama-assn.org/go/cpt",
        "HCPCS": "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "CVX": CVX,
        "HL70292": CVX,
        "MVX": MVX,
        "HL70227": MVX,
        "NDC": "http://hl7.org/fhir/sid/ndc",
        "NDFRT": "http://hl7.org/fhir/ndfrt",
        "NUCC": "http://nucc.org/provider-taxonomy",
        "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
        "UNII": "http://fdasis.nlm.nih.gov",
        **dict.fromkeys(("HGNC", "HGNC-SYMB"), "http://www.genenames.org"),
        **dict.fromkeys(("HGVS", "HGVS.C", "HGVS.G", "HGVS.P"), "http://varnomen.hgvs.org"),
        **dict.fromkeys(
            ("REFSEQ", "REFSEQ-T", "REFSEQ-G", "REFSEQ-P"), "http://www.ncbi.nlm.nih.gov/refseq"
        ),
        "DBSNP": "http://www.ncbi.nlm.nih.gov/projects/SNP",
        **dict.fromkeys(("CLINVAR", "CLINVAR-V"), "http://www.ncbi.nlm.nih.gov/clinvar"),
        "CDCREC": "urn:oid:2.16.840.1.113883.6.238",
        "CDCPHINVS": "urn:oid:2.16.840.1.114222.4.5.274",
        "PHINQUESTION": "urn:oid:2.16.840.1.114222.4.5.232",
        "FIPS5_2": "urn:oid:2.16.840.1.113883.6.92",
        "FIPS6_4": "urn:oid:2.16.840.1.113883.6.93",
        "DCM": "http://dicom.nema.org/resources/ontology/DCM",
        "MDC": "urn:iso:std:iso:11073:10101",
        "ISO3166": ISO_3166,
        "ISO3166_1": ISO_3166,
        "ISO3166_2": "urn:iso:std:iso:3166:-2",
        "ISO4217": "urn:iso:std:iso:4217",
        "ISO639": "urn:ietf:bcp:47",
        "BCP47": "urn:ietf:bcp:47",
        "ICD10CN": ICD_10_CN,
        "ICD-10-CN": ICD_10_CN,
        "ICD10GB": ICD_10_CN,
        "ICD10国临": ICD_10_CN,
        "ICD10医保": ICD_10_CN,
        "I10CN": ICD_10_CN,
        "ICD10-CN": ICD_10_CN,
        "ICD9CM3": ICD_9_CM_3_CN,
        "GB/T15657": TCM,
        "GB/T16751": TCM_TERMS,
        "GB/T14396": ICD_10_CN,
        "GB/T2659": f"{_WS}.1",
        "GB3304": f"{_WS}.3",
        "GB/T3304": f"{_WS}.3",
        "GB/T2261.1": f"{_WS}.4",
        "GB/T2261.2": f"{_WS}.5",
        "GB/T4658": f"{_WS}.6",
        "GB/T6565": f"{_WS}.7",
        "GB/T4761": f"{_WS}.8",
        "NMPA": f"{BASE}/CodeSystem/nmpa",
        "CFDA": f"{BASE}/CodeSystem/nmpa",
        "国药准字": f"{BASE}/CodeSystem/nmpa",
        "药品批准文号": f"{BASE}/CodeSystem/nmpa",
        "批准文号": f"{BASE}/CodeSystem/nmpa",
        "医保药品代码": NHSA_DRUG,
        "医保药品编码": NHSA_DRUG,
        "国家医保药品代码": NHSA_DRUG,
        "国家医保药品编码": NHSA_DRUG,
    }
)
_OIDS = MappingProxyType(
    {
        "2.16.840.1.113883.6.1": LOINC,
        "2.16.840.1.113883.6.96": SNOMED,
        "2.16.840.1.113883.6.8": UCUM,
        "2.16.840.1.113883.6.3": ICD_10,
        "2.16.840.1.113883.6.43.1": "http://terminology.hl7.org/CodeSystem/icd-o-3",
        "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
        "2.16.840.1.113883.6.103": "http://hl7.org/fhir/sid/icd-9-cm",
        "2.16.840.1.113883.6.104": "http://hl7.org/fhir/sid/icd-9-cm",
        "2.16.840.1.113883.6.4": "http://www.cms.gov/Medicare/Coding/ICD10",
        "2.16.840.1.113883.6.12": "http://www.ama-assn.org/go/cpt",
        "2.16.840.1.113883.6.285": "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
        "2.16.840.1.113883.6.69": "http://hl7.org/fhir/sid/ndc",
        "2.16.840.1.113883.4.9": "http://fdasis.nlm.nih.gov",
        "2.16.840.1.113883.6.101": "http://nucc.org/provider-taxonomy",
        "2.16.840.1.113883.3.26.1.1": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
        "2.16.840.1.113883.5.1008": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
        "2.16.840.1.113883.12.292": CVX,
        "2.16.840.1.113883.12.227": MVX,
        "2.16.840.1.113883.6.73": "http://www.whocc.no/atc",
        "2.16.156.10011.2.3.3.11": ICD_10_CN,
        "2.16.156.10011.2.3.3.11.3": ICD_10_CN,
    }
)
# A system's name for a message that we write: of several the one that stands first above.
NAMES: Mapping[str, str] = MappingProxyType(
    {system: name for name, system in reversed(list(_SYSTEMS.items()))}
)
# Other standards than ICD-10 under the names that Chinese senders give them, editions behind it.
_BEHIND = r"[-_(]?(?:V?\d\.\d版?|20\d\d年?版?)?\)?"
_CHINESE_NAMES = tuple(
    (re.compile(f"(?:{pattern}){_BEHIND}", re.ASCII), system)
    for pattern, system in (
        (
            r"ICD-?9-?CM-?3[-_]?(?:国家?临床?版?|医保版?)?"
            r"|(?:国家?临床?版?|医保版?)?手术(?:操作)?(?:编码|代码)?",
            ICD_9_CM_3_CN,
        ),
        (r"TCM|中医(?:病名|疾病|诊断|证候|病证|证型)(?:编码|代码|分类)?", TCM),
        (r"GB/T16751\.[123]", TCM_TERMS),
    )
)
_OWN = f"{BASE}/CodeSystem/"
_PUBLIC = frozenset(_SYSTEMS.values())
_V2_TABLE = re.compile(r"(?:HL7[-_]?)(\d{4})", re.ASCII)
_OID = re.compile(r"(?:urn:oid:)?([0-2](?:\.(?:0|[1-9]\d*))+)", re.ASCII)
_V2_OID = re.compile(r"2\.16\.840\.1\.113883\.12\.(\d{1,4})", re.ASCII)
_CN_ICD = re.compile(r"[A-Z]\d\d\.(?:\d{3}|x\d\d)(?:x\d{3})?[+*]?", re.ASCII)
_CN_EDITION = re.compile(
    r"(?:ICD-?10)?(?:国家)?(?:国临|临床|医保|国标)(?:版)?(?:ICD-?10)?(?:版)?", re.ASCII
)
_EDITION = re.compile(r"[_-]?[V版]?(\d\.\d)版?$", re.ASCII)
_GB_YEAR = re.compile(r"(GB(?:/T)?[\d.]+)-(?:\d\d){1,2}", re.ASCII)
_DISEASE = re.compile(r"[A-Z]\d\d(?:\D|$)", re.ASCII)
_WHO_ICD = re.compile(r"([A-Z]\d\d)(?:\.(\d)?|$)", re.ASCII)
_ICD = r"[A-Z]\d\d(?:\.[\dx]{1,3}(?:x\d{3})?)?"
_DUAL = re.compile(rf"({_ICD})\s*[+†]?\s*[,，;；/ ]?\s*(?<=[+†,，;；/ ])({_ICD})\s*[*＊]", re.ASCII)


def v2_table(number: str) -> str:
    """Return the system of an HL7 v2 table.

    >>> v2_table("203")
    'http://terminology.hl7.org/CodeSystem/v2-0203'
    """
    return f"{V2}{int(number):04}"


def local(facility: str, name: str = "local") -> str:
    """Return the system of a facility's own codes."""
    return f"{BASE}/CodeSystem/{namespace(facility)}/{name}"


def system_of(name: str, facility: str, oid: str = "") -> str:
    """Return the system that CWE.3 and CWE.14 name; the facility's own for `L` or nothing.

    >>> system_of("LN", "SHTH01"), system_of("L", "SHTH01")
    ('http://loinc.org', 'https://fhir-hub.example/CodeSystem/SHTH01/local')
    """
    key = "".join(name.split()).upper()
    if known := _SYSTEMS.get(key):
        return known
    if match := _GB_YEAR.fullmatch(key):
        key = match[1]
    if known := _SYSTEMS.get(key) or _in_china(key):
        return known
    if match := _V2_TABLE.fullmatch(key):
        return v2_table(match[1])
    if oid and (found := of_oid(oid)):
        return found
    if key in ("", "L", "LOCAL", "99LOC"):
        return local(facility)
    if name.startswith(("http://", "https://", "urn:")) and " " not in name:
        return of_oid(name) or name
    return of_oid(name) or f"{BASE}/CodeSystem/{quote(key, safe='-._~')}"


@lru_cache(maxsize=1024)
def _in_china(name: str) -> str:
    """Return the system of a name that Chinese senders give a standard, `""` if it is none."""
    if len(name) > 40:
        return ""
    plain = half_width(name)
    return next((system for names, system in _CHINESE_NAMES if names.fullmatch(plain)), "")


def is_own(system: str) -> bool:
    """Say whether a system is of our making: a facility's own codes, or a name nobody knows."""
    return system.startswith(_OWN) and system not in _PUBLIC


def is_public(name: str) -> bool:
    """Say whether CWE.3 names a system with a public address of its own."""
    return "".join(name.split()).upper() in _SYSTEMS


def of_oid(oid: str) -> str:
    """Return the system that an OID names, `""` if it is no OID."""
    match = _OID.fullmatch(oid.strip())
    if not match:
        return ""
    if known := _OIDS.get(match[1]):
        return known
    table = _V2_OID.fullmatch(match[1])
    return v2_table(table[1]) if table else canonical(match[1])


def is_chinese_icd_10(code: str) -> bool:
    """Say whether a code has the shape of the Chinese clinical or insurance ICD-10.

    >>> is_chinese_icd_10("I10.x00x002"), is_chinese_icd_10("E11.9")
    (True, False)
    """
    return any(_CN_ICD.fullmatch(one) for one in dagger_and_asterisk(code))


def dagger_and_asterisk(code: str) -> list[str]:
    """Return both codes of a disease and its manifestation in one text (ICD-10's dual coding).

    >>> dagger_and_asterisk("E11.201+N08.3*"), dagger_and_asterisk("E11.9")
    (['E11.201+', 'N08.3*'], ['E11.9'])
    """
    match = _DUAL.fullmatch(code)
    return [f"{match[1]}+", f"{match[2]}*"] if match else [code]


def chinese_edition(name: str, code: str) -> str | None:
    """Return the version of the Chinese ICD-10 that CWE.3 names in Chinese, `None` if it does not.

    The national clinical edition and that of the insurance have lists of operations too, whose
    codes begin with a digit: these are of another system.

    >>> chinese_edition("国临版2.0", "E11.900"), chinese_edition("ICD-10医保版", "I10.x00x002")
    ('2.0', '')
    >>> chinese_edition("医保版", "00.0100x001")
    """
    if name.isascii() or not _DISEASE.match(code):
        return None
    key = "".join(name.split()).upper()
    version = _EDITION.search(key)
    key = key[: version.start()] if version else key
    if not _CN_EDITION.fullmatch(key):
        return None
    return version[1] if version else ""


def who_icd_10(code: str) -> str:
    """Return the WHO ICD-10 code that a Chinese one refines, `""` if it has no such shape.

    >>> who_icd_10("E11.900"), who_icd_10("I10.x00x002")
    ('E11.9', 'I10')
    """
    match = _WHO_ICD.match(code)
    return (f"{match[1]}.{match[2]}" if match[2] else match[1]) if match else ""
