"""A channel: how messages that come one way are read, answered, and whether they may come.

A channel is a value made of the settings once. What must be decided for a message is decided
here from its header alone: which channel of a port it belongs to, whether the channel takes its
processing id, whether the client whose certificate was shown may send as it.

Spec: HL7v2 chapter 2, MSH; table 0103 (processing id)
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from fnmatch import translate
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal, NamedTuple

from fhir_hub.errors import FhirError, InvalidMessage, TooLarge
from fhir_hub.hl7v2.ack import Header
from fhir_hub.hl7v2.wire.certificates import tls_problems
from fhir_hub.hl7v2.wire.charset import codec
from fhir_hub.hl7v2.wire.size import excess
from fhir_hub.settings import InvalidSettings, Settings
from fhir_hub.settings.channels import DEFAULT_HTTP, DEFAULT_MLLP, ChannelSettings
from fhir_hub.settings.types import read_zone

Network = IPv4Network | IPv6Network


class Rule(NamedTuple):
    """What one field of MSH must be: it fits if one of the patterns does."""

    number: int
    patterns: tuple[re.Pattern[str], ...]

    def fits(self, header: Header) -> bool:
        """Say whether the field of `header` does."""
        return any(
            pattern.fullmatch(text)
            for text in _texts(header, self.number)
            for pattern in self.patterns
        )


class AckTo(NamedTuple):
    """Where late acknowledgments go, and what is needed for TLS."""

    address: str
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def is_tls(self) -> bool:
        """Say whether it is MLLP over TLS."""
        return self.address.startswith("mllps:")


@dataclass(frozen=True, slots=True)
class Channel:
    """How messages of one way are read and answered: its name, the zone, a forced charset.

    `ack_to` is where a late acknowledgment goes, None if nowhere. `size_bytes` and `parts` are the
    most that a message may have; of parts 0 is no limit.
    """

    name: str
    zone: tzinfo
    charset: str = ""
    ack_mode: Literal["original", "enhanced"] = "original"
    ack_to: AckTo | None = None
    under_way: int = 1
    size_bytes: int = 64 << 20
    parts: int = 0
    messages_per_minute: int | None = None
    processing_ids: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    networks: tuple[Network, ...] = ()
    senders: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...] = field(default=())

    def fits(self, header: Header) -> bool:
        """Say whether a message of a shared port is this channel's."""
        return all(rule.fits(header) for rule in self.rules)

    def allows(self, address: str) -> bool:
        """Say whether a client at that IP address may send."""
        if not self.networks:
            return True
        try:
            client = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        client = getattr(client, "ipv4_mapped", None) or client
        return any(client in network for network in self.networks)

    def excess(self, raw: bytes) -> TooLarge | None:
        """Return why a message is too large for the channel, None if it is not."""
        return excess(raw, self.size_bytes, self.parts)

    def fault(self, header: Header) -> FhirError | None:
        """Return why the channel does not take a message with that header, None if it does."""
        processing_id = header.component(11, 1)
        if self.processing_ids and processing_id not in self.processing_ids:
            taken = ", ".join(sorted(self.processing_ids))
            return InvalidMessage(
                f"this channel takes the processing ids {taken} only"
                f" / 该通道只接收处理标识 {taken}",
                error_code="202",
                location="MSH-11",
                ack_code="AR",
            )
        return None

    def knows(self, names: Iterable[str], header: Header) -> bool:
        """Say whether a client whose certificate has these names may send as MSH-3 and MSH-4."""
        if not self.senders:
            return True
        sender = f"{header.component(3, 1)}|{header.component(4, 1)}"
        shown = {name.casefold() for name in names}
        return any(
            pattern.fullmatch(sender)
            for name, patterns in self.senders
            if name in shown
            for pattern in patterns
        )


def choose(channels: Sequence[Channel], header: Callable[[], Header]) -> Channel | None:
    """Return the first channel that a message fits; its header is read only if one must know."""
    for channel in channels:
        if not channel.rules or channel.fits(header()):
            return channel
    return None


class Configured(NamedTuple):
    """A channel, and the settings that it was made of with everything that was left open.

    `is_named`: it has a table of its own, so somebody means to use it.
    """

    channel: Channel
    settings: ChannelSettings
    is_named: bool


def configured(settings: Settings) -> list[Configured]:
    """Return the channels that are enabled, those of the file first, then the ones always there.

    Raises `InvalidSettings` if a character set has no name that is known, or the TLS of `ack_to`
    cannot be used.
    """
    named = dict(settings.channels)
    for name, default in (
        (DEFAULT_MLLP, ChannelSettings()),
        (DEFAULT_HTTP, ChannelSettings(transport="http")),
    ):
        named[name] = named.pop(name, default)  # last: it has what fits no other
    return [_made(name, one, settings) for name, one in named.items() if one.enabled]


def require_ack_channels(settings: Settings, channels: Iterable[Configured]) -> None:
    """Raise `InvalidSettings` if a partner acknowledges by a channel that is none of these."""
    names = [one.channel.name for one in channels]
    known = ", ".join(names)
    wrong = [
        f"partners.{name}.ack_channels: there is no channel {one}; there are: {known} / 没有该通道"
        for name, partner in settings.partners.items()
        for one in partner.ack_channels
        if one not in names
    ]
    if wrong:
        raise InvalidSettings("\n".join(wrong))


def _made(name: str, own: ChannelSettings, hub: Settings) -> Configured:
    if own.charset and not codec(own.charset):
        raise InvalidSettings(
            f"channels.{name}.charset: unknown character set; write UTF-8, GBK, GB18030 … / "
            "未知的字符集"
        )
    to = AckTo(own.ack_to, own.tls_ca, own.tls_certificate, own.tls_key)
    if wrong := tls_problems(to, "ack_to"):
        raise InvalidSettings("\n".join(f"channels.{name}.{problem}" for problem in wrong))
    size_bytes = own.max_message_bytes or hub.mllp_max_message_bytes
    parts = own.max_message_parts or hub.mllp_max_message_parts
    filled = own.model_copy(
        update={
            "host": own.host or hub.host,
            "max_message_bytes": size_bytes,
            "max_message_parts": parts,
            "connections": own.connections or hub.mllp_connections,
            "idle_s": own.idle_s or hub.mllp_idle_s,
        }
    )
    channel = Channel(
        name,
        read_zone(own.timezone) if own.timezone else hub.zone,
        own.charset,
        own.ack_mode,
        to if own.ack_to else None,
        own.under_way,
        size_bytes,
        parts,
        own.messages_per_minute,
        frozenset(own.processing_ids),
        tuple(Rule(int(key[4:]), _patterns(own.match[key])) for key in own.match),
        tuple(ip_network(text) for text in own.allow),
        tuple((name.casefold(), _patterns(texts)) for name, texts in own.senders.items()),
    )
    return Configured(channel, filled, name in hub.channels)


def _patterns(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(_pattern(text) for text in texts)


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of a text in which `*` stands for anything and nothing else is special."""
    return re.compile(translate(text.replace("[", "[[]").replace("?", "[?]")))


def _texts(header: Header, number: int) -> tuple[str, ...]:
    """Return what a rule may fit: MSH-9 as `ADT^A04` or `ADT`, another field or its first part."""
    if number == 9:
        kind = header.component(9, 1)
        return (kind, f"{kind}^{header.component(9, 2)}")
    return (header.component(number, 1), header.field(number))
