"""A mainland address in one text, taken apart by the names of its divisions.

Province, prefecture and county have endings of their own (省 市 区 县 旗 …). What the endings
show goes to `state`, `city` and `district`, the rest is the line; a municipality is both state
and city, a province by its short name (广西南宁市) gains its ending. Where nothing shows, the whole
text is the line. The text itself is always kept.

Spec: DOMAIN 3.6; GB/T 2260
"""

import re
from types import MappingProxyType
from typing import NamedTuple

DIVISIONS = MappingProxyType(
    {
        "310101": "黄浦区",
        "310104": "徐汇区",
        "310105": "长宁区",
        "310106": "静安区",
        "310107": "普陀区",
        "310109": "虹口区",
        "310110": "杨浦区",
        "310112": "闵行区",
        "310113": "宝山区",
        "310114": "嘉定区",
        "310115": "浦东新区",
        "310116": "金山区",
        "310117": "松江区",
        "310118": "青浦区",
        "310120": "奉贤区",
        "310151": "崇明区",
        "330421": "嘉善县",
        "320509": "吴江区",
    }
)
_CODES = MappingProxyType({name: code for code, name in DIVISIONS.items()})

_MUNICIPALITIES = "北京|天津|上海|重庆"
_PROVINCES = (
    "河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|"
    "湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾"
)
_REGIONS = (
    "内蒙古自治区|广西壮族自治区|西藏自治区|宁夏回族自治区|新疆维吾尔自治区|"
    "香港特别行政区|澳门特别行政区"
)
_NO_ROAD = "(?![道路街场巷弄])"
_CITY = rf"(?:(?![道路街巷弄])[\u4e00-\u9fff]){{2,8}}?(?:市|地区|盟|自治州){_NO_ROAD}"
# A province by its short name: a city follows (广西南宁市; not 吉林市, 海南藏族自治州, 云南路).
_SHORT = (
    rf"(?P<short>{_PROVINCES}|内蒙古|广西|西藏|宁夏|新疆)"
    rf"(?=(?![市省藏]){_CITY})"
)
_STATE = re.compile(
    rf"(?:中国|中华人民共和国)?(?:(?P<city>{_MUNICIPALITIES})市?|"
    rf"(?P<state>{_REGIONS}|(?:{_PROVINCES})省)|{_SHORT})"
)
_REGION = {name[:2]: name for name in _REGIONS.split("|")}
_DISTRICT = re.compile(rf"[\u4e00-\u9fff]{{1,10}}?(?:新区|自治县|自治旗|区|县|旗|市){_NO_ROAD}")
_INNER = re.compile(r"(?:市辖区|县)(?=[\u4e00-\u9fff])")
_TOWN = re.compile(r"[\u4e00-\u9fff]{1,8}?(?:街道|镇|乡)(?!路)")
_BETWEEN = re.compile(r"(?<=[省市区县镇乡道盟州旗])[/,，;；|-](?=[\u4e00-\u9fff])")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_LONGEST = 200


class ParsedAddress(NamedTuple):
    """The parts that were found; `lines` always holds the rest, street and number."""

    state: str = ""
    city: str = ""
    district: str = ""
    code: str = ""
    lines: tuple[str, ...] = ()


def parse(text: str) -> ParsedAddress:
    """Return the parts of an address in one text.

    >>> parse("上海市青浦区朱家角镇示范路200号302室").district
    '青浦区'
    """
    rest = " ".join(text.split())
    if len(rest) > _LONGEST or not _HAN.search(rest):
        return ParsedAddress(lines=(rest,) if rest else ())
    rest = _BETWEEN.sub("", rest.replace(" ", ""))
    state = city = district = ""
    if match := _STATE.match(rest):
        if match["city"]:
            state = city = f"{match['city']}市"
            rest = rest[match.end() :].removeprefix(city)
        else:
            state = match["state"] or _whole(match["short"])
            rest = rest[match.end() :]
    if not city and (match := re.match(_CITY, rest)):
        city, rest = match[0], rest[match.end() :]
    if state or city:
        if match := _INNER.match(rest):
            rest = rest[match.end() :]
        if match := _DISTRICT.match(rest):
            district, rest = match[0], rest[match.end() :]
    elif known := next((name for name in _CODES if rest.startswith(name)), ""):
        district, rest = known, rest[len(known) :]
    if not district:
        return ParsedAddress(state, city, lines=(rest,) if rest else ())
    return ParsedAddress(state, city, district, code_of(district), _lines(rest))


def _whole(short: str) -> str:
    """Return a province's whole name: 江苏省, 广西壮族自治区."""
    return _REGION.get(short[:2], f"{short}省")


def code_of(district: str) -> str:
    """Return the GB/T 2260 code of a district that the hub knows, else `""`."""
    return _CODES.get(district, "")


def _lines(rest: str) -> tuple[str, ...]:
    match = _TOWN.match(rest)
    if not match:
        return (rest,) if rest else ()
    return tuple(part for part in (match[0], rest[match.end() :]) if part)
