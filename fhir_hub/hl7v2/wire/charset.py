"""From received bytes to text: what a Chinese feed says of its character set is often not so.

The bytes decide before the declaration does: text in GBK is practically never valid UTF-8, so
what is valid UTF-8 is UTF-8, even where MSH-18 says GBK. Only then comes what the interface is
configured for, what the message declares (in MSH-18, or by mistake in a field beside it), and
last GB 18030. GB2312 and GBK are read as GB 18030, which holds them and the characters that
Python's own `gbk` refuses; where one of them is named, 0x80 is the euro sign of Windows. A
message that is UTF-8 in one field and GBK in another is text in no character set: read as either
it would be destroyed, so it is refused and kept as it came.

Spec: HL7v2 chapter 2, MSH-18 and table 0211; DOMAIN 3.5
"""

import codecs
import re
from collections.abc import Iterator
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from fhir_hub.errors import InvalidMessage
from fhir_hub.identity import names

_GB = "gb18030"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: it begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", _GB),
)
_WIDE = tuple(
    ("MSH".encode(name), name) for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
)
_WIDE_NAMES = frozenset(("utf-16", "utf-32", *(name for _, name in _WIDE)))
_NOT_SO = "the text is not in the declared character set"
_FIELDS = (18, 17, 19, 16, 20)  # where senders write it, the right place first
_LATIN_PARTS = (*range(1, 12), 13, 14, 15, 16)
_REGISTERED = {100: 1, 101: 2, 109: 3, 110: 4, 144: 5, 127: 6, 126: 7, 138: 8, 148: 9}

# Names as they are written, in upper case and without punctuation, and Python's codec.
_CODECS = MappingProxyType(
    {
        **dict.fromkeys(("UTF8", "UNICODEUTF8", "UNICODE", "ISO10646", "CP65001"), "utf-8"),
        **dict.fromkeys(("UTF16", "UNICODEUTF16"), "utf-16"),
        **dict.fromkeys(("UTF32", "UNICODEUTF32"), "utf-32"),
        **dict.fromkeys(
            (
                *("GB18030", "GB180302000", "GB180302005", "GB180302022", "GBK", "GB13000", "GB"),
                *("GB2312", "GB231280", "GB23121980", "EUCCN", "ISOIR58"),
                *("CP936", "MS936", "WINDOWS936", "936"),
            ),
            _GB,
        ),
        **dict.fromkeys(("BIG5", "CP950", "MS950", "WINDOWS950"), "cp950"),
        **dict.fromkeys(("ASCII", "USASCII", "ISOIR6", "ISO646", "ISO646US"), "ascii"),
        **dict.fromkeys(("LATIN1",), "iso8859-1"),
        **{f"8859{part}": f"iso8859-{part}" for part in _LATIN_PARTS},
        **{f"ISO8859{part}": f"iso8859-{part}" for part in _LATIN_PARTS},
        **{f"ISOIR{number}": f"iso8859-{part}" for number, part in _REGISTERED.items()},
        **{f"WINDOWS{page}": f"cp{page}" for page in range(1250, 1259)},
        **{f"CP{page}": f"cp{page}" for page in range(1250, 1259)},
        **dict.fromkeys(("ISOIR14", "ISOIR87", "ISOIR159", "ISO2022JP"), "iso2022_jp_2"),
        **dict.fromkeys(("SHIFTJIS", "SJIS", "CP932", "WINDOWS31J"), "cp932"),
        **dict.fromkeys(("KSX1001", "EUCKR", "CP949", "ISOIR149"), "cp949"),
    }
)

# Bytes between ASCII that are UTF-8 of ideographs and of full-width marks, and nothing else.
_WIDE_RUN = re.compile(rb"(?<![\x80-\xff])(?:[\xe3-\xe9\xef][\x80-\xbf]{2})+(?![\x80-\xff])")
_FEWEST_IDEOGRAPHS = 3
# The characters of GB 18030, and what stands alone: Windows' CP936 has the euro sign at 0x80.
_SINGLE = re.compile(
    rb"[\x00-\x7f]+|[\x81-\xfe](?:[\x40-\x7e\x80-\xfe]|[0-9][\x81-\xfe][0-9])|\x80"
)
# A character beyond U+FFFF in the UTF-8 of some databases (CESU-8): its two surrogates apart.
_SURROGATES = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
# ISO 2022 says before each name that it is GB 2312 or KS X 1001, and ASCII again: as DICOM has it.
_DESIGNATED = re.compile(rb"\x1b(?:\$\)[AC]|\(B)")
_SEVEN_BIT = b"\x1b$A"  # ISO 2022: GB 2312 in seven bits from here on, until ESC ( B
_DESIGNABLE = (_GB, "cp949")
_HEAD = 4096  # bytes in which the first line is looked for
_SHORT = 40  # a longer name is none, and not kept

