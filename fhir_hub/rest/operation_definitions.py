"""OperationDefinitions of the operations that neither R4 nor a published guide defines.

What an operation is for and what goes in and out is told here; where it is answered, of which
types and whether it writes is read from the route table, so that the two cannot differ. They are
read at `OperationDefinition/[id]`, where the CapabilityStatement says that they are; a stored
resource of the same id is shown instead.

Spec: https://hl7.org/fhir/R4/operationdefinition.html
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.clock import instant, microseconds
from fhir_hub.rest.service import Operation, Service
from fhir_hub.store.base import Key, Stored

RESOURCE_TYPE = "OperationDefinition"
Resource = dict[str, Any]


class Parameter(NamedTuple):
    """A parameter: its name, its cardinality (`0..*`), its type, what it is, its parts.

    `string/reference` is a string that is written as a search by reference takes it.
    """

    name: str
    cardinality: str
    type: str
    documentation: str
    parts: tuple["Parameter", ...] = ()


class Told(NamedTuple):
    """What is told of an operation: its title, its description, what goes in and comes out."""

    title: str
    description: str
    inputs: tuple[Parameter, ...] = ()
    outputs: tuple[Parameter, ...] = ()


P = Parameter
_APPOINTMENT = P("appt-resource", "1..1", "Appointment", "The Appointment, with its slot.")
_BOOKED = P("return", "1..1", "Bundle", "A searchset with the Appointment as it was written.")
_ROLES = tuple(
    parameter
    for role in ("source", "target")
    for parameter in (
        P(f"{role}-patient", "0..1", "Reference", f"The {role} patient."),
        P(f"{role}-patient-identifier", "0..*", "Identifier", f"Numbers of the {role} patient."),
    )
)
_STATE = P(
    "parameter",
    "0..*",
    "",
    "The state of one search parameter.",
    (
        P("url", "1..1", "uri", "The canonical url of the SearchParameter."),
        P("code", "1..1", "code", "The name in a search."),
        P("base", "0..*", "code", "The types that have it."),
        P("reference", "0..1", "Reference", "The SearchParameter."),
        P("status", "1..1", "code", "active, building or inactive."),
        P("percent", "0..1", "integer", "How much of what is stored is indexed by it."),
        P("reason", "0..1", "string", "Why it is inactive."),
    ),
)
_REMINDER = P(
    "reminder",
    "0..*",
    "",
    "A test, examination or drug that was done already.",
    (
        P("text", "2..2", "string", "What to tell, in English and in Chinese."),
        P("done", "1..1", "dateTime", "When it was done."),
        P("institution", "1..1", "Reference", "Where it was done."),
        P("of", "1..1", "Reference", "The record of it."),
        P("rule", "1..1", "string", "Why the one stands for the other."),
        P("window", "1..1", "Duration", "How long it need not be done again."),
        P("until", "1..1", "date", "The last day of that."),
        P("issue", "1..1", "DetectedIssue", "The same as a DetectedIssue."),
    ),
)
_PATIENT = P("patient", "1..1", "Reference", "The resident.")
_SESSION = P("appointment", "1..1", "Reference", "The session.")

TOLD: Mapping[str, Told] = {
    "$diff": Told(
        "What changed between two versions",
        "Answers a FHIRPath Patch that makes the later version of the earlier one.",
        (
            P("fromVersion", "0..1", "positiveInt", "The earlier version; the one before."),
            P("toVersion", "0..1", "positiveInt", "The later version; the last."),
        ),
        (P("return", "1..1", "Parameters", "The FHIRPath Patch."),),
    ),
    "$find": Told(
        "Places that are free",
        "Answers proposed Appointments, one for each free Slot with a place, by time.",
        (
            P("start", "0..1", "dateTime", "From when."),
            P("end", "0..1", "dateTime", "Until when."),
            P("specialty", "0..1", "string/token", "The specialty of the Slot."),
            P("service-type", "0..1", "string/token", "The service of the Slot."),
            P("schedule", "0..1", "string/reference", "The Schedule of the Slot."),
            P("actor", "0..1", "string/reference", "Whose Schedule it is."),
            P("pool", "0..1", "string", "The pool that the Slot belongs to."),
            P("_count", "0..1", "positiveInt", "How many at most; 20."),
        ),
        (P("return", "1..1", "Bundle", "A searchset of proposed Appointments."),),
    ),
    "$hold": Told(
        "Hold a place",
        "Creates a pending Appointment, whose place is given back after ten minutes.",
        (_APPOINTMENT,),
        (_BOOKED,),
    ),
    "$book": Told(
        "Book a place",
        "Books a held Appointment, named by appt-id or by the id of appt-resource, or a new one.",
        (
            P("appt-id", "0..1", "id", "The id of a held Appointment."),
            _APPOINTMENT._replace(cardinality="0..1"),
        ),
        (_BOOKED,),
    ),
    "$renew": Told(
        "Renew a 1+1+1 contract",
        "Creates the contract that follows this one on the day after its end.",
        (
            P("end", "0..1", "date", "The last day of the new one; the term is as long as before."),
            P("number", "0..1", "string", "The number of the new one."),
        ),
        (P("return", "1..1", "CareTeam", "The new contract."),),
    ),
    "$transfer": Told(
        "Transfer a 1+1+1 contract",
        "Creates the new contract of the same resident; this one ends the day before it begins.",
        (P("contract", "1..1", "CareTeam", "The new contract."),),
        (P("return", "1..1", "CareTeam", "The new contract, as it was written."),),
    ),
    "$pool-report": Told(
        "Places of a period",
        "Counts places, those offered to communities, used and returned, by hospital and kind.",
        (
            P("period", "1..1", "date", "A month, such as 2025-03, a day or a year."),
            P("hospital", "0..1", "string/reference", "One hospital only."),
            P("schedule", "0..1", "string/reference", "One Schedule only."),
            P("actor", "0..1", "string/reference", "The Schedules of one actor only."),
        ),
        (P("return", "1..1", "MeasureReport", "The report."),),
    ),
    "$dispensing-list": Told(
        "What volunteers fetch",
        "Answers the requests for drugs of a day: a List for each hospital.",
        (
            P("owner", "1..1", "string/reference", "The centre that was asked."),
            P("date", "1..1", "date", "The day of the requests."),
        ),
        (P("return", "1..1", "Bundle", "A collection of Lists."),),
    ),
    "$reassign": Told(
        "Reassign the sessions of a closed centre",
        "Moves the booked sessions of a centre to others, so that no gap is too long.",
        (
            P("from", "1..1", "string/reference", "The centre that is closed."),
            P("to", "1..*", "string/reference", "A centre that may take its sessions."),
            P("start", "1..1", "date", "The first day that it is closed."),
            P("end", "1..1", "date", "The last day that it is closed."),
            P("gap-hours", "0..1", "positiveInt", "The longest time between two sessions; 72."),
        ),
        (
            P(
                "moved",
                "0..*",
                "",
                "A session that was moved.",
                (
                    _SESSION,
                    P("slot", "1..1", "Reference", "Its new Slot."),
                    P("start", "1..1", "instant", "When it is now."),
                    P("was", "1..1", "instant", "When it was."),
                ),
            ),
            P(
                "unplaced",
                "0..*",
                "",
                "A session for which there is no place.",
                (
                    _SESSION,
                    _PATIENT,
                    P("task", "1..1", "Reference", "Who is to see to it."),
                    P("reason", "1..1", "string", "Why there is none."),
                ),
            ),
            P(
                "pass",
                "0..*",
                "",
                "The pass of a resident who was moved.",
                (_PATIENT, P("document", "1..1", "Reference", "The pass.")),
            ),
        ),
    ),
    "$unmerge": Told(
        "Undo a merge",
        "Takes a patient out of the one that he was merged into; what was re-pointed goes back.",
        (*_ROLES, P("preview", "0..1", "boolean", "Tell what would be done, and do nothing.")),
        (
            P("outcome", "1..1", "OperationOutcome", "What was done."),
            P("result", "1..1", "Patient", "The source patient after it."),
        ),
    ),
    "$package": Told(
        "The package of a referral",
        "Answers a document with what the recipient of the referral may see.",
        (),
        (P("return", "1..1", "Bundle", "The document."),),
    ),
    "$remind": Told(
        "Tell what was done already",
        "Looks for what an order asks for in the patient's record, across institutions.",
        (
            P(
                "order",
                "0..*",
                "Any",
                "ServiceRequests and MedicationRequests; none of an instance.",
            ),
        ),
        (
            P("result", "1..1", "boolean", "Whether there is a reminder."),
            P("message", "0..1", "string", "What is told where there is none."),
            _REMINDER,
        ),
    ),
    "$status": Told(
        "The state of search parameters",
        "Says by which SearchParameters of the site one may search, and how far the others are.",
        (),
        (_STATE,),
    ),
    "$reindex": Told(
        "Index anew",
        "Has everything of the parameter's types indexed anew in the background.",
        (),
        (_STATE,),
    ),
}


def definition_id(name: str, resource_types: tuple[str, ...]) -> str:
    """Return the logical id of the definition of an operation of the types (of none: all)."""
    first = resource_types[0] if resource_types else "Resource"
    return f"{first}-{name[1:]}" if len(resource_types) < 2 else name[1:]


def operation_definition(operation: Operation, base: str, started: str) -> Resource:
    """Return the OperationDefinition of an operation of ours, as a server at `base` has it."""
    told = TOLD[operation.name]
    logical_id = definition_id(operation.name, operation.resource_types)
    parameters = [_shown(one, "in") for one in told.inputs]
    parameters += [_shown(one, "out") for one in told.outputs]
    return {
        "resourceType": RESOURCE_TYPE,
        "id": logical_id,
        "meta": {"versionId": "1", "lastUpdated": started},
        "url": f"{base}/{RESOURCE_TYPE}/{logical_id}",
        "name": "".join(part.capitalize() for part in logical_id.split("-")),
        "title": told.title,
        "status": "active",
        "kind": "operation",
        "date": started,
        "publisher": "fhir-hub",
        "description": told.description,
        "affectsState": operation.affects_state,
        "code": operation.name[1:],
        "resource": list(operation.resource_types or ("Resource",)),
        "system": operation.is_of_system,
        "type": operation.is_of_type,
        "instance": operation.is_of_instance,
        **({"parameter": parameters} if parameters else {}),
    }


def _shown(parameter: Parameter, use: str) -> Resource:
    least, _, most = parameter.cardinality.partition("..")
    kind, _, search = parameter.type.partition("/")
    shown: Resource = {"name": parameter.name, "use": use, "min": int(least), "max": most}
    shown["documentation"] = parameter.documentation
    if kind:
        shown["type"] = kind
    if search:
        shown["searchType"] = search
    if parameter.parts:
        shown["part"] = [_shown(part, use) for part in parameter.parts]
    return shown


def defined(key: Key, base: str, service: Service) -> Stored | None:
    """Return the version of an OperationDefinition of ours, None if none has this id."""
    for operation in service.operations:
        if operation.name in TOLD and operation.definition == "/".join(key):
            shown = operation_definition(operation, base, instant(service.started))
            moment = microseconds(service.started)
            return Stored(*key, 1, 0, moment, "PUT", fhirjson.dumps(shown))
    return None
