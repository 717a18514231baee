"""Patient queries, answered from the store: who is it, which numbers has she elsewhere.

| asked | answered | finds |
|---|---|---|
| QBP^Q22 | RSP^K22 | candidates by what QPD-3 says of them (IHE PDQ) |
| QBP^Q21 | RSP^K21 | one person by her number |
| QBP^Q23 | RSP^K23 | her numbers of other authorities (IHE PIX) |
| QRY^A19 | ADR^A19 | by the number or name in QRD-8 (versions before 2.4) |
| QCN^J01 | ACK | nothing: a query that goes on in portions is given up |

Nothing is kept of a query: it changes nothing, and the same one is answered anew. What is asked
for comes in portions of RCP-2; DSC holds where the next one begins, so no state is kept either.

Spec: HL7v2 chapter 5 (QPD, RCP, QAK, DSC), chapter 3.3.57; IHE ITI-9, ITI-21
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidMessage, InvalidParameter
from fhir_hub.hl7v2.answers.criteria import (
    MERGED,
    fields_of,
    is_certain,
    number_plans,
    plan_of_domains,
    plan_of_fields,
    plan_of_holder,
    plan_of_number,
    plan_of_person,
)
from fhir_hub.hl7v2.answers.domains import Domain, domain_of
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import part
from fhir_hub.hl7v2.parsing.er7 import Message, Segment
from fhir_hub.identity.match import survivor_id
from fhir_hub.search.condition import Conditions
from fhir_hub.search.plan import And, Has, Is, Or, Plan, Query
from fhir_hub.store.base import Key, Store

ANSWERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("QBP", "Q21"): ("RSP", "K21", "RSP_K21"),
    ("QBP", "Q22"): ("RSP", "K22", "RSP_K21"),
    ("QBP", "Q23"): ("RSP", "K23", "RSP_K23"),
    ("QRY", "A19"): ("ADR", "A19", "ADR_A19"),
}
CANCEL = ("QCN", "J01")
_MOST = 1000
_NO_POINTER = ("", '""', "0")  # as some clients say that they begin
_REASONS = {5: "NA", 7: "DB", 19: "SS"}
_LINKS = 8  # how many times a Patient may have been merged on
Json = dict[str, Any]


class Asked(NamedTuple):
    """A query: its trigger event, its tag, its name, how much is wanted, where to go on."""

    trigger_event: str
    tag: str
    name: str
    most: int
    delivered: int = 0
    after: str = ""


class Found(NamedTuple):
    """The Patients of one portion, how many there are, where the next portion begins.

    `domains` are those whose numbers are told, all if there are none; with `by_number` one
    Patient was found by a number, which is certain. `reasons` are what they were found by, as
    table 0392 has it.
    """

    patients: Sequence[Json] = ()
    total: int = 0
    pointer: str = ""
    domains: tuple[Domain, ...] = ()
    by_number: bool = False
    reasons: tuple[str, ...] = ()


def read_asked(message: Message) -> Asked:
    """Return what a message asks; raises `InvalidMessage` for what is no query of ours."""
    trigger_event = message.header.value(9, 2)
    if (message.header.value(9), trigger_event) not in ANSWERS:
        raise InvalidMessage(
            "the hub answers the queries / 平台可答复的查询: "
            + ", ".join("^".join(one) for one in ANSWERS),
            error_code="201",
            location="MSH-9",
            ack_code="AR",
        )
    is_old = trigger_event == "A19"
    about = _segment(message, "QRD" if is_old else "QPD")
    tag = about.value(4 if is_old else 2)
    limit = message.first("RCP")
    quantity = about.value(7) if is_old else limit.value(2) if limit else ""
    if limit and limit.value(1) not in ("", "I"):
        raise InvalidMessage(
            "only immediate answers / 只提供即时应答", error_code="103", location="RCP-1"
        )
    location = "QRD-7" if is_old else "RCP-2"
    if quantity and not (quantity.isascii() and quantity.isdigit() and int(quantity[:9]) > 0):
        raise InvalidMessage("no quantity / 数量无效", error_code="102", location=location)
    most = min(int(quantity[:9]) if quantity else _MOST, _MOST)
    going_on = message.first("DSC")
    pointer = going_on.value(1) if going_on else ""
    return Asked(trigger_event, tag, about.value(1), most, *_read_pointer(pointer))


def is_cancel(message: Message) -> bool:
    """Say whether a query is given up: there is nothing to do, as no state of it is kept.

    Raises `InvalidMessage` if it does not say which.
    """
    if (message.header.value(9), message.header.value(9, 2)) != CANCEL:
        return False
    _segment(message, "QID")
    return True


def _segment(message: Message, name: str) -> Segment:
    found = message.first(name)
    if found is None:
        raise InvalidMessage(
            f"a query needs {name} / 查询缺少 {name}", error_code="100", location=name
        )
    return found


def _read_pointer(text: str) -> tuple[int, str]:
    if text in _NO_POINTER:
        return 0, ""
    try:
        number, _, cursor = base64.urlsafe_b64decode(text).decode().partition("|")
        return int(number), cursor
    except (binascii.Error, ValueError):
        raise _lost() from None


def _lost() -> InvalidMessage:
    told = "nothing goes on at this pointer; ask again from the start / 续传指针无效，请重新查询"
    return InvalidMessage(told, error_code="102", location="DSC-1")


class Searcher:
    """Finds the Patients of queries in a store."""

    def __init__(self, store: Store, conditions: Conditions) -> None:
        self._store, self._conditions = store, conditions

    async def find(self, message: Message, asked: Asked, context: Context) -> Found:
        """Return a portion of what is asked; raises `InvalidMessage` with the field at fault."""
        if asked.trigger_event == "A19":
            value = next(iter(_segment(message, "QRD").repetitions(8)), None)
            if value is None:
                raise InvalidMessage(
                    "nobody is asked for / 未写查询对象", error_code="101", location="QRD-8"
                )
            holder = plan_of_holder(value, context)
            holder = await self._led(holder) if holder else None
            return await self._page(asked, plan_of_person(value, holder))
        parameters = _segment(message, "QPD")
        if asked.trigger_event == "Q22":
            domains = await self._domains(parameters, 8)
            fields = fields_of(parameters.repetitions(3))
            numbers = [await self._led(one) for one in number_plans(fields)]
            plan = plan_of_fields(fields, numbers, self._conditions, context)
            if domains:
                plan = And((plan, plan_of_domains(domains)))
            found = await self._page(asked, plan)
            asked_by = {field for field, _, _ in fields}
            return found._replace(
                domains=domains,
                by_number=is_certain(fields) and found.total == 1,
                reasons=tuple(code for field, code in _REASONS.items() if field in asked_by),
            )
        return await self._by_number(parameters, asked, context)

    async def _by_number(self, parameters: Segment, asked: Asked, context: Context) -> Found:
        """Return the one whose number QPD-3 is; her numbers are those of the domains in QPD-4."""
        value = next(iter(parameters.repetitions(3)), None)
        number = part(value) if value else ""
        if value is None or not number:
            raise InvalidMessage(
                "no number is asked for / 未写查询号码", error_code="101", location="QPD-3"
            )
        domain = domain_of(value)
        plan = plan_of_number(number, domain, context.facility)
        page = await self._store.search(Query(("Patient",), plan, count=2))
        domains = await self._domains(parameters, 4)
        patients = [fhirjson.loads(one.content) for one in page.matches]
        people = {one["id"]: one for one in [await self._survivor(p) for p in patients]}
        if not people:
            named = domain or Domain(context.facility)
            known = await self._knows(named)
            if not known or asked.trigger_event == "Q23":
                place = "QPD-3.1" if known else "QPD-3.4"
                told = (
                    "nobody has this number / 没有患者持有该号码"
                    if known
                    else "the hub knows no such authority / 平台没有该发号机构的号码"
                )
                raise InvalidMessage(told, error_code="204", location=place)
            return Found(domains=domains)
        if len(people) > 1:
            raise InvalidMessage(
                "several persons have this number / 该号码属于多人",
                error_code="205",
                location="QPD-3.1",
            )
        (patient,) = people.values()
        if asked.trigger_event == "Q23":
            others = _told(patient, domains, without=plan)
            if not others:
                return Found(domains=domains)
            patient = {"id": patient["id"], "identifier": others}
        elif domains and not _told(patient, domains):
            return Found(domains=domains)
        return Found([patient], 1, "", domains, by_number=True)

    async def _led(self, numbers: Plan) -> Plan:
        """Return the plan of who has the numbers, or replaced who had one and was merged away."""
        tests = numbers.tests if isinstance(numbers, Has) else ()
        if not any(isinstance(one, Is) and one.code for one in tests):
            return numbers  # an authority alone is many people's
        query = Query(("Patient",), And((numbers, MERGED)), count=_MOST)
        merged = [fhirjson.loads(one.content) for one in (await self._store.search(query)).matches]
        left = {str((await self._survivor(one))["id"]): None for one in merged}
        return Or((numbers, Has("_id", "token", tuple(map(Is, left))))) if left else numbers

    async def _survivor(self, patient: Json) -> Json:
        """Return the Patient who replaced this one, herself if none did."""
        for _ in range(_LINKS):
            following = survivor_id(patient)
            stored = await self._store.read(Key("Patient", following)) if following else None
            if stored is None or not stored.content:
                break
            patient = fhirjson.loads(stored.content)
        return patient

    async def _page(self, asked: Asked, plan: Plan) -> Found:
        query = Query(("Patient",), plan, (), asked.most, asked.after, with_total=True)
        try:
            page = await self._store.search(query)
        except InvalidParameter:
            raise _lost() from None
        patients = [fhirjson.loads(one.content) for one in page.matches]
        pointer = ""
        if page.cursor:
            where = f"{asked.delivered + len(patients)}|{page.cursor}"
            pointer = base64.urlsafe_b64encode(where.encode()).decode()
        return Found(patients, page.total or 0, pointer)

    async def _domains(self, parameters: Segment, number: int) -> tuple[Domain, ...]:
        """Return the authorities whose numbers are wanted; raises `InvalidMessage` of unknown."""
        found = []
        for repetition, value in enumerate(parameters.repetitions(number), start=1):
            domain = domain_of(value)
            if domain and not await self._knows(domain):
                raise InvalidMessage(
                    "the hub knows no such authority / 平台没有该发号机构的号码",
                    error_code="204",
                    location=f"QPD-{number}[{repetition}]",
                )
            if domain:
                found.append(domain)
        return tuple(found)

    async def _knows(self, domain: Domain) -> bool:
        page = await self._store.search(Query(("Patient",), plan_of_domains([domain]), count=1))
        return bool(page.matches)


def _told(patient: Json, domains: Sequence[Domain], without: Plan | None = None) -> list[Json]:
    """Return the identifiers that the asker is told: of these domains, not the one asked with."""
    found = [one for one in patient.get("identifier", ()) if one.get("use") not in ("temp", "old")]
    if domains:
        found = [one for one in found if any(domain.gave(one) for domain in domains)]
    if isinstance(without, Has):
        known = without.tests
        found = [one for one in found if Is(one.get("value"), one.get("system")) not in known]
    return found


def identifiers(patient: Json, found: Found) -> list[Json]:
    """Return the identifiers of a Patient that the asker is told."""
    return _told(patient, found.domains)
