"""FHIR dates and times as DT, DTM, TS, TM and DR: the receiver's clock, without its offset.

Spec: HL7v2 chapter 2A, DTM; DOMAIN 3.6 (times in China carry no offset)
"""

import re
from datetime import datetime
from typing import Any

from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.written import Written

_FRACTION = re.compile(r"\.(\d{1,4})\d*")


def moment(text: Any, out: Outbound) -> str:
    """Return a FHIR date, dateTime or instant as digits, as precise as it is, in `out.zone`.

    >>> from fhir_hub.hl7v2.emit.resources import Resources
    >>> out = Outbound("", Resources([]), datetime(2025, 3, 10))
    >>> moment("2025-03-10T01:40:00Z", out)
    '20250310094000'
    """
    if not isinstance(text, str):
        return ""
    day, has_time, _ = text.partition("T")
    if not has_time:
        return day.replace("-", "")
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        out.issue("a time cannot be read; it was left out")
        return ""
    try:
        local = read.astimezone(out.zone) if read.tzinfo else read
    except OverflowError:  # the end of all time (9999-12-31T23:59:59Z) is so on every clock
        local = read
    fraction = _FRACTION.search(text)
    tail = f".{fraction[1]}" if fraction and fraction[1].strip("0") else ""
    return local.strftime("%Y%m%d%H%M%S").rjust(14, "0") + tail


def date(value: Any, out: Outbound) -> Written | None:
    """Return DT, DTM or TS."""
    text = moment(value, out)
    return [text] if text else None


def day(value: Any, out: Outbound) -> Written | None:
    """Return DT: the day alone."""
    text = moment(value, out)[:8]
    return [text] if text else None


def time(value: Any, out: Outbound) -> Written | None:
    """Return TM."""
    text = value.replace(":", "") if isinstance(value, str) else ""
    return [text] if text else None


def period(value: Any, out: Outbound) -> Written | None:
    """Return DR."""
    ends = [moment(value.get(name), out) for name in ("start", "end")]
    return list(ends) if any(ends) else None


def period_start(value: Any, out: Outbound) -> Written | None:
    """Return the start of a Period as DTM."""
    return date(value.get("start"), out)


def period_end(value: Any, out: Outbound) -> Written | None:
    """Return the end of a Period as DTM."""
    return date(value.get("end"), out)
