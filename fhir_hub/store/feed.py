"""The commit sequence of a store, read forward: for whoever tells others what changed.

Spec: DESIGN 5 (one commit sequence without gaps)
"""

from collections import deque
from functools import partial
from itertools import takewhile

from fhir_hub.store.base import Store, Stored

_PAGE = 200


class Feed:
    """The versions of the commit sequence, in order; a page of them is read at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ahead: deque[Stored] = deque()
        self.last = 0

    async def commit(self, after: int) -> list[Stored]:
        """Return the versions that were written together, next after a sequence; none: at the end.

        What is written in one step is contiguous and has one `last_updated`.
        """
        while self._ahead and self._ahead[0].sequence <= after:
            self._ahead.popleft()
        if not self._ahead or self._ahead[0].sequence != after + 1:
            await self.look()
            self._ahead.clear()
            await self._read(after)
        if not self._ahead:
            return []
        moment = self._ahead[0].last_updated
        while self._ahead[-1].last_updated == moment and self._ahead[-1].sequence < self.last:
            await self._read(self._ahead[-1].sequence)
        return list(takewhile(partial(_is_of, moment), self._ahead))

    async def look(self) -> None:
        """See how far the sequence is now: `last`."""
        page = await self._store.history(count=1)
        self.last = page.matches[0].sequence if page.matches else 0

    async def _read(self, after: int) -> None:
        """Read the page of versions behind a sequence."""
        if after >= self.last:
            return
        page = await self._store.history(count=_PAGE, before=after + _PAGE + 1)
        found = [one for one in page.matches if after < one.sequence <= self.last]
        self._ahead.extend(sorted(found, key=lambda one: one.sequence))


def _is_of(moment: int, stored: Stored) -> bool:
    return stored.last_updated == moment
