"""The settings of a hub: from a TOML file, the environment and the command line.

Every setting is one field here, with its unit in its name and its meaning beside it; the same
fields make the file's keys (`port = 8000`), the environment's variables (`FHIR_HUB_PORT`) and
the table in docs/settings.md. An option beats a variable, a variable the file, the file the
default. A key that nothing reads is an error, because a misspelt limit is a missing limit.

Spec: https://toml.io/en/v1.0.0
"""

from collections.abc import Iterable
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from fhir_hub.settings.care import PoolSettings, PrescriptionSettings
from fhir_hub.settings.channels import ChannelSettings
from fhir_hub.settings.organization import OrganizationSettings
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.settings.places import PREFIX, InvalidSettings, nearest
from fhir_hub.settings.referral import ReferralSettings
from fhir_hub.settings.types import (
    Bytes,
    Folders,
    Names,
    Port,
    Real,
    ReminderDays,
    Seconds,
    StoreAddress,
    WebAddress,
    WebAddresses,
    Whole,
    Workers,
    Zone,
    read_zone,
    shown_address,
)

References = Literal["enforce", "warn", "off"]
Days = Annotated[Whole, Field(ge=0, le=36_500)]
MessageState = Literal["done", "answered", "failed", "dead", "quarantined", "ignored", "replaced"]
Validation = Literal["r4", "profiles", "off"]
BusinessRules = Literal["enforce", "flag", "off"]
_COPIES = ("hl7v2", "load")  # sources that tell what happened elsewhere: it is not refused


