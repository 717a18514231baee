"""Chinese names as one types them in Latin letters: 沈桂芳 is `shenguifang` and `sgf`.

A family name may be read in its own way (单 is shan, 尉迟 is yuchi); ü is typed v, u or yu. A
few spellings stand in the index for each name, so a search by them is the same walk as any other.

Spec: GB/T 28039-2011 (names in pinyin); https://hl7.org/fhir/R4/search.html#string
"""

from functools import lru_cache
from itertools import product

# characters that are read otherwise as a family name than by themselves
_SURNAMES_TEXT = """
单:shan 曾:zeng 解:xie 仇:qiu 区:ou 查:zha 任:ren 华:hua 朴:piao 盖:ge 宁:ning 乐:yue 覃:qin
翟:zhai 缪:miao 召:shao 折:she 种:chong 繁:po 秘:bi 员:yun 黑:he 祭:zhai 冼:xian 葛:ge 纪:ji
柏:bai 燕:yan 谌:chen 乜:nie 哈:ha 牟:mu 曲:qu 沈:shen 單:shan 區:ou
尉迟:yu-chi 长孙:zhang-sun 万俟:mo-qi 澹台:tan-tai 鲜于:xian-yu 令狐:ling-hu 单于:chan-yu
宇文:yu-wen 呼延:hu-yan 夏侯:xia-hou 皇甫:huang-fu 尉遲:yu-chi 長孫:zhang-sun
"""
_SURNAMES = dict(pair.split(":") for pair in _SURNAMES_TEXT.split())
_MOST = 4
_LONGEST = 100
_HAN = (("\u3400", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff"))


def is_han(character: str) -> bool:
    """Say whether a character is an ideograph (〇 too)."""
    return character == "〇" or any(low <= character <= high for low, high in _HAN)


@lru_cache(65_536)
def spellings(text: str) -> tuple[str, ...]:
    """Return how a name is typed in Latin letters: whole, and by initials; of no Han: nothing.

    `text` is normalised. A name of more than 100 characters has none.

    >>> spellings("沈桂芳")
    ('shenguifang', 'sgf')
    >>> spellings("吕布")[:2]
    ('lvbu', 'lb')
    """
    if text.isascii() or len(text) > _LONGEST or not any(map(is_han, text)):
        return ()
    found: dict[str, None] = {}
    for syllables in _readings(text):
        found["".join(syllables)] = None
        found["".join(syllable[:1] for syllable in syllables)] = None
    return tuple(found)


@lru_cache(65_536)
def syllables(text: str) -> tuple[str, ...]:
    """Return the likeliest reading of a name in Han, a syllable a character; of no Han: nothing.

    >>> syllables("尉迟恭"), syllables("Smith")
    (('yu', 'chi', 'gong'), ())
    """
    if text.isascii() or len(text) > _LONGEST or not any(map(is_han, text)):
        return ()
    return tuple(_readings(text)[0])


def _readings(text: str) -> list[list[str]]:
    """Return ways to read `text`, at most four, each as syllables; the likeliest first."""
    from pypinyin import lazy_pinyin  # takes a third of a second: when the first name comes

    plain = [syllable for part in lazy_pinyin(text) for syllable in _split(part)]
    readings = [plain]
    for length in (2, 1):
        if own := _SURNAMES.get(text[:length]):
            as_surname = own.split("-") + plain[length:]
            if as_surname != plain:
                readings.insert(0, as_surname)
            break
    typed = [way for syllables in readings for way in product(*map(_umlauts, syllables))]
    return [list(way) for way in dict.fromkeys(typed)][:_MOST]


def _split(part: str) -> list[str]:
    """Return a syllable, or of what was no Han the letters and digits one by one."""
    if part.isascii() and part.isalpha() and len(part) < 7:
        return [part]
    return [sign for sign in part if sign.isalnum()]


def _umlauts(syllable: str) -> tuple[str, ...]:
    """Return a syllable with ü as it is typed: lv, lu, lyu; nve, nue, nyue."""
    if "v" not in syllable:
        return (syllable,)
    return tuple(syllable.replace("v", sign) for sign in ("v", "u", "yu"))
