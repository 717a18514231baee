"""What is told of a patient again and again: that it changed nothing, found out once.

Each message about a patient says who that is, mostly in the words of the last one. What that
makes of what is stored follows from the two alone, so where it was nothing it is nothing again. Of
each only a digest is kept, so nothing of a patient stays in memory.

Spec: HL7v2 chapter 2, 2.5.3
"""

from hashlib import blake2b

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import Converted
from fhir_hub.hl7v2.meaning.teller import Teller
from fhir_hub.hl7v2.storing.merge import Resource

_MOST = 4096


def digest_of(stored: Resource, converted: Converted, teller: Teller, day: str) -> bytes | None:
    """Return what stands for a Patient and what a message says of it on a day.

    None for what is no repeat: of another type, or to take something away. At which time it is
    told does not matter: it only stamps what changes.
    """
    if stored["resourceType"] != "Patient" or converted.nulls or converted.removes:
        return None
    said = (converted.resource, converted.whole, converted.action, teller._replace(time=0), day)
    return blake2b(fhirjson.dumps((stored, said)), digest_size=16).digest()


class Repeats:
    """The repeats that changed nothing: the last 4,096, and the 4,096 before them."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._before: set[bytes] = set()

    def __contains__(self, digest: bytes) -> bool:
        """Say whether it changed nothing."""
        return digest in self._known or digest in self._before

    def add(self, digest: bytes) -> None:
        """Take note that it changes nothing."""
        if len(self._known) >= _MOST:
            self._known, self._before = set(), self._known
        self._known.add(digest)