# What MSH-18 says of the text that we write.
_NAMES = MappingProxyType(
    {
        "utf-8": "UNICODE UTF-8",
        "ascii": "ASCII",
        _GB: "GB 18030-2000",
        "cp950": "BIG-5",
        **{f"iso8859-{part}": f"8859/{part}" for part in _LATIN_PARTS},
    }
)


class Decoded(NamedTuple):
    """The text without a byte order mark, Python's name of its character set, what was odd.

    `charset` also says how `\\X..\\` escapes are read and what the reply is written in. Of pure
    ASCII it is what the message declares, or UTF-8. `issues` are pairs of a code and a sentence.
    """

    text: str
    charset: str
    issues: tuple[tuple[str, str], ...] = ()


def decode(raw: bytes, forced: str = "") -> Decoded:
    """Return the text of a message; `forced` is the character set configured for its sender.

    Raises `InvalidMessage` if the bytes are text in no character set that comes into question.
    """
    issues: list[tuple[str, str]] = []
    marked, rest = _bom(raw)
    if marked:
        text = _try(rest, marked) if marked not in _WIDE_NAMES or _is_wide(rest) else None
        if text is not None:
            return Decoded(_repaired(text, issues), marked, tuple(issues))
        issues.append(("charset-bom", "the byte order mark is not true of the text"))
    declared, configured = _declared(rest, issues), codec(forced)
    if declared in _WIDE_NAMES:
        issues.append(("charset-not-as-declared", _NOT_SO))
    if declared in _WIDE_NAMES or not _is_wide(rest):
        # a header in single bytes is in no character set of two or four
        declared = "" if declared in _WIDE_NAMES else declared
        configured = "" if configured in _WIDE_NAMES else configured
    if _GB in (configured, declared) and _SEVEN_BIT in rest and rest.isascii():
        text = _try(rest, "iso2022_jp_2")  # which holds GB 2312 too
        if text is not None:
            return Decoded(_repaired(text, issues), _GB, tuple(issues))
    is_shifted = "iso2022_jp_2" in (configured, declared) and b"\x1b" in rest
    if rest.isascii() and not is_shifted:
        return Decoded(rest.decode("ascii"), configured or declared or "utf-8", tuple(issues))
    text = None if is_shifted else _try(rest, "utf-8")
    if text is None and not is_shifted and _SURROGATES.search(rest):
        text = _try(_SURROGATES.sub(_joined, rest), "utf-8")
        if text is not None:
            issues.append(("charset-surrogates", "UTF-8 of surrogates was read as what they mean"))
    if text is not None and not (_GB in (configured, declared) and _is_unlikely(text)):
        if declared not in ("", "utf-8"):
            issues.append(("charset-not-as-declared", "the text is UTF-8, not as declared"))
        return Decoded(_repaired(text, issues), "utf-8", tuple(issues))
    return _by_name(rest, configured, declared, issues)


def of_answer(raw: bytes, forced: str = "") -> str:
    """Return in what a sender whose bytes are text in nothing is told so: what it declares."""
    named = codec(forced) or _declared(raw, [])
    return named if named and "|".encode(named) == b"|" else "utf-8"


def _by_name(rest: bytes, configured: str, declared: str, issues: list[tuple[str, str]]) -> Decoded:
    shifted = rest
    for name in dict.fromkeys(filter(None, (configured, declared, _GB))):
        rest = _DESIGNATED.sub(b"", shifted) if name in _DESIGNABLE else shifted
        text = _try(rest, name)
        if text is None and name in (configured, declared) and name == _GB and b"\x80" in rest:
            text = _try(_SINGLE.sub(_euro, rest), name)
            if text is not None:
                issues.append(("charset-windows", "0x80 was read as the euro sign of CP936"))
        if text is not None:
            if name == _GB:
                _refuse_mixed(rest)
            return Decoded(_repaired(text, issues), name, tuple(issues))
        if name in (configured, declared):
            issues.append(("charset-not-as-declared", _NOT_SO))
    _refuse_mixed(rest)
    raise InvalidMessage(
        "the bytes are neither UTF-8 nor in the declared character set nor GB 18030"
        " / 既不是 UTF-8，也不符合声明的字符集或 GB 18030",
        error_code="102",
        location="MSH-18",
    )


def _is_wide(raw: bytes) -> bool:
    """Say whether text may be in UTF-16 or UTF-32: its header cannot be read byte by byte."""
    return not raw[:_HEAD].lstrip().startswith((b"MSH", b"FHS", b"BHS"))


def _euro(found: re.Match[bytes]) -> bytes:
    return b"\xa2\xe3" if found[0] == b"\x80" else found[0]


def _joined(found: re.Match[bytes]) -> bytes:
    pair = found[0].decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")
    return pair.decode("utf-16-le").encode()


