"""Segments whose name is in small letters: `obx|` is no OBX, and no line of a text either.

Spec: HL7v2 chapter 2, 2.5.2 (a segment's name is of three capitals or digits)
"""

from fhir_hub.hl7v2.maps.reads import NUMBERED
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.structure import GENERIC

_SMALL = frozenset(name.lower() for name in GENERIC.holds | NUMBERED)


def is_small(segment: Segment) -> bool:
    """Say whether a segment has the name of one of HL7's in small letters."""
    return segment.name in _SMALL and segment.text.startswith(segment.encoding.field, 3)
