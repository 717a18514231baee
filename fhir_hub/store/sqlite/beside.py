"""What stands beside a reference to a patient: the codes, status, date and version of who refers.

Most searches of clinical data are "of this patient, with this code, since this day". Without more,
each of the patient's resources would be asked in two other indexes whether it has the code and the
date. So the index row of a reference to a Patient says itself what the resource says under
R4's parameters of what, which kind, in which state (`TOLD`) and when (`date`); the whole search
is one range of one index. It says the resource's logical id and the sequence of its current version
too, so that the way from there to the content does not lead over the resource's own row.

A row that does not say it (NULL) is asked the other way: one of an older program, codes with the
marks in them, too many codes, no date or several. So what stands here never has to be complete;
but what it says must be right: an update writes the row anew.

Spec: https://hl7.org/fhir/R4/fivews.html
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter

from fhir_hub.search.plan import Has, Is, Range, Test
from fhir_hub.store.sqlite.sql import Slot, Sql

PATIENT = "Patient/"
INTERVALS = frozenset(("date", "number", "quantity", "measure", "special"))
TOLD = frozenset(("category", "class", "clinical-status", "code", "status", "type"))
_MARK, _JOINT = "\x1e", "\x1f"  # around each code, and between its parts
_LONGEST = 200  # characters of codes

Beside = tuple[str | None, float | None, float | None]  # codes, and the ends of the date
# parameter, code, resource, system; then the codes, the interval, the sequence of the current
# version and the logical id, that stand beside
_Said = tuple[str | None, float | None, float | None, int | None, str | None]
CodeRow = tuple[int, str, int, int, str | None, float | None, float | None, int | None, str | None]
SILENT: _Said = (None, None, None, None, None)
NOTHING: Beside = (None, None, None)


def is_told(parameter: str, kind: str) -> bool:
    """Say whether the codes of a parameter stand beside references."""
    return kind == "token" and parameter in TOLD


def asks_codes(has: Has) -> bool:
    """Say whether a part asks for codes that can be found beside a reference."""
    return is_told(has.parameter, has.kind) and all(map(_is_plain, has.tests))


def asks_date(has: Has) -> bool:
    """Say whether a part asks for the interval that stands beside a reference."""
    return (has.parameter, has.kind) == ("date", "date") and all(
        type(test) is Range and (test.system, test.code, test.unit) == (None, None, None)
        for test in has.tests
    )


def is_person(code: str | Slot) -> bool:
    """Say whether more stands beside references to `code`."""
    return code.is_person if isinstance(code, Slot) else code.startswith(PATIENT)


def is_markless(code: str) -> bool:
    """Say whether there are no marks in a code."""
    return _MARK not in code and _JOINT not in code


def _is_plain(test: Test) -> bool:
    if type(test) is not Is or test.code is None:
        return False
    return type(test.code) is not str or is_markless(test.code)  # a slot's code is seen to be


def walk_of(parameter: str, kind: str) -> str:
    """Return which index has the values of a parameter, and what of it stands beside references.

    Of a composite only the first part is in an index; the others are looked up from there.
    """
    part = parameter.rpartition(".")[2]
    if part.isdigit() and part != "0":
        return ""
    if kind in INTERVALS:
        return "date" if parameter == "date" else "interval"
    if kind == "reference":
        return "reference"
    return "told" if is_told(parameter, kind) else "code"


def said_beside(
    codes: Sequence[tuple[int, str, int]], spans: Sequence[tuple[float, float]]
) -> Beside:
    """Return what stands beside a resource's references to patients: its codes and its date.

    Of a code its parameter, itself and its system, in the order of extraction.
    """
    text = None
    if sum([len(code) for _, code, _ in codes]) < _LONGEST:
        text = _tokens(tuple(codes))
    low, high = spans[0] if len(spans) == 1 else (None, None)
    return text, low, high


@lru_cache(1024)
def _tokens(codes: tuple[tuple[int, str, int], ...]) -> str | None:
    """Return the codes as they stand beside, None if they cannot; the same come again and again."""
    if not all(is_markless(code) for _, code, _ in codes):
        return None
    ordered = sorted(codes, key=itemgetter(0))
    said = [f"{parameter}{_JOINT}{code}{_JOINT}{system}" for parameter, code, system in ordered]
    return _MARK.join(("", *said, ""))


def found_beside(code: str | Slot, system: int | None, parameter: int, alias: str) -> Sql:
    """Return that the code stands in the row; of any system if that is None."""
    before = f"{_MARK}{parameter}{_JOINT}"
    after = _JOINT if system is None else f"{_JOINT}{system}{_MARK}"
    wanted = code.around(before, after) if isinstance(code, Slot) else before + code + after
    return Sql(f"instr({alias}.tokens, ?) > 0", (wanted,))  # type: ignore[arg-type]  # a slot is bound, no more


def unless_told(column: str, asked: Sql, said: Sql) -> Sql:
    """Return what the row says in `column`, and what is `asked` elsewhere if it says nothing."""
    return Sql(
        f"CASE WHEN {column} IS NULL THEN {asked.text} ELSE {said.text} END",
        asked.values + said.values,
    )


# what `said_beside` returns, from the entries of the row {0}
TOKENS = f"""(
  SELECT CASE WHEN total(instr(e.code, char(30)) + instr(e.code, char(31))) = 0
    AND total(length(e.code)) < {_LONGEST} THEN char(30) || coalesce(group_concat(
      e.parameter || char(31) || e.code || char(31) || e.system || char(30), ''
      ORDER BY e.parameter, e.place), '') END
  FROM entry e WHERE e.rid = {{0}}.rid AND e.parameter IN (
    SELECT p.id FROM resource r JOIN parameter p ON p.type = r.type WHERE r.rid = {{0}}.rid
      AND p.kind = 'token' AND p.name IN
        ('category', 'class', 'clinical-status', 'code', 'status', 'type')))"""
SPAN = """(
  SELECT min(e.low), max(e.high)
  FROM entry e WHERE e.rid = {0}.rid AND e.parameter = (
    SELECT p.id FROM resource r JOIN parameter p ON p.type = r.type WHERE r.rid = {0}.rid
      AND p.kind = 'date' AND p.name = 'date')
  HAVING count(*) = 1)"""
VERSION = "(SELECT r.sequence, r.logical_id FROM resource r WHERE r.rid = {0}.rid)"
_TOLD_FIRST = f"tokens = {TOKENS}, (low, high) = {SPAN}".format("by_code")
_TOLD_LATER = f"(sequence, logical_id) = {VERSION}".format("by_code")
SAID = f"{_TOLD_FIRST}, {_TOLD_LATER}"
OF_PEOPLE = (
    "parameter IN (SELECT id FROM parameter WHERE kind = 'reference')"
    " AND code >= 'Patient/' AND code < 'Patient0'"
)
MIGRATION = f"""
ALTER TABLE by_code ADD COLUMN tokens TEXT;
ALTER TABLE by_code ADD COLUMN low;
ALTER TABLE by_code ADD COLUMN high;
UPDATE by_code SET {_TOLD_FIRST} WHERE {OF_PEOPLE};
"""
MIGRATION_OF_VERSIONS = f"""
ALTER TABLE by_code ADD COLUMN sequence INTEGER;
ALTER TABLE by_code ADD COLUMN logical_id TEXT;
UPDATE by_code SET {_TOLD_LATER} WHERE {OF_PEOPLE};
"""
