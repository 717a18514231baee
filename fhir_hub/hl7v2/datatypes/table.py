"""Every FHIR value that a map can name with `as`, and the function that makes it.

A function takes one repetition of a field (or a component: its subcomponents are then its
components) and the `Context`; it returns the JSON of the FHIR value, `None` when there is
nothing in it, and a list where one repetition holds several values (two phones in a field).
It never raises for what a sender wrote, and never returns an empty part.

| `as` | reads | returns |
|---|---|---|
| `Identifier` | CX | Identifier (resident ID recognised; a bad one has use temp) |
| `EI` | EI | Identifier in the authority's namespace |
| `PlacerEI`, `FillerEI` | EIP | the Identifier of EIP.1, EIP.2 |
| `PlacerNumber`, `FillerNumber` | EI | the Identifier, typed PLAC, FILL (ORC-2, OBR-3, SCH-2) |
| `ShipmentNumber` | EI (SPM-32) | the Identifier, typed SHIP |
| `ResidentIdentifier` | ST, CX (PID-19) | Identifier |
| `VisitIdentifier` | CX, ST (PV1-19) | Identifier, type VN, of the sender where untyped |
| `StaffIdentifier` | XCN, CNN, CWE | Identifier of the person in XCN.1 |
| `OrganizationIdentifier` | XON, HD, CWE | Identifier of an institution |
| `DeviceIdentifier` | EI, ST (OBX-18) | Identifier in the sender's device namespace |
| `SlotIdentifier`, `ContractIdentifier` | ST, EI | Identifier in sid/slot, sid/contract |
| `PlacerCX` | CX (OBR-53) | the Identifier, typed PLAC |
| `ThingNumber` | CX (SPM-30) | the Identifier of no person |
| `DriverLicence` | DLN (PID-20) | Identifier, typed DL |
| `HumanName` | XPN, PN, ST | HumanName |
| `PersonName` | XCN, CNN, PPN, CN | HumanName of the person |
| `Practitioner` | XCN, CNN, NDL, PPN, CN | Practitioner resource: identifier, name |
| `CodedPractitioner` | CWE (`D1^戴慧`) | the same from code and text |
| `Reporter` | NDL (OBR-32 to OBR-35) | Practitioner resource |
| `Organization` | XON | Organization resource: identifier, name |
| `FacilityOrganization` | HD, IS | Organization resource of a code (MSH-4, PL.4, PV1-39) |
| `CodedOrganization` | CWE (`ZJJCHC^朱家角…`) | Organization resource: code, name |
| `Location` | PL | Location resource: identifier, name, physicalType |
| `SiteLocation` | HD (EVN-7) | Location resource of an institution |
| `DischargeLocation` | DLD (PV1-37) | Location resource: kind of place |
| `Device` | EI, HD, ST | Device resource: identifier |
| `CodedDevice` | CWE (ORC-18) | Device resource: code, name |
| `ApplicationDevice` | HD (MSH-3) | Device resource of a system: its names |
| `Address` | XAD, AD, SAD, ST | Address |
| `HomeAddress` | the same (PID-11) | Address, of use home where the sender says none |
| `ContactPoint` | XTN, TN, ST | ContactPoint, or several |
| `HomePhone`, `WorkPhone` | the same | the same, of use home or work unless the sender says one |
| `CodeableConcept` | CWE CE CNE CF IS ID ST | CodeableConcept with all its codings |
| `Coding` | CWE … | its first coding |
| `Ethnicity` | CWE (PID-22) | CodeableConcept of what is no ethnic group of GB 3304 |
| `EthnicGroup` | CWE (PID-10) | Coding of an ethnic group of GB 3304, where it is meant |
| `Race` | CWE (PID-10) | CodeableConcept of what is none |
| `code` | CWE IS ID ST | the code as it stands |
| `CodeText` | CWE | string: original text, else display, else code |
| `date` | DT DTM TS | date |
| `dateTime` | DT DTM TS DR | dateTime, precision kept |
| `instant` | DTM TS | instant; absent if it has no time of day |
| `time` | TM | time |
| `Period` | DR | Period |
| `PeriodStart`, `PeriodEnd` | DT DTM TS | Period with only that end |
| `Timing` | RPT, TQ.2, CWE (`BID`, `QHS`) | Timing |
| `Quantity` | NM, CQ, ST (`<0.5`) | Quantity |
| `SimpleQuantity` | NM, CQ | Quantity without comparator |
| `Duration` | CQ, NM | Duration in UCUM (`28^d`) |
| `Days` | NM (PV2-11) | Duration in days |
| `Money` | MO, CP, NM | Money (of the sender's country unless said) |
| `SN` | SN | Quantity; see `SNRange`, `SNRatio` |
| `Range`, `SNRange` | NR, SN | Range |
| `Ratio`, `SNRatio` | SN | Ratio |
| `ReferenceRange` | ST (OBX-7) | list of Observation.referenceRange |
| `string`, `markdown` | ST TX FT | the whole text, `\\.br\\` as line break |
| `MessageType` | MSG (MSH-9) | string: `ORU^R01^ORU_R01` |
| `firstString` | any | the text of the first component |
| `Annotation` | ST TX FT | Annotation |
| `Attachment` | ED, RP | Attachment |
| `integer`, `positiveInt`, `unsignedInt`, `decimal`, `boolean` | NM, ID | the primitive |
| `uri`, `url` | ST, HD | the primitive |

A row with `table` takes its function from `CODED` instead (`as` may then be `code` (the
default), `Coding`, `CodeableConcept`, `Timing`): the first of identifier, alternate identifier
and texts that the table lists is mapped. `code` is absent when the table has no answer; the
others fall back to the sender's own coding, and `CodeableConcept` keeps it beside the mapped one.

The functions themselves use the tables NameUse, AddressUse, AddressType, EthnicGroup, Race,
TelecomUse, TelecomSystem, IdentifierType and TimingRepeat: `Context.tables` must hold these.

OBX-5 needs three fields at once: see `observed.observed_value`, `observed.pressure_components`
and `ranges.reference_ranges`, which a `call` uses.

`FHIR_TYPES[name]` is the FHIR type that comes back, for `value[x]` and the like.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.datatypes import (
    by_table,
    codes,
    contacts,
    identifiers,
    organisations,
    people,
    places,
    quantities,
    ranges,
    texts,
    times,
    timings,
)
from fhir_hub.hl7v2.datatypes.context import Context, Table
from fhir_hub.hl7v2.parsing.er7 import Value

Datatype = Callable[[Value, Context], Any]
CodedDatatype = Callable[[Value, Context, Table], Any]


def _either(joined: Datatype, in_full: Datatype) -> Datatype:
    """Return the function for the hub, or where asked for, that of the standard's table."""

    def made(value: Value, context: Context) -> Any:
        return (in_full if context.by_table else joined)(value, context)

    return made


