"""The ports of MLLP that the settings ask for: which channels share each, and what holds for it.

Several channels may stand behind one port and are told apart by MSH; the first that asked for
it says how the port itself behaves, and the others were checked to agree. It is a list in one
order, the port of `mllp_port` first, so that several processes may name a port by its place.
"""

import errno
import os
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from fhir_hub.hl7v2.channels.channel import Channel, Configured
from fhir_hub.hl7v2.wire.listener import Limits
from fhir_hub.settings import InvalidSettings
from fhir_hub.settings.channels import ChannelSettings

_TRANSPORTS = ("mllp", "mllps")
_WHAT_TO_DO = {
    errno.EADDRINUSE: ": another program has it, stop that or take another port"
    " / 端口已被占用，请停止占用它的程序或改用其他端口",
    errno.EADDRNOTAVAIL: ": no interface of this machine has it / 本机没有该地址",
    errno.EACCES: ": it needs a right, take a port from 1024 on / 权限不足，请用 1024 以上的端口",
}


class PortPlan(NamedTuple):
    """One port: its host and number (0: a free one), its channels, its first one's settings.

    `place` tells it from the others, also where its number is not known yet.
    """

    place: tuple[bool, object]
    host: str
    number: int
    channels: tuple[Channel, ...]
    settings: ChannelSettings

    @property
    def connections(self) -> int:
        """Return how many connections it may have."""
        assert self.settings.connections is not None
        return self.settings.connections

    def limits(self, drain_s: float) -> Limits:
        """Return the limits of a listener on it."""
        assert self.settings.idle_s is not None
        largest = max(channel.size_bytes for channel in self.channels)
        return Limits(largest, self.settings.idle_s, self.connections, drain_s)


def ports_of(channels: Iterable[Configured], mllp_port: int) -> list[PortPlan]:
    """Return the ports that MLLP channels need, that of `mllp_port` first if it is needed."""
    groups: dict[tuple[bool, object], list[Configured]] = {}
    for one in channels:
        if one.settings.transport in _TRANSPORTS:
            port = one.settings.port
            is_default = port is None or (port == mllp_port and port > 0)
            place = one.channel.name if port == 0 else port  # each 0 is a port of its own
            key = (not is_default, None if is_default else place)
            groups.setdefault(key, []).append(one)
    return [
        PortPlan(
            key,
            group[0].settings.host or "",
            mllp_port if not key[0] else group[0].settings.port or 0,
            tuple(one.channel for one in group),
            group[0].settings,
        )
        for key, group in sorted(groups.items(), key=lambda item: item[0][0])
    ]


def files_of(plan: PortPlan) -> tuple[bytes, ...]:
    """Return what the files of TLS hold, empty for one that cannot be read, to see if they change.

    A port that is plain has none; `tls_of` says what is wrong with a file.
    """
    own = plan.settings
    paths = (own.certificate, own.key, own.client_ca) if own.transport == "mllps" else ()
    return tuple(map(_content, paths))


def _content(path: Path | None) -> bytes:
    try:
        return path.read_bytes() if path else b""
    except OSError:
        return b""


def is_secured_anew(before: PortPlan, after: PortPlan, files: tuple[bytes, ...]) -> bool:
    """Say whether TLS of a port is another now; `files` held its certificates before."""
    keys = ("transport", "certificate", "key", "client_ca", "client_certificates")
    is_other = any(getattr(before.settings, key) != getattr(after.settings, key) for key in keys)
    return is_other or files_of(after) != files


def require_same_hosts(
    before: Mapping[tuple[bool, object], PortPlan], plans: Mapping[tuple[bool, object], PortPlan]
) -> None:
    """Raise `InvalidSettings` for a port that is to listen on another address than it does."""
    for place, plan in plans.items():
        if place in before and before[place].host != plan.host:
            raise InvalidSettings(
                f"channels.{plan.channels[0].name}.host: a port that is open keeps its address; "
                "that needs a restart / 更改监听地址需要重启"
            )


def by_channel(plans: Iterable[PortPlan], numbers: Iterable[int]) -> dict[str, int]:
    """Return the port of each channel by name; `numbers` are those of `plans`."""
    return {
        channel.name: number
        for plan, number in zip(plans, numbers, strict=True)
        for channel in plan.channels
    }


def tls_of(plan: PortPlan) -> ssl.SSLContext | None:
    """Return what TLS needs on a port, None if it is plain.

    Raises `InvalidSettings` if a certificate, key or authority cannot be read.
    """
    own = plan.settings
    if own.transport != "mllps":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    path = f"channels.{plan.channels[0].name}"
    try:
        assert own.certificate is not None
        context.load_cert_chain(own.certificate, own.key)
    except (OSError, ValueError) as error:
        given = f"{own.certificate}{f' with {own.key}' if own.key else ''}"
        why = f"{given}: {_reason(error)} / 证书或私钥有误"
        raise InvalidSettings(f"{path}.certificate: {why}") from None
    if own.client_ca is not None:
        try:
            context.load_verify_locations(own.client_ca)
        except (OSError, ValueError) as error:
            raise InvalidSettings(
                f"{path}.client_ca: {own.client_ca}: {_reason(error)} / 证书有误"
            ) from None
        is_required = own.client_certificates == "required"
        context.verify_mode = ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"it is no good ({error.reason or 'no PEM'})"
    return getattr(error, "strerror", None) or "it is no good"


def why_not(error: OSError) -> str:
    """Return why an address cannot be listened on, and what to do, in English and Chinese.

    >>> why_not(OSError(errno.EADDRNOTAVAIL, "error while attempting to bind …"))
    'Cannot assign requested address: no interface of this machine has it / 本机没有该地址'
    """
    number = error.errno or 0
    if number in _WHAT_TO_DO:
        return os.strerror(number) + _WHAT_TO_DO[number]  # asyncio has words of its own
    return f"{error.strerror or type(error).__name__} / 无法监听该地址或端口"


def names_in(certificate: object) -> tuple[str, ...]:
    """Return the names that a client's certificate (`getpeercert()`) has: CN and DNS names."""
    if not isinstance(certificate, dict):
        return ()
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    names = [value for key, value in subject if key == "commonName"]
    names += [value for key, value in certificate.get("subjectAltName", ()) if key == "DNS"]
    return tuple(dict.fromkeys(names))
