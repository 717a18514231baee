"""Who answers what comes: a batch part by part, a query from the store, the rest the receiver.

It stands before the receiver and takes blocks as that does, so every way in has it.

Spec: HL7v2 chapter 2, 2.10.3; chapter 5 (queries)
"""

from datetime import tzinfo
from typing import Any, Protocol

from fhir_hub.clock import Clock, IdMaker, new_logical_id, now
from fhir_hub.hl7v2.answers.batch import BatchAnswer
from fhir_hub.hl7v2.answers.replies import Queries, is_query
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.wire.batches import is_batch, parts_of
from fhir_hub.hl7v2.wire.listener import Log, no_log
from fhir_hub.hl7v2.wire.mllp import Block
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Store
from fhir_hub.store.journal import Journal


class Taker(Protocol):
    """Who takes a message and answers it."""

    async def take(self, block: Block, *way: Any) -> bytes:
        """Return the acknowledgment of a block that came by some way."""


class Answers:
    """Answers blocks; `receiver` takes what is one message that says something."""

    def __init__(
        self,
        receiver: Taker,
        store: Store,
        journal: Journal,
        parameters: Parameters,
        mappings: Mappings,
        zone: tzinfo,
        log: Log = no_log,
        clock: Clock = now,
        new_id: IdMaker = new_logical_id,
    ) -> None:
        self._receiver, self._log, self._zone = receiver, log, zone
        self._clock, self._new_id = clock, new_id
        self._queries = Queries(
            store, journal, parameters, mappings, clock=clock, new_id=new_id, zone=zone, log=log
        )

    async def take(self, block: Block, *way: Any) -> bytes:
        """Return the answer to a block; never raises for what it holds."""
        if not block.is_cut and is_batch(block.raw):
            return await self._batch(block.raw, way)
        return await self._one(block, way)

    async def _one(self, block: Block, way: tuple[Any, ...]) -> bytes:
        is_asked = not block.is_cut and is_query(block.raw)
        if is_asked and not (way and way[0].excess(block.raw)):  # else the receiver says so
            return await self._queries.answer(block.raw, *way[:1])
        return await self._receiver.take(block, *way)

    async def _batch(self, raw: bytes, way: tuple[Any, ...]) -> bytes:
        forced = way[0].charset if way else ""
        answer = BatchAnswer(self._clock, self._new_id, self._zone, forced)
        written = await answer.write(parts_of(raw), lambda message: self._one(Block(message), way))
        if answer.tally.faults:
            places = " ".join(fault.location for fault in answer.tally.faults)
            name = way[0].name if way else ""
            told = {"messages": answer.tally.messages, "expressions": places}
            self._log("batch_wrong", channel=name, **told)
        return written
