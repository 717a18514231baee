"""Order of FHIR dates and times, where it is certain: dates of different length may be equal.

FHIRPath's comparison is empty when one side is less precise and they agree as far as it goes, and
also when one side has no zone; an invariant then holds.

Spec: http://hl7.org/fhirpath/N1/#comparison
"""

from datetime import date, datetime, timedelta


def is_after(first: str, last: str) -> bool:
    """Return whether the dateTime `first` is certainly after `last`; both are well formed.

    >>> is_after("2024-03", "2024-02-29"), is_after("2024-02", "2024-02-29")
    (True, False)
    >>> is_after("2024-02-29T10:00:00+08:00", "2024-02-29T03:00:00Z")
    False
    """
    if not (isinstance(first, str) and isinstance(last, str)):
        return False  # only an extension is there
    if len(first) > 10 and len(last) > 10:
        try:
            return datetime.fromisoformat(first) > datetime.fromisoformat(last)
        except ValueError:
            return False  # a leap second: Python has none, and it is no fault
    if len(first) <= 10 and len(last) <= 10:
        length = min(len(first), len(last))
        return first[:length] > last[:length]
    if len(first) < 10 or len(last) < 10:
        return False
    # a day without a zone against a moment with one: they may be a day apart and the same
    return date.fromisoformat(first[:10]) - date.fromisoformat(last[:10]) > timedelta(days=1)
