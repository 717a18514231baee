"""Chinese names as one types them in Latin letters: 沈桂芳 is `shenguifang` and `sgf`.

A family name may be read in its own way (单 is shan, 尉迟 is yuchi); ü is typed v, u or yu. A
few spellings stand in the index for each name, so a search by them is the same walk as any other.

Spec: GB/T 28039-2011 (names in pinyin); https://hl7.org/fhir/R4/search.html#string
"""

import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import accumulate, groupby, product
from pathlib import Path

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


@lru_cache(16_384)
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
    plain = [syllable for part in _reader().read(text) for syllable in _split(part)]
    readings = [plain]
    for length in (2, 1):
        if own := _SURNAMES.get(text[:length]):
            as_surname = own.split("-") + plain[length:]
            if as_surname != plain:
                readings.insert(0, as_surname)
            break
    typed = [way for syllables in readings for way in product(*map(_umlauts, syllables))]
    return [list(way) for way in dict.fromkeys(typed)][:_MOST]


class _Phrases:
    """How phrases of Han are read: one text of them, sorted, one of their syllables, and places.

    A dict of 47,000 phrases takes ten times as much as this.
    """

    def __init__(self, readings: Mapping[str, str]) -> None:
        phrases = sorted(readings)
        self._phrases, self._said = "".join(phrases), "".join(readings[one] for one in phrases)
        self._starts = array("I", accumulate(map(len, phrases), initial=0))
        self._said_at = array("I", accumulate((len(readings[p]) for p in phrases), initial=0))
        self._numbers = range(len(phrases))

    def longest(self, text: str) -> tuple[int, bool]:
        """Return the length of the longest phrase that `text` begins with, 0 if there is none.

        Also say whether the whole of it is the beginning of one.
        """
        longest = 0
        for length in range(1, len(text) + 1):
            start = text[:length]
            phrase = self._phrase(bisect_left(self._numbers, start, key=self._phrase))
            if not phrase.startswith(start):
                return longest, False
            if phrase == start:
                longest = length
        return longest, True

    def syllables(self, phrase: str) -> list[str]:
        """Return how a phrase is read."""
        at = bisect_left(self._numbers, phrase, key=self._phrase)
        return self._said[self._said_at[at] : self._said_at[at + 1]].split()

    def _phrase(self, at: int) -> str:
        return self._phrases[self._starts[at] : self._starts[at + 1]] if at in self._numbers else ""


class _Reader:
    """Reads Han: the longest phrase that begins here, else the first reading of the character."""

    def __init__(self, characters: Mapping[str, str], phrases: _Phrases) -> None:
        self._characters, self._phrases = "".join(sorted(characters)), phrases
        self._known = sorted(set(characters.values()))
        numbers = {syllable: number for number, syllable in enumerate(self._known)}
        self._said = array("H", (numbers[characters[one]] for one in self._characters))

    def read(self, text: str) -> list[str]:
        """Return the syllables of the Han in a text, what is between them as it stands."""
        found: list[str] = []
        for is_read, part in groupby(text, self._is_read):
            run = "".join(part)
            found += self._of_han(run) if is_read else [run]
        return found

    def _of_han(self, text: str) -> Iterator[str]:
        while text:
            length, is_beginning = self._phrases.longest(text)
            if length:
                yield from self._phrases.syllables(text[:length])
            else:  # as the library does: what a phrase could go on from is not searched further
                length = len(text) if is_beginning else 1
                yield from map(self._of_character, text[:length])
            text = text[length:]

    def _of_character(self, character: str) -> str:
        at = bisect_left(self._characters, character)
        is_known = self._characters[at : at + 1] == character
        return self._known[self._said[at]] if is_known else character

    def _is_read(self, character: str) -> bool:
        return is_han(character) or self._of_character(character) is not character


@cache
def _reader() -> _Reader:
    """Return the reader of Han, made of pypinyin's files when the first name comes.

    The files are read and not the library, which keeps 80 MB of them, and reads by them in the
    same way: the longest phrase from here on. Each syllable is what it is without its tone.

    Spec: https://pypinyin.readthedocs.io/
    """
    place = find_spec("pypinyin")
    assert place is not None
    folder, plain = Path(str(place.origin)).parent, cache(_toneless)
    return _Reader(_characters(folder, plain), _Phrases(_phrases(folder, plain)))


def _characters(folder: Path, plain: Callable[[str], str]) -> dict[str, str]:
    said: dict[str, str] = fhirjson.loads((folder / "pinyin_dict.json").read_bytes())
    return {chr(int(one)): plain(readings.partition(",")[0]) for one, readings in said.items()}


def _phrases(folder: Path, plain: Callable[[str], str]) -> dict[str, str]:
    """Return the likeliest reading of each phrase, a blank after each syllable."""
    said = fhirjson.members((folder / "phrases_dict.json").read_bytes())
    return {
        phrase: "".join([f"{plain(one[0])} " for one in fhirjson.loads(syllables)])
        for phrase, syllables in said.items()
    }


def _toneless(syllable: str) -> str:
    """Return a syllable without the mark of its tone, ü as v."""
    parts = unicodedata.normalize("NFD", syllable).replace("u\u0308", "v")
    return "".join(one for one in parts if not unicodedata.combining(one))


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
