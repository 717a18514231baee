"""ST, TX, FT, ID and NM as FHIR's simple types, and ED and RP as Attachment.

A text field's bare delimiters are characters: the whole of the value is the text.

Spec: https://hl7.org/fhir/R4/datatypes.html#primitive; HL7v2 chapter 2A, ED and RP
"""

import base64
import binascii
import re
from typing import Any
from urllib.parse import quote

from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.numbers import read_decimal
from fhir_hub.hl7v2.datatypes.parts import compact, half_width, one_line, part, whole
from fhir_hub.hl7v2.parsing.er7 import Value, unescape
from fhir_hub.identity.systems import universal

_MEDIA_TYPES = {
    "PDF": "application/pdf",
    "RTF": "application/rtf",
    "XML": "application/xml",
    "JSON": "application/json",
    "HTML": "text/html",
    "PLAIN": "text/plain",
    "TXT": "text/plain",
    "TEXT": "text/plain",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "TIF": "image/tiff",
    "DICOM": "application/dicom",
    "ZIP": "application/zip",
    "X-HL7-CDA-LEVEL-ONE": "application/xml",
    "DOC": "application/msword",
    "WORD": "application/msword",
    "MSWORD": "application/msword",
    "HTM": "text/html",
    "DCM": "application/dicom",
    "BMP": "image/bmp",
    "SVG": "image/svg+xml",
}
_UNKNOWN_TYPE = "application/octet-stream"
# How the data of a file begins, in base64.
_BEGINNINGS = {
    "JVBERi": "application/pdf",
    "/9j/": "image/jpeg",
    "iVBORw0KG": "image/png",
    "R0lGOD": "image/gif",
    "SUkq": "image/tiff",
    "TU0AK": "image/tiff",
    "e1xydG": "application/rtf",
    "PD94bWwg": "application/xml",
}
_ADDRESS = re.compile(r"(?:(?:https?|s?ftp|file)://|\\\\)\S+", re.IGNORECASE)
_SAFE = "-._~:/?#[]@!$&'()*+,;=%"
_ENCODINGS = ("A", "HEX", "BASE64")
_TYPES = {
    "AP": "application",
    "APPLICATION": "application",
    "AU": "audio",
    "AUDIO": "audio",
    "IM": "image",
    "IMAGE": "image",
    "TEXT": "text",
    "TX": "text",
    "FT": "text",
    "VIDEO": "video",
}
_SUBTYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*", re.ASCII)
_MAX_INTEGER = 2**31 - 1
_YES = {"Y", "YES", "T", "TRUE", "1", "是", "有"}
_NO = {"N", "NO", "F", "FALSE", "0", "否", "无"}


def string(value: Value, context: Context) -> str | None:
    """Return the whole value as one text."""
    return whole(value) or None


def first_string(value: Value, context: Context) -> str | None:
    """Return the text of the first component."""
    return part(value) or None


def message_type(value: Value, context: Context) -> str | None:
    """Return MSG as HL7 writes it, `ORU^R01^ORU_R01`, whatever the message's delimiters are."""
    parts = [one_line(part(value, at)) for at in range(1, len(value.components) + 1)]
    return "^".join(parts).rstrip("^") or None


def annotation(value: Value, context: Context) -> dict[str, Any] | None:
    """Return an Annotation of the whole value."""
    text = whole(value)
    return {"text": text} if text else None


def boolean(value: Value, context: Context) -> bool | None:
    """Return what a yes/no says (table 0136, `1`/`0`, 是/否); `None` with an issue for others."""
    text = half_width(part(value)).upper()
    if text in _YES or text in _NO:
        return text in _YES
    if text:
        context.issue("unreadable-boolean", "a yes/no says something else; it was left out")
    return None


def integer(value: Value, context: Context) -> int | None:
    """Return a whole number of 32 bits; `None` with an issue for others."""
    return _whole_number(value, context, -_MAX_INTEGER - 1)