DATATYPES: Mapping[str, Datatype] = MappingProxyType(
    {
        "Identifier": _either(identifiers.cx, by_table.identifier),
        "EI": identifiers.ei,
        "PlacerEI": identifiers.placer_ei,
        "FillerEI": identifiers.filler_ei,
        "PlacerNumber": identifiers.placer_number,
        "FillerNumber": identifiers.filler_number,
        "ShipmentNumber": identifiers.shipment_number,
        "ResidentIdentifier": identifiers.resident,
        "VisitIdentifier": _either(identifiers.visit, by_table.visit),
        "StaffIdentifier": identifiers.staff,
        "OrganizationIdentifier": organisations.identifier,
        "PlacerCX": by_table.placer_number,
        "ThingNumber": by_table.number_of_thing,
        "DriverLicence": identifiers.licence,
        "SiteLocation": _either(places.site, by_table.site_of_hd),
        "DischargeLocation": by_table.discharge,
        "Days": quantities.days,
        "DeviceIdentifier": identifiers.device,
        "SlotIdentifier": identifiers.slot,
        "ContractIdentifier": identifiers.contract,
        "HumanName": people.human_name,
        "PersonName": people.person_name,
        "Practitioner": _either(people.practitioner, by_table.practitioner),
        "Reporter": _either(people.reporter, by_table.reporter),
        "CodedPractitioner": people.coded_practitioner,
        "Organization": _either(organisations.organization, by_table.organization),
        "FacilityOrganization": _either(organisations.facility, by_table.organization_of_hd),
        "CodedOrganization": _either(organisations.coded_organization, by_table.coded_organization),
        "Location": _either(places.location, by_table.location),
        "Device": organisations.device,
        "CodedDevice": organisations.coded_device,
        "ApplicationDevice": by_table.application,
        "Address": places.address,
        "HomeAddress": places.home_address,
        "ContactPoint": contacts.contact_point,
        "HomePhone": contacts.home_phone,
        "WorkPhone": contacts.work_phone,
        "CodeableConcept": codes.codeable_concept,
        "Coding": codes.coding,
        "Ethnicity": codes.ethnicity,
        "EthnicGroup": codes.ethnic_group,
        "Race": codes.race,
        "code": codes.code,
        "CodeText": codes.code_text,
        "date": times.date,
        "dateTime": times.date_time,
        "instant": times.instant,
        "time": times.time,
        "Period": times.period,
        "PeriodStart": times.period_start,
        "PeriodEnd": times.period_end,
        "Timing": timings.timing,
        "Quantity": quantities.quantity,
        "SimpleQuantity": quantities.simple_quantity,
        "Duration": quantities.duration,
        "Money": quantities.money,
        "SN": quantities.sn_quantity,
        "Range": quantities.sn_range,
        "SNRange": quantities.sn_range,
        "Ratio": quantities.sn_ratio,
        "SNRatio": quantities.sn_ratio,
        "ReferenceRange": ranges.reference_ranges,
        "string": texts.string,
        "markdown": texts.string,
        "firstString": texts.first_string,
        "MessageType": texts.message_type,
        "Annotation": texts.annotation,
        "Attachment": texts.attachment,
        "integer": texts.integer,
        "positiveInt": texts.positive_int,
        "unsignedInt": texts.unsigned_int,
        "decimal": quantities.decimal,
        "boolean": texts.boolean,
        "uri": texts.uri,
        "url": texts.uri,
    }
)

