"""The answer to a query in ER7: RSP or ADR with MSA, QAK, the query again, PID, DSC.

Spec: HL7v2 chapter 5, QAK (table 0208), DSC; chapter 3, RSP_K21 to K23, ADR_A19
"""

from datetime import tzinfo

from fhir_hub.clock import Clock, IdMaker
from fhir_hub.errors import FhirError, ack_for
from fhir_hub.hl7v2 import ack, charset, er7
from fhir_hub.hl7v2.answers import people
from fhir_hub.hl7v2.answers.queries import ANSWERS, Asked, Found, Searcher, identifiers, read_asked
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.er7 import Message
from fhir_hub.hl7v2.listener import Log, no_log
from fhir_hub.hl7v2.mappings import Mappings
from fhir_hub.search.condition import Conditions
from fhir_hub.search.context import Context as SearchContext
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Store

_HEAD = 2000
_TYPES = frozenset(kind for kind, _ in ANSWERS)
Segments = list[list[str]]


def is_query(raw: bytes) -> bool:
    """Say whether a message is a query: cheap, it is asked of every message."""
    head = raw[:_HEAD]
    if b"QBP" not in head and b"QRY" not in head:
        return False
    return ack.read_header(charset.first_line(raw)).component(9, 1) in _TYPES


class Queries:
    """Answers queries from a store, in the sender's delimiters, codes and character set."""

    def __init__(
        self,
        store: Store,
        parameters: Parameters,
        mappings: Mappings,
        *,
        clock: Clock,
        new_id: IdMaker,
        zone: tzinfo,
        log: Log = no_log,
    ) -> None:
        self._store, self._parameters, self._mappings = store, parameters, mappings
        self._clock, self._new_id, self._zone, self._log = clock, new_id, zone, log

    async def answer(self, raw: bytes, channel: Channel | None = None) -> bytes:
        """Return the answer to a query; never raises for what it holds."""
        header, name = ack.read_header(charset.first_line(raw)), "utf-8"
        verdict, segments = ack.ACCEPTED, Segments()
        try:
            first = er7.parse(charset.first_line(raw))
            forced = channel.charset if channel else ""
            decoded = charset.decode(raw, forced or self._mappings.settings(first).charset)
            header, name = ack.read_header(decoded.text), decoded.charset
            if channel and (fault := channel.fault(header)):
                raise fault
            message = er7.parse(decoded.text, decoded.charset)
            try:
                segments = await self._told(message, channel.zone if channel else self._zone)
            except Exception as error:
                verdict = ack_for(error)
                segments = _echo(message, verdict.ack_code)
                if not isinstance(error, FhirError):
                    self._log("query_fault", fault=error)
        except FhirError as error:
            verdict = ack_for(error)
        kind = ANSWERS.get((header.component(9, 1), header.component(9, 2)), ())
        return ack.acknowledge(
            header,
            name,
            verdict,
            moment=self._clock(),
            control_id=self._new_id(),
            zone=self._zone,
            kind=kind if segments else (),
            more=segments,
        )

    async def _told(self, message: Message, zone: tzinfo) -> Segments:
        asked = read_asked(message)
        program = self._mappings.program(message)
        zone = program.scope.settings.zone or zone
        context = Context(message.header.value(4), zone, program.scope.tables)
        conditions = Conditions(self._parameters, SearchContext(zone))
        found = await Searcher(self._store, conditions).find(message, asked, context)
        write = people.writer(message, self._mappings, zone)
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
        return segments


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
