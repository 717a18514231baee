"""What a write asks of the version that is there: `If-Match` and `If-Unmodified-Since`.

`If-Match` names versions, of which one must be current, or `*`: there must be a resource. Only
without it does `If-Unmodified-Since` count. The condition is asked again at each attempt of the
write, so that no version can come between the answer and the commit.

Spec: https://hl7.org/fhir/R4/http.html#concurrency and RFC 9110, 13.1.1 and 13.1.4
"""

import re

from fhir_hub.clock import microseconds
from fhir_hub.errors import InvalidParameter, PreconditionFailed
from fhir_hub.repository.unit import Condition
from fhir_hub.rest.message import FhirRequest, parse_http_date
from fhir_hub.store.base import Stored

_TAG = re.compile(r'(?:W/)?"?([0-9]{1,18})"?', re.ASCII)


def condition(request: FhirRequest) -> Condition | None:
    """Return what the request asks of the current version, None if nothing.

    The condition raises `PreconditionFailed`. Raises `InvalidParameter` for an `If-Match` that
    names no version; a date that is none is passed over, as HTTP wants it.
    """
    if text := request.headers.get("if-match", ""):
        return _one_of(text)
    since = request.headers.get("if-unmodified-since", "")
    moment = parse_http_date(since) if since else None
    return None if moment is None else _unmodified(microseconds(moment) // 1_000_000)


def _one_of(text: str) -> Condition:
    tags = [tag.strip() for tag in text.split(",")]
    found = [_TAG.fullmatch(tag) for tag in tags]
    if tags != ["*"] and not all(found):
        raise InvalidParameter('If-Match names versions, as in W/"3", or is *')
    versions = {int(match[1]) for match in found if match}

    def require(current: Stored | None) -> None:
        if versions and (current.version_id if current else 0) not in versions:
            raise PreconditionFailed("If-Match does not name the current version")
        if not versions and (current is None or current.is_deleted):
            raise PreconditionFailed("If-Match asks for a resource, and there is none")

    return require


def _unmodified(second: int) -> Condition:
    def require(current: Stored | None) -> None:
        if current is None or current.is_deleted:
            raise PreconditionFailed("If-Unmodified-Since asks for a resource, and there is none")
        if current.last_updated // 1_000_000 > second:
            raise PreconditionFailed("the resource was modified since that moment")

    return require
