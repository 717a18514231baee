"""The HTTP status that says the same as an acknowledgment, for who looks at nothing else.

Spec: https://www.rfc-editor.org/rfc/rfc9110#name-status-codes; HL7v2 tables 0008 and 0357
"""

from collections.abc import Iterator

from fhir_hub.errors import FhirError, Unavailable
from fhir_hub.hl7v2.wire import batches
from fhir_hub.hl7v2.wire.sender import read_answer

_ACCEPTED = ("AA", "CA")
_LATER = Unavailable.status


def status_of(answer: bytes) -> int:
    """Return the status: 200 if every message was taken, else that of the first that was not."""
    for part in batches.parts_of(answer):
        if part.kind == batches.MESSAGE and (status := _status(part.raw)) != 200:
            return status
    return 200


def is_for_later(answer: bytes) -> bool:
    """Say whether a message was not taken for a reason that passes: it may be taken next time."""
    parts = batches.parts_of(answer)
    return any(p.kind == batches.MESSAGE and _status(p.raw) == _LATER for p in parts)


def _status(raw: bytes) -> int:
    try:
        result = read_answer(raw)
    except FhirError:
        return 500
    if result.ack_code in _ACCEPTED:
        return 200
    if b"|205^Duplicate" in raw or b"^205&Duplicate" in raw:
        return 409
    return _STATUSES.get(result.text.partition(" / ")[0], 400)


def _kinds(base: type[FhirError]) -> Iterator[type[FhirError]]:
    yield base
    for one in base.__subclasses__():
        yield from _kinds(one)


_STATUSES = {kind.title[0]: kind.status for kind in _kinds(FhirError)}
