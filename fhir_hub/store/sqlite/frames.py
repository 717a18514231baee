"""What the rows of a resource have in common with those of others like it, made once.

Ten results of one message have sixteen entries each, under the same parameters, of the same systems
and in the same order: only their codes, texts and intervals differ. What is the same is a `Form`;
rows are what it says with those put in, which is a few steps of Python a resource, not of each row.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from fhir_hub.store.sqlite.rows import WIDTH

LONGEST = 100  # rows of what is kept
_KEPT = 1024
_RID, _PARAMETER, _PLACE, _CODE, _SYSTEM, _LOW, _HIGH, _TEXT, _GROUP = range(WIDTH)

# of the rows their parameters, places, systems and groups; then the parameters without rows
Form = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
Interval = tuple[int, float, float]  # in which row, its ends


class Frame:
    """The rows of `entry` of resources of one form, without what differs.

    `parameters` are those of the rows, one after the other, `numbers` each parameter once.
    """

    __slots__ = ("_blank", "form", "numbers", "parameters")

    def __init__(self, form: Form) -> None:
        self.form = form
        self.parameters, places, systems, groups, others = form
        self.numbers = frozenset(self.parameters).union(others)
        self._blank: list[Any] = [None] * (WIDTH * len(places))
        self._blank[_PARAMETER::WIDTH] = self.parameters
        self._blank[_PLACE::WIDTH] = places
        self._blank[_SYSTEM::WIDTH] = systems
        self._blank[_GROUP::WIDTH] = groups

    def rows(
        self, rid: int, codes: Sequence[str], texts: Sequence[str], intervals: Sequence[Interval]
    ) -> list[Any]:
        """Return the values of the rows of the resource `rid`, one row after the other."""
        values = self._blank.copy()
        values[_RID::WIDTH] = [rid] * len(codes)
        values[_CODE::WIDTH] = codes
        values[_TEXT::WIDTH] = texts
        for row, low, high in intervals:
            at = WIDTH * row + _LOW
            values[at : at + 2] = low, high
        return values


def frame_of(form: Form) -> Frame:
    """Return the frame of a form; the same come again and again."""
    return _known(form) if len(form[0]) <= LONGEST else Frame(form)


_known = lru_cache(_KEPT)(Frame)
