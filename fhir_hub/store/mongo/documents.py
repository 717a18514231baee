"""What a resource says as fields of its document, so that few indexes answer every search.

| field | what | for example |
|---|---|---|
| `t`, `i` | resource type and logical id; a deletion has neither | `Patient`, `1` |
| `v`, `s`, `u`, `m`, `c` | version id, sequence, last updated, method, content | |
| `n` | number in the order of creation | `4711` |
| `x` | codes as flat strings: parameter, kind, code, system, text | `gender·t·female·http://…` |
| `d` | intervals: `k` parameter and kind, `l` low, `h` high; unit: `c`, `s` system, `x` written | |
| `g` | groups of composites: `k` parameter, `p0` `p1` the entries of its parts | |
| `w` | full text: `k` parameter, `c` its words | |
| `f` | what it refers to, unless it is a record: `Patient/1` | |

A flat string is eight times cheaper to index than an object of the same fields. Its parts stand
between characters U+0001, which are escaped where they occur in a code, in a way that keeps the
order of codes. A reference to a version stands under its code without it once more, with `~`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_hub.r4.references import ENVELOPES, RECORDS
from fhir_hub.search.entry import Entry, is_part_name
from fhir_hub.store.base import Change, Key, Stored
from fhir_hub.store.mongo.driver import Document

BETWEEN = "\x01"
END = "\x02"  # above what begins with a code and BETWEEN, below any longer code
LETTERS = {"token": "t", "string": "s", "reference": "r", "uri": "u", "text": "w"}
CODED = frozenset(("token", "string", "reference", "uri"))
ANY_VERSION = "~"
SAID = ("x", "d", "g", "w", "f")
_ESCAPES = {"\x00": "\x02a", "\x01": "\x02b", "\x02": "\x02c"}
_is_special = re.compile("[\x00-\x02]").search


def address(key: Key) -> str:
    """Return `Patient/1`, the `_id` of a resource."""
    return f"{key[0]}/{key[1]}"


def escaped(text: str) -> str:
    """Return a text without the characters that stand between parts; their order is kept."""
    if _is_special(text) is None:
        return text
    return "".join(_ESCAPES.get(character, character) for character in text)


def plain(text: str) -> str:
    """Return the text that was escaped."""
    for character, mark in _ESCAPES.items():
        text = text.replace(mark, character)
    return text


def named(parameter: str, kind: str) -> str:
    """Return how each flat string of a parameter begins."""
    return f"{parameter}{BETWEEN}{LETTERS[kind]}{BETWEEN}"


def interval_name(parameter: str, kind: str) -> str:
    """Return the `k` of a parameter's intervals."""
    return f"{parameter}{BETWEEN}{kind}"


def number(value: float) -> float:
    """Return a number that BSON can hold: an integer of 64 bits, or a float."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def said(resource_type: str, entries: Iterable[Entry]) -> Document:
    """Return the fields of what a resource says; those that would be empty are left out."""
    codes: dict[str, None] = {}
    intervals: list[Document] = []
    texts: list[Document] = []
    groups: dict[tuple[str, int], Document] = {}
    references: dict[str, None] = {}
    for entry in entries:
        if entry.kind in CODED:
            codes.update(dict.fromkeys(_flat(entry)))
            if entry.kind == "reference":
                references[entry.code] = None
        elif entry.kind == "text":
            start = named(entry.parameter, "text")
            codes.update({start + escaped(word): None for word in entry.code.split(" ")})
            texts.append({"k": entry.parameter, "c": entry.code})
        else:
            intervals.append({"k": interval_name(entry.parameter, entry.kind)} | _fields(entry))
        if is_part_name(entry.parameter):
            name, _, part = entry.parameter.rpartition(".")
            group = groups.setdefault((name, entry.group), {"k": name})
            group.setdefault(f"p{part}", []).append({"k": entry.kind} | _fields(entry))
    is_record = resource_type in (*RECORDS, *ENVELOPES)
    found: Document = {
        "x": list(codes),
        "d": intervals,
        "g": list(groups.values()),
        "w": texts,
        "f": [] if is_record else list(references),
    }
    return {name: values for name, values in found.items() if values}


def _flat(entry: Entry) -> Iterator[str]:
    start = named(entry.parameter, entry.kind) + escaped(entry.code)
    text = BETWEEN + escaped(entry.text) if entry.text and entry.kind in ("string", "uri") else ""
    yield f"{start}{BETWEEN}{escaped(entry.system)}{text}"
    if entry.kind == "reference" and entry.system:
        yield ANY_VERSION + start


def _fields(entry: Entry) -> Document:
    """Return the fields of an entry on its own, without a code, system or text that is empty."""
    found: Document = {"c": entry.code, "s": entry.system, "x": entry.text}
    found = {name: text for name, text in found.items() if text}
    if entry.kind not in CODED:
        found["l"] = float("-inf") if entry.low is None else number(entry.low)
        found["h"] = float("inf") if entry.high is None else number(entry.high)
    return found


def resource_document(stored: Stored, place: int, entries: Iterable[Entry]) -> Document:
    """Return the document of a resource's current version; `place` is its number of creation."""
    resource_type, logical_id, version_id, sequence, last_updated, method, content = stored
    own: Document = {
        "_id": f"{resource_type}/{logical_id}",
        "n": place,
        "v": version_id,
        "s": sequence,
        "u": last_updated,
        "m": method,
        "c": content,
    }
    if stored.is_deleted:
        return own
    return own | {"t": resource_type, "i": logical_id} | said(resource_type, entries)


def version_document(stored: Stored) -> Document:
    """Return the document of one version."""
    return {
        "_id": stored.sequence,
        "k": f"{stored.resource_type}/{stored.logical_id}",
        "t": stored.resource_type,
        "v": stored.version_id,
        "u": stored.last_updated,
        "m": stored.method,
        "c": stored.content,
    }


def of_resource(document: Document) -> Stored:
    """Return the version that a document of `resource` holds."""
    return _stored(document["_id"], document["s"], document)


def of_version(document: Document) -> Stored:
    """Return the version that a document of `version` is."""
    return _stored(document["k"], document["_id"], document)


def _stored(key: str, sequence: int, document: Document) -> Stored:
    resource_type, _, logical_id = key.partition("/")
    return Stored(
        resource_type,
        logical_id,
        int(document["v"]),
        int(sequence),
        int(document["u"]),
        document["m"],
        bytes(document["c"]),
    )


def stored_of(change: Change, sequence: int) -> Stored:
    """Return what a change is when it has its place in the order."""
    return Stored(
        change.resource_type,
        change.logical_id,
        change.version_id,
        sequence,
        change.last_updated,
        change.method,
        change.content,
    )


def is_of(value: Any, start: str) -> Document:
    """Return the expression that the flat string `value` is one of those that begin with `start`.

    `start` ends with U+0001.
    """
    return {"$and": [{"$gte": [value, start]}, {"$lt": [value, start[:-1] + END]}]}


def code_in(value: Any) -> Document:
    """Return the expression of the code in a flat string, escaped."""
    return {"$arrayElemAt": [{"$split": [value, BETWEEN]}, 2]}