class SourceSettings(BaseModel):
    """What `[sources.NAME]` says: the rules of what comes from there, where they differ."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    references: References | None = None
    validation: Validation | None = None
    business_rules: BusinessRules | None = None


class RuleSettings(NamedTuple):
    """The rules of one source."""

    references: References
    validation: Validation
    business_rules: BusinessRules


class Settings(BaseSettings):
    """One field a setting. Build it with `load_settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """The address to listen on, for HTTP and for MLLP: `0.0.0.0` is every interface by IPv4, `::`
    every one by IPv6 and by that alone; a name is the first address that the system has for it."""

    port: Port = 8000
    """The port of HTTP; 0 takes a free one."""

    mllp_port: Port = 2575
    """The port of MLLP; 0 takes a free one."""

    workers: Workers = "auto"
    """How many processes serve the ports; above 1 each writes to MongoDB by itself, or another one
    writes to the file for them all. `auto`: one for each core that the hub may use, at most 4;
    with `memory:` and on Windows one."""

    store: StoreAddress = "sqlite:data/hub.sqlite"
    """Where resources and messages are kept: `sqlite:PATH`, `mongodb://…` or `mongodb+srv://…`
    (docs/stores.md), or `memory:` (gone at the end). A password in it is never shown or logged."""

    base_url: WebAddress = ""
    """The public address of the FHIR API, for links in answers, such as
    `https://hub.example.org/fhir`; empty: the host that the client asked for."""

    organization: OrganizationSettings | None = None
    """Who runs this hub, in a table `[organization]` ([below](#who-runs-the-hub)); without it what
    the hub makes of messages names an Organization "fhir-hub"."""

    timezone: Zone = "+08:00"
    """The zone of times without an offset, in messages, resources and searches alike: an offset
    or an IANA name. Set it before the first resource comes: stored times are indexed by it."""

    full_text: bool = False
    """Whether the words of resources are kept, for `_text` and `_content`: about 0.5 KB and
    0.1 ms more for each resource. What is stored already is read once, in the background."""

    page_size: Annotated[Whole, Field(ge=1, le=1000)] = 20
    """How many matches a page of a search holds unless `_count` says otherwise."""

    max_page_size: Annotated[Whole, Field(ge=1, le=10_000)] = 1000
    """The most matches that `_count` may ask for; a larger `_count` gets this many."""

    max_body_bytes: Bytes = 32 << 20
    """The largest body of a request; a larger one gets 413."""

    request_timeout_s: Seconds = 60
    """How long one HTTP request may take; after that it gets 503. Its first line and headers may
    take half as long again to come, then it is 408; a client that takes no answer is cut off so."""

    mllp_max_message_bytes: Bytes = 64 << 20
    """The largest HL7v2 message; a larger one is refused with AE."""

    mllp_max_message_parts: Annotated[Whole, Field(ge=100)] = 50_000
    """The most segments and repetitions of fields, counted together, that an HL7v2 message may
    have; one of more is refused with AE."""

    mllp_unfinished_bytes: Bytes = 256 << 20
    """How many bytes of HL7v2 messages that have begun and not ended one process holds, over all
    connections; beyond that the connection whose message began first is closed. One alone may be
    as large as a message may."""

    mllp_idle_s: Seconds = 600
    """How long an MLLP connection may be silent, and one message be on its way, before the
    connection is closed."""

    mllp_connections: Annotated[Whole, Field(ge=1, le=10_000)] = 2000
    """How many MLLP connections may be open at once."""

    channels: dict[str, ChannelSettings] = {}
    """The ways by which HL7v2 messages come in, in tables `[channels.NAME]` (docs/channels.md):
    MLLP, MLLP in TLS, HTTP, folders. Without any: MLLP on `mllp_port`, HTTP at `/hl7v2`."""

    message_answer_s: Seconds = 30
    """How long the sender of an HL7v2 message waits for its answer at most. Faults that may pass
    are tried again for two thirds of that; what does not end well then is a dead letter, but for
    what was answered `CA`."""

    journal_days: Days = 180
    """For how many days the bytes of a message are kept after it came; 0: for ever. What is not
    finished stays in any case."""

    journal_state_days: dict[MessageState, Days] = {}
    """`journal_days` by state, in a table `[journal_state_days]`: `done`, `failed`, `dead`,
    `quarantined`, `ignored`, `replaced`."""

    duplicate_days: Days = 730
    """For how many days it is known that a message came before, and what it was answered, though
    its bytes are gone; 0: for ever."""

    drain_s: Seconds = 20
    """How long a hub that is asked to stop waits for requests and messages under way."""

    worker_timeout_s: Annotated[Real, Field(ge=1)] = 60
    """Of several processes, how long one may answer nothing before it is killed and replaced."""

    sqlite_mapped_mb: Annotated[Whole, Field(ge=0)] = 0
    """How much of a SQLite file is read as memory: a third less CPU a search. The system counts
    what was read so as the process's own (RSS), and takes it back when it is short of memory."""

    lease_s: Annotated[Real, Field(ge=1)] = 10
    """Of several processes on one MongoDB, how long one may show no life before another leads in
    its stead and finishes the messages that it had."""

    mappings_folder: Path | None = None
    """A folder of your own HL7v2 maps, of the same shape as `mappings/`; its files replace or
    add to the built-in ones."""

    trusted_facilities: Names = ()
    """The facilities (MSH-4) whose word on a patient counts more than others', the most trusted
    first: a list, or names with commas between. Among those not named the newest word holds. They
    merge and part other institutions' patients too, whatever name and birth date say: an EMPI. One
    that answers referrals (RRI) in place of who was asked is to be named too: a platform that
    passes answers on."""

    mappings_watch_s: Annotated[Real, Field(ge=0, le=86_400)] = 5
    """How often the files of maps and of channels are looked at; what has changed is taken if it
    is in order. 0: on SIGHUP alone, which always asks for it."""

    profiles_folder: Folders = ()
    """Your own packages of profiles, value sets and schemas beside the built-in `profiles/`: a path
    or a list of them, each a folder or a `.tgz` in the NPM form of FHIR (docs/profiles.md)."""

    references: References = "enforce"
    """What happens to a reference to a resource that does not exist, and to a deletion that would
    leave one: it is refused, or (`warn`) done with a warning in the answer, or (`off`) done."""

    terminology_store: Path | None = None
    """The file of imported terminology (`fhir-hub terminology import`); without it
    `terminology.sqlite` beside the database of `store`."""

    expansion_limit: Annotated[Whole, Field(ge=1, le=100_000)] = 1000
    """The most codes that `$expand` lists at once, unless a page of them is asked for."""

    validation: Validation = "r4"
    """What is checked before a resource is stored: the rules of R4; or (`profiles`) also the
    profiles that it claims, those of its extensions, and the rules of identifiers and of senders
    (docs/profiles.md); or (`off`, for a load of data that was checked before) only that it is a
    resource of a known type."""

    business_rules: BusinessRules = "enforce"
    """Whether the rules of contracts, referrals, slots and prescriptions hold: refused is what
    breaks them; or (`flag`) what is lacking is only warned of; or (`off`) nobody looks. What tells
    of what happened elsewhere (`hl7v2`, `load`) is flagged, unless its source says otherwise."""

    pools: dict[str, PoolSettings] = {}
    """When slots may be booked and how a day of them is divided, by hospital and department, in
    tables `[pools.NAME]` (docs/referral.md)."""

    prescriptions: dict[str, PrescriptionSettings] = {}
    """The limits of prescriptions, by hospital and department, in tables `[prescriptions.NAME]`
    (docs/referral.md)."""

    reminders: ReminderDays = {}
    """For how many days a test, an examination or a drug is the same again to `$remind`, in a
    table `[reminders]` by code (`system|code`), `test`, `exam`, `drug` (docs/documents.md)."""

    programmes: Path | None = None
    """A file of your own thresholds of screening, follow-up and public health (docs/programmes.md);
    its tables replace the built-in ones of the same name."""

    unknown_profiles: Literal["warn", "refuse"] = "warn"
    """What it means, where profiles are checked, that a resource claims one that the hub does not
    know: a warning in `$validate`, or (`refuse`) an error, so that it is not stored."""

    sources: dict[str, SourceSettings] = {}
    """`references`, `validation` and `business_rules` by where data comes from, in tables
    `[sources.NAME]`: `rest`, `hl7v2`, `load` (the Bundle of `--load`), or a sender's file in
    `mappings/senders/`."""

    referral: ReferralSettings = ReferralSettings()
    """Terms, routes and policies of contracts and referrals, in a table `[referral]`
    (docs/referral.md)."""

    partners: dict[str, PartnerSettings] = {}
    """To whom HL7v2 messages are delivered, in tables `[partners.NAME]` (docs/outbound.md)."""

    subscriptions_allow: WebAddresses = ()
    """Below which addresses the endpoints of Subscriptions must be: a list, or addresses with
    commas between; without any they stay `requested` and nobody is called."""

    subscriptions_pause_s: Seconds = 1
    """How long after a failed notification it is tried again; it doubles up to five minutes."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severity that is logged; `debug` logs a line for every request."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """How log lines look on standard error: JSON, or text for people; `auto`: text on a
    terminal, else JSON."""

    @property
    def shown_store(self) -> str:
        """Return the address of the store as it may be shown, without a password."""
        return shown_address(self.store)

    @property
    def store_file(self) -> Path | None:
        """Return the file of the store, None if it is not one."""
        scheme, _, path = self.store.partition(":")
        return Path(path) if scheme == "sqlite" else None

    @property
    def store_is_there(self) -> bool:
        """Say whether the store may be opened without making one: not in memory, no new file."""
        file = self.store_file
        return file.is_file() if file else not self.store.startswith("memory:")

    @property
    def terminology_path(self) -> Path | None:
        """Return the file of imported terminology, None if none is set and the store is no file."""
        if self.terminology_store is not None:
            return self.terminology_store
        return self.store_file and self.store_file.parent / "terminology.sqlite"

    @property
    def local_codes_path(self) -> Path | None:
        """Return the file of local codes that came, None if the store is no file."""
        return self.store_file and self.store_file.with_suffix(".codes")

    @property
    def mappings_folders(self) -> tuple[Path, ...]:
        """Return the folders of a site's own maps."""
        return (self.mappings_folder,) if self.mappings_folder else ()

    @property
    def zone(self) -> tzinfo:
        """Return `timezone` as a zone."""
        return read_zone(self.timezone)

    def on_port(self, port: int) -> Self:
        """Return these settings with the port that a hub was given that asked for any (0)."""
        return self.model_copy(update={"port": port})

    def rules_of(self, *sources: str) -> RuleSettings:
        """Return the rules of what comes from `sources`, of which a later one says more exactly."""
        rules = RuleSettings(self.references, self.validation, self.business_rules)
        for name in sources:
            if name in _COPIES and rules.business_rules == "enforce":
                rules = rules._replace(business_rules="flag")
            if own := self.sources.get(name):
                rules = rules._replace(**own.model_dump(exclude_none=True))
        return rules

    def require_sources(self, known: Iterable[str]) -> None:
        """Raise `InvalidSettings` if `[sources.NAME]` names what is no source."""
        known = list(known)
        unknown = [
            f"sources.{name} is no source{nearest(name, known)} / 未知的数据来源"
            for name in self.sources
            if name not in known
        ]
        if unknown:
            raise InvalidSettings("\n".join(unknown))