def unsigned_int(value: Value, context: Context) -> int | None:
    """Return a whole number that is not negative; `None` with an issue for others."""
    return _whole_number(value, context, 0)


def positive_int(value: Value, context: Context) -> int | None:
    """Return a whole number above zero; `None` with an issue for others."""
    return _whole_number(value, context, 1)


def _whole_number(value: Value, context: Context, least: int) -> int | None:
    text = part(value)
    number = read_decimal(text)
    if (
        number is not None
        and least <= number <= _MAX_INTEGER
        and number == number.to_integral_value()
    ):
        return int(number)
    if text:
        context.issue("unreadable-number", "a whole number cannot be read; it was left out")
    return None


def uri(value: Value, context: Context) -> str | None:
    """Return a text as a URI, or the URI of an HD's universal id."""
    if part(value, 2) and (system := universal(part(value, 2), part(value, 3))):
        return system
    return quote(usual(value), safe=_SAFE) or None


def usual(value: Value) -> str:
    """Return all of a value as one text, with HL7's usual delimiters between its parts."""
    encoding = value.encoding
    if encoding.as_parsed or (encoding.component, encoding.subcomponent) == ("^", "&"):
        return whole(value)
    numbers = range(1, len(value.components) + 1) if whole(value) else ()
    parts = (value.component(number).components for number in numbers)
    return "^".join("&".join(unescape(one, encoding).strip() for one in held) for held in parts)


def attachment(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Attachment of ED (its data, or its type alone if it has none) or of RP."""
    if part(value, 5):
        return _encapsulated(value, context)
    if not part(value, 1) and part(value, 4).upper() in _ENCODINGS:
        return {"contentType": _media_type(part(value, 2), part(value, 3))}
    if len(value.components) > 1 and part(value, 1) and not part(value, 4).startswith("Base"):
        return _pointer(part(value, 1), _media_type(part(value, 3), part(value, 4)))
    text = whole(value)
    if not text:
        return None
    if _ADDRESS.fullmatch(text):  # RP.1 alone
        return _pointer(text, "")
    return {"contentType": "text/plain", "data": _base64(text.encode())}


def _pointer(address: str, kind: str) -> dict[str, Any] | None:
    """Return the Attachment of an address, of the type that its ending says where nothing does."""
    if kind in ("", _UNKNOWN_TYPE):
        ending = address.partition("?")[0].rpartition(".")[2].upper()
        kind = _MEDIA_TYPES.get(ending, kind)
    return compact({"contentType": kind, "url": quote(address, safe=_SAFE)})


def _encapsulated(value: Value, context: Context) -> dict[str, Any] | None:
    text, encoding = value.text(5), part(value, 4).upper()
    data = ""
    try:
        if encoding == "HEX":
            data = _base64(bytes.fromhex(text))
        elif encoding == "A":
            data = _base64(text.encode())
        else:
            packed = "".join(text.split())
            data = _base64(base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True))
    except (ValueError, binascii.Error):
        context.issue("unreadable-data", "encapsulated data is not in the encoding that it names")
        data = _base64(text.encode())
    kind = _media_type(part(value, 2), part(value, 3))
    if kind == _UNKNOWN_TYPE:  # the guide's ED[Attachment]: the data may say it better
        kind = next((one for how, one in _BEGINNINGS.items() if data.startswith(how)), kind)
    return compact({"contentType": kind, "data": data})


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _media_type(kind: str, subtype: str) -> str:
    if known := _MEDIA_TYPES.get(subtype.upper(), _MEDIA_TYPES.get(kind.upper(), "")):
        return known
    main = _TYPES.get(kind.upper(), "")
    if "/" in kind and all(_SUBTYPE.fullmatch(piece) for piece in kind.split("/", 1)):
        return kind
    if main and _SUBTYPE.fullmatch(subtype):
        return f"{main}/{subtype.lower()}"
    return "text/plain" if main == "text" else _UNKNOWN_TYPE
