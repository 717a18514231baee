"""Intervals of the width that most have: one row of an index finds them by either end.

A number is a point: its interval ends where it begins. A time is most often written to the second.
Of such an interval the high end is the low one and a width that is the same for all of its kind, so
the order of one end is the order of the other: it has one row, by its low end, in `by_point`. Any
other interval (a period, a day, a range, "less than 5") has one in `by_low` and one in `by_high`.

Spec: https://hl7.org/fhir/R4/search.html#prefix
"""

from math import nan

_SECOND = 1_000_000
_WIDTH = f"CASE p.kind WHEN 'date' THEN {_SECOND} WHEN 'special' THEN NULL ELSE 0 END"
# that the interval of the row e of `entry` is a point, p being its parameter: 0 or 1
IS_POINT = f"(e.high IS e.low + {_WIDTH})"


def usual_width(kind: str) -> int:
    """Return how wide the points of a kind are: dates a second (in microseconds), numbers 0."""
    return _SECOND if kind == "date" else 0


def point_width(kind: str) -> float:
    """Return the width that makes an interval of a kind a point; NaN: none is (positions)."""
    return nan if kind == "special" else usual_width(kind)


_ASKS = "SELECT 1 FROM entry e WHERE e.rid = w.rid AND e.parameter = w.parameter"
_TABLE = """
CREATE TABLE by_{0} (
  parameter INTEGER NOT NULL, {1} NOT NULL, rid INTEGER NOT NULL,
  PRIMARY KEY (parameter, {1}, rid)
) WITHOUT ROWID;
"""


def _others(end: str, width: str) -> str:
    """Return the statements that leave in an index of ends what is not found by points."""
    return f"""
ALTER TABLE by_{end} RENAME TO old_{end};
{_TABLE.format(end, end)}
INSERT INTO by_{end} SELECT w.* FROM old_{end} w CROSS JOIN parameter p ON p.id = w.parameter
  WHERE CASE p.many WHEN 0 THEN NOT EXISTS (SELECT 1 FROM by_point o
    WHERE o.parameter = w.parameter AND o.low = w.{end} - {width} AND o.rid = w.rid)
  ELSE EXISTS ({_ASKS} AND e.{end} = w.{end} AND NOT {IS_POINT}) END
  ORDER BY w.parameter, w.{end}, w.rid;
DROP TABLE old_{end};
"""


# where no resource has two intervals the other end tells, in the same order; else its entries do
MIGRATION = f"""
{_TABLE.format("point", "low")}
INSERT INTO by_point SELECT w.* FROM by_low w CROSS JOIN parameter p ON p.id = w.parameter
  WHERE CASE p.many WHEN 0 THEN EXISTS (SELECT 1 FROM by_high o
    WHERE o.parameter = w.parameter AND o.high = w.low + {_WIDTH} AND o.rid = w.rid)
  ELSE EXISTS ({_ASKS} AND e.low = w.low AND {IS_POINT}) END
  ORDER BY w.parameter, w.low, w.rid;
{_others("low", "0")}
{_others("high", _WIDTH)}
"""
