"""What `[channels.NAME]` in the settings says: one way by which HL7v2 messages come in.

A channel is a port (or a share of one, by what MSH says), an address of the HTTP server, or a
folder. Two channels are always there unless they are turned off: `mllp` on the port of
`mllp_port`, `http` at `/hl7v2`; a table of that name says more of them. What one table says is
checked here, and that channels which share a port agree; a certificate is read at the start.

Spec: DOMAIN 5.1 (interface registry); HL7v2 chapter 2, 2.9.2 and 2.9.3
"""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from fhir_hub.settings.types import Bytes, Port, Seconds, Whole, Zone

DEFAULT_MLLP, DEFAULT_HTTP = "mllp", "http"
_LAST = (DEFAULT_MLLP, DEFAULT_HTTP)  # of the channels of a port, wherever they are written
MOST_CHANNELS = 100
ROUTED = ("MSH-3", "MSH-4", "MSH-5", "MSH-6", "MSH-9")
PROCESSING_IDS = ("P", "T", "D")  # HL7 table 0103
ADDRESS = re.compile(r"mllps?://(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})/?", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_MLLP, _TLS = ("mllp", "mllps"), ("mllps",)
# Which transports a key is for; a key that is not here is for all.
_ONLY: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("host", "port", "idle_s", "connections", "under_way"), _MLLP),
    **dict.fromkeys(("ack_mode", "ack_to", "messages_per_minute"), _MLLP),
    **dict.fromkeys(("tls_ca", "tls_certificate", "tls_key"), _MLLP),
    **dict.fromkeys(("certificate", "key", "client_ca", "client_certificates", "senders"), _TLS),
    **dict.fromkeys(("match", "allow"), (*_MLLP, "http")),
    **dict.fromkeys(("folder", "poll_s"), ("folder",)),
}
# What belongs to a port and not to a message: channels of one port must say the same.
OF_PORT = (
    *("transport", "host", "idle_s", "connections"),
    *("certificate", "key", "client_ca", "client_certificates"),
)


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            ip_network(text)
        except ValueError:
            why = f"{text!r} is no network: write 10.1.0.0/16 or 10.1.2.3 / 应写网段或地址"
            raise ValueError(why) from None
    return texts


def _ack_to(text: str) -> str:
    match = ADDRESS.fullmatch(text)
    if text and not (match and 0 < int(match[2]) < 65536):
        raise ValueError("write mllp://HOST:PORT or mllps://HOST:PORT / 应写 mllp://主机:端口")
    return text


