"""Whose turn it is: messages that share a patient one after the other, all others at once.

A message enters when it is kept, so in the order of arrival over all connections and processes,
with the words that order it: the numbers of its patients. It waits for the last one before it
under each of them, and lets go when its end is durable. A merge enters with the numbers of both
patients, so it waits for all that came before about either, and all that come after wait for it.

Whoever waits came later than those it waits for: there is no circle.
"""

import asyncio
from collections.abc import Iterable


class _Turn:
    __slots__ = ("awaited", "followers", "is_over", "left", "words")

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.left = 0  # how many before it are under way
        self.followers: list[_Turn] = []
        self.awaited: list[asyncio.Future[None]] = []
        self.is_over = False  # it has ended, though what is before it has not

    def wake(self) -> None:
        """Let those go on who wait for this turn."""
        for future in self.awaited:
            if not future.done():
                future.set_result(None)


class Turns:
    """The messages under way that may hold up others."""

    def __init__(self) -> None:
        self._turns: dict[int, _Turn] = {}
        self._last: dict[str, _Turn] = {}

    def enter(self, number: int, words: Iterable[str]) -> bool:
        """Enter a message after all that are there; return whether it need not wait."""
        if number in self._turns:
            return not self._turns[number].left
        unique = tuple(dict.fromkeys(words))
        if not unique:
            return True
        own = self._turns[number] = _Turn(unique)
        for word in unique:
            before = self._last.get(word)
            if before is not None:
                before.followers.append(own)
                own.left += 1
            self._last[word] = own
        return not own.left

    async def wait(self, number: int) -> None:
        """Return when everything before the message has ended; at once if it never entered."""
        own = self._turns.get(number)
        if own is not None and own.left:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            own.awaited.append(future)
            await future

    def __contains__(self, number: int) -> bool:
        """Say whether a message has entered and not ended."""
        return number in self._turns

    def end(self, number: int) -> None:
        """Let go of a message that has ended, if it is there."""
        own = self._turns.pop(number, None)
        if own is None:
            return
        own.is_over = True
        if own.left:  # what follows it must not overtake what is before it
            own.wake()
        else:
            self._release(own)

    def _release(self, own: _Turn) -> None:
        over = [own]
        while over:
            own = over.pop()
            for word in own.words:
                if self._last.get(word) is own:
                    del self._last[word]
            for follower in own.followers:
                follower.left -= 1
                if not follower.left:
                    if follower.is_over:
                        over.append(follower)
                    else:
                        follower.wake()
