"""Code systems that are a grammar: which codes there are is a rule, not a list.

A language tag, a media type or a unit cannot be enumerated, and need not be: its form says
whether it is one.

Spec: https://hl7.org/fhir/R4/terminologies-systems.html
"""

import re
from collections.abc import Callable, Iterator, Sequence

from fhir_hub.r4.terminology.canonical import Canonical
from fhir_hub.r4.terminology.concepts import CodeSystem, Concept, Facts, Header
from fhir_hub.r4.units import UCUM, unit_of

LANGUAGES, MIME_TYPES, CURRENCIES = "urn:ietf:bcp:47", "urn:ietf:bcp:13", "urn:iso:std:iso:4217"

# BCP 47, 2.1: language, script, region, variants, extensions, private use
is_language = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+",
    re.IGNORECASE | re.ASCII,
).fullmatch
# RFC 6838, 4.2, with parameters; R4 http.html#mime-type: json, xml and ttl alone are formats too
_is_mime_type = re.compile(
    r"json|xml|ttl|[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
    r"(?:\s*;\s*[a-z0-9_.-]+=(?:[^\s;\"]+|\"[^\"]*\"))*",
    re.IGNORECASE | re.ASCII,
).fullmatch
_CURRENCIES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD
BTN BWP BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP
DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS
INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD
MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR
PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS
SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW
UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XDR XOF XPD XPF XPT XSU XTS XUA
XXX YER ZAR ZMW ZWL ZWG
"""
_is_currency = frozenset(_CURRENCIES.split()).__contains__
# UCUM, table 4 and on: what has no factor, and so is no unit that quantities are converted by
_is_special_unit = re.compile(
    r"(?:[a-zA-Z]|da)?(?:Np|B(?:\[(?:SPL|V|mV|uV|10\.nV|W|kW)\])?)|bit_s|\[pH\]|%\[slope\]"
    r"|\[p'diop\]|\[hp'_[XCMQ]\]|\[m/s2/Hz\^0\.5\]|\[degRe\]|\[(?:mesh|Ch)_i\]"
).fullmatch
# atoms that R4's list of common units has and no quantity is converted by
_RARE = """
Amb'a'1'U Btu_39 Btu_59 Btu_60 Btu_m D'ag'U G Lf PNU acr_br bf_i bu_br bu_us car_Au ch_br ch_us
cicero cml_i cr_i crd_us didot dpt_us dqt_us e eps_0 ft_br fth_br fth_us gal_wi h hp_C hp_M hp_Q
hp_X in_br k kn_br ligne lk_br lk_us lne m_e m_p mi_br mil_us mu_0 nmi_br pc_br pca pca_pr pied
pk_br pk_us pnt pnt_pr pouce rch_us rd_br rlk_us sct smi_us smoot srd_us twp yd_br
"""
_rare_atom = re.compile(
    r"\[(?:" + "|".join(map(re.escape, _RARE.split())) + r")\]|(?<![A-Za-z])(?:Bd|Gb|Lmb|Oe|sb)"
)
_annotation = re.compile(r"\{[!-z|~]*\}")


def is_unit(code: str) -> bool:
    """Say whether a code is one of UCUM: a unit, or an annotation that stands for one.

    >>> is_unit("mm[Hg]"), is_unit("{score}"), is_unit("1/{tot}"), is_unit("mmHg")
    (True, True, True, False)
    """
    if unit_of(code) is not None or _is_special_unit(code):
        return True
    # an annotation counts as 1, a rare atom as any other
    plain = _rare_atom.sub("m", _annotation.sub("1", code))
    return plain != code and (plain == "1" or unit_of(plain) is not None)


class FormalSystem:
    """A code system whose codes are those for which `is_code` holds."""

    def __init__(self, url: str, name: str, is_code: Callable[[str], object]) -> None:
        facts = {"resourceType": "CodeSystem", "url": url, "name": name, "content": "not-present"}
        self.header = Header(url, is_case_sensitive=url == UCUM, facts=facts)
        self._is_code = is_code

    def find(self, code: str) -> Concept | None:
        """Return the concept of a code that has the form; its display is itself."""
        return Concept(code, code) if code and self._is_code(code) else None

    def codes(self) -> Iterator[str]:
        """Yield none: they cannot be enumerated."""
        return iter(())

    def size(self) -> None:
        """Return that they cannot be enumerated."""

    def parents(self, code: str) -> Sequence[str]:
        """Return none: there is no hierarchy."""
        return ()

    def children(self, code: str) -> Sequence[str]:
        """Return none: there is no hierarchy."""
        return ()

    def is_below(self, code: str, ancestor: str) -> bool:
        """Return no: there is no hierarchy."""
        return False

    def below(self, code: str) -> Iterator[str]:
        """Yield none: there is no hierarchy."""
        return iter(())

    def above(self, code: str) -> Iterator[str]:
        """Yield none: there is no hierarchy."""
        return iter(())

    def with_property(self, name: str, value: str) -> None:
        """Return that there are no properties."""

    def with_text(self, text: str) -> Iterator[str]:
        """Yield `text` if it is a code."""
        return iter((text,) if self._is_code(text) else ())


class FormalSource:
    """The source of the systems that are grammars."""

    def __init__(self) -> None:
        self._systems: dict[str, CodeSystem] = {
            LANGUAGES: FormalSystem(LANGUAGES, "IETF_BCP_47", is_language),
            MIME_TYPES: FormalSystem(MIME_TYPES, "MIME_types", _is_mime_type),
            CURRENCIES: FormalSystem(CURRENCIES, "ISO_4217", _is_currency),
            UCUM: FormalSystem(UCUM, "UCUM", is_unit),
        }

    def code_systems(self, url: str) -> Sequence[CodeSystem]:
        """Return the system."""
        found = self._systems.get(url)
        return (found,) if found else ()

    def supplements(self) -> Sequence[Facts]:
        """Return none."""
        return ()

    def of_all(self, value_set: str) -> Canonical | None:
        """Return None."""

    def value_sets(self, url: str) -> Sequence[Facts]:
        """Return none."""
        return ()

    def concept_maps(self) -> Sequence[Facts]:
        """Return none."""
        return ()

    def systems(self) -> Sequence[Canonical]:
        """Return the systems."""
        return [Canonical(url) for url in self._systems]
