"""Who answers what comes: a batch part by part, a query from the store, the rest the receiver.

It stands before the receiver and takes blocks as that does, so every way in has it.

Spec: HL7v2 chapter 2, 2.10.3; chapter 5 (queries)
"""

from datetime import tzinfo
from typing import Any, Protocol

from fhir_hub.clock import Clock, IdMaker
from fhir_hub.hl7v2.answers.batch import BatchAnswer
from fhir_hub.hl7v2.batches import is_batch, parts_of
from fhir_hub.hl7v2.listener import Log, no_log
from fhir_hub.hl7v2.mllp import Block


class Taker(Protocol):
    """Who takes a message and answers it."""

    async def take(self, block: Block, *way: Any) -> bytes:
        """Return the acknowledgment of a block that came by some way."""


class Answers:
    """Answers blocks; `receiver` takes what is one message that says something."""

    def __init__(
        self,
        receiver: Taker,
        *,
        clock: Clock,
        new_id: IdMaker,
        zone: tzinfo,
        log: Log = no_log,
    ) -> None:
        self._receiver = receiver
        self._clock, self._new_id, self._zone, self._log = clock, new_id, zone, log

    async def take(self, block: Block, *way: Any) -> bytes:
        """Return the answer to a block; never raises for what it holds."""
        if not block.is_cut and is_batch(block.raw):
            return await self._batch(block.raw, way)
        return await self._one(block, way)

    async def _one(self, block: Block, way: tuple[Any, ...]) -> bytes:
        return await self._receiver.take(block, *way)

    async def _batch(self, raw: bytes, way: tuple[Any, ...]) -> bytes:
        answer = BatchAnswer(self._clock, self._new_id, self._zone)
        written = await answer.write(parts_of(raw), lambda message: self._one(Block(message), way))
        if answer.tally.faults:
            places = " ".join(fault.location for fault in answer.tally.faults)
            self._log("batch_wrong", messages=answer.tally.messages, places=places)
        return written
