"""What was found: ORU^R01 of a report with its results, order and specimen, or of a result alone.

Spec: HL7v2 chapter 7, ORU
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.calls.results import VITAL_SIGNS
from fhir_hub.hl7v2.emit.conclusions import conclusions, without_impressions
from fhir_hub.hl7v2.emit.observations import apart, sub_id, with_members
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.persons import person, subject, visit
from fhir_hub.hl7v2.emit.resources import Resources, numbers
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.write_codes import concept, table_sources
from fhir_hub.hl7v2.emit.write_identifiers import ei, numbered, type_of
from fhir_hub.hl7v2.emit.write_quantities import simple_quantity
from fhir_hub.hl7v2.emit.write_times import moment
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.hl7v2.parsing.structure import fields

Json = dict[str, Any]
_KIND = 28
_TIMED = ("quantityQuantity", "priority")  # TQ1
_NOTHING: Mapping[str, Written] = MappingProxyType({})


def results(resources: Resources, report: Json, out: Outbound) -> Iterator[Spot]:
    """Return ORU^R01 of a DiagnosticReport, or of an Observation that no report has."""
    patient = subject(report.get("subject"), out, is_demanded=False)
    encounter = resources.resolve(report.get("encounter"))
    # whom to call is the business of ADT: here each laboratory would tell it as its own
    yield from person(patient, "PATIENT_RESULT.PATIENT", resources, out, with_contacts=False)
    yield from visit(encounter, "PATIENT_RESULT.PATIENT.VISIT", out)
    yield from reported(resources, report, "PATIENT_RESULT.ORDER_OBSERVATION", out)


# OBR-25 (table 0123) has no code of its own for these.
_AS_STATUS = {"amended": "corrected", "appended": "corrected", "entered-in-error": "cancelled"}


def reported(resources: Resources, report: Json, group: str, out: Outbound) -> Iterator[Spot]:
    """Return an order's group: ORC, OBR, and what was found."""
    is_report = report["resourceType"] == "DiagnosticReport"
    if is_report:
        report = report | {"status": _AS_STATUS.get(report.get("status", ""), report.get("status"))}
    orders = resources.resolved(report.get("basedOn"))
    order = next((one for one in orders if one["resourceType"] == "ServiceRequest"), None)
    found = resources.resolved(report.get("result")) if is_report else [report]
    found = without_impressions(report, found)
    specimens = [
        numbered("FILL", one, "FGN", "PLAC", "PGN", is_own=False)
        for one in resources.resolved(report.get("specimen"))
    ]
    if order is not None:
        order = numbered("PLAC", order, "FILL", is_own=False)
    report = numbered("FILL", report, "PLAC", is_own=order is None or not numbers(order))
    told: dict[str, Json] = {"DiagnosticReport": report} if is_report else {}
    if order is not None:
        told["ServiceRequest"] = order
    if specimens and out.version < "2.5":
        told["Specimen"] = specimens[0]
    # an order of unknown state has no ORC: its order control would say one
    beside = ("ORC",) if order is not None and order.get("status") != "unknown" else ()
    fixed = heading(report, found, is_report, out)
    # a result follows, whatever became of the order: that says ORC-5; what was done is the report's
    begun: dict[str, Written] = {"ORC-1": ["RE"]}
    is_alike = _is_named_by(order, report)
    if is_report and not is_alike:
        begun["OBR-4"] = concept(report.get("code", {}), out) or []
    asked = _asked(order, resources, out)
    elsewhere: tuple[str, ...] = ("supportingInfo",) if asked else ()
    elsewhere += ("code",) if is_alike else ()
    elsewhere += _TIMED if out.version >= "2.7" else ()
    yield Spot("OBR", group, told, fixed, begun, before=beside, tells=elsewhere)
    yield Spot("NTE", group, {"DiagnosticReport": report} if is_report else {})
    if order is not None:
        yield Spot("NTE", group, {"ServiceRequest": order})
        yield from _when(order, f"{group}.TIMING_QTY", out)
    for one in asked:
        yield Spot("OBX", f"{group}.OBSERVATION", {"Observation[asked]": one})
    for one in with_members(found, resources):
        beyond = () if is_report else ("issued",)  # OBR-22
        yield from result(one, f"{group}.OBSERVATION", f"{group}.OBSERVATION", out, tells=beyond)
    yield from conclusions(report, f"{group}.OBSERVATION", out)
    for number, one in enumerate(specimens if out.version >= "2.5" else (), start=1):
        yield Spot("SPM", f"{group}.SPECIMEN", {"Specimen": one}, {"SPM-1": [str(number)]})


