"""The writer of each datatype that a map can name with `as`, beside its reader.

A writer takes the FHIR value and the `Outbound`; it returns the components of one repetition,
or `None` where there is nothing that this datatype can say of it. That is how a row chooses: an
OBR-2 read as `PlacerNumber` is written only of an identifier of type PLAC, an AIP-3 read as
`Practitioner` only of a Reference to one.

Every name of `datatypes.table.DATATYPES` has its writer here; a test holds them together.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html, read from right to left
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.emit import (
    write_codes,
    write_identifiers,
    write_people,
    write_places,
    write_quantities,
    write_times,
)
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.identity import systems

Writer = Callable[[Any, Outbound], Written | None]
_of = write_identifiers.of_reference
_typed = write_identifiers.typed

WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "Identifier": _of(write_identifiers.cx),
        "EI": _of(write_identifiers.ei),
        "PlacerEI": _of(write_identifiers.pair(1, "PGN", "PLAC")),
        "FillerEI": _of(write_identifiers.pair(2, "FGN", "FILL")),
        "PlacerNumber": _of(_typed(write_identifiers.ei, "PLAC")),
        "FillerNumber": _of(_typed(write_identifiers.ei, "FILL")),
        "ResidentIdentifier": _of(write_identifiers.in_system(systems.RESIDENT_ID)),
        "VisitIdentifier": _of(write_identifiers.cx),
        "StaffIdentifier": _of(write_identifiers.bare),
        "OrganizationIdentifier": _of(write_places.organization_identifier),
        "ShipmentNumber": _of(_typed(write_identifiers.ei, "SHIP")),
        "ThingNumber": _of(write_identifiers.cx),
        "PlacerCX": _of(_typed(write_identifiers.cx, "PLAC")),
        "DriverLicence": _of(write_identifiers.licence),
        "DeviceIdentifier": _of(write_identifiers.in_systems_of("device")),
        "SlotIdentifier": _of(write_identifiers.in_system(systems.SLOT)),
        "ContractIdentifier": _of(write_identifiers.in_system(systems.CONTRACT)),
        "SiteLocation": write_places.site,
        "DischargeLocation": write_places.discharge,
        "Days": write_quantities.days,
        "HumanName": write_people.human_name,
        "PersonName": write_people.person_name,
        "Practitioner": write_people.practitioner,
        "Reporter": write_people.reporter,
        "CodedPractitioner": write_people.coded,
        "Organization": write_places.organization,
        "FacilityOrganization": write_places.facility,
        "CodedOrganization": write_places.coded_organization,
        "Location": write_places.location,
        "Device": write_places.device,
        "CodedDevice": write_places.coded_device,
        "ApplicationDevice": write_places.device,
        "Address": write_places.address,
        "HomeAddress": write_places.address,
        "ContactPoint": write_places.contact_point,
        "HomePhone": write_places.home_phone,
        "WorkPhone": write_places.work_phone,
        "CodeableConcept": write_codes.concept,
        "Coding": write_codes.coding,
        "Ethnicity": write_codes.concept,
        "EthnicGroup": write_codes.coding,
        "Race": write_codes.concept,
        "code": write_codes.code,
        "CodeText": write_quantities.text,
        "date": write_times.day,
        "dateTime": write_times.date,
        "instant": write_times.date,
        "time": write_times.time,
        "Period": write_times.period,
        "PeriodStart": write_times.period_start,
        "PeriodEnd": write_times.period_end,
        "Timing": write_quantities.timing,
        "Quantity": write_quantities.quantity,
        "SimpleQuantity": write_quantities.simple_quantity,
        "Duration": write_quantities.simple_quantity,
        "Money": write_quantities.money,
        "SN": write_quantities.sn_quantity,
        "Range": write_quantities.sn_range,
        "SNRange": write_quantities.sn_range,
        "Ratio": write_quantities.sn_ratio,
        "SNRatio": write_quantities.sn_ratio,
        "ReferenceRange": write_quantities.reference_range,
        "string": write_quantities.text,
        "markdown": write_quantities.text,
        "firstString": write_quantities.text,
        "Annotation": write_quantities.annotation,
        "Attachment": write_quantities.attachment,
        "integer": write_quantities.number,
        "positiveInt": write_quantities.number,
        "unsignedInt": write_quantities.number,
        "decimal": write_quantities.number,
        "boolean": write_quantities.boolean,
        "MessageType": write_codes.message_type,
        "uri": write_quantities.text,
        "url": write_quantities.text,
    }
)
