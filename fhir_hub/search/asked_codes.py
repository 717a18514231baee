"""Codes that a query asks for: each must be one that R4 lets an element have that it is asked of.

Asked of several types at once, `target.status=final` of whatever a Provenance is about, it is
enough that one of them can have it: the others are not so.

Spec: https://hl7.org/fhir/R4/terminologies.html#required
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fhir_hub.errors import InvalidParameter, InvalidResource
from fhir_hub.nearest import did_you_mean
from fhir_hub.search.parameter import Parameter

_MOST = 12


class AskedCodes:
    """What one query asks. `is_of_several`: what is read now is asked of several types."""

    def __init__(self) -> None:
        self._depth = 0
        self._known: set[tuple[str, str]] = set()
        self._unknown: dict[tuple[str, str], frozenset[str]] = {}

    @property
    def is_of_several(self) -> bool:
        """Say whether a code is refused only at the end, when no type can have it."""
        return self._depth > 0

    def check(self, parameter: Parameter, code: str) -> None:
        """Raise `InvalidResource` for a code that no value can be; of several types, note it."""
        asked = parameter.code, code
        if parameter.codes is None or code in parameter.codes:
            self._known.add(asked)
        elif self.is_of_several:
            others = self._unknown.get(asked, frozenset())
            self._unknown[asked] = others | parameter.codes
        else:
            raise InvalidResource(_no_code(code, parameter.codes))

    @contextmanager
    def of_several(self) -> Iterator[None]:
        """Read what is asked of several types; raises `InvalidParameter` if none has a code."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            unknown, known = self._unknown, self._known
            if not self._depth:
                self._unknown, self._known = {}, set()
        if not self._depth:
            for (name, code), codes in unknown.items():
                if (name, code) not in known:
                    raise InvalidParameter(f"{name}: {_no_code(code, codes)}")


def _no_code(code: str, known: frozenset[str]) -> str:
    some = ", ".join(sorted(known)[:_MOST])
    more = f" and {len(known) - _MOST} more" if len(known) > _MOST else ""
    return f"R4 has no such code here{did_you_mean(code, known, f'there are {some}{more}')}"
