"""How a referral stands, said to who asks by REF^I15: RRI^I15 by the maps run backwards.

It is the answer of who was asked as the hub has it now, in the asker's delimiters, codes and
version. RF1-1 says it by table 0283 and in words; a booked time is a note, as RRI has no place of
its own for it.

Spec: HL7v2 chapter 11, RRI and RF1
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.clock import Clock
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.emit.emit import Receiver, standing
from fhir_hub.hl7v2.journal.course import Read
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.store.base import Key

_KIND = ("RRI", "I15", "RRI_I12")


class Standing:
    """Writes the answers to REF^I15 from a store."""

    def __init__(self, desk: Desk, mappings: Mappings, clock: Clock) -> None:
        self._desk, self._mappings, self._clock = desk, mappings, clock

    async def of(
        self, read: Read, links: Sequence[Key]
    ) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Return MSH-9 and the segments behind MSA; `links` are a Task and what belongs to it."""
        contents = [fhirjson.loads(one.content) for one in await self._desk.store.read_many(links)]
        task = next(one for one in contents if one["resourceType"] == "Task")
        booked = [one for one in contents if one["resourceType"] == "Appointment"]
        message = er7.parse(read.text, read.charset)
        senders = self._mappings.senders_of(message)
        receiver = Receiver(
            version=read.header.component(12, 1),
            sender=senders[-1] if senders else "",
            sending_facility=read.header.component(6, 1),
        )
        zone = self._mappings.settings(message).zone or read.channel.zone
        segments = standing(
            task,
            await self._desk.gather(task),
            self._mappings,
            receiver,
            message.encoding,
            moment=self._clock(),
            zone=zone,
            notes=[_booking(one, zone) for one in booked if "start" in one],
        )
        return _KIND, segments


def _booking(appointment: dict[str, Any], zone: tzinfo) -> str:
    start = datetime.fromisoformat(appointment["start"]).astimezone(zone)
    numbers = [str(one.get("value", "")) for one in appointment.get("identifier", ())]
    said = f"预约时间 / appointment: {start:%Y-%m-%d %H:%M}"
    return " ".join([f"{said} ({appointment['status']})", *filter(None, numbers)])
