"""RPT, TQ.2 and bare repeat patterns (`BID`, `Q6H`, 每日两次) as Timing.

The table TimingRepeat says what a pattern means; patterns with a number in them are read here.
What neither knows is kept as the timing's text.

Spec: https://hl7.org/fhir/R4/datatypes.html#Timing; HL7v2 table 0335
"""

import re
from typing import Any

from fhir_hub.hl7v2.datatypes import codes
from fhir_hub.hl7v2.datatypes.context import Coded, Context, Table
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.er7 import Value

TABLE = "TimingRepeat"
_EVERY = re.compile(r"Q(\d{1,3})([SMHDWL])", re.ASCII)
_TIMES_A_DAY = re.compile(r"(\d{1,2})(?:ID|X/D|XD|/D|次/日|次/天)", re.ASCII)
_UNITS = {"S": "s", "M": "min", "H": "h", "D": "d", "W": "wk", "L": "mo"}


def timing(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Timing of RPT, TQ.2 or a CWE by the table TimingRepeat."""
    return table_timing(value, context, context.table(TABLE))


def table_timing(value: Value, context: Context, table: Table) -> dict[str, Any] | None:
    """Return the Timing that a table has for a repeat pattern."""
    first = value.component(1)
    pattern = first if len(first.components) > 1 else value
    text = one_line(part(pattern, 2)) or one_line(part(pattern, 1))
    coded = codes.look_up(pattern, table)
    if coded is None:
        repeat = _computed(part(pattern, 1).upper())
        if repeat is None and text:
            context.issue("unmapped-code", f"table {table.name} does not know a repeat pattern")
        return compact({"repeat": repeat, "code": {"text": text} if text else None})
    code = {"coding": [coded.coding()], "text": text} if coded.system else {"text": text}
    return compact({"repeat": _repeat(coded), "code": compact(code)})


def _repeat(coded: Coded) -> dict[str, Any]:
    return dict(coded.properties.get("repeat", {}))


def _computed(pattern: str) -> dict[str, Any] | None:
    if match := _EVERY.fullmatch(pattern):
        number = int(match[1])
        if number:
            return {"frequency": 1, "period": number, "periodUnit": _UNITS[match[2]]}
    if match := _TIMES_A_DAY.fullmatch(pattern):
        number = int(match[1])
        if number:
            return {"frequency": number, "period": 1, "periodUnit": "d"}
    return None
