"""Who told a resource, and when: a stamp in `meta`, by which an older message is known as such.

A teller is a sending application of a facility (`HIS@SHTH01`); two tellers' clocks are never
compared to say that a message is late. The time is that of the event as recorded (EVN-2), else
that of the message (MSH-7), but never later than it came: a clock that runs ahead would keep a
sender's later messages out. The stamp is renewed only when what is told changes, so that the
same facts again make no new version.

Spec: HL7v2 chapter 3, EVN-2; https://hl7.org/fhir/R4/resource.html#Meta
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_hub.clock import from_microseconds, instant, microseconds
from fhir_hub.hl7v2.datatypes import times
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.parsing.er7 import Message
from fhir_hub.identity import systems

Json = dict[str, Any]
_SHORT = 500  # what is longer is not kept, so that what is kept is small
_SECOND, _MINUTE = 1_000_000, 60_000_000  # microseconds
# What can be said in any zone.
_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=UTC) for year in (2, 9999))
_UNDER_WAY = ("registered", "partial", "preliminary")
ANSWERED = ("final", "corrected", "amended", "appended")  # reports and results
# What all applications of an institution tell of a person as one.
FACTS = ("AllergyIntolerance", "Coverage", "RelatedPerson")
OF_PERSON = (*FACTS, "Patient")
COPIED = "secondary"  # the use of a stamp of a hub, which passes on what others tell
TOLD_BY = f"{systems.BASE}/StructureDefinition/told-by"


class Teller(NamedTuple):
    """Who sent a message, what it tells of, and when.

    `time` is in microseconds since 1970, UTC; 0: nobody knows, then nothing is stamped. `event`
    is the trigger event (`A08`), `message_type` what it belongs to (`ADT`). `answers` is the
    control id of the message that an answer to a referral (RRI) is to, as MSA-2 has it. `is_hub`:
    what it tells of others is a copy of what they tell.
    """

    application: str = ""
    facility: str = ""
    time: int = 0
    event: str = ""
    message_type: str = ""
    answers: str = ""
    is_hub: bool = False

    @property
    def name(self) -> str:
        """How people call the teller: `application@facility`."""
        return f"{self.application or 'unknown'}@{self.facility or 'unknown'}"

    @property
    def facility_system(self) -> str:
        """The namespace of the applications of the facility that the message names (MSH-4)."""
        return application_system(self.facility)

    @property
    def system(self) -> str:
        """Whose word it is: the facility's, by the namespace of its applications; a hub's own.

        Of what a hub passes on MSH-4 says whose it is mostly, and not who says so, if MSH-3 does.
        """
        return application_system((self.is_hub and self.application) or self.facility)

    @property
    def source(self) -> str:
        """The address that `meta.source` has: of the application that told it."""
        return f"{self.facility_system}/{systems.namespace(self.application)}"

    def is_told(self, stamp: Mapping[str, Any]) -> bool:
        """Say whether a stamp is this teller's."""
        told = stamp.get("valueIdentifier", {})
        same = (self.application or "unknown", self.system)
        return (told.get("value"), told.get("system")) == same

    def speaks(self, stamp: Mapping[str, Any], resource_type: str) -> bool:
        """Say whether a stamp is this teller's, or of what is a person's of its institution's."""
        if resource_type in OF_PERSON:
            return institution_of(stamp) == self.system
        return self.is_told(stamp)

    def is_one_with(self, other: "Teller", resource_type: str) -> bool:
        """Say whether two tell of such a resource as one, so that their times are compared."""
        is_one = self.system == other.system
        return is_one and (resource_type in OF_PERSON or self.application == other.application)

    def stamp(self) -> Json:
        """Return the extension that says who told it, and as of when."""
        return {
            "url": TOLD_BY,
            "valueIdentifier": {
                **({"use": COPIED} if self.is_hub else {}),
                "system": self.system,
                "value": self.application or "unknown",
                "period": {"start": _instant_of(self.time)},
            },
        }


@lru_cache(maxsize=256)
def _instant_of(time: int) -> str:
    return instant(from_microseconds(time))


NOBODY = Teller()
QUIET = Context("")  # it forgets every issue


def application_system(facility: str) -> str:
    """Return the namespace of the names of a facility's applications."""
    return f"{systems.authority_system(facility)}/application"


def teller_of(message: Message, context: Context, received: str) -> Teller:
    """Return who tells a message; its time is `received` where it says none, or a later one."""
    header, event = message.header, message.first("EVN")
    written = [event.value(2)] if event is not None else []
    written.append(header.value(7))
    latest = microseconds_of(received)
    if event is None and (known := times.to_the_second(written[0], context.zone)):
        time = microseconds_of(known) or latest
    else:
        time = _time_of_event(written, context, latest)
    trigger = header.value(9, 2) or (event.value(1) if event is not None else "")
    answered = message.first("MSA") if header.value(9) == "RRI" else None
    return Teller(
        header.value(3),
        header.value(4),
        (min(time, latest) if latest else time) // 1000 * 1000,
        trigger,
        header.value(9),
        answered.value(2) if answered is not None else "",
    )


