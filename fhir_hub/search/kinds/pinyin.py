"""Chinese names as one types them in Latin letters: 沈桂芳 is `shenguifang` and `sgf`.

A family name may be read in its own way (单 is shan, 尉迟 is yuchi); ü is typed v, u or yu. A
few spellings stand in the index for each name, so a search by them is the same walk as any other.

Spec: GB/T 28039-2011 (names in pinyin); https://hl7.org/fhir/R4/search.html#string
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from fhir_hub import fhirjson

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


@lru_cache(16_384)
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
    plain = [syllable for part in _reader()(text) for syllable in _split(part)]
    readings = [plain]
    for length in (2, 1):
        if own := _SURNAMES.get(text[:length]):
            as_surname = own.split("-") + plain[length:]
            if as_surname != plain:
                readings.insert(0, as_surname)
            break
    typed = [way for syllables in readings for way in product(*map(_umlauts, syllables))]
    return [list(way) for way in dict.fromkeys(typed)][:_MOST]


class _Reading(bytes):
    """How a phrase is read, as pypinyin's file has it; pypinyin asks for a copy of it each time."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> list[list[str]]:
        syllables: list[list[str]] = fhirjson.loads(self)
        return syllables


class _Beginnings:
    """Whether a text begins one of the phrases, which are sorted."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._phrases = sorted(phrases)

    def __contains__(self, text: str) -> bool:
        at = bisect_left(self._phrases, text)
        return at < len(self._phrases) and self._phrases[at].startswith(text)


@contextmanager
def _environment(**switches: str) -> Iterator[None]:
    """Let the process have these variables meanwhile."""
    before = {name: os.environ.get(name) for name in switches}
    os.environ |= switches
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@cache
def _reader() -> Callable[[str], list[str]]:
    """Return pypinyin's reader of Han, made when the first name comes: it takes its time.

    What it keeps of 47,000 phrases is 56 MB; kept as they stand in its file they are 20. Its own
    switches leave its copies of them out, its own ways put ours in.
    """
    with _environment(PYPINYIN_NO_PHRASES="true", PYPINYIN_NO_DICT_COPY="true"):
        import pypinyin
    from pypinyin.constants import PHRASES_DICT, RE_HANS
    from pypinyin.converter import DefaultConverter
    from pypinyin.core import Pinyin
    from pypinyin.seg import mmseg, simpleseg

    text = Path(pypinyin.__file__).with_name("phrases_dict.json").read_bytes()
    phrases: Any = {phrase: _Reading(said) for phrase, said in fhirjson.members(text).items()}
    pypinyin.load_phrases_dict(phrases)
    beginnings: Any = _Beginnings(PHRASES_DICT)
    cut = mmseg.Seg(beginnings, no_non_phrases=True).cut

    def phrases_of(han: str) -> list[str]:
        parts = simpleseg.simple_seg(han)
        return [one for part in parts for one in (cut(part) if RE_HANS.match(part) else (part,))]

    class Reader(Pinyin):
        def get_seg(self, **_: Any) -> Callable[[str], list[str]]:
            return phrases_of

    read: Callable[[str], list[str]] = Reader(DefaultConverter()).lazy_pinyin
    return read


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