def _asked(order: Json | None, resources: Resources, out: Outbound) -> list[Json]:
    """Return what was asked with an order, where OBX-29 tells that from a result."""
    brought = resources.resolved((order or {}).get("supportingInfo"))
    has_kind = len(fields("OBX", out.version)) > _KIND
    return [one for one in brought if has_kind and one["resourceType"] == "Observation"]


def _is_named_by(order: Json | None, report: Json) -> bool:
    """Say whether an order has a report's code: then it may know better what that is called."""
    codes, ordered = (
        {(one.get("system"), one.get("code")) for one in made.get("code", {}).get("coding", ())}
        for made in (report, order or {})
    )
    return bool(codes & ordered)


def _when(order: Json, group: str, out: Outbound) -> Iterator[Spot]:
    """Return TQ1 where OBR has no room any more for how much was ordered, and how urgently."""
    if out.version < "2.7":
        return
    fixed: dict[str, Written] = {}
    if amount := simple_quantity(order.get("quantityQuantity", {}), out):
        fixed["TQ1-2"] = amount
    if codes := table_sources(order.get("priority", ""), out.table("Priority")):
        fixed["TQ1-9"] = [codes[0]]
    if fixed:
        yield Spot("TQ1", group, {}, fixed)


def result(
    observation: Json,
    group: str,
    notes: str,
    out: Outbound,
    fixed: Mapping[str, Written] = _NOTHING,
    before: tuple[str, ...] = (),
    tells: tuple[str, ...] = (),
) -> Iterator[Spot]:
    """Return OBX and NTE of a result, and those of its components that are results of their own."""
    own, parts = apart(observation, out)
    fixed = {**sub_id(own), **fixed}
    yield Spot("OBX", group, {"Observation": own}, fixed, before=before, tells=tells)
    yield Spot("NTE", notes, {"Observation": own})
    for number, part in parts:
        yield Spot("OBX", group, {"Observation": part}, {"OBX-4": [number]})


def heading(
    report: Json, found: Sequence[Json], is_report: bool, out: Outbound
) -> dict[str, Written]:
    """Return what OBR says where no row does: of results the category, alone all of it."""
    fixed: dict[str, Written] = {}
    table = out.table("ObservationCategory")
    told = (one for one in found if not _is_vital_sign(one))
    categories = (one for result in told for one in result.get("category", ()))
    sections = (codes for one in categories if (codes := table_sources(one, table)))
    if section := next(sections, None):
        fixed["OBR-24"] = [section[0]]
    if not is_report:
        fillers = (ei(one, out) for one in numbers(report) if type_of(one) == "FILL")
        fixed["OBR-3"] = next(filter(None, fillers), [])
        fixed["OBR-4"] = concept(report.get("code", {}), out) or []
        fixed["OBR-22"] = [moment(report.get("issued"), out)]
        period = report.get("effectivePeriod", {})
        at = report.get("effectiveDateTime") or report.get("effectiveInstant")
        fixed["OBR-7"] = [moment(at or period.get("start"), out)]
        fixed["OBR-8"] = [moment(period.get("end"), out)]
        status = str(report.get("status", "unknown"))
        codes = table_sources(_AS_STATUS.get(status, status), out.table("DiagnosticReportStatus"))
        fixed["OBR-25"] = [*codes[:1]] if status != "unknown" else []
    return fixed


def _is_vital_sign(observation: Json) -> bool:
    """Say whether a reader knows the category by the code."""
    codings = observation.get("code", {}).get("coding", ())
    return any(one.get("code") in VITAL_SIGNS for one in codings)
