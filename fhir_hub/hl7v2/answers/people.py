"""A Patient as PID and PD1 for who asks: the maps run backwards, in the asker's dress.

Spec: HL7v2 chapter 3, PID, PD1; DESIGN 2a, read from right to left
"""

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

from fhir_hub.hl7v2.emit.emit import VERSIONS
from fhir_hub.hl7v2.emit.fill import Filler
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.parsing.er7 import Message

_STRUCTURE, _HEADER = "ADT_A01", {"MSH-9.1": "ADT", "MSH-9.2": "A31"}
Json = dict[str, Any]
Write = Callable[[Json, int], list[list[str]]]


def writer(message: Message, mappings: Mappings, zone: tzinfo, moment: datetime) -> Write:
    """Return what writes a Patient as of a moment, and her number in the answer, as segments.

    Codes and the order of names are those of the asker's file; each number names who gave it.
    """
    senders = mappings.senders_of(message)
    program = mappings.program_of(_STRUCTURE, senders[-1] if senders else "")
    scope = program.scope
    version = message.header.value(12)
    encoding = message.encoding

    def write(patient: Json, number: int) -> list[list[str]]:
        patient = {"resourceType": "Patient", **patient}
        out = Outbound(
            "",
            Resources([("", patient)]),
            moment,
            scope.settings.zone or zone,
            scope.tables,
            version if version in VERSIONS else "2.5",
            scope.settings.name_order,
        )
        filler = Filler(program, _HEADER, out)
        sheets = [
            sheet
            for name in ("PID", "PD1")
            for sheet in filler.sheets(Spot(name, "", {"Patient": patient}))
        ]
        segments = [[sheet.name, *sheet.texts(encoding)] for sheet in sheets]
        if segments and segments[0][0] == "PID" and number:
            segments[0][1] = str(number)
        return segments

    return write
