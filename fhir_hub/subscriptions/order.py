"""What a Subscription asks for, checked: whoever may not be notified is told so when he asks.

An endpoint must be below an address of the setting `subscriptions_allow`: else a client could
have the hub call what only the hub can reach.

Spec: https://hl7.org/fhir/R4/subscription.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from fhir_hub import fhirjson
from fhir_hub.errors import (
    InvalidParameter,
    InvalidResource,
    NotSupported,
    RuleBroken,
    UnknownParameter,
)
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.parse import criteria_plan
from fhir_hub.search.plan import EVERYTHING, Plan

Resource = dict[str, Any]
LIVE = ("requested", "active", "error")
PAYLOAD = "application/fhir+json"
_PORTS = {"http": 80, "https": 443}
_ADDRESS = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t]*)")
_OURS = {"connection", "content-length", "content-type", "expect", "host", "transfer-encoding"}
_STATED = ("id", "meta", "status", "error")


class Order(NamedTuple):
    """What is to be told to whom. `has_payload`: the resource goes with it."""

    resource_type: str
    plan: Plan
    endpoint: str
    headers: tuple[str, ...]
    has_payload: bool
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Orders:
    """Reads Subscriptions; `allowed` are the addresses below which endpoints must be."""

    parameters: Parameters
    zone: tzinfo
    base: str
    aliases: Mapping[str, str]
    allowed: Sequence[str]

    def complete(self, before: Resource | None, after: Resource) -> Resource:
        """Return the Subscription as it is stored: `active`, if it is wanted and can be done.

        A hub that may call nobody only keeps it: what is wanted stays `requested`. Raises what
        `order` raises. What the hub says of the one before (`error`) stays so.
        """
        if not self.allowed:
            return after | {"status": "requested"} if after.get("status") == "active" else after
        if after.get("status") not in LIVE or _is_said_by_us(before, after):
            return after
        self.order(after)
        kept = {name: value for name, value in after.items() if name != "error"}
        return kept | {"status": "active"}

    def order(self, resource: Resource) -> Order:
        """Return what a Subscription asks for.

        Raises `UnknownParameter`, `InvalidParameter`, `InvalidResource` for what is wrong,
        `NotSupported` and `RuleBroken` for what is not done here.
        """
        channel = resource.get("channel")
        channel = channel if isinstance(channel, dict) else {}
        if channel.get("type") != "rest-hook":
            text = "the hub notifies by rest-hook only"
            raise NotSupported(text, expression="Subscription.channel.type")
        payload = channel.get("payload")
        if payload not in (None, PAYLOAD):
            text = f"the payload is {PAYLOAD}, or none"
            raise NotSupported(text, expression="Subscription.channel.payload")
        resource_type, plan = self._criteria(resource.get("criteria"))
        endpoint = self._endpoint(channel.get("endpoint"))
        given = channel.get("header", [])
        headers = tuple(map(_header, given if isinstance(given, list) else [given]))
        return Order(resource_type, plan, endpoint, headers, bool(payload), _end(resource))

    def _criteria(self, text: object) -> tuple[str, Plan]:
        place = "Subscription.criteria"
        resource_type, _, query = str(text).partition("?")
        if resource_type not in self.parameters.definitions.resource_types:
            told = "the criteria are a search of one type, as in Task?status=requested"
            raise InvalidResource(told, expression=place)
        if not query:
            return resource_type, EVERYTHING
        try:
            plan = criteria_plan(
                resource_type,
                query,
                parameters=self.parameters,
                zone=self.zone,
                base=self.base,
                aliases=self.aliases,
            )
        except (UnknownParameter, InvalidParameter, InvalidResource) as error:
            raise type(error)(str(error), expression=place) from None
        return resource_type, plan

    def _endpoint(self, text: object) -> str:
        place = "Subscription.channel.endpoint"
        split = _split(text)
        if split is None:
            told = "the endpoint is an address of http or https, without user, # and dot segments"
            raise InvalidResource(told, expression=place)
        if not any(_is_below(split, urlsplit(one)) for one in self.allowed):
            told = "the endpoint is not below an address of the hub's setting subscriptions_allow"
            raise RuleBroken(told, expression=place)
        return split.geturl()


def _is_said_by_us(before: Resource | None, after: Resource) -> bool:
    """Say whether nothing changes but that notifications fail now."""
    if before is None or after["status"] != "error":
        return False
    asked = [{n: v for n, v in one.items() if n not in _STATED} for one in (before, after)]
    return fhirjson.canonical(asked[0]) == fhirjson.canonical(asked[1])


def _split(text: object) -> SplitResult | None:
    """Return the parts of an endpoint, None if it is none."""
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        return None
    try:
        split = urlsplit(text)
        is_plain = bool(split.hostname) and split.port != 0
    except ValueError:
        return None
    segments = unquote(split.path).split("/")
    is_odd = "@" in split.netloc or "#" in text or "\\" in unquote(text)
    return split if is_plain and not is_odd and not {".", ".."} & {*segments} else None


def _is_below(endpoint: SplitResult, allowed: SplitResult) -> bool:
    path = allowed.path.rstrip("/")
    is_there = endpoint.path.rstrip("/") == path or endpoint.path.startswith(f"{path}/")
    return is_there and _origin(endpoint) == _origin(allowed)


def _origin(split: SplitResult) -> tuple[str, str | None, int | None]:
    return split.scheme, split.hostname, split.port or _PORTS.get(split.scheme)


def _header(text: object) -> str:
    """Return a header as it is sent; raises `InvalidResource` if it is none."""
    found = _HEADER.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[1].lower() in _OURS:
        told = "a header is one line, Name: value, and none that says where a request ends"
        raise InvalidResource(told, expression="Subscription.channel.header")
    return f"{found[1]}: {found[2]}"


def _end(resource: Resource) -> datetime | None:
    """Return when it ends; an instant that cannot be read is for the checks of R4 to tell."""
    try:
        end = datetime.fromisoformat(resource["end"])
    except (KeyError, TypeError, ValueError):
        return None
    return end if end.tzinfo else None
