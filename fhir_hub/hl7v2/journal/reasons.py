"""Why a message ended as it did: one line in the journal, in two languages for people.

The journal keeps the name of the error, its text in both (no patient data is in one) and the place
in the message or the resource; what the error means in English and Chinese is added when shown.

Spec: HL7v2 table 0357
"""

import re

from fhir_hub import errors
from fhir_hub.errors import FhirError, told

INTERNAL = "internal"
_REASON = re.compile(r"(\w+): (.*?)(?: \[([^\[\]]*(?:\[[^\]]*\][^\[\]]*)*)\])?", re.DOTALL)


def reason(error: Exception) -> str:
    """Return the line that the journal keeps: `InvalidMessage: no such number [MRG-1]`."""
    if not isinstance(error, FhirError):
        return INTERNAL
    place = _place(error)
    return f"{type(error).__name__}: {told(error)}{f' [{place}]' if place else ''}"


def named(error: Exception) -> str:
    """Return what the log says: the kind of the error and its place; the journal has the text.

    >>> named(errors.InvalidMessage("no such number", location="MRG-1"))
    'InvalidMessage MRG-1'
    """
    if not isinstance(error, FhirError):
        return INTERNAL
    return f"{type(error).__name__} {_place(error)}".rstrip()


def _place(error: FhirError) -> str:
    return next((issue.expression for issue in error.issues if issue.expression), "")


def shown(reason: str) -> dict[str, str]:
    """Return a journal's line in parts: `en`, `zh`, `diagnostics`, `field`; nothing for no line.

    >>> shown("InvalidMessage: no such number [MRG-1]")["field"]
    'MRG-1'
    """
    if not reason:
        return {}
    match = _REASON.fullmatch(reason)
    kind = getattr(errors, match[1], None) if match else None
    if match is None or not (isinstance(kind, type) and issubclass(kind, FhirError)):
        english, chinese = FhirError.title
        return {"en": english, "zh": chinese, "diagnostics": reason}
    english, chinese = kind.title
    parts = {"en": english, "zh": chinese, "diagnostics": match[2]}
    return parts | ({"field": match[3]} if match[3] else {})
