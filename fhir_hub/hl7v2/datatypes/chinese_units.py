"""Units written in Chinese, whole or in part, to UCUM: `克/升`, `个/μL`, `毫克/24小时`.

Chinese names of units are made like UCUM's codes: a prefix (`毫`) before a unit (`摩尔`), and `/`
or `每` between two. What is counted (`个`, `次`) has no unit of its own above the line.

Spec: https://ucum.org/ucum; GB 3100; DOMAIN 3.3
"""

import re
from collections.abc import Callable
from types import MappingProxyType

_PREFIXES = MappingProxyType(
    {
        "兆": "M",
        "千": "k",
        "分": "d",
        "厘": "c",
        "毫": "m",
        "微": "u",
        "纳": "n",
        "皮": "p",
        "飞": "f",
    }
)
# What may have a prefix.
_UNITS = MappingProxyType(
    {
        "克": "g", "升": "L", "米": "m", "摩尔": "mol", "摩": "mol", "秒": "s", "当量": "eq",
        "国际单位": "[IU]", "单位": "U", "渗透摩尔": "osm", "帕": "Pa", "帕斯卡": "Pa", "卡": "cal",
        "焦": "J", "焦耳": "J", "伏": "V", "瓦": "W", "赫兹": "Hz", "戈瑞": "Gy", "贝可": "Bq",
        "居里": "Ci",
    }
)  # fmt: skip
_WHOLE = MappingProxyType(
    {
        "公斤": "kg", "公分": "cm", "分": "min", "分钟": "min", "小时": "h", "时": "h", "天": "d",
        "日": "d", "周": "wk", "星期": "wk", "月": "mo", "个月": "mo", "年": "a", "摄氏度": "Cel",
        "平方米": "m2", "平方厘米": "cm2", "平方毫米": "mm2", "立方米": "m3", "立方厘米": "cm3",
        "立方毫米": "mm3", "米2": "m2", "厘米2": "cm2", "分贝": "dB", "屈光度": "[diop]",
        "滴": "[drp]", "步": "{steps}", "拷贝": "{copies}", "片": "{tbl}", "粒": "{capsule}",
        "高倍视野": "[HPF]", "高倍镜": "[HPF]", "高倍": "[HPF]", "HPF": "[HPF]", "HP": "[HPF]",
        "低倍视野": "[LPF]", "低倍镜": "[LPF]", "低倍": "[LPF]", "LPF": "[LPF]", "LP": "[LPF]",
        "毫米汞柱": "mm[Hg]", "厘米水柱": "cm[H2O]", "岁": "a", "周岁": "a", "孕周": "wk",
        "月龄": "mo",
    }
)  # fmt: skip
_COUNTED = frozenset({"", "个", "次", "例", "个细胞", "细胞", "只", "条"})
_COUNTS = MappingProxyType({"千": "10*3", "万": "10*4", "百万": "10*6", "亿": "10*8"})
_POWER = re.compile(r"10的(\d{1,2})次方")
_NUMBERED = re.compile(r"(\d+(?:\.\d+)?)(\D.*)")
_LONGEST = 4  # parts of a unit: mL/min/1.73m2 has three


def to_ucum(text: str, of_latin: Callable[[str], str]) -> str:
    """Return the UCUM code of a unit with Chinese characters, `""` if nobody knows it.

    `of_latin` gives the code of a part in other letters.

    >>> to_ucum("毫摩尔每升", str), to_ucum("个/uL", str), to_ucum("毫克/24小时", str)
    ('mmol/L', '/uL', 'mg/(24.h)')
    """
    text = _POWER.sub(r"10*\1", text).replace("每", "/").removeprefix("x")
    above, *below = text.split("/")
    if not below:
        return _one(above, of_latin)
    first = _COUNTS.get(above) or ("" if above in _COUNTED else _one(above, of_latin))
    codes = [_divisor(one, of_latin) for one in below]
    if len(below) >= _LONGEST or not all(codes) or (not first and above not in _COUNTED):
        return ""
    return "/".join([first, *codes])


def _divisor(text: str, of_latin: Callable[[str], str]) -> str:
    numbered = _NUMBERED.fullmatch(text)
    if not numbered:
        return _one(text, of_latin)
    number, code = numbered[1], _one(numbered[2], of_latin)
    if number == "1" or not code:
        return code
    return f"({number}.{code})" if number.isdigit() else f"{{{number}_{code}}}"


def _one(text: str, of_latin: Callable[[str], str]) -> str:
    if found := _WHOLE.get(text) or _UNITS.get(text):
        return found
    if text[:1] in _PREFIXES and (unit := _UNITS.get(text[1:])):
        return _PREFIXES[text[0]] + unit
    return of_latin(text) if text.isascii() else ""