def _routes(routes: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for field in routes:
        if field not in ROUTED:
            why = f"{field!r} cannot be matched; write one of {', '.join(ROUTED)}"
            raise ValueError(f"{why} / 不能按该字段匹配")
    return routes


def _processing_ids(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if text not in PROCESSING_IDS:
            raise ValueError(f"{text!r} is none of P, T, D / MSH-11 只有 P、T、D")
    return texts


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class ChannelSettings(BaseModel):
    """One field a key of `[channels.NAME]`. What is None is as the hub's own setting says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transport: Literal["mllp", "mllps", "http", "folder"] = "mllp"
    """How messages come: over MLLP, over MLLP in TLS, by HTTP POST, or as files in a folder."""

    enabled: bool = True
    """Whether it takes messages; a channel that is turned off is as if it were not there."""

    host: str | None = None
    """The address to listen on (of a name the first that it has); else `host` of the hub."""

    port: Port | None = None
    """The port of MLLP; else `mllp_port` of the hub; 0 takes a free one. Channels may share one."""

    match: Annotated[dict[str, Texts], AfterValidator(_routes)] = {}
    """Which messages of a shared port (or of `/hl7v2`) are its own: patterns with `*` for MSH-3,
    MSH-4, MSH-5, MSH-6 and MSH-9 (`ORU^R01`, `ADT`), all of which must fit, one of a list; the
    first channel of the file that fits has it, `mllp` and `http` what fits none."""

    allow: Annotated[Texts, AfterValidator(_networks)] = ()
    """The addresses or networks that may send; none: all."""

    certificate: Path | None = None
    """The server's certificate with its chain, PEM (`mllps`)."""

    key: Path | None = None
    """The certificate's private key, PEM; else it stands in the file of `certificate`."""

    client_ca: Path | None = None
    """The authorities whose client certificates are good, PEM; without it none is asked for."""

    client_certificates: Literal["required", "optional"] = "required"
    """With `client_ca`: whether a client must show a certificate, or may."""

    senders: dict[str, Texts] = {}
    """Who may send as whom: a name in the client's certificate (common name or DNS name), and
    patterns of MSH-3|MSH-4 (`LIS|SHTH01`). Where this is set, another sender is refused (AR)."""

    ack_mode: Literal["original", "enhanced"] = "original"
    """`original`: one acknowledgment, once the message is stored. `enhanced`: what MSH-15 and
    MSH-16 ask for: a commit acknowledgment (CA, CE, CR) at once, the application's later."""

    ack_to: Annotated[str, AfterValidator(_ack_to)] = ""
    """Where a later acknowledgment goes whose connection is gone: `mllp://HOST:PORT`, or over TLS
    `mllps://HOST:PORT`."""

    tls_ca: Path | None = None
    """With `ack_to` over TLS: the certificates that its receiver's must come from; without it those
    of the system."""

    tls_certificate: Path | None = None
    """The hub's own certificate for that receiver, with its chain."""

    tls_key: Path | None = None
    """The key of that certificate, where it is in a file of its own."""

    max_message_bytes: Bytes | None = None
    """The largest message; else `mllp_max_message_bytes` of the hub."""

    max_message_parts: Annotated[Whole, Field(ge=100)] | None = None
    """The most segments and repetitions of fields, counted together, that a message may have; else
    `mllp_max_message_parts` of the hub."""

    connections: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    """How many connections its port may have; else `mllp_connections` of the hub."""

    idle_s: Seconds | None = None
    """How long a connection may be silent, and a message be on its way; else `mllp_idle_s`."""

    under_way: Annotated[Whole, Field(ge=1, le=1000)] = 16
    """In enhanced mode: how many messages of one connection may be kept and not yet applied."""

    messages_per_minute: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    """How many messages a minute one process takes; a faster sender is made to wait."""

    charset: str = ""
    """The character set that its messages are in, whatever they say; else as
    docs/hl7v2-reading.md says."""

    timezone: Zone | None = None
    """The zone of its times without an offset, unless the sender's file or MSH-7 says one; else the
    hub's."""

    processing_ids: Annotated[Texts, AfterValidator(_processing_ids)] = ()
    """Which of MSH-11 it takes: P (production), T (training), D (debugging); none: all. Others are
    refused (AR 202): so tests and production are kept apart."""

    folder: Path | None = None
    """The folder that is watched, which must be there; files go to `done/` or `failed/` in it, each
    with its ACK."""

    poll_s: Seconds = 1
    """How often the folder is looked at; a file that did not change in between is whole."""

    @model_validator(mode="after")
    def _fits_its_transport(self) -> Self:
        for name, field in type(self).model_fields.items():
            # what says no more than the default does no harm: another process is given all keys
            is_said = getattr(self, name) != field.default
            if is_said and self.transport not in _ONLY.get(name, (self.transport,)):
                raise ValueError(
                    f"{name} is not for the transport {self.transport} / 该传输方式没有这个键"
                )
        if self.transport == "mllps" and self.certificate is None:
            raise ValueError("mllps needs a certificate / mllps 需要 certificate")
        if self.senders and self.client_ca is None:
            why = "senders needs client_ca: without it no certificate is asked for"
            raise ValueError(f"{why} / senders 需要 client_ca")
        if self.transport == "folder" and self.folder is None:
            raise ValueError("the transport folder needs a folder / 文件夹通道需要 folder")
        return self


def check_channels(channels: Mapping[str, ChannelSettings], mllp_port: int) -> dict[str, str]:
    """Return what is wrong with the channels together: by path (`channels.lab.port`), why."""
    found: dict[str, str] = {}
    if len(channels) > MOST_CHANNELS:
        found["channels"] = f"there may be {MOST_CHANNELS} channels"
    ports: dict[int, tuple[str, ChannelSettings]] = {}
    default = channels.get(DEFAULT_MLLP, ChannelSettings())
    if default.enabled:
        ports[mllp_port if default.port is None else default.port] = (DEFAULT_MLLP, default)
    folders: dict[Path, str] = {}
    for name, channel in channels.items():
        path = f"channels.{name}"
        if not _NAME.fullmatch(name):
            found[path] = (
                "a name has small letters, digits, - and _ / 名称只用小写字母、数字、- 和 _"
            )
        elif name in (DEFAULT_MLLP, DEFAULT_HTTP) and not channel.transport.startswith(name):
            found[f"{path}.transport"] = f"the channel {name} cannot be {channel.transport}"
        elif channel.folder is not None and channel.enabled:
            other = folders.setdefault(channel.folder.absolute(), name)
            if other != name:
                found[f"{path}.folder"] = f"it is the folder of {other} / 该文件夹已属于 {other}"
        elif channel.transport in _MLLP and channel.enabled:
            port = mllp_port if channel.port is None else channel.port
            if channel.port == 0:
                continue
            first, other_channel = ports.setdefault(port, (name, channel))
            for key in OF_PORT:
                if getattr(channel, key) != getattr(other_channel, key):
                    found[f"{path}.{key}"] = f"{first} has the same port and says otherwise"
    return found or _never_reached(channels, mllp_port)


def _never_reached(channels: Mapping[str, ChannelSettings], mllp_port: int) -> dict[str, str]:
    """Return the channels to which no message comes, because one before them takes all."""
    found: dict[str, str] = {}
    takes_all: dict[object, str] = {}
    for name, channel in sorted(channels.items(), key=lambda item: item[0] in _LAST):
        way: object = channel.transport
        if channel.transport in _MLLP:
            way = mllp_port if channel.port is None else channel.port
        if not channel.enabled or way in (0, "folder"):
            continue
        if first := takes_all.get(way):
            found[f"channels.{name}"] = _behind(first, name, channel)
        elif not channel.match and not channel.allow:
            takes_all[way] = name
    return found


def _behind(first: str, name: str, channel: ChannelSettings) -> str:
    """Return what to do with a channel behind one that takes all."""
    told, chinese = "", ""
    if name not in _LAST:
        told, chinese = f"write {name} above {first}, or ", f"请将 {name} 写在其前，或"
    port, its_port = (" or another port", "或其他端口") if channel.transport in _MLLP else ("", "")
    return (
        f"{first} takes every message before it: {told}give {first} a match{port}"
        f" / {first} 已先接收全部消息，{chinese}为 {first} 设置 match{its_port}"
    )
