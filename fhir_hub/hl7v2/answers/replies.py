"""The answer to a query in ER7: RSP or ADR with MSA, QAK, the query again, PID, DSC.

Spec: HL7v2 chapter 5, QAK (table 0208), DSC; chapter 3, RSP_K21 to K23, ADR_A19
"""

from dataclasses import replace
from datetime import tzinfo
from typing import NamedTuple

from fhir_hub.clock import Clock, IdMaker, microseconds
from fhir_hub.errors import FhirError, ack_for
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.answers import people
from fhir_hub.hl7v2.answers.queries import (
    ANSWERS,
    CANCEL,
    Asked,
    Found,
    Searcher,
    identifiers,
    is_cancel,
    read_asked,
)
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.journal.course import Read, received
from fhir_hub.hl7v2.journal.reasons import reason
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.parsing.er7 import Message
from fhir_hub.hl7v2.wire import charset
from fhir_hub.hl7v2.wire.listener import Log, no_log
from fhir_hub.search.condition import Conditions
from fhir_hub.search.context import Context as SearchContext
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Finish, Key, Store
from fhir_hub.store.journal import Journal

_HEAD = 2000
_HEADS = (b"MSH", b"MSA", b"ERR", b"QAK")  # what of an answer the journal keeps
_TYPES = frozenset(kind for kind, _ in (*ANSWERS, CANCEL))
_MARKS = tuple(kind.encode() for kind in sorted(_TYPES))
Segments = list[list[str]]


def is_query(raw: bytes) -> bool:
    """Say whether a message is a query: cheap, it is asked of every message."""
    head = raw[:_HEAD]
    if not any(mark in head for mark in _MARKS):
        return False
    return ack.read_header(charset.first_line(raw)).component(9, 1) in _TYPES


class _Reply(NamedTuple):
    """An answer, what it refuses, and of whom it tells."""

    raw: bytes
    error: Exception | None
    patients: tuple[Key, ...]


class Queries:
    """Answers queries from a store, in the sender's delimiters, codes and character set."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        parameters: Parameters,
        mappings: Mappings,
        *,
        clock: Clock,
        new_id: IdMaker,
        zone: tzinfo,
        log: Log = no_log,
    ) -> None:
        self._store, self._journal = store, journal
        self._parameters, self._mappings = parameters, mappings
        self._clock, self._new_id, self._zone, self._log = clock, new_id, zone, log

    async def answer(self, raw: bytes, channel: Channel | None = None) -> bytes:
        """Return the answer to a query; never raises for what it holds.

        That it was asked, of whom the answer tells, and how it ended stands in the journal; the
        Patients that are told stand there as links alone.
        """
        way = channel or Channel("", self._zone)
        number = await self._keep(raw, way)
        reply = await self._reply(raw, way)
        if number:
            await self._finish(number, reply)
        return reply.raw

    async def _keep(self, raw: bytes, channel: Channel) -> int:
        """Return the number of the query in the journal, 0 if it is not there."""
        header = ack.read_header(charset.first_line(raw))
        came = received(Read(channel, header, "utf-8"), raw, microseconds(self._clock()))
        try:  # without a key: the same question again is asked again
            kept = await self._journal.keep(replace(came, key=""), is_early=True)
        except Exception as error:
            self._log("query_not_kept", fault=error)
            return 0
        return 0 if kept.is_duplicate else kept.entered.number

    async def _finish(self, number: int, reply: "_Reply") -> None:
        head = [line for line in reply.raw.split(b"\r") if line[:3] in _HEADS]
        finish = Finish(
            number,
            "answered",
            b"\r".join([*head, b""]),
            reason(reply.error) if reply.error else "",
            reply.patients,
            microseconds(self._clock()),
            1,
            self._mappings.version,
        )
        try:
            await self._journal.finish(finish)
        except Exception as error:
            self._log("query_not_finished", number=number, fault=error)

    async def _reply(self, raw: bytes, channel: Channel) -> "_Reply":
        header, name = ack.read_header(charset.first_line(raw)), "utf-8"
        error: Exception | None = None
        patients: tuple[Key, ...] = ()
        segments = Segments()
        try:
            first = er7.parse(charset.first_line(raw))
            decoded = charset.decode(raw, channel.charset or self._mappings.settings(first).charset)
            header, name = ack.read_header(decoded.text), decoded.charset
            if fault := channel.fault(header):
                raise fault
            message = er7.parse(decoded.text, decoded.charset)
            try:
                segments, patients = await self._told(message, channel.zone)
            except Exception as fault:
                error = fault
                segments = _echo(message, ack_for(fault).ack_code)
                if not isinstance(fault, FhirError):
                    self._log("query_fault", fault=fault)
        except FhirError as fault:
            error = fault
        kind = ANSWERS.get((header.component(9, 1), header.component(9, 2)), ())
        answer = ack.acknowledge(
            header,
            name,
            ack_for(error) if error else ack.ACCEPTED,
            moment=self._clock(),
            control_id=self._new_id(),
            zone=self._zone,
            kind=kind if segments else (),
            more=segments,
        )
        return _Reply(answer, error, patients)

    async def _told(self, message: Message, zone: tzinfo) -> tuple[Segments, tuple[Key, ...]]:
        if is_cancel(message):
            return [], ()
        asked = read_asked(message)
        program = self._mappings.program(message)
        zone = program.scope.settings.zone or zone
        context = Context(message.header.value(4), zone, program.scope.tables)
        conditions = Conditions(self._parameters, SearchContext(zone))
        found = await Searcher(self._store, conditions).find(message, asked, context)
        write = people.writer(message, self._mappings, zone, self._clock())
        segments = _echo(message, "OK" if found.patients else "NF", asked, found)
        for number, patient in enumerate(found.patients, start=1):
            told = identifiers(patient, found)
            if asked.trigger_event == "Q23":
                (person,) = write({"identifier": told}, 1)
                segments.append([*person, "", _nameless(message)])
                continue
            segments += write(patient | {"identifier": told}, number)
            if asked.trigger_event in ("Q21", "Q22"):
                repeats = message.encoding.repetition
                score = "1.00" if found.by_number else ""
                segments.append(["QRI", score, repeats.join(found.reasons)])
        if found.pointer:
            segments.append(["DSC", found.pointer, "I"])
        return segments, tuple(Key("Patient", str(one["id"])) for one in found.patients)


def _nameless(message: Message) -> str:
    """Return PID-5 of someone of whom only numbers are told (IHE ITI-9: type S)."""
    return f" {message.encoding.repetition}{message.encoding.component * 6}S"


def _echo(
    message: Message, status: str, asked: Asked | None = None, found: Found | None = None
) -> Segments:
    """Return QAK and the query as it was asked."""
    is_old = message.header.value(9) == "QRY"
    asking = [one for one in map(message.first, ("QRD", "QRF") if is_old else ("QPD",)) if one]
    if not asking:
        return []
    first = asking[0]
    tag = first.field(4 if is_old else 2)
    response = ["QAK", tag, status, "" if is_old else first.field(1)]
    if asked is not None and found is not None:
        left = max(found.total - asked.delivered - len(found.patients), 0)
        response += [str(found.total), str(len(found.patients)), str(left)]
    return [response, *(one.text.strip().split(one.encoding.field) for one in asking)]
