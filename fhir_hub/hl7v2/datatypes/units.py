"""Units as senders write them, to UCUM.

A unit is looked up in one spelling (half width, μ as u, powers as `10*n`). What the table does
not know is UCUM already when each of its atoms is. The unit as written is kept beside the code.

Spec: https://ucum.org/ucum; DOMAIN 3.3
"""

import re
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from fhir_hub.hl7v2.datatypes import chinese_units, coding_systems
from fhir_hub.hl7v2.datatypes.parts import half_width, one_line, part, whole
from fhir_hub.hl7v2.parsing.er7 import Encoding, Value


class Unit(NamedTuple):
    """A unit as `text` has it, and its `code` in UCUM or else in `system`; `""`: it has none."""

    text: str = ""
    code: str = ""
    system: str = coding_systems.UCUM


# Spelled as `_spelling` spells; only what differs from UCUM or is no UCUM at all.
_CODES = MappingProxyType(
    {
        "bpm": "/min", "beats/min": "/min",
        "beats/minute": "/min", "1/min": "/min", "{beats}/min": "/min", "breaths/min": "/min",
        "mmhg": "mm[Hg]", "毫米汞柱": "mm[Hg]", "mm(hg)": "mm[Hg]", "cmh2o": "cm[H2O]",
        "厘米水柱": "cm[H2O]", "kpa": "kPa", "千帕": "kPa",
        "kg": "kg", "公斤": "kg", "千克": "kg", "g": "g", "克": "g", "mg": "mg", "毫克": "mg",
        "ug": "ug", "mcg": "ug", "微克": "ug", "ng": "ng", "纳克": "ng", "pg": "pg", "皮克": "pg",
        "l": "L", "升": "L", "dl": "dL", "ml": "mL", "毫升": "mL", "cc": "mL", "ul": "uL",
        "微升": "uL", "fl": "fL", "飞升": "fL",
        "m": "m", "米": "m", "cm": "cm", "厘米": "cm", "公分": "cm", "mm": "mm", "毫米": "mm",
        "um": "um", "微米": "um", "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]",
        "ft": "[ft_i]", "lb": "[lb_av]", "lbs": "[lb_av]", "oz": "[oz_av]",
        "c": "Cel", "°c": "Cel", "degc": "Cel", "deg c": "Cel", "摄氏度": "Cel", "cel": "Cel",
        "度": "Cel", "°f": "[degF]", "degf": "[degF]", "f": "[degF]",
        "%": "%", "百分比": "%", "percent": "%", "pct": "%", "‰": "[ppth]",
        "u/l": "U/L", "iu/l": "[IU]/L", "iu/ml": "[IU]/mL", "miu/ml": "m[IU]/mL",
        "miu/l": "m[IU]/L", "uiu/ml": "u[IU]/mL", "kiu/l": "k[IU]/L", "ku/l": "kU/L",
        "u/ml": "U/mL", "mu/l": "mU/L", "iu": "[IU]", "国际单位": "[IU]", "u": "U",
        "mol/l": "mol/L", "mmol/l": "mmol/L", "umol/l": "umol/L", "nmol/l": "nmol/L",
        "pmol/l": "pmol/L",
        "meq/l": "meq/L", "mosm/l": "mosm/L", "mosm/kg": "mosm/kg", "mosm/kgh2o": "mosm/kg",
        "g/l": "g/L", "g/dl": "g/dL", "mg/l": "mg/L", "mg/dl": "mg/dL", "mg/g": "mg/g",
        "ug/l": "ug/L", "ug/ml": "ug/mL", "ug/dl": "ug/dL", "mcg/ml": "ug/mL", "mcg/dl": "ug/dL",
        "ng/ml": "ng/mL", "ng/l": "ng/L", "ng/dl": "ng/dL", "pg/ml": "pg/mL", "mg/kg": "mg/kg",
        "10*9/l": "10*9/L", "10*12/l": "10*12/L", "10*6/l": "10*6/L", "10*3/ul": "10*3/uL",
        "10*6/ul": "10*6/uL", "k/ul": "10*3/uL", "m/ul": "10*6/uL", "g/24h": "g/(24.h)",
        "mg/24h": "mg/(24.h)", "thousand/ul": "10*3/uL", "million/ul": "10*6/uL",
        "tsd/ul": "10*3/uL", "tsd./ul": "10*3/uL", "mio/ul": "10*6/uL", "mio./ul": "10*6/uL",
        "ml/min": "mL/min", "ml/min/1.73m2": "mL/min/{1.73_m2}", "ml/min/1.73m^2":
        "mL/min/{1.73_m2}", "mm/h": "mm/h", "mm/hr": "mm/h", "ml/h": "mL/h", "ml/hr": "mL/h",
        "l/min": "L/min", "kg/m2": "kg/m2", "kg/m^2": "kg/m2", "kg/m*2": "kg/m2", "m2": "m2",
        "ml/(min*1.73m2)": "mL/min/{1.73_m2}", "ml/(min.1.73m2)": "mL/min/{1.73_m2}",
        "ml/min.1.73m2": "mL/min/{1.73_m2}", "ml/min*1.73m2": "mL/min/{1.73_m2}",
        "ml/min/1,73m2": "mL/min/{1.73_m2}",
        "mm/1h": "mm/h", "mmh2o": "mm[H2O]", "gm/dl": "g/dL", "g%": "g/dL", "mg%": "mg/dL",
        "mosm/kg.h2o": "mosm/kg", "mg/gcr": "mg/g{creat}", "ug/gcr": "ug/g{creat}",
        "cells/ul": "/uL", "cell/ul": "/uL", "cfu/ml": "[CFU]/mL", "au/ml": "[arb'U]/mL",
        "/hpf": "/[HPF]", "/hp": "/[HPF]", "/lpf": "/[LPF]", "/lp": "/[LPF]",
        "/ul": "/uL", "copies/ml": "{copies}/mL", "s/co": "{s_co_ratio}",
        "ng/ml(feu)": "ng/mL{FEU}", "s": "s", "sec": "s", "秒": "s", "min": "min",
        "分": "{score}", "分钟": "min", "mins": "min", "minute": "min", "minutes": "min",
        "h": "h", "hr": "h", "hrs": "h", "hour": "h",
        "hours": "h", "小时": "h", "时": "h", "d": "d", "day": "d", "days": "d", "天": "d",
        "日": "d", "wk": "wk", "w": "wk", "week": "wk", "weeks": "wk", "周": "wk", "星期": "wk",
        "mo": "mo", "month": "mo", "months": "mo", "月": "mo", "个月": "mo", "a": "a", "y": "a",
        "yr": "a", "yrs": "a", "year": "a", "years": "a", "岁": "a", "年": "a", "kcal": "kcal",
        "千卡": "kcal", "大卡": "kcal", "次": "{times}", "step": "{steps}", "步": "{steps}",
        "片": "{tbl}", "粒": "{capsule}", "支": "{ampule}", "盒": "{box}", "袋": "{bag}",
        "瓶": "{bottle}", "丸": "{pill}", "贴": "{patch}", "滴": "[drp]", "喷": "{spray}",
        "枚": "{each}", "板": "{blister}", "包": "{packet}", "剂": "{dose}", "付": "{dose}",
        "帖": "{dose}", "单位": "U",
    }
)  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SHORT = 500  # a longer text is not remembered
_RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_POWER = re.compile(r"^[x×*✕]?\s*10\s*(?:[\^*e]|exp)?\s*(-?\d{1,2})(?=\D|$)", re.IGNORECASE)
_RAISED_TO = re.compile(r"-?\d{1,2}(?:/.*)?")
_A_DAY = re.compile(r"(.+)/24 ?(?:h|hr|hrs|hour|hours)", re.IGNORECASE)
_LITRE = re.compile(r"(?<![A-Za-z])([dcmunpf]?)l(?![A-Za-z])")
_ATOM = re.compile(
    r"(?:(?:da|[YZEPTGMkhdcmunpfazy])?"
    r"(?:mol|eq|osm|Hz|Gy|Bq|Ci|Pa|kat|cal|bar|Cel|g|L|l|m|s|V|A|K|N|J|W|U|t|\[IU\]|m?\[Hg\]|m?\[H2O\])"
    r"|%|min|h|d|wk|mo|a|10\*-?\d+|10|1|24|\[[A-Za-z_]+\])(?:-?[1-9])?(?:\{[!-z|~]+\})?|\{[!-z|~]+\}",
    re.ASCII,
)


