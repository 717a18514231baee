"""The functions that a map calls, backwards: what needs several fields at once.

An inverse gets the seat, the row's paths and the element's values; it writes what it can and
returns the values that it has written. What is derived by a reader (keys, the sending
facility as performer, who sent a message) is silent: there is nothing to write, it comes back
by itself. `WITHOUT_INVERSE` are the others, whose elements are not written by their row.

Spec: calls.py
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.calls.table import CALLS
from fhir_hub.hl7v2.emit import (
    write_codes,
    write_identifiers,
    write_people,
    write_places,
    write_quantities,
    write_times,
)
from fhir_hub.hl7v2.emit.backwards import Found
from fhir_hub.hl7v2.emit.observations import pressure_text
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.resources import numbers
from fhir_hub.hl7v2.emit.sheets import Seat
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import names
from fhir_hub.identity.systems import INSURANCE_CARD

Json = dict[str, Any]
Paths = tuple[Path, ...]
Inverse = Callable[[Seat, Paths, list[Found], Outbound], list[Found]]
SILENT = frozenset(
    {
        "natural_key",
        "relative_key",
        "unplaced_key",
        "observation_key",
        "facility_performer",
        "local_number",
        "recorded",
        "own_number",
        "supply_key",
        "procedure_status",
    }
    | {"sending_application", "message_entity", "sending_facility"}
)


def _each(writer: Callable[[Any, Outbound], Written | None]) -> Inverse:
    """Return the inverse that writes each value into the first path."""

    def inverse(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
        return [
            one
            for one in values
            if (written := writer(one.value, out)) and seat.put(paths[0], written)
        ]

    return inverse


def _first_that_fits(writer: Callable[[Any, Outbound], Written | None]) -> Inverse:
    """Return the inverse that writes the value into the first path that has room for it."""

    def inverse(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
        written = writer(values[0].value, out)
        return values[:1] if written and any(seat.put(path, written) for path in paths) else []

    return inverse


def _appointment_end(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write the end, and in minutes how long it is where the start stands beside it (TQ.3)."""
    done = _first_that_fits(write_times.date)(seat, paths[:2], values, out)
    start = seat.text("SCH-11.4") or seat.text("TQ1-7")
    end = write_times.moment(values[0].value, out)
    if done and start and paths[-1].segment in seat.sheets:
        length = datetime.strptime(end[:14], _CLOCK) - datetime.strptime(start[:14], _CLOCK)
        seat.put(paths[-1], [f"M{int(length.total_seconds() // 60)}"])
    return done


_CLOCK = "%Y%m%d%H%M%S"
_MOMENT = 14


def _appointment_status(
    seat: Seat, paths: Paths, values: list[Found], out: Outbound
) -> list[Found]:
    table = out.table("AppointmentStatus")
    found = write_codes.table_sources(values[0].value, table)
    if not found:
        return []
    return values[:1] if seat.put(paths[1], [found[0], "", "HL70278"]) else []


