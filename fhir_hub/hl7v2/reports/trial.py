"""A dry run: the bytes of messages as Bundles and reports, with nothing stored.

`fhir-hub convert` and `POST /hl7v2/$convert` are this. Bytes of several messages (a batch, or
messages one after the other) give a collection of their transaction Bundles, because each
message is a transaction of its own; in the place of one that cannot be converted stands an
OperationOutcome.

Spec: https://hl7.org/fhir/R4/http.html#transaction; HL7v2 chapter 2, 2.10.3
"""

import asyncio
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, NamedTuple

from fhir_hub.clock import Clock, from_microseconds, instant
from fhir_hub.errors import FhirError, InvalidParameter, NotFound, outcome, outcome_of
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.reports.effort import Effort
from fhir_hub.hl7v2.storing.bundle import joined, to_bundle
from fhir_hub.hl7v2.wire import charset
from fhir_hub.hl7v2.wire.batches import MESSAGE, MOST_REFUSED, Tally, parts_of
from fhir_hub.hl7v2.wire.size import excess
from fhir_hub.r4.checks.run import Checks
from fhir_hub.store.journal import Journal

Json = dict[str, Any]
_COLLECTION = {"resourceType": "Bundle", "type": "collection"}


class Trial(NamedTuple):
    """The Bundle of some bytes, and the report of each field (`messages` of several).

    The report has a `batch` if the trailers of a batch do not agree with what came.
    """

    bundle: Json
    report: Json


@dataclass(frozen=True, slots=True)
class Trials:
    """Dry runs with these maps: a message comes when `clock` says, unless it is of the journal.

    `most_bytes` and `most_parts` are the limits of a message, 0 for none.
    """

    mappings: Mappings
    checks: Checks
    zone: tzinfo
    clock: Clock
    most_bytes: int = 0
    most_parts: int = 0

    def run(
        self,
        raw: bytes,
        *,
        sender: str = "",
        forced: str = "",
        by_table: bool = False,
        with_report: bool = True,
        received: str = "",
    ) -> Trial:
        """Return what the messages in `raw` make.

        `sender` names a sender's file, `forced` the character set that the bytes are in,
        `received` when they came (else: now). With `by_table` it is what the standard's tables
        give in full, else what the hub would store, of an event that it would take. Raises
        `InvalidMessage` and `TooLarge` of one message, or of the first of several if none can be
        converted (with limits: of the first 1,000), `InvalidParameter` for an unknown sender.
        """
        if sender and sender not in self.mappings.senders:
            known = ", ".join(self.mappings.senders) or "none"
            raise InvalidParameter(f"no file for the sender {sender[:60]}; there are: {known}")
        messages, faults, is_batch = _read(raw)
        batch = {"batch": {"messages": len(messages), "faults": faults}} if faults else {}
        options = (sender, forced, by_table, Effort() if with_report else None, received)
        if is_batch and not messages:  # a night in which nothing happened
            return Trial(dict(_COLLECTION), {"messages": []} | batch)
        if len(messages) < 2:
            alone = self._one(messages[0] if messages else raw, *options)
            return Trial(alone.bundle, alone.report | batch)
        done, refused = [], []
        for message in messages:
            try:
                done.append(self._one(message, *options))
            except FhirError as error:
                refused.append(error)
                if self.most_parts and len(refused) == len(done) + 1 == MOST_REFUSED:
                    raise refused[0] from None
                _, told = outcome(error)
                done.append(Trial(told, {"refused": told["issue"]}))
        if len(refused) == len(done):
            raise refused[0]
        entries = [{"resource": one.bundle} for one in done]
        bundle = {**_COLLECTION, "entry": entries}
        report = {"messages": [one.report for one in done]} if with_report else {}
        return Trial(bundle, report | batch)

    async def again(self, journal: Journal, number: int, **options: Any) -> Trial:
        """Return what a message of the journal makes; `options` are those of `run`.

        Raises `NotFound` if the journal has no such message, or not its bytes any more.
        """
        entered = await journal.find(number)
        if entered is None:
            raise NotFound("the journal has no message of this number")
        kept = entered.message
        if not kept.raw:
            raise NotFound("the bytes of this message are not kept any more")
        received = instant(from_microseconds(kept.received))
        return await asyncio.to_thread(self.run, kept.raw, received=received, **options)

    def _one(
        self,
        raw: bytes,
        sender: str,
        forced: str,
        by_table: bool,
        effort: Effort | None,
        received: str,
    ) -> Trial:
        if error := excess(raw, self.most_bytes, self.most_parts):
            raise error
        if not forced:
            forced = self._charset(raw, sender)
        decoded = charset.decode(raw, forced)
        message = er7.parse(decoded.text, decoded.charset, decoded.issues)
        if not by_table:
            self.mappings.require_known(message)
        conversion = convert(
            message,
            self.mappings,
            sender=sender,
            zone=self.zone,
            received=received or instant(self.clock()),
            by_table=by_table,
        )
        bundle = to_bundle(conversion)
        if effort is None:
            return Trial(bundle, {})
        report = conversion.report.as_data(effort, joined) | self._invalid(bundle)
        return Trial(bundle, report)

    def _charset(self, raw: bytes, sender: str) -> str:
        """Return the character set in which the sender is configured to write."""
        line = charset.first_line(raw)
        if not line.startswith("MSH"):
            return ""
        return self.mappings.settings(er7.parse(line), sender).charset

    def _invalid(self, bundle: Json) -> Json:
        """Return what is wrong with a Bundle: a fault of a map; empty if nothing is."""
        issues = [issue for issue in self.checks.check(bundle) if issue.severity == "error"]
        return {"invalid": outcome_of(issues)["issue"]} if issues else {}


def _read(raw: bytes) -> tuple[list[bytes], list[Json], bool]:
    """Return the messages, what is wrong with their batch, and whether they are in one."""
    parts, tally = list(parts_of(raw)), Tally()
    for part in parts:
        tally.take(part)
    tally.close()
    messages = [part.raw for part in parts if part.kind == MESSAGE]
    is_batch = any(part.kind in ("FHS", "BHS") for part in parts)
    faults = [fault._asdict() for fault in tally.faults] if messages or is_batch else []
    return messages, faults, is_batch
