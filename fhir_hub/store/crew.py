"""The processes at work on one store, where each of them may write: who leads, who is gone.

One of them *leads*: it does what is done once for all (deadlines, holds, retries, indexing,
delivery to partners). If it dies another leads. The messages that a process held when it died are
left, and one of them may be why it died. So who leads has them finished by a process that does
nothing else.
"""

from collections.abc import Collection
from typing import Protocol


class Duties(Protocol):
    """What the crew has a process do."""

    def lead(self) -> None:
        """Do from now on what one process does for all."""

    async def rest(self) -> None:
        """Do it no more: another process does."""

    async def finish_left(self) -> None:
        """Have a process that does nothing else take over what was left, and finish it."""


class Crew(Protocol):
    """The processes on one store, as one of them sees it.

    `extraction` is by which this one indexes (`search/extraction.py`), said before it writes.
    """

    extraction: str

    async def serve(self, duties: Duties, lease_s: float) -> None:
        """Be one that may lead, until cancelled. Gone is who shows no life for `lease_s`."""

    async def take_over(self) -> list[int]:
        """Have this process hold the messages of those who are gone; return them, by turn.

        Those too that it took over before and that have not ended. One that has to wait for who
        is at work stays with who left it, until its turn comes.
        """

    async def extractions(self) -> Collection[str]:
        """Return by which extractions the others index; empty: one does not say."""

    async def leave(self) -> None:
        """Tell the others that this process is no more at work: they need not wait."""
