"""Canonicals among the flat strings of resources: who names whom, by url and version.

What may be named (profiles, questionnaires, plans) is little beside what is not, so the names at
the far end of a chain are found first, however many, and the condition asks for them.

Spec: https://hl7.org/fhir/R4/references.html#canonical
"""

from collections.abc import Iterable

from fhir_hub.search.plan import URL, VERSION, Is
from fhir_hub.store.mongo.documents import BETWEEN, is_of, named, plain
from fhir_hub.store.mongo.driver import Document

_URL, _VERSION = named(URL, "uri"), named(VERSION, "token")


def names() -> list[Document]:
    """Return the stages that yield of each resource the strings of its urls and versions."""
    either = {"$or": [is_of("$$e", _URL), is_of("$$e", _VERSION)]}
    return [{"$project": {"_id": 0, "x": _those(either)}}]


def tests(found: Iterable[Document]) -> tuple[Is, ...]:
    """Return what asks for a canonical that names one of those that `names` yielded."""
    asked: dict[Is, None] = {}
    for one in found:
        said = [text for text in one["x"] if text.startswith(_URL)]
        versions = [parts(text)[0] for text in one["x"] if text.startswith(_VERSION)]
        for text in said:
            for version in ("", *versions):
                asked[Is(parts(text)[0], version)] = None
    return tuple(asked)


def referred(start: str) -> list[Document]:
    """Return the stages that yield each string that begins with `start` once, as `_id`."""
    return [
        {"$project": {"_id": 0, "x": _those(is_of("$$e", start))}},
        {"$unwind": "$x"},
        {"$group": {"_id": "$x"}},
    ]


def parts(text: str) -> tuple[str, str]:
    """Return the code and the system of a flat string."""
    _, _, code, system, *_ = text.split(BETWEEN)
    return plain(code), plain(system)


def _those(condition: Document) -> Document:
    return {"$filter": {"input": {"$ifNull": ["$x", []]}, "as": "e", "cond": condition}}