def _time_of_event(written: list[str], context: Context, latest: int) -> int:
    """Return the first time that has a time of day, else the first date's midnight.

    Of EVN-2 to the minute MSH-7 says the second, if it was sent in that minute, and of EVN-2 to
    the second the fraction.
    """
    found = [moment for text in written if (moment := times.read_moment(text, QUIET))]
    found.sort(key=lambda moment: not moment.has_time)
    if not found or not found[0].day:
        return latest
    whole = found[0] if found[0].has_time else found[0]._replace(hour=0)
    time = microseconds_of(times.write_datetime(whole, context.zone))
    if written[0][:12].isdigit() and "." not in written[0] and found[1:]:
        sent = microseconds_of(times.write_datetime(found[1], context.zone))
        span = _SECOND if written[0][12:14].isdigit() else _MINUTE
        time = sent if time <= sent < time + span else time
    return time or latest


def microseconds_of(text: str) -> int:
    """Return an instant or dateTime with offset in microseconds since 1970; 0 if it is none."""
    return _microseconds_of(text) if len(text) < _SHORT else 0


@lru_cache(maxsize=1024)
def _microseconds_of(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return microseconds(min(max(moment, _EARLIEST), _LATEST)) if moment.tzinfo else 0


def stamps_of(resource: Mapping[str, Any]) -> list[Json]:
    """Return the stamps of all tellers of a resource."""
    extensions = resource.get("meta", {}).get("extension", ())
    return [one for one in extensions if one.get("url") == TOLD_BY]


def told_at(resource: Mapping[str, Any], teller: Teller) -> int:
    """Return as of when this teller told the resource, 0 if it did not."""
    kind = resource.get("resourceType", "")
    return max((time_of(one) for one in stamps_of(resource) if teller.speaks(one, kind)), default=0)


def time_of(stamp: Mapping[str, Any]) -> int:
    """Return the time of a stamp in microseconds since 1970, 0 if it has none."""
    period = stamp.get("valueIdentifier", {}).get("period", {})
    return microseconds_of(str(period.get("start", "")))


def has_another_told_since(resource: Mapping[str, Any], teller: Teller) -> bool:
    """Say whether others told the resource as of a later time than the message's, by their clocks.

    What a message says is older then where by its nature it comes first: a new order, and
    preliminary results.
    """
    others = (time_of(stamp) for stamp in stamps_of(resource) if not teller.is_told(stamp))
    return max(others, default=0) > teller.time > 0


def is_overtaken(stored: Mapping[str, Any], told: Mapping[str, Any], teller: Teller) -> bool:
    """Say whether what a message tells as preliminary was made final by another since."""
    is_under_way = told.get("status") in _UNDER_WAY and stored.get("status") in ANSWERED
    return is_under_way and has_another_told_since(stored, teller)


def institution_of(stamp: Mapping[str, Any]) -> str:
    """Return whose application a stamp names: the namespace of its facility's applications."""
    return str(stamp.get("valueIdentifier", {}).get("system", ""))


def is_copied(stamp: Mapping[str, Any]) -> bool:
    """Say whether a stamp is a hub's, which passes on what others tell."""
    return bool(stamp.get("valueIdentifier", {}).get("use") == COPIED)


def tellers_of(resource: Mapping[str, Any]) -> set[str]:
    """Return the institutions that told a resource: themselves, or else by a hub alone."""
    stamps = stamps_of(resource)
    own = [one for one in stamps if not is_copied(one)]
    return {institution_of(one) for one in own or stamps}


def is_told_by_another(resource: Mapping[str, Any], teller: Teller) -> bool:
    """Say whether another institution told the resource, and not the teller's."""
    institutions = tellers_of(resource)
    return bool(institutions) and teller.system not in institutions


def is_copy(stored: Mapping[str, Any], teller: Teller) -> bool:
    """Say whether a hub passes on a fact of a person that somebody else tells himself."""
    if not teller.is_hub or stored.get("resourceType") not in FACTS:
        return False
    return not all(map(is_copied, stamps_of(stored)))


def is_first_hand(stored: Mapping[str, Any], teller: Teller) -> bool:
    """Say whether a teller tells himself what hubs alone passed on until now."""
    stamps = stamps_of(stored)
    is_fact = stored.get("resourceType") in FACTS
    return is_fact and not teller.is_hub and bool(stamps) and all(map(is_copied, stamps))


def is_behind_another(resource: Mapping[str, Any], teller: Teller) -> bool:
    """Say whether another institution told the resource as of a later time than the message's."""
    others = (one for one in stamps_of(resource) if institution_of(one) != teller.system)
    told = (time_of(one) for one in others if not is_copied(one))
    return max(told, default=0) > teller.time > 0


def stamped(resource: Json, teller: Teller) -> Json:
    """Return the resource with this teller's stamp, and it as the source; others' stamps stay."""
    if not teller.time:
        return resource
    meta = resource.get("meta", {})
    application, facility, _, event, message_type, *_ = teller
    is_short = len(application) + len(facility) + len(event) + len(message_type) < _SHORT
    source, stamp = (_told_by if is_short else _told_by.__wrapped__)(teller)
    if "extension" not in meta:
        return {**resource, "meta": {**meta, "source": source, "extension": [stamp]}}
    others = [
        one
        for one in meta.get("extension", ())
        if one.get("url") != TOLD_BY or not teller.is_told(one)
    ]
    return {**resource, "meta": {**meta, "source": source, "extension": [*others, stamp]}}


@lru_cache(maxsize=64)  # a message tells of some dozen resources
def _told_by(teller: Teller) -> tuple[str, Json]:
    """Return the source and the stamp of all that a message tells; nobody changes them."""
    return teller.source, teller.stamp()