def unit_of(value: Value | None) -> Unit:
    """Return the unit that OBX-6 or the like holds: a CWE, or a text with unescaped hats.

    The text is what stands first (`mmol/L^毫摩尔每升^UCUM` is `mmol/L`), or the name of a
    sender's code that is no unit by itself (`U01^片^L` is `片`).
    """
    return Unit() if value is None else unit_written(value.raw, value.encoding)


def unit_written(raw: str, encoding: Encoding) -> Unit:
    """Return the unit of a field's one value, as it stands in the message."""
    return (_written if len(raw) < _SHORT else _written.__wrapped__)(raw, encoding)


@lru_cache(maxsize=2048)
def _written(raw: str, encoding: Encoding) -> Unit:
    value = Value(raw, encoding)
    first, (second, name) = part(value, 1), _name_and_system(value)
    if _is_bare(value) and not encoding.as_parsed:
        return named(whole(value))
    if name.upper() == "UCUM" and first:
        return Unit(first, to_ucum(first) or (first if is_ucum(first) else ""))
    if alternate := part(value, 4) if part(value, 6).upper() == "UCUM" else "":
        return Unit(first or alternate, to_ucum(alternate))
    unit = named(first or second)
    if unit.code.isdigit() and second and not _is_bare(value):  # `1^mL^OURS`: the sender's code
        return named(second)
    if unit.code or not second:
        return unit
    if code := to_ucum(second):
        return Unit(second, code)
    if name and coding_systems.is_public(name) and first:
        return Unit(second, one_line(first), coding_systems.system_of(name, ""))
    return Unit(second) if name else unit  # `01^片^L`: 01 is the sender's code, and tells nobody


