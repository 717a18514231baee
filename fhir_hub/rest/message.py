"""A FHIR request is a value, and so is its response: no HTTP in here.

REST, an entry of a bundle, the console and the command line all make a `FhirRequest`; one table
(`routes.py`) says which interaction answers it.

Spec: https://hl7.org/fhir/R4/http.html
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds
from fhir_hub.errors import InvalidResource, UnknownParameter
from fhir_hub.nearest import did_you_mean
from fhir_hub.store.base import Stored

Pairs = tuple[tuple[str, str], ...]
JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class FhirRequest:
    """`path` is below the base, split at `/`; `headers` in lower case; `base` without a final `/`.

    The body is `content` as bytes, or for an entry of a bundle the `resource` in it.
    """

    method: str
    path: tuple[str, ...] = ()
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    resource: Any = None
    base: str = ""

    def body(self) -> dict[str, Any]:
        """Return the resource in the body; raises `InvalidResource` if there is none."""
        value = self.resource
        if value is None:
            if not self.content:
                raise InvalidResource("the request needs a resource as its body")
            value = fhirjson.loads(self.content)
        if not isinstance(value, dict):
            raise InvalidResource("the body must be a JSON object with a resourceType")
        return value

    def prefer(self, name: str) -> str:
        """Return what `Prefer` says of `name` (`return`, `handling`), `""` if nothing.

        Spec: https://hl7.org/fhir/R4/http.html#ops
        """
        if "prefer" not in self.headers:
            return ""
        for part in re.split(r"[,;]", self.headers["prefer"]):
            key, _, value = part.strip().partition("=")
            if key.strip().lower() == name:
                return value.strip().strip('"')
        return ""

    def require_no_query(self, known: Collection[str] = ()) -> None:
        """Raise `UnknownParameter` for a parameter in the address that is none of `known`."""
        for name, _ in self.query:
            if name not in known:
                takes = ", ".join([*known, "_format and _pretty"])
                near = did_you_mean(name, known)
                raise UnknownParameter(f"this address takes {takes}, not {name[:60]!r}{near}")

    def names_version(self, version_id: int) -> bool:
        """Say whether `If-None-Match` names this version, compared weakly (RFC 9110, 13.1.2)."""
        tags = [tag.strip() for tag in self.headers.get("if-none-match", "").split(",")]
        return "*" in tags or f'"{version_id}"' in (tag.removeprefix("W/") for tag in tags)


@dataclass(frozen=True, slots=True)
class FhirResponse:
    """`content` is JSON, or empty. `last_updated` is that of the version answered, if it is one."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    last_updated: int = 0


def answer(status: int, resource: dict[str, Any]) -> FhirResponse:
    """Return a response that carries `resource`."""
    return FhirResponse(status, fhirjson.dumps(resource))


def etag(version_id: int) -> str:
    """Return the weak entity tag of a version.

    Spec: https://hl7.org/fhir/R4/http.html#versioning
    """
    return f'W/"{version_id}"'


def version_headers(stored: Stored) -> dict[str, str]:
    """Return the `ETag` and `Last-Modified` of a version."""
    return {"ETag": etag(stored.version_id), "Last-Modified": http_date(stored.last_updated)}


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(microseconds: int) -> str:
    """Return the HTTP date of a time, whole seconds (RFC 9110, 5.6.7).

    >>> http_date(1_709_200_800_000_000)
    'Thu, 29 Feb 2024 10:00:00 GMT'
    """
    return _http_date(microseconds // 1_000_000)


@lru_cache(maxsize=256)
def _http_date(seconds: int) -> str:
    moment = from_microseconds(seconds * 1_000_000)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def parse_http_date(text: str) -> datetime | None:
    """Return the moment that an HTTP date names, None for what is no date (RFC 9110: ignore it)."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
