"""How much work a report may be: what is beyond that is told as a whole, or left out and counted.

The unit is a value of FHIR that was made or compared, so a report is the same on every machine. A
segment that is begun is told to its end, for up to twice as much again; of what is left a field
of many parts may take an eighth.

Spec: DESIGN 5 (nothing lost from a message)
"""

from collections.abc import Iterable

MOST = 400_000  # about 4 s of CPU: an ORU of 800 OBX, each part of it tried
_FEW = 20
_PER_PART = 20
_SHARE = 8


class Effort:
    """What may still be done for a report, or for those of a batch together."""

    def __init__(self, most: int = MOST) -> None:
        self._left, self._end = most, -2 * most

    def spend(self, values: int) -> None:
        """Note that so many values were made or compared."""
        self._left -= values

    @property
    def may_begin(self) -> bool:
        """Say whether one more segment may be told."""
        return self._left > 0

    @property
    def may_go_on(self) -> bool:
        """Say whether one that is begun may be told to its end."""
        return self._left > self._end

    def may_divide(self, parts: int) -> bool:
        """Say whether a field of so many parts may be told part by part."""
        return parts <= _FEW or parts * (parts + _PER_PART) * _SHARE < self._left


def ranges(numbers: Iterable[int]) -> list[str]:
    """Return ascending numbers as `3` and `7-12`."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]
