"""What one process of a hub does for all of them, and what it has to do with messages left behind.

Where one process writes for the others it is told to lead. Where each writes by itself, to one
MongoDB, they agree on who leads (`store/crew.py`), and who cannot be sure of it any more rests.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from fhir_hub.telemetry import Log

Finish = Callable[[], Awaitable[None]]


class Leads(Protocol):
    """A part that does something once for all processes."""

    def lead(self) -> None:
        """Do it from now on."""

    async def rest(self) -> None:
        """Do it no more, until told to lead again."""


class HubDuties:
    """The parts of one process that lead or rest together; `finish` has what was left finished."""

    def __init__(self, parts: Sequence[Leads], finish: Finish, log: Log) -> None:
        self._parts, self._finish, self._log = parts, finish, log

    def lead(self) -> None:
        """Do from now on what one process does for all: index, deliver, watch, remove."""
        self._log("leading")
        for part in self._parts:
            part.lead()

    async def rest(self) -> None:
        """Do it no more: another process does."""
        self._log("resting")
        for part in self._parts:
            await part.rest()

    async def finish_left(self) -> None:
        """Have a process that does nothing else take over what was left, and finish it."""
        await self._finish()