def _is_bare(value: Value) -> bool:
    return part(value, 1).endswith("10") and part(value, 2)[:1].isdigit()  # 10^9/L, not escaped


def name_of(value: Value) -> str:
    """Return what CWE.2 calls a unit, `""` where it is the rest of a text with unescaped hats."""
    return "" if _is_bare(value) else one_line(_name_and_system(value)[0])


def _name_and_system(value: Value) -> tuple[str, str]:
    """Return CWE.2 and CWE.3, one component later where the name's hat is not escaped."""
    name, system = part(value, 2), part(value, 3)
    if name.endswith("10") and _RAISED_TO.fullmatch(system):
        return f"{name}^{system}", part(value, 4)
    return name, system


def named(text: str) -> Unit:
    """Return the unit that a text writes."""
    return Unit(text, to_ucum(text))


def to_ucum(text: str) -> str:
    """Return the UCUM code of a unit as senders write it, `""` if there is none.

    >>> to_ucum("μmol/L"), to_ucum("×10⁹/L"), to_ucum("次/分"), to_ucum("一撮")
    ('umol/L', '10*9/L', '/min', '')
    """
    return _to_ucum(text) if len(text) <= 64 else ""


@lru_cache(maxsize=2048)
def _to_ucum(text: str) -> str:
    spelled = _spelling(text)
    if known := _CODES.get(spelled) or _CODES.get(spelled.lower()):
        return known
    if not spelled.isascii():
        return chinese_units.to_ucum(spelled, _to_ucum)
    if (match := _A_DAY.fullmatch(spelled)) and (each := _to_ucum(match[1])):
        return f"{each}/(24.h)"
    if not is_ucum(spelled):
        return ""
    return spelled if "{" in spelled else _LITRE.sub(r"\1L", spelled)


def code_told(text: str) -> str:
    """Return the UCUM code of a unit that senders are known to write, `""` of what only might be.

    >>> code_told("mg"), code_told("pm")
    ('mg', '')
    """
    spelled = _spelling(text) if len(text) <= 64 else ""
    known = _CODES.get(spelled) or _CODES.get(spelled.lower(), "")
    if not known and not spelled.isascii():
        return chinese_units.to_ucum(spelled, code_told)
    return known or (spelled if "/" in spelled and is_ucum(spelled) else "")


def minutes_told(unit: Unit) -> Unit:
    """Return a unit where a time is told: 分 is minutes there, else points of a score."""
    return Unit(unit.text, "min") if unit.text == "分" else unit


def is_ucum(code: str) -> bool:
    """Say whether each atom of a code is a UCUM unit that the hub knows."""
    body = code.replace("(", "").replace(")", "")
    pieces = re.split(r"[/.]", body.removeprefix("/"))
    return bool(body) and all(_ATOM.fullmatch(piece) for piece in pieces)


def raised(text: str) -> str:
    """Return `text` with superscript digits as digits, behind 10 with a hat: `10⁵` is `10^5`."""
    return _RAISED.sub(_raised, text)


def _spelling(text: str) -> str:
    text = raised(text.strip())
    text = half_width(text.replace("℃", "°c").replace("℉", "°f"))
    text = text.replace("μ", "u").replace("µ", "u").replace("×", "x").replace("·", ".")
    text = "".join(text.split()) if "/" in text else " ".join(text.split())
    return _POWER.sub(r"10*\1", text)


def _raised(match: re.Match[str]) -> str:
    """Return a raised number as UCUM has it: behind a unit as it is, behind 10 with a hat."""
    number = match[0].translate(_SUPERSCRIPTS)
    return f"^{number}" if match.string[: match.start()].endswith("10") else number
