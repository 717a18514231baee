"""Which worker does which message, and what those that are gone have left.

A message that is done elsewhere, or was left, is not done a second time when its sender sends it
again: who asks waits for its end. What was left is taken over as a whole, by a worker that does
nothing else, because one of these messages may be why the other one is gone.
"""

import asyncio


class Holding:
    """The messages that are kept and not ended, by number, and who does each: any object."""

    def __init__(self) -> None:
        self._holders: dict[int, object] = {}  # of one that was left: None
        self._awaited: dict[int, list[asyncio.Future[None]]] = {}

    def take(self, holder: object, number: int) -> None:
        """Remember who does a message."""
        self._holders[number] = holder

    def let_go(self, number: int) -> None:
        """Forget a message that has ended."""
        self._holders.pop(number, None)
        if self._awaited:
            for awaited in self._awaited.pop(number, ()):
                if not awaited.done():
                    awaited.set_result(None)

    def leave(self, holder: object) -> None:
        """Remember that a worker is gone, and what it did is to be done."""
        for number, who in self._holders.items():
            if who is holder:
                self._holders[number] = None

    def take_over(self, holder: object) -> list[int]:
        """Have a worker do all that was left; return it in its order."""
        left = sorted(number for number, who in self._holders.items() if who is None)
        for number in left:
            self._holders[number] = holder
        return left

    async def elsewhere(self, holder: object, number: int) -> None:
        """Wait while somebody else does the message, or is to."""
        while number in self._holders and self._holders[number] is not holder:
            awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.setdefault(number, []).append(awaited)
            await awaited