def _refuse_mixed(raw: bytes) -> None:
    """Raise `InvalidMessage` if text that could be GB 18030 has whole fields in UTF-8.

    Three ideographs in UTF-8 are practically never also GBK; two are not if GBK would make rare
    characters of them, nor is one whose last byte would swallow a delimiter.
    """
    for run in _WIDE_RUN.finditer(raw):
        octets = run[0]
        has_swallowed = len(octets) % 2 and raw[run.end() : run.end() + 1] in b"|^~\\&"
        if (
            len(octets) >= 3 * _FEWEST_IDEOGRAPHS
            or has_swallowed
            or (len(octets) == 6 and _try(octets, "gb2312") is None)
        ):
            line = raw[: run.start()].replace(b"\n", b"\r").rpartition(b"\r")[2]
            field = line.count(raw[3:4]) if raw.startswith(b"MSH") else 0
            segment = line[:3].decode("ascii", "replace")
            raise InvalidMessage(
                "the message is partly UTF-8 and partly GB 18030; it cannot be read without loss"
                " / 消息混用 UTF-8 与 GB 18030，无法无损读取",
                error_code="102",
                location=f"{segment}-{field + (segment == 'MSH')}" if field else "MSH-18",
            )


def _repaired(text: str, issues: list[tuple[str, str]]) -> str:
    """Return the text with old private-use characters as those that they have since become."""
    if text.isascii() or not names.has_private_use(text):
        return text
    text = names.repair(text)
    issues.append(("charset-private-use", "characters of an old GBK font became those of Unicode"))
    if names.has_private_use(text):
        told = "a private-use character stands for nothing that is known; it was kept"
        issues.append(("charset-unknown-character", told))
    return text


def first_line(raw: bytes) -> str:
    """Return MSH with a character for each byte: tells the sender before anything is decoded."""
    return _line(raw).decode("latin-1")


def encode(text: str, charset: str) -> bytes:
    """Return `text` in a character set that `decode` named; what it lacks becomes `?`.

    UTF-16 and UTF-32 begin with a byte order mark.
    """
    mark = next((mark for mark, name in _BOMS[1:5] if name == charset), b"")
    return mark + text.encode(charset, "replace")


def codec(name: str) -> str:
    """Return Python's name of a character set as a sender writes it, `""` if it is unknown.

    >>> codec("GB 18030-2000"), codec("utf8"), codec("CHN")
    ('gb18030', 'utf-8', '')
    """
    return (_codec if len(name) < _SHORT else _codec.__wrapped__)(name)


@lru_cache(maxsize=256)
def _codec(name: str) -> str:
    plain = "".join(letter for letter in name.upper() if letter.isalnum())
    return _CODECS.get(plain.removeprefix("ISOIEC"), _CODECS.get(plain, ""))


def hl7_name(charset: str) -> str:
    """Return what MSH-18 calls a character set that `decode` named, `""` if HL7 has no name."""
    return _NAMES.get(charset, "")


def _bom(raw: bytes) -> tuple[str, bytes]:
    for mark, name in _BOMS:
        if raw.startswith(mark):
            return name, raw[len(mark) :]
    for start, name in _WIDE:
        if raw.startswith(start):
            return name, raw
    return "", raw


def _declared(raw: bytes, issues: list[tuple[str, str]]) -> str:
    """Return the codec of the first field that names one; note what is wrong with it.

    Of several in a field it is the first that is not ASCII, which all others hold.
    """
    for number, named in _named(raw):
        known = [found for name in named if (found := codec(name))]
        if number == 18 and len(known) < len(named):
            issues.append(("charset-unknown", "MSH-18 names no character set that is known"))
        if known:
            if number != 18:
                issues.append(("charset-misplaced", f"MSH-{number} holds the character set"))
            return next((found for found in known if found != "ascii"), known[0])
    return ""


def _line(raw: bytes) -> bytes:
    start = raw.find(b"MSH")
    head = raw[start : start + _HEAD] if start >= 0 else b""
    return head.replace(b"\n", b"\r").partition(b"\r")[0]


def _named(raw: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield each field in which character sets may stand, with the names that do."""
    line = _line(raw)
    if len(line) < 8:
        return
    fields = line.split(line[3:4])
    again = line[5:6]
    for number in _FIELDS:
        if number <= len(fields) and (value := fields[number - 1].strip()):
            names = value.split(again) if again else [value]
            yield number, [one.decode("ascii", "replace") for one in names if one.strip()]


def _try(raw: bytes, name: str) -> str | None:
    try:
        return raw.decode(name)
    except UnicodeDecodeError:
        return None


def _is_unlikely(text: str) -> bool:
    """Say whether nobody in China writes so: letters of distant scripts and no ideograph.

    `女` in GBK (C5 AE) is also valid UTF-8, for `Ů`. Where GB is declared, a text of such pairs
    alone is GB; with μ, ×, ° or é in it and nothing rarer, or with ideographs, it is UTF-8.
    """
    return max(text) < "\u0800" and any(
        letter > "\u00ff" and not "\u0370" <= letter <= "\u03ff" for letter in text
    )
