"""The one shape of an index entry: what a resource says under one search parameter.

Every parameter type uses the same row; which columns it fills is its own affair
(`search/kinds/`). A store keeps rows and compares columns, and knows nothing of FHIR types.

| kind | code | system | low, high | text |
|---|---|---|---|---|
| token | the code | its system, `""` if none | | |
| string | normalised text | | | as written, for `:exact` |
| date | | | `[low, high)` in microseconds since 1970, UTC | |
| number | | | the number twice, or the ends of a range: both are in it | |
| quantity | unit's code | unit's system | as above | unit as written |
| measure | canonical unit | | as above, in that unit | |
| reference | `Patient/1`, or an absolute URL | version if any | | |
| uri | the uri | | | |
| special | | | latitude and longitude | |
| text | words, with a blank between two | | | |

A composite is indexed under its own name with a part number (`component-code-value-quantity.0`,
`component-code-value-quantity.1`); the parts of one pair share a `group` above 0. One whose parts
have entries of their own that say the same has none; a value that is there and no part of it
stands under `code-value-quantity:other`, by its type. What a modifier asks beside the value
stands under `<parameter>:<modifier>`: the identifier inside a reference (`:identifier`, a token),
the text beside a code or reference (`:text`, a string), the type and value of an identifier
(`:of-type`, a token `code|value`). A name in Han has further string entries, its pinyin. A
quantity in a unit of UCUM has a further entry, its measure, unless its unit is one of those that
a search asks for as they are. A concept of text alone, or a reference without an address, has an
entry without a code: it is there, so not `:missing`. A reference that no parameter looks at
stands under `UNNAMED`, so that one can find who refers to a resource at all.

What a contained resource says stands under names of its own (`contained.py`).

Spec: https://hl7.org/fhir/R4/search.html#ptypes
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

Kind = Literal[
    "token", "string", "date", "number", "quantity", "measure", "reference", "uri", "special",
    "text",
]  # fmt: skip


UNNAMED = "_reference"


class Entry(NamedTuple):
    """One index entry. None is an unbounded `low` or `high`."""

    parameter: str
    kind: Kind
    code: str = ""
    system: str = ""
    low: float | None = None
    high: float | None = None
    text: str = ""
    group: int = 0


# `Entry` of all its values, without a call of Python's own: an Observation has twenty entries
entry_of: Callable[[tuple[str, Kind, str, str, float | None, float | None, str, int]], Entry] = (
    partial(tuple.__new__, Entry)
)


def is_part_name(parameter: str) -> bool:
    """Say whether a name is that of a part of a composite (`code-value-string.0`)."""
    return parameter.rpartition(".")[2].isdigit()
