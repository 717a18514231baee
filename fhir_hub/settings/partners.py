"""A partner to whom messages are delivered: one table `[partners.NAME]` of the settings.

Spec: docs/outbound.md
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from fhir_hub.settings.types import Names, Seconds, Whole

_ADDRESS = re.compile(r"mllps?://(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})/?", re.ASCII)
Hl7Version = Literal["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"]
Told = Literal[
    "Task",
    "ServiceRequest",
    "Appointment",
    "DiagnosticReport",
    "Observation",
    "Patient",
    "Encounter",
]


def _address(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    if not match or not 0 < int(match[2]) < 65536:
        raise ValueError("write mllp://HOST:PORT or mllps://HOST:PORT / 应写 mllp://主机:端口")
    return text


class PartnerSettings(BaseModel):
    """What `[partners.NAME]` says: where he is, of what he is told, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: Annotated[str, AfterValidator(_address)]
    """Where he listens: `mllp://HOST:PORT`, or over TLS `mllps://HOST:PORT`."""

    sends: dict[Told, str]
    """Of changes to which resources he is told, and under which condition: a FHIR search that the
    resource must meet (`status=booked`), empty for all."""

    application: str = ""
    """MSH-5, and the MSH-3 of his own messages: what came from him is not sent back."""

    facility: str = ""
    """MSH-6, and the MSH-4 of his own messages; referrals go to who owns the Task, answers to who
    asked, by this code: Task and ServiceRequest need it."""

    is_hub: bool = False
    """Whether he also sends what is of other facilities, as a hub does: his own messages are
    known by MSH-3 (`application`) alone, whatever MSH-4 says."""

    version: Hl7Version = "2.4"
    """The HL7v2 version of his messages."""

    charset: str = "UNICODE UTF-8"
    """Their character set, as MSH-18 says it."""

    sender: str = ""
    """His own file in `mappings/senders/`, read backwards."""

    sending_application: str = "FHIRHUB"
    """MSH-3."""

    sending_facility: str = "FHIRHUB"
    """MSH-4 where the resources do not tell whose they are."""

    processing_id: Literal["P", "T", "D"] = "P"
    """MSH-11."""

    ack_mode: Literal["original", "enhanced"] = "original"
    """Whether he answers AA, AE, AR, or (`enhanced`, MSH-15 AL) CA, CE, CR."""

    application_ack: Literal["NE", "AL", "ER", "SU"] = "NE"
    """In enhanced mode: when he says later, in a message of its own to a channel of the hub, what
    became of a message (MSH-16): never, always, of a failure, of a success."""

    ack_channels: Names = ()
    """By which channels of the hub he may say so; none: by any. MSH-3 and MSH-4 must be his
    `application` and `facility` besides: without one he is heard on the hub's connection alone."""

    timeout_s: Seconds = 30.0
    """How long his acknowledgment is waited for."""

    attempts: Annotated[Whole, Field(ge=1, le=100)] = 5
    """How often a message that he answers with AE is sent before it is given up as dead."""

    pause_s: Seconds = 1.0
    """The pause before the second attempt; each is twice the one before."""

    max_pause_s: Seconds = 300.0
    """The longest pause, between attempts and while nobody answers."""

    failures: Annotated[Whole, Field(ge=1, le=100)] = 3
    """After how many connections without an answer he is left alone for a pause."""

    tls_ca: Path | None = None
    """The certificates that his must come from; without it those of the system."""

    tls_certificate: Path | None = None
    """The hub's own certificate for him, with its chain."""

    tls_key: Path | None = None
    """The key of that certificate, where it is in a file of its own."""

    @property
    def host(self) -> str:
        """Return the host of the address."""
        match = _ADDRESS.fullmatch(self.address)
        assert match is not None
        return match[1].strip("[]")

    @property
    def port(self) -> int:
        """Return the port of the address."""
        return int(self.address.rstrip("/").rpartition(":")[2])

    @property
    def is_tls(self) -> bool:
        """Say whether it is MLLP over TLS."""
        return self.address.startswith("mllps:")
