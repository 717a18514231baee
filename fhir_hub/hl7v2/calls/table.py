"""The functions that a map may `call`: what needs several fields at once, or the message itself.

A function gets the place, the resource so far and the row's paths. It returns the element's
value, a list of values for a list, a `Typed` value for a choice, a resource where a reference
belongs; `None` when there is nothing to say. It raises nothing for what a sender wrote.

| `call` | `from` | returns |
|---|---|---|
| `quantity` | amount, unit | Quantity with the unit of another field |
| `dose` | low, high, unit | Quantity, or Range where both ends are given |
| `dose_given` | RXA-6, RXA-7 | Quantity, nothing of 999 |
| `document` | OBX-5, OBX-2, OBX-3 | Attachment of a document's OBX |
| `document_of_values` | OBX-5, OBX-2, OBX-3, OBX-6 | Attachment of a document of values alone |
| `note_of_document` | NTE-3 | Attachment: a note on a text or file of a document |
| `replaced_status` | ORC-1 | status of an order that another of the message replaces |
| `replaced_orders` | ORC-1, ORC-2, ORC-3 | References to the orders that one with RO replaces |
| `message_response` | MSA-2, MSA-1 | what the message answers, and how |
| `prior_order` | ORC-8 | Reference to the order that this one continues, by its number |
| `participation` | ROL-1, ROL-3 … | PractitionerRole, Practitioner or Organization |
| `visit_participant` | ROL-1, ROL-3 … | participant of the visit that it stands beside |
| `participating_device` | PRT-10, PRT-16 … | Device |
| `contact_organization` | NK1-13, NK1-30, NK1-31, NK1-32 | Organization with whom to ask there |
| `insurer` | IN1-3, IN1-4, IN1-5 | Organization that pays |
| `employer` | IN1-10, IN1-11, IN2-49 … | Organization that holds the policy |
| `described_code` | PR1-3, PR1-4, PR1-2 | CodeableConcept with text and system of other fields |
| `subscriber` | IN1-16, IN1-49 … | RelatedPerson whose policy it is |
| `whole_procedure` | PR1-25 | Procedure that this one is part of |
| `parent_diagnosis` | DG1-22 | diagnosis to which this one is due |
| `allergy_recorder` | IAM-14, IAM-15 | who told of an allergy, by the tables |
| `order_of_reflex` | OBR-29, ORC-8 | as stored: the order that led to a test without one |
| `parent_order` | OBR-29, OBR-54, ORC-8 | order of which this one is part |
| `parent_result` | OBR-26, OBR-29 | result that led to this test |
| `parent_specimen` | SPM-3 | specimens of which this one is a part |
| `repeated_components` | OBX-5, OBX-2, OBX-6, OBX-7 | a component for each repetition |
| `policy_number` | number, insurer … | Identifier of a policy |
| `local_number` | numbers to try | Identifier of the sender |
| `own_number` | OBR-2, ORC-2 | Identifier of an OBR that is not that of its ORC |
| `batches` | drug, lots, their ends, their makers | Medications, one a lot |
| `component` | RXC-2, RXC-1, RXC-3 … RXC-6 | extension: what else is in the medicine |
| `mixture` | RXC-2 | CodeableConcept of what has no name but those of its components |
| `route` | RXR-1, -2 or -4 | route, site or method of the RXR that counts |
| `other_route` | RXR-1, RXR-2, RXR-4 | extension: another way to give it |
| `service_start` | TQ1-8, TQ1-6 | dateTime: when a service begins that is over then |
| `active_at_first` | ORC-1, PID-18 | active: a stored prescription or account keeps its state |
| `administered_in` | RXA-11.4 | Location that the institution is |
| `as_needed` | TQ1-3, TQ1-10, TQ1-9 | that it is done as needed, or under which condition |
| `further_dosage` | TQ1-2, TQ1-10, TQ1-11, TQ1-3 … | the dosage of a TQ1 behind the first |
| `first_amount` | RXE-1.1 or ORC-7.1 | Quantity of the first TQ |
| `first_words` | RXE-1.7 …, ORC-7.8 | string: what the first TQ says |
| `first_pattern` | TQ1-3 | Timing of the first pattern |
| `further_patterns` | TQ1-3, RXE-1 or ORC-7 | the dosages of what the field says behind its first |
| `further_schedules` | TQ1-3 …; or OBR-27, ORC-7 | extensions: when else an order is to be done |
| `given_together` | RXR-1 | nothing: the doses before this one have its route |
| `known_order` | ORC-2, ORC-3 | Reference to the prescription, by its number |
| `supply_key` | RXD-7, RXD-1, RXD-3, RXD-2 | tag: the number, and which supply of it |
| `kept` | any fields | nothing: they are kept word for word, whatever is made of their parts |
| `joined_texts` | NTE-3 | string: the texts of all such segments nearby, a line each |
| `provider` | PRD-2, PRD-7, PRD-4 | Practitioner; by the tables none |
| `institution` | XON, HD | Organization of the first that has a code |
| `provider_role` | PRD-2, PRD-7, PRD-4, PRD-1 … | PractitionerRole, by the tables |
| `annotation` | any CWE | Annotation of each text |
| `specimen_method` | OBR-15.3 | string of SPS.3 |
| `specimen_source` | OBR-15.1, OBR-15.2 … | CodeableConcept of a component of SPS |
| `observed_value` | OBX-5, OBX-2, OBX-6 | the value of an Observation, by type and content |
| `observed_attachment` | OBX-5 | Attachment |
| `pressure_components` | OBX-5, OBX-6, OBX-7 | both components of a pressure in one text |
| `verdict_of_value` | OBX-5, OBX-8 | interpretation in brackets behind a number |
| `sign` | OBX-8, OBX-5, OBX-2, OBX-6, OBX-7 | interpretation of `+` or `-` |
| `reference_range` | OBX-7, OBX-6 | referenceRange in the unit of the value |
| `observation_code` | OBX-3 | code: that of the table ObservationCode, and the sender's own |
| `observation_key` | numbers …, OBX-3, OBX-4 | tag that a corrected result has again |
| `final_as_sent` | OBX-11 | code of a result whose value came before (U): that stays |
| `report_status` | OBR-25 | code of a result that tells none, where the hub keeps it |
| `observation_category` | OBR-24, OBR-4 … | category by a field that the table knows, or by code |
| `relative_key` | GT1-3, GT1-11 | tag of who answers for the bill: that of her in NK1 |
| `natural_key` | what tells it from others | tag of what has no number of its own |
| `unplaced_key` | the same | tags of what has no time either: its message's, its kind's |
| `appointment_start` | paths to try | instant |
| `appointment_end` | two ends, two repeat patterns, (duration, unit) …, `M15` | instant |
| `appointment_minutes` | duration, unit | positiveInt |
| `appointment_status` | MSH-9.2, SCH-25, AIS-10 | code |
| `sending_application` | MSH-3, MSH-4 | Reference to the sending system |
| `message_entity` | MSH-10 | Reference to the message |
| `recorded` | MSH-7, EVN-2 | instant |
| `booked_too` | AIP-3, AIL-3 | participants: each of a field that repeats |
| `procedure_status` | PR1-5, MSH-7 | code: done, or to be done |
| `performed`, `minutes_alone` | PR1-5, PR1-7 | dateTime or Period; else how long |
| `booked_period` | start, offset, unit, duration, unit | Period |
| `order_timing` | TQ1-3 to TQ1-14 | Timing |
| `quantity_timing`, `quantity_occurrence` | TQ: ORC-7, OBR-27, RXE-1 | Timing |
| `information_given` | OBX-3.1, OBX-4, OBX-5 | nothing: the item of its document gets it |
| `administered_at` | RXA-27, RXA-28 | Location |
| `task_changed` | RF1-9, MSH-7, RF1-7 | dateTime, not before RF1-7 |
| `document_order` | TXA-14, TXA-15 | Reference to the order, by its number |
| `dose_rate` | RXE-3, RXE-5, RXE-22 | Ratio: the dose in a time |
| `strength` | RXO-18, RXO-19, RXO-25, RXO-26 | Quantity, or Ratio to a volume |
| `assigned_place` | PV1-3, PV1-40 | Location, by the tables in its state |
| `financial_class`, `financial_period` | PV1-20 | CodeableConcept, Period of a Coverage |
| `narrative` | PV2-12 | Narrative |
| `earlier_diagnoses` | DG1-6, DG1-15 … | diagnoses before their visit, with use and rank |
| `place_identifier`, `place_name`, `place_kind` | NPU-1 | Identifier, name, kind of a bed |
| `moved_number`, `number_moved_here` | MRG-1, PID-3 | Identifiers that A43 moves, and PID lacks |
| `manifestations` | AL1-5 | a CodeableConcept of each repetition: its text, or its code |
| `service_end` | TQ1-7, TQ1-6 | dateTime |
| `occurrence_length` | TQ1-13 | decimal, with its unit alone |
| `occurrence_unit` | TQ1-13 | code |
| `event_offset` | TQ1-3, TQ1-5 | unsignedInt, beside an event |
| `birth_time` | PID-7 | nothing: the birthDate gets its moment |
| `home_county` | PID-12 | nothing: the only address gets its district |
| `requester` | ORC-12, ORC-21 … ORC-24, OBR-16 | who ordered, in whose name |
| `observers` | OBX-16 | the responsible observers |
| `laboratory` | OBX-23, OBX-24, OBX-25 | Organization, or its director's role |
| `facility_performer` | MSH-4 | Organization, where the hub keeps the result |
| `sending_facility` | MSH-4, MSH-17 | Organization |
| `requisition` | ORC-4 | Identifier of the order's group by the placer |
| `group_number` | ORC-4, ORC-38 | Identifiers of the order's group |

Spec: DESIGN 2a
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.calls import (
    bookings,
    cover,
    given,
    keys,
    medicines,
    orders,
    participations,
    procedures,
    providers,
    related,
    replacements,
    results,
    roles,
    routes,
    schedules,
    signs,
    source,
    standing,
    timings,
    visits,
)
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.path import Path

Call = Callable[[Place, Draft, tuple[Path, ...]], Any]

# These have something to say whatever is in the fields that they read.
UNCONDITIONAL = frozenset(
    {"message_entity", "sending_application", "recorded", "appointment_status"}
    | {"allergy_active", "earlier_diagnoses", "goal_active", "participant_status"}
    | {"problem_active"}
)
# These read more than the nearest of their segments: what is filled there is not all they need.
FURTHER = frozenset(
    {"appointment_end", "appointment_minutes", "appointment_start", "booked_period", "document"}
    | {"document_of_values", "joined_texts", "observation_category", "participation"}
    | {"visit_participant"}
)
# These make keys, which tell nobody what stands in the fields of other segments that they read.
KEYS = frozenset({"natural_key", "observation_key", "relative_key", "unplaced_key"})

# What these make of a new resource follows from the texts of the fields that they read, which are
# codes, and from these elements of it.
OF_CODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "observation_category": ("code",),
        "observation_code": (),
        "reference_range": ("component",),
        "report_status": ("status",),
        "specimen_source": (),
    }
)
# These make nothing where the text of their first field is of such a kind.
IDLE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "pressure_components": frozenset([results.NUMBER, results.TEXT]),
        "repeated_components": frozenset([results.NUMBER, results.TEXT]),
        "verdict_of_value": frozenset([results.NUMBER]),
    }
)
# These make of a number in their first field a Quantity of it: the rest follows from the others.
OF_NUMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType({"observed_value": ("component",)})
# Elements that these change besides the one to which the row goes.
CHANGES: Mapping[str, tuple[str, ...]] = MappingProxyType({"pressure_components": ("code",)})

CALLS: Mapping[str, Call] = MappingProxyType(
    {
        "information_given": given.information_given,
        "administered_at": given.administered_at,
        "administered_in": given.administered_in,
        "task_changed": source.task_changed,
        "document_order": given.document_order,
        "strength": given.strength,
        "batches": medicines.batches,
        "component": medicines.component,
        "mixture": medicines.mixture,
        "route": routes.route,
        "other_route": routes.other_route,
        "given_together": routes.given_together,
        "as_needed": schedules.as_needed,
        "further_dosage": schedules.further_dosage,
        "first_amount": schedules.first_amount,
        "first_pattern": schedules.first_pattern,
        "first_words": schedules.first_words,
        "further_patterns": schedules.further_patterns,
        "further_schedules": schedules.further_schedules,
        "known_order": medicines.known_order,
        "assigned_place": visits.assigned_place,
        "earlier_diagnoses": visits.earlier_diagnoses,
        "financial_class": visits.financial_class,
        "financial_period": visits.financial_period,
        "narrative": visits.narrative,
        "place_identifier": visits.place_identifier,
        "place_name": visits.place_name,
        "place_kind": visits.place_kind,
        "manifestations": orders.manifestations,
        "moved_number": roles.moved_number,
        "number_moved_here": roles.number_moved_here,
        "service_end": timings.service_end,
        "service_start": timings.service_start,
        "occurrence_length": timings.occurrence_length,
        "occurrence_unit": timings.occurrence_unit,
        "event_offset": timings.event_offset,
        "allergy_active": standing.allergy_active,
        "problem_active": standing.problem_active,
        "goal_active": standing.goal_active,
        "final_as_sent": standing.final_as_sent,
        "active_at_first": standing.active_at_first,
        "allergy_recorder": standing.allergy_recorder,
        "annotation": orders.annotation,
        "appointment_end": bookings.end,
        "appointment_minutes": bookings.minutes,
        "appointment_start": bookings.start,
        "appointment_status": bookings.status,
        "booked_period": bookings.booked_period,
        "participant_status": bookings.participant_status,
        "booked_too": bookings.booked_too,
        "performed": procedures.performed,
        "procedure_status": procedures.status,
        "minutes_alone": procedures.minutes_alone,
        "contact_organization": roles.contact_organization,
        "described_code": orders.described_code,
        "document": given.document,
        "document_of_values": given.document_of_values,
        "note_of_document": given.note_of_document,
        "dose": orders.dose,
        "dose_given": given.dose_given,
        "dose_rate": orders.dose_rate,
        "facility_performer": roles.facility_performer,
        "group_number": roles.group_number,
        "birth_time": roles.birth_time,
        "home_county": roles.home_county,
        "insurer": cover.insurer,
        "joined_texts": orders.joined_texts,
        "kept": source.kept,
        "laboratory": roles.laboratory,
        "local_number": orders.local_number,
        "message_entity": source.message_entity,
        "message_response": source.message_response,
        "natural_key": keys.natural_key,
        "relative_key": keys.relative_key,
        "unplaced_key": keys.unplaced_key,
        "observers": roles.observers,
        "own_number": roles.own_number,
        "supply_key": orders.supply_key,
        "requester": roles.requester,
        "requisition": roles.requisition,
        "sending_facility": roles.sending_facility,
        "report_status": results.report_status,
        "observation_category": results.observation_category,
        "observation_code": results.observation_code,
        "observation_key": keys.observation_key,
        "observed_attachment": results.observed_attachment,
        "observed_value": results.observed_value,
        "order_timing": timings.order_timing,
        "quantity_occurrence": timings.quantity_occurrence,
        "quantity_timing": timings.quantity_timing,
        "pressure_components": results.pressure_components,
        "participating_device": participations.participating_device,
        "participation": participations.participation,
        "policy_number": cover.policy_number,
        "employer": cover.employer,
        "specimen_method": orders.specimen_method,
        "specimen_source": orders.specimen_source,
        "subscriber": cover.subscriber,
        "visit_participant": participations.visit_participant,
        "whole_procedure": procedures.whole_procedure,
        "parent_diagnosis": orders.parent_diagnosis,
        "order_of_reflex": orders.order_of_reflex,
        "parent_order": orders.parent_order,
        "parent_result": related.parent_result,
        "parent_specimen": orders.parent_specimen,
        "repeated_components": results.repeated_components,
        "prior_order": orders.prior_order,
        "replaced_orders": replacements.replaced_orders,
        "replaced_status": replacements.replaced_status,
        "provider": providers.provider,
        "provider_role": providers.provider_role,
        "institution": providers.institution,
        "quantity": orders.quantity,
        "recorded": source.recorded,
        "related_order": related.related_order,
        "order_contact": related.order_contact,
        "imaging_numbers": related.imaging_numbers,
        "sub_id": related.sub_id,
        "staff_numbers": providers.staff_numbers,
        "licence_numbers": providers.licence_numbers,
        "reference_range": results.reference_range,
        "sign": signs.sign,
        "verdict_of_value": results.verdict_of_value,
        "sending_application": source.sending_application,
    }
)
