"""What the documents of a database must agree on: one resource with its versions, the counters.

The names of rules are SQLite's where they mean the same. Everything that versions can tell can be
mended; a version or bytes that are not there only a backup has.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fhir_hub.store.base import Stored
from fhir_hub.store.findings import Finding
from fhir_hub.store.mongo.documents import SAID, resource_document
from fhir_hub.store.mongo.driver import Document


class Rule(NamedTuple):
    """What must be so, in English and Chinese."""

    name: str
    told: str
    chinese: str
    can_be_mended: bool = False

    def broken(self, where: str) -> Finding:
        """Return that it is not so somewhere."""
        return Finding(self.name, self.told, self.chinese, where, self.can_be_mended)


GAP = Rule("sequence-gap", "the commit sequence has a gap before it", "提交序号不连续")
CHAIN = Rule(
    "version-chain",
    "a version comes without the one before it, or before that one",
    "版本链不完整",
)
OF_NOBODY = Rule(
    "version-of-nobody",
    "a version belongs to no resource, or to one of another type",
    "版本没有对应的资源",
    can_be_mended=True,
)
NO_VERSION = Rule("no-version", "a resource has no version", "资源没有版本")
NOT_LAST = Rule(
    "not-the-last-version",
    "the current document of a resource is not its last version",
    "当前文档与最新版本不一致",
    can_be_mended=True,
)
END = Rule(
    "version-end",
    "a version does not end when the next began: history at a moment is wrong",
    "版本结束时间有误",
    can_be_mended=True,
)
CONTENT = Rule("content", "the content of a version is not the version's", "版本内容与记录不符")
ENTRIES = Rule(
    "entries",
    "the entries of a resource are not what its content gives by the definitions of now",
    "索引项与内容不一致",
    can_be_mended=True,
)
WIDTH = Rule(
    "width",
    "an interval is wider, or one of more, than is known: searches miss it",
    "区间宽度标记过小",
    can_be_mended=True,
)
COUNTS = Rule(
    "count", "the number of resources of a type is wrong: totals are", "资源计数有误", True
)
COUNTER = Rule(
    "counter",
    "a counter is behind what it counts: the next write would be refused or lost",
    "计数器落后",
    can_be_mended=True,
)
GENERATION = Rule(
    "generation",
    "the last change of search parameters is not the one that is known",
    "检索参数版本标记有误",
    can_be_mended=True,
)
PLACE = Rule(
    "place", "two resources have one place in the order of creation", "两个资源的创建序号相同"
)
INDEX = Rule("index-missing", "an index is not there: searches are slow", "缺少数据库索引", True)


class Version(NamedTuple):
    """A version without its content. `ends` is when a later one took its place, None: never."""

    sequence: int
    resource_type: str
    version_id: int
    last_updated: int
    method: str
    ends: int | None


def version_of(document: Document) -> Version:
    """Return what a document of `version` says."""
    one = document
    return Version(one["_id"], one["t"], one["v"], one["u"], one["m"], one.get("e"))


def ends_of(versions: Sequence[Version]) -> list[int | None]:
    """Return when each version must end: at the earliest time of those that came after it."""
    ends: list[int | None] = []
    earliest: int | None = None
    for version in reversed(versions):
        ends.append(earliest)
        moment = version.last_updated
        earliest = moment if earliest is None else min(earliest, moment)
    return ends[::-1]


def disagreements(
    key: str, document: Document | None, versions: Sequence[Version]
) -> Iterator[Finding]:
    """Yield what does not agree of a resource: its current document and its versions, in order."""
    if not versions:
        yield NO_VERSION.broken(key)
        return
    resource_type = key.partition("/")[0]
    for version in versions:
        if document is None or version.resource_type != resource_type:
            yield OF_NOBODY.broken(f"sequence {version.sequence}")
    sequence = 0
    for place, version in enumerate(versions, 1):
        if version.version_id != place or version.sequence <= sequence:
            yield CHAIN.broken(key)
            break
        sequence = version.sequence
    if [version.ends for version in versions] != ends_of(versions):
        yield END.broken(key)
    if document is not None and not _is_last(key, document, versions[-1]):
        yield NOT_LAST.broken(key)


def _is_last(key: str, document: Document, last: Version) -> bool:
    found = tuple(document.get(name) for name in ("s", "v", "u", "m"))
    if found != (last.sequence, last.version_id, last.last_updated, last.method):
        return False
    resource_type, _, logical_id = key.partition("/")
    if last.method == "DELETE":
        return not any(name in document for name in ("t", "i", *SAID))
    return (document.get("t"), document.get("i")) == (resource_type, logical_id)


def as_last(document: Document | None, last: Stored, place: int) -> Document:
    """Return the current document as the last version asks; what it says stays, if it lives."""
    before = document or {}
    made = resource_document(last, int(before.get("n") or place), ())
    if not last.is_deleted:
        made |= {name: before[name] for name in SAID if name in before}
    return made


def said_of(document: Document) -> dict[str, Any]:
    """Return what a document says."""
    return {name: document[name] for name in SAID if name in document}
