"""For how many days a test, an examination or a drug is the same again.

A site says its own in the table `[reminders]` of the settings, by code (`system|code`) or for all
of a kind. The numbers here are this project's own first choice, after how long a result stays of
use; no standard gives them.

Spec: WS/T 790.18 (reminders of duplicate tests, examinations and drugs)
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Kind = Literal["test", "exam", "drug"]
KINDS: tuple[Kind, ...] = ("test", "exam", "drug")
_LOINC = "http://loinc.org"
_DAYS: Mapping[Kind, int] = MappingProxyType({"test": 14, "exam": 30, "drug": 7})
_BY_LOINC: Mapping[int, str] = MappingProxyType(
    {
        1: "94500-6",  # SARS-CoV-2 RNA
        3: "14771-0 14743-9 1558-6 2345-7 2823-3",  # glucose, potassium
        7: "58410-2 6690-2 718-7 777-3",  # blood count
        14: "14682-9 2160-0 1742-6 1920-8",  # creatinine, ALT, AST
        42: "3016-3 3024-7",  # TSH, free T4
        84: "4548-4 59261-8 9318-7 14959-1 24331-1 57698-3 2093-3 14647-2 13457-7 22748-8",
        180: "5195-3 16128-1",  # HBsAg, hepatitis C antibody
        36_500: "883-9 10331-7",  # blood group, Rh: once in a life
    }
)
_BY_CODE = MappingProxyType(
    {(_LOINC, code): days for days, codes in _BY_LOINC.items() for code in codes.split()}
)


class Window(NamedTuple):
    """How many days, and what says so: a code (`system|code`), or the kind."""

    days: int
    rule: str


def window_of(codes: Iterable[tuple[str, str]], kind: Kind, own: Mapping[str, int]) -> Window:
    """Return the window of what has these codes; the site's `own` windows go before ours."""
    found = sorted(codes)
    for system, code in found:
        if (rule := f"{system}|{code}") in own:
            return Window(own[rule], rule)
    for system, code in found:
        if (system, code) in _BY_CODE:
            return Window(_BY_CODE[system, code], f"{system}|{code}")
    return Window(own.get(kind, _DAYS[kind]), kind)
