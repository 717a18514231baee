"""A receiver over a real journal, with a conversion by hand, and the messages that it takes."""

import asyncio
from pathlib import Path

import parts
from apply_parts import conversion, identifier, observation, patient

from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.senders.settings import Settings

MESSAGES = Path(__file__).parent / "messages"
STORY = sorted(MESSAGES.glob("*.hl7"))
BROKEN = sorted([*MESSAGES.glob("quirks/*.hl7"), *MESSAGES.glob("wire/*.hl7")])


class Crash(BaseException):
    """The power goes."""


class Convert:
    """A conversion by hand: PID-3 is a Patient, each OBX an Observation; can be told to fail."""

    def __init__(self) -> None:
        self.received = ""
        self.fault: BaseException | None = None
        self.names: list[str] = []

    def __call__(self, message, received, zone):
        self.received = received
        if self.fault is not None:
            raise self.fault
        self.names += [one.value(5) for one in message.all("PID")]
        person = message.first("PID")
        numbers = [identifier(v.text(1)) for v in person.repetitions(3)] if person else []
        number = message.header.value(10)
        results = [
            observation(
                f"{number}-{one.value(1)}",
                valueString=one.value(5) or "-",
                status="bad" if one.value(5) == "bad" else "final",
            )
            for one in message.all("OBX")
        ]
        return conversion(patient(*numbers), *results)


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, event: str, **fields: object) -> None:
        shown = {
            name: type(value).__name__ if isinstance(value, BaseException) else value
            for name, value in fields.items()
        }
        self.lines.append(f"{event} {shown}")


def receiver_of(
    backend,
    convert,
    clock,
    log,
    settings_of=lambda header: Settings(),
    pause=asyncio.sleep,
    **channel,
):
    ids = parts.ids()
    return Receiver(
        parts.repository(backend.store, clock, ids),
        backend.journal,
        convert,
        parameters=parts.parameters(),
        channel=Channel("mllp-1", parts.ZONE, **channel),
        clock=clock,
        new_id=ids,
        settings_of=settings_of,
        patience=Patience(120, pause),  # the stand-in for MongoDB is slow
        log=log,
    )


def oru(control_id="C1", number="T1", value="5.1", version="2.4"):
    lines = [
        f"MSH|^~\\&|LIS|SHTH01|HUB|QPRHP|20250314||ORU^R01^ORU_R01|{control_id}|P|{version}",
        f"PID|1||{number}||沈桂芳",
        f"OBX|1|NM|GLU||{value}",
    ]
    return "\r".join(lines).encode() + b"\r"
