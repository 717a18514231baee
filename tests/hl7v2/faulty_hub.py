"""A receiver whose store and journal fail as often as is said, or wait until they may go on."""

import asyncio

import parts
from apply_parts import conversion, identifier, observation, patient

from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.search.plan import EVERYTHING, Query

FAULT = Unavailable("the database cannot be written now")


class Faulty:
    """A store or a journal whose calls fail as often as is said, or wait until they may go on."""

    def __init__(self, part):
        self._part = part
        self.held: set[str] = set()
        self.faults: dict[str, list[Exception]] = {}
        self.gates: dict[str, asyncio.Event] = {}

    def __getattr__(self, name):
        call = getattr(self._part, name)

        async def faulty(*values, **options):
            if name in self.gates:
                self.held.add(name)
                await self.gates[name].wait()
            if self.faults.get(name):
                raise self.faults[name].pop()
            return await call(*values, **options)

        return faulty


class Hub:
    """A receiver over faulty parts."""

    def __init__(self, backend, clock, answer_s=30.0, pause=None, **channel):
        self.backend, self.store = backend, Faulty(backend.store)
        self.journal, self.lines = Faulty(backend.journal), list[str]()
        self.fault: Exception | None = None
        self.status, self.maps = "final", "v1"
        self.new_maps = list[str]()
        self.done = list[str]()  # the control ids of messages that are said to be done
        ids = parts.ids()
        self.receiver = Receiver(
            parts.repository(self.store, clock, ids),
            self.journal,
            self._convert,
            parameters=parts.parameters(),
            channel=Channel("mllp-1", parts.ZONE, **channel),
            clock=clock,
            new_id=ids,
            maps=lambda: self.maps,
            patience=Patience(answer_s, pause or at_once),
            log=lambda event, **fields: self.lines.append(event),
            on_done=lambda message, *_, **told: self.done.append(message.header.value(10)),
        )

    def _convert(self, message, received, zone):
        if self.fault:
            raise self.fault
        number = message.header.value(10)
        if self.new_maps:  # while the message is read
            self.maps = self.new_maps.pop()
        person = patient(identifier(message.first("PID").value(3)))
        return conversion(person, observation(number, status=self.status))

    def open_all(self):
        """Let every call go on, and senders wait."""
        for gate in self.store.gates, self.journal.gates:
            for event in gate.values():
                event.set()
        self.receiver._patience = Patience(60, at_once)

    async def holds(self, name):
        """Wait until a gate holds somebody up."""
        while name not in self.store.held | self.journal.held:
            await asyncio.sleep(0)

    async def send(self, control_id="C1", number="T1"):
        return read_answer(await self.receiver.receive(message(control_id, number)))[:2]

    async def states(self):
        return [one.state for one in reversed(await self.backend.journal.recent())]

    async def observations(self):
        page = await self.backend.store.search(Query(("Observation",), EVERYTHING))
        return [one.version_id for one in page.matches]


async def at_once(seconds):
    await asyncio.sleep(0)


def message(control_id="C1", number="T1", accept=""):
    header = f"MSH|^~\\&|LIS|SHTH01|HUB|X|20250314||ORU^R01|{control_id}|P|2.4|||{accept}"
    return f"{header}\rPID|1||{number}\r".encode()
