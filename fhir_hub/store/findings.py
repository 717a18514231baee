"""What a look at a database finds: who breaks which rule, and never what is said there.

Each store has its own rules, since each keeps what it is asked by in its own way; what a person
gets to see of them is the same.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds, instant
from fhir_hub.errors import FhirError
from fhir_hub.search.entry import Entry
from fhir_hub.store.base import Stored

EntriesOf = Callable[[Stored], Iterable[Entry]]
Progress = Callable[[str, int, int], None]


class Finding(NamedTuple):
    """Who breaks a rule: its name, what must be so in English and Chinese, and where."""

    rule: str
    told: str
    chinese: str
    where: str
    can_be_mended: bool


def is_own(stored: Stored) -> bool:
    """Say whether a version's content is that of its row: type, id, version and time."""
    if stored.is_deleted:
        return stored.content == b""
    try:
        resource = fhirjson.loads(stored.content)
        meta = resource.get("meta", {})
        found = (resource["resourceType"], resource["id"])
        version = (meta.get("versionId"), meta.get("lastUpdated"))
    except (FhirError, ValueError, LookupError, TypeError, AttributeError):
        return False
    moment = instant(from_microseconds(stored.last_updated))
    return found == stored[:2] and version == (str(stored.version_id), moment)