def _joined_texts(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    written = write_quantities.text(values[0].value, out)
    return values[:1] if written and seat.put(paths[0], written) else []


def _provider(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write a Practitioner as PRD has her: name, number, and the place whose number it is."""
    name_path, number_path, place_path = paths[:3]
    for one in values:
        found = write_people.practitioner_of(one.value, out)
        if found is None:
            continue
        number, authority, kind = write_identifiers.staff(numbers(found), out)
        name = write_people.human_name(_apart(next(iter(found.get("name", ())), {})), out)
        if not (number or name):
            continue
        if name:
            seat.put(name_path, name)
        if number:
            seat.put(number_path, [number, "".join(authority[:1]), kind])
            seat.put(place_path._replace(component=4), ["".join(authority[:1])])
        return [one]
    return []


def _apart(name: Json) -> Json:
    """Return a name in its two parts: by them a reader of PRD-2 knows a person."""
    known = "family" in name or "given" in name
    parts = None if known else names.split(name.get("text", ""))
    return name | {"family": parts.family, "given": [parts.given]} if parts else name


def _participation(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write the first person who takes part, into the path of whom it names (ROL-4, PRT-5)."""
    for one in values:
        person = write_people.practitioner(one.value, out)
        if person and seat.put(paths[2], person):
            return [one]
    return []


def _observed_value(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    value_path, kind_path, unit_path = paths
    observed = write_quantities.observed(values[0].fhir_type, values[0].value, out)
    if observed is None or seat.text(value_path):
        return []
    seat.put(kind_path, [observed.kind])
    if observed.unit:
        seat.put(unit_path, observed.unit)
    return values[:1] if seat.put(value_path, observed.value) else []


def _described(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write a code, and the text that it is described by where that is another."""
    value = values[0].value
    displays = [one.get("display") for one in value.get("coding", ())]
    text = value.get("text", "")
    is_other = text and text not in displays[:1]
    wrote = bool(is_other and seat.put(paths[1], [text]))
    if wrote:  # else in the code itself: since 2.7 there is no DG1-4
        value = {"coding": value.get("coding", [])}
    written = write_codes.concept(value, out)
    wrote = bool(written and seat.put(paths[0], written)) or wrote
    return values[:1] if wrote else []


def _attachment(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write a file: ED with its data, RP with its address."""
    written = write_quantities.attachment(values[0].value, out)
    if not written or seat.is_valued(paths[0]):
        return []
    seat.put(paths[1], ["ED" if "data" in values[0].value else "RP"])
    return values[:1] if seat.put(paths[0], written) else []


def _pressure(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write both components of a blood pressure as one text (`148/92`), and so their ranges."""
    texts = pressure_text([one.value for one in values])
    if texts is None:
        return []
    seat.put(Path(paths[0].segment, 2), ["ST"])
    seat.put(paths[1], write_quantities.unit(values[0].value["valueQuantity"]))
    seat.put(paths[2], [texts[1]])
    return values if seat.put(paths[0], [texts[0]]) else []


def _repetitions(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write components that are mere values, each as a repetition, and what is usual of all."""
    value_path, kind_path, unit_path, bounds_path = paths
    for one in values:
        (name,) = (name for name in one.value if name.startswith("value"))
        observed = write_quantities.observed(name.removeprefix("value"), one.value[name], out)
        if observed is None or not seat.put(value_path, observed.value):
            return []
        seat.put(kind_path, [observed.kind])
        if observed.unit:
            seat.put(unit_path, observed.unit)
    for usual in values[0].value.get("referenceRange", ())[:1]:
        if bounds := write_quantities.reference_range(usual, out):
            seat.put(bounds_path, bounds)
    return values


def _category(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write the section of the report by which a reader knows the category."""
    if seat.text(paths[0]):
        return values
    table = out.table("ObservationCategory")
    for one in values:
        if found := write_codes.table_sources(one.value, table):
            return [one] if seat.put(paths[0], [found[0]]) else []
    return []


def _requester(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write who ordered (ORC-12, ORC-24), and in whose name (ORC-21), with address and phones."""
    who, facility, address, phone, own_address, *_ = paths
    value = values[0].value
    role = out.resource(value, "PractitionerRole") if "reference" in value else None
    person = write_people.practitioner(value, out)
    place = role["organization"] if role and "organization" in role else value
    at = write_places.organization(place, out)
    wrote = bool(person and seat.put(who, person))
    if at and seat.put(facility, at):
        wrote = True
        _reached(seat, address, phone, out.resource(place, "Organization"), out)
    if person and (found := write_people.practitioner_of(value, out)):
        _reached(seat, own_address, None, found, out)
    return values[:1] if wrote else []


def _reached(
    seat: Seat, address: Path, phone: Path | None, found: Json | None, out: Outbound
) -> None:
    """Write where an institution or a person is found: the first address, and the phones."""
    for at in (found or {}).get("address", ())[:1]:
        if written := write_places.address(at, out):
            seat.put(address, written)
    for point in (found or {}).get("telecom", ()) if phone else ():
        if phone and (written := write_places.contact_point(point, out)):
            seat.put(phone, written)


def _laboratory(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    for one in values:
        found = out.resource(one.value, "Organization")
        if found and "name" in found and _is_elsewhere(found, out):
            written = write_places.organization(one.value, out)
            if not written or not seat.put(paths[0], written):
                return []
            _reached(seat, paths[1], None, found, out)
            return [one]
    return []


def _is_elsewhere(organization: Json, out: Outbound) -> bool:
    return write_places.organization_code(organization) != out.facility


def _group_number(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    done = []
    for one in values:
        if write_identifiers.type_of(one.value) == "PGN":
            written = write_identifiers.ei(one.value, out)
            if written and seat.put(paths[0], written):
                done.append(one)
    return done


def _manifestations(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write what an allergy shows itself by: the field is a text, so a code is told by its name."""
    done = []
    for one in values:
        codings = one.value.get("coding", ())
        names = (coding.get(name) for name in ("display", "code") for coding in codings)
        said = one.value.get("text") or next(filter(None, names), "")
        if said and seat.put(paths[0], [str(said)]):
            done.append(one)
    return done


def _performed(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write when it was done (PR1-5), and of a Period in whole minutes how long it took (PR1-7)."""
    value = values[0].value
    if values[0].fhir_type not in ("DateTime", "Period"):
        return []
    ends = value if isinstance(value, dict) else {"start": value}
    start, end = (write_times.moment(ends.get(name), out) for name in ("start", "end"))
    if not start or not seat.put(paths[0], [start]):
        return []
    if not end:
        return values[:1]
    seconds = _seconds(start, end)
    if seconds > 0 and not seconds % 60:
        seat.put(paths[1], [str(seconds // 60)])
        return values[:1]
    out.issue(f"{paths[1]} is how many whole minutes; another end was left out")
    return values[:1]


def _booked_period(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write from when who takes part is booked (AIP-6), and for how many minutes (AIP-9)."""
    period = values[0].value
    start, end = (write_times.moment(period.get(name), out) for name in ("start", "end"))
    if not start or not seat.put(paths[0], [start]):
        return []
    seconds = _seconds(start, end)
    if seconds > 0 and not seconds % 60:
        seat.put(paths[3], [str(seconds // 60)])
        seat.put(paths[4], ["min"])
    elif end:
        out.issue(f"{paths[3]} is how many whole minutes; another end was left out")
    return values[:1]


def _seconds(start: str, end: str) -> int:
    """Return how long it is from one moment to another; 0 if one of them is a day alone."""
    if min(len(start), len(end)) < _MOMENT:
        return 0
    first, last = (datetime.strptime(one[:_MOMENT], _CLOCK) for one in (start, end))
    return int((last - first).total_seconds())


def _policy(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write the number by which a reader knows the cover: a card's, or the insurer's own."""
    systems = [str(one.value.get("system", "")) for one in values]
    known = (one == INSURANCE_CARD or one.endswith("/policy") for one in systems)
    first = next((at for at, is_known in enumerate(known) if is_known), 0)
    number = str(values[first].value.get("value", ""))
    return [values[first]] if seat.put(paths[0], [number]) else []


def _insurer(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    """Write who pays: number and authority, name, address."""
    for one in values:
        found = out.resource(one.value, "Organization")
        if found is None:
            continue
        held = next(iter(numbers(found)), {})
        authority, kind = write_codes.authority_of(held.get("system", ""))
        issuer: Any = [authority] if authority and not kind else []
        if held and not issuer:
            issuer = write_identifiers.hierarchic(held.get("system", ""))
        wrote = bool(held) and seat.put(paths[0], [str(held["value"]), "", "", issuer])
        wrote = bool(found.get("name") and seat.put(paths[1], [found["name"]])) or wrote
        _reached(seat, paths[2], None, found, out)
        if wrote:
            return [one]
    return []


def _quantity(seat: Seat, paths: Paths, values: list[Found], out: Outbound) -> list[Found]:
    amount = write_quantities.number(values[0].value.get("value"), out)
    if not amount or not seat.put(paths[0], amount):
        return []
    seat.put(paths[1], write_quantities.unit(values[0].value))
    return values[:1]


INVERSES: Mapping[str, Inverse] = MappingProxyType(
    {
        "annotation": _each(write_quantities.annotation),
        "appointment_end": _appointment_end,
        "appointment_start": _first_that_fits(write_times.date),
        "appointment_status": _appointment_status,
        "administered_at": _each(write_places.location),
        "assigned_place": _each(write_places.location),
        "contact_organization": _each(write_places.organization),
        "booked_period": _booked_period,
        "described_code": _described,
        "group_number": _group_number,
        "insurer": _insurer,
        "joined_texts": _joined_texts,
        "manifestations": _manifestations,
        "laboratory": _laboratory,
        "observation_category": _category,
        "observation_code": _each(write_codes.concept),
        "observed_attachment": _attachment,
        "observed_value": _observed_value,
        "observers": _each(write_people.practitioner),
        "participation": _participation,
        "performed": _performed,
        "policy_number": _policy,
        "pressure_components": _pressure,
        "provider": _provider,
        "quantity": _quantity,
        "repeated_components": _repetitions,
        "reference_range": _each(write_quantities.reference_range),
        "requester": _requester,
        "requisition": _group_number,
        "task_changed": _each(write_times.date),
    }
)
# What comes back by itself where its field is not beside the row's segment.
DERIVED = SILENT | {"observation_category"}
WITHOUT_INVERSE = frozenset(CALLS) - SILENT - INVERSES.keys()
