"""Chinese names: family and given name from one text, and characters that were lost on the way.

A family name is the longest compound one of the table at the start, else the first character.
A name with `·`, Latin letters or digits, or of more than four characters, has another order:
it is left whole. Private-use characters of old GBK systems become the characters they stood for.

Spec: DOMAIN 3.4; GB 18030-2022; https://hl7.org/fhir/R4/datatypes.html#HumanName
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"

_COMPOUND_TEXT = """
欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台
皇甫 宗政 濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘
子车 亓官 司寇 巫马 公西 颛孙 壤驷 公良 漆雕 乐正 宰父 谷梁 拓跋 夹谷 轩辕 令狐
段干 百里 呼延 东郭 南门 羊舌 微生 公户 公玉 公仪 梁丘 公仲 公上 公门 公山 公坚
左丘 公伯 西门 公祖 第五 公乘 贯丘 公皙 南荣 东里 东宫 仲长 子书 子桑 即墨 达奚
褚师 纳兰 叶赫那拉 爱新觉罗 歐陽 東方 獨孤 南宮 聞人 諸葛 尉遲 赫連 澹臺 濮陽 公孫 仲孫
鍾離 長孫 鮮于 司馬 閭丘 巫馬 顓孫 樂正 榖梁 軒轅 段幹 東郭 西門 納蘭
"""
_COMPOUND = frozenset(_COMPOUND_TEXT.split())
_TITLES = ("医师", "药师", "护士", "技师", "检验师", "主任", "医生", "大夫")
_NOBODY = (  # what stands where a person is named
    *("平台", "系统", "终端", "自助机", "管理员"),
    *("无名氏", "佚名", "未知", "不详", "新生儿"),
)
_DOTS = "·•・‧∙⋅．"
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_LONG, _LEADS = 64, (b"\xee", b"\xef", b"\xf3", b"\xf4")  # how `_PRIVATE` begins in UTF-8
_HAN_RANGES = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af\u3007"
_HAN = re.compile(f"[{_HAN_RANGES}]")
_ALL_HAN = re.compile(f"[{_HAN_RANGES}]+")
_LOST = re.compile("[?？□\ufffd■]")


# What else GBK fonts had at private-use code points, and where GB 18030-2022 has it now.
_MOVED = {
    **dict(
        zip(range(0xE78D, 0xE797), (0xFE10, 0xFE12, 0xFE11, *range(0xFE13, 0xFE1A)), strict=True)
    ),
    **{0xE7C7: 0x1E3F, 0xE7C8: 0x01F9},
    **{0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7},
    **{0xE832: 0x9FB8, 0xE843: 0x9FB9, 0xE854: 0x9FBA, 0xE864: 0x9FBB},
    **{0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC},
    **{0xE831: 0x215D7, 0xE83B: 0x2298F, 0xE855: 0x241FE},
}


class Split(NamedTuple):
    """The two parts of a name; `given` is `""` where the text is a family name alone."""

    family: str
    given: str


def _old_private_use() -> dict[int, str]:
    # GBK put FE50..FEA0 at U+E815..U+E864; GB 18030 has since given them characters of their own.
    seconds = [second for second in range(0x50, 0xA1) if second != 0x7F]
    table = {old: chr(now) for old, now in _MOVED.items()}
    for position, second in enumerate(seconds):
        character = bytes((0xFE, second)).decode("gb18030")
        if not _PRIVATE.match(character):
            table[0xE815 + position] = character
    return table


_REPLACED = _old_private_use()


def is_han(text: str) -> bool:
    """Say whether `text` is one or more ideographs and nothing else."""
    return _ALL_HAN.fullmatch(text) is not None


def has_han(text: str) -> bool:
    """Say whether an ideograph is in `text`."""
    return _HAN.search(text) is not None


def has_private_use(text: str) -> bool:
    """Say whether a private-use character is in `text`: what it means is agreed nowhere."""
    if len(text) > _LONG:  # a message, or a file in base64: quick to see in UTF-8
        octets = text.encode("utf-8", "replace")
        if not any(lead in octets for lead in _LEADS):
            return False
    return _PRIVATE.search(text) is not None


def repair(text: str) -> str:
    """Return `text` with the private-use characters of old GBK systems replaced.

    >>> repair("王\\ue863")
    '王䶮'
    """
    return text.translate(_REPLACED) if _PRIVATE.search(text) else text


def is_damaged(text: str) -> bool:
    """Say whether a character of `text` was lost: such a name never replaces a good one.

    >>> is_damaged("王?"), is_damaged("王䶮")
    (True, False)
    """
    return bool(_LOST.search(text) or _PRIVATE.search(repair(text)))


def split(text: str) -> Split | None:
    """Return family and given name of a whole Chinese name, `None` where it is not to be split.

    >>> split("欧阳志明")
    Split(family='欧阳', given='志明')
    >>> split("买买提·艾力") is None
    True
    """
    text = "".join(text.split())
    if not is_han(text) or any(one in text for one in (*_TITLES, *_NOBODY)):
        return None
    for length in (4, 2):
        if text[:length] in _COMPOUND and len(text) <= length + 2:
            return Split(text[:length], text[length:])
    return Split(text[:1], text[1:]) if 2 <= len(text) <= 4 else None


def is_compound(text: str) -> bool:
    """Say whether `text` is a family name of more than one character."""
    return text in _COMPOUND


def is_latin(text: str) -> bool:
    """Say whether `text` is written in Latin letters, as pinyin is."""
    if _HAN.search(text):
        return False
    letters = [character for character in text if character.isalpha()]
    return bool(letters) and all(
        unicodedata.name(character, "").startswith("LATIN") for character in letters
    )


def comparable(text: str) -> str:
    """Return `text` as names are compared: NFKC, no blanks, one form of the dot, case folded."""
    folded = unicodedata.normalize("NFKC", repair(text)).casefold()
    return "".join("·" if c in _DOTS else c for c in folded if not c.isspace())


def given(name: Mapping[str, Any]) -> list[str]:
    """Return the given names of a HumanName; null stands where one has but an extension.

    >>> given({"given": [None, "Mary"], "_given": [{"extension": []}, None]})
    ['Mary']
    """
    return [one for one in name.get("given", ()) if isinstance(one, str)]


def written(name: Mapping[str, Any]) -> str:
    """Return a HumanName as one text.

    >>> written({"family": "沈", "given": ["桂", "芳"]})
    '沈桂芳'
    """
    return str(name.get("text") or "".join((name.get("family", ""), *given(name))))
