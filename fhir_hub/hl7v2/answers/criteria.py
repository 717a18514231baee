"""What a query asks of a Patient, as a plan: numbers, names, birth date, sex, address, phone.

A name, in characters, pinyin or Latin letters, is found whole; with `*` behind it by its
beginning, with `*` before it anywhere. A number without an authority is anybody's. Those merged
away are not found: the one who is left is, also by their numbers.

Spec: HL7v2 chapter 5, QPD-3 (`@PID.5.1^…`); IHE ITI-21
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.answers.domains import Domain
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import part
from fhir_hub.hl7v2.datatypes.times import read_moment
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity import resident_id, systems
from fhir_hub.search.condition import Conditions
from fhir_hub.search.kinds.string import normalise
from fhir_hub.search.plan import And, Has, Is, Not, Plan, Text

MERGED = Has("active", "token", (Is("false"),))
_NOT_MERGED = Not(MERGED)
_FIELD = re.compile(r"@?PID[.-](\d{1,2})(?:[.-](\d{1,2}))?(?:[.-](\d{1,2}))?")
_NUMBERS = (2, 3, 4, 19)
_AUTHORITY = (4, 0)  # the component of a number that is HD: its subcomponents may stand together
_NAMES = {(5, 0): "name", (5, 1): "name", (5, 2): "given", (5, 3): "given"}
_ADDRESSES = {
    (11, 0): "address",
    (11, 1): "address",
    (11, 3): "address-city",
    (11, 4): "address-state",
    (11, 5): "address-postalcode",
    (11, 6): "address-country",
}
_SEARCHED = "PID-3, 4, 5, 7, 8, 11, 13, 14, 19"
Fields = Mapping[tuple[int, int, int], str]


def fields_of(values: Iterable[Value]) -> dict[tuple[int, int, int], str]:
    """Return what is asked by field, component and subcomponent (`@PID.5.1^沈`: 5, 1, 0).

    All of it is to be met, so what would be left out is refused: it raises `InvalidMessage` for
    another text under the same name and for one that is cut off by an unescaped delimiter.
    """
    found: dict[tuple[int, int, int], str] = {}
    for repetition, value in enumerate(values, start=1):
        match = _FIELD.fullmatch(value.text(1))
        if match is None:
            raise _not_searched(value.text(1))
        field, component, subcomponent = (int(one or 0) for one in match.groups())
        told = {(field, component, subcomponent): value.text(2)}
        if (component, subcomponent) == _AUTHORITY and len(value.component(2).components) > 1:
            told = {(field, component, at): value.text(2, at) for at in (1, 2, 3)}
        for key, text in told.items():
            if not text.strip("*"):
                continue
            if found.setdefault(key, text) != text or any(map(value.text, range(3, 10))):
                raise InvalidMessage(
                    "one value a field, delimiters escaped / 每个字段只能有一个值，分隔符须转义",
                    error_code="102",
                    location=f"QPD-3[{repetition}]",
                )
    return found


def _not_searched(name: str) -> InvalidMessage:
    return InvalidMessage(
        f"cannot search by {name[:20]} / 不能按此字段查询; by these it can: {_SEARCHED}",
        error_code="103",
        location="QPD-3",
    )


def plan_of_number(number: str, domain: Domain, facility: str) -> Plan:
    """Return the plan of who holds a number of an authority; without one, of `facility`.

    A resident ID is one whoever is said to have given it.
    """
    if resident_id.looks_like(number) and resident_id.is_valid(number):
        found = systems.aliases(systems.RESIDENT_ID)
        number = resident_id.examine(number).value
    else:
        found = domain.systems or Domain(facility, type_code=domain.type_code).systems
    return Has("identifier", "token", tuple(Is(number, system) for system in found))


def plan_of_domains(domains: Iterable[Domain]) -> Plan:
    """Return the plan of who holds a number of one of the authorities."""
    tests = tuple(Is(None, system) for domain in domains for system in domain.systems)
    return Has("identifier", "token", tests)


def plan_of_fields(
    fields: Fields, numbers: Sequence[Plan], conditions: Conditions, context: Context
) -> Plan:
    """Return the plan of who is as asked, and has the `numbers`.

    Raises `InvalidMessage` for what cannot be searched.
    """
    plans: list[Plan] = [_NOT_MERGED, *numbers]
    for (field, component, subcomponent), text in fields.items():
        if field in _NUMBERS:
            continue
        plan = _plan(field, component if subcomponent < 2 else 99, text, conditions, context)
        if plan is None:
            raise _not_searched(f"PID-{field}" + (f".{component}" if component else ""))
        plans.append(plan)
    if len(plans) == 1:
        raise InvalidMessage("nothing is asked / 没有查询条件", error_code="101", location="QPD-3")
    return And(tuple(plans))


def _plan(
    field: int, component: int, text: str, conditions: Conditions, context: Context
) -> Plan | None:
    if name := _NAMES.get((field, component)):
        return text_plan(name, text)
    if name := _ADDRESSES.get((field, component)):
        return conditions.plan("Patient", f"{name}:contains", literal(text.strip("*")))
    if field == 7 and component < 2:
        moment = read_moment(text, context)
        if moment is None:
            raise InvalidMessage(
                "PID-7 is no date / PID-7 不是日期", error_code="102", location="QPD-3"
            )
        day = "-".join(f"{one:02}" for one in (moment.year, moment.month, moment.day) if one)
        return conditions.plan("Patient", "birthdate", day)
    if field == 8 and component < 2:
        table = context.table("AdministrativeSex")
        coded = table.get(text)
        if coded is None or not table.knows(text):
            raise InvalidMessage(
                "PID-8 is no sex / PID-8 不是性别", error_code="103", location="QPD-3"
            )
        return conditions.plan("Patient", "gender", coded.code)
    if field in (13, 14) and component in (0, 1, 12):
        return conditions.plan("Patient", "phone", literal(text))
    if field in (13, 14) and component == 4:
        return conditions.plan("Patient", "email", literal(text))
    return None


def numbers_of(fields: Fields) -> Iterable[tuple[str, Domain]]:
    """Yield each number that is asked for with its authority; one of the two may be empty."""
    for field in _NUMBERS:

        def at(component: int, subcomponent: int = 0, field: int = field) -> str:
            return fields.get((field, component, subcomponent), "")

        number = at(1) or at(0) or at(1, 1)
        domain = Domain(at(4) or at(4, 1), at(4, 2), at(4, 3), at(5))
        if field == 19 and number:
            domain = Domain("", type_code="NNCHN")
        if number or domain:
            yield number, domain


def number_plans(fields: Fields) -> Iterable[Plan]:
    """Yield the plan of each number that is asked for, or of its authority alone."""
    for number, domain in numbers_of(fields):
        if number and (domain or resident_id.is_valid(number)):
            yield plan_of_number(number, domain, "")
        elif number:
            yield Has("identifier", "token", (Is(number),))
        else:
            yield plan_of_domains([domain])


def is_certain(fields: Fields) -> bool:
    """Say whether a number is asked for that is one person's: a resident ID, an authority's.

    A resident ID that was mistyped is certainly nobody's.
    """
    for number, domain in numbers_of(fields):
        known = {systems.canonical(one) for one in domain.systems}
        if number and (resident_id.is_valid(number) or known - {systems.RESIDENT_ID}):
            return True
    return False


def text_plan(name: str, text: str) -> Plan:
    """Return the plan of a name: whole, or of its part where there is a `*`."""
    bare = normalise(text.strip("*"))
    if text.startswith("*"):
        return Has(name, "string", (Text(bare, "contains"),))
    starts = Has(name, "string", (Text(bare, "starts"),))
    if text.endswith("*"):
        return starts
    return And((starts, Has(name, "string", (Text(bare, "ends"),))))


def plan_of_holder(value: Value, context: Context) -> Plan | None:
    """Return the plan of who has the number in QRD-8, if there is one."""
    number = part(value, 1)
    named = Domain(part(value, 9, 1), part(value, 9, 2), part(value, 9, 3), part(value, 13))
    return plan_of_number(number, named, context.facility) if number else None


def plan_of_person(value: Value, holder: Plan | None) -> Plan:
    """Return the plan of QRD-8: the `holder` of a number, a name."""
    names = (("name", part(value, 2)), ("given", part(value, 3)))
    plans: list[Plan] = [holder] if holder else []
    plans += [text_plan(name, text) for name, text in names if text]
    if not plans:
        raise InvalidMessage(
            "nobody is asked for / 未写查询对象", error_code="101", location="QRD-8"
        )
    return And((_NOT_MERGED, *plans))


def literal(text: str) -> str:
    """Return the text as a value of a query that means just it."""
    for sign in "\\,|$":
        text = text.replace(sign, f"\\{sign}")
    return text