CODED: Mapping[str, CodedDatatype] = MappingProxyType(
    {
        "code": codes.table_code,
        "Coding": codes.table_coding,
        "CodeableConcept": codes.table_codeable_concept,
        "Timing": timings.table_timing,
    }
)

_OTHER_TYPES = {
    **dict.fromkeys(
        (
            "EI",
            "PlacerEI",
            "FillerEI",
            "PlacerNumber",
            "FillerNumber",
            "ShipmentNumber",
            "ResidentIdentifier",
            "VisitIdentifier",
            "PlacerCX",
            "ThingNumber",
            "DriverLicence",
            "StaffIdentifier",
            "OrganizationIdentifier",
            "DeviceIdentifier",
            "SlotIdentifier",
            "ContractIdentifier",
        ),
        "Identifier",
    ),
    "SiteLocation": "Location",
    "DischargeLocation": "Location",
    "Days": "Duration",
    "PersonName": "HumanName",
    "CodedPractitioner": "Practitioner",
    "Reporter": "Practitioner",
    "FacilityOrganization": "Organization",
    "CodedOrganization": "Organization",
    "CodedDevice": "Device",
    "ApplicationDevice": "Device",
    "HomeAddress": "Address",
    "HomePhone": "ContactPoint",
    "WorkPhone": "ContactPoint",
    "CodeText": "string",
    "Ethnicity": "CodeableConcept",
    "EthnicGroup": "Coding",
    "Race": "CodeableConcept",
    "firstString": "string",
    "MessageType": "string",
    "PeriodStart": "Period",
    "PeriodEnd": "Period",
    "SimpleQuantity": "Quantity",
    "SN": "Quantity",
    "SNRange": "Range",
    "SNRatio": "Ratio",
    "ReferenceRange": "BackboneElement",
}

FHIR_TYPES: Mapping[str, str] = MappingProxyType(
    {name: _OTHER_TYPES.get(name, name) for name in DATATYPES}
)
