"""The one question that a binding asks: is this code in that value set?

Whoever checks a binding needs no more than this, so it is all that `r4/checks/` is given. The
engine answers it from R4's own value sets, from packages, from what is stored and imported.

Spec: https://hl7.org/fhir/R4/terminologies.html#binding
"""

from typing import Protocol


class Membership(Protocol):
    """Says whether codes are in value sets."""

    def contains(self, value_set: str, system: str, code: str, *, version: str = "") -> bool | None:
        """Return whether `system`|`code` is in the value set, None if that cannot be told.

        `value_set` is a canonical, with or without `|version`. An empty `system` is that of a
        `code` element: any system of the value set will do. `version` is that of the system.
        None: the value set, a system that it draws on, or that part of it is not known here.
        """
