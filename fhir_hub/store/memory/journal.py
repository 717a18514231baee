"""Received messages in a dict: the reference meaning of a journal."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from fhir_hub.store.base import Conflict, Finish, State
from fhir_hub.store.journal import (
    CORRECTABLE,
    COUNTED,
    FINAL,
    Entered,
    Kept,
    Pruned,
    Received,
    Selection,
)
from fhir_hub.store.turns import Turns


class MemoryJournal:
    """A journal that lives as long as the process."""

    def __init__(self) -> None:
        self._entered: dict[int, Entered] = {}
        self._last = 0
        self._turns = Turns()
        self._owed: set[int] = set()

    async def keep(self, message: Received, *, is_early: bool = False) -> Kept:
        """Store the message, unless it is a duplicate."""
        if message.replaces:
            old = self._entered.get(message.replaces)
            if old is None or old.state not in CORRECTABLE:
                raise Conflict("only a message that is not done may be replaced")
        before = self._before(message)
        if before is not None:
            return Kept(before, is_duplicate=True)
        is_changed = (
            bool(message.key)
            and not message.replaces
            and any(
                one.message.key == message.key and one.message.digest != message.digest
                for one in self._entered.values()
                if one.state != "quarantined"
            )
        )
        self._last = number = self._last + 1
        state: State = "quarantined" if is_changed else "received"
        entered = Entered(number, message, state, size_bytes=len(message.raw))
        self._entered[number] = entered
        if message.owes and not is_changed:
            self._owed.add(number)
        if message.replaces:
            old = self._entered[message.replaces]
            self._entered[old.number] = replace(old, state="replaced", replaced_by=number)
        is_free = not is_changed and self._turns.enter(number, message.turns)
        return Kept(entered, is_changed=is_changed, is_free=is_free)

    def _before(self, message: Received) -> Entered | None:
        """Return the message that came before and is the same, if there is one that counts."""
        for one in self._entered.values():
            if (one.message.key, one.message.digest) == (message.key, message.digest):
                while one.state == "replaced" and one.replaced_by in self._entered:
                    one = self._entered[one.replaced_by]
                is_final = one.state == "dead" and one.error.startswith(FINAL)
                if is_final or one.state in ("received", "done"):
                    return one
        return None

    async def turn(self, number: int) -> None:
        """Wait until what came before and shares a turn with the message is finished."""
        await self._turns.wait(number)

    async def finish(self, finish: Finish) -> None:
        """Record the end of a message. Raises `Conflict` if it has ended, or is unknown."""
        self.check(finish)
        self.apply(finish)

    async def note(self, number: int, reason: str) -> None:
        """Record what is known of a message that has not ended."""
        if (entered := self._entered.get(number)) and entered.state == "received":
            self._entered[number] = replace(entered, error=reason)

    async def elsewhere(self, number: int) -> None:
        """Return at once: there is no other process."""

    async def reopen(self, number: int, turns: tuple[str, ...], *, again: bool = False) -> Kept:
        """Make an ended message `received`, after all that is under way; return it."""
        entered = self._entered.get(number)
        if entered is None or (entered.size_bytes and not entered.message.raw):
            raise Conflict("the message is unknown, or its bytes are not kept any more")
        if entered.state != "done":
            if entered.state not in CORRECTABLE:
                raise Conflict(f"the message is {entered.state}")
            before = self._before(entered.message)
            if before is not None and before.number != number:
                raise Conflict("the same message is done under another number")
            entered = self._entered[number] = replace(entered, state="received")
        elif not again:
            raise Conflict("the message is done")
        return Kept(entered, is_free=self._turns.enter(number, turns))

    async def owed(self) -> list[Entered]:
        """Return the messages that have ended and whose end is still to be told, oldest first."""
        found = [self._entered[number] for number in sorted(self._owed)]
        return [entered for entered in found if entered.state != "received"]

    async def settle(self, number: int) -> None:
        """Record that the end of a message was told, or will not be."""
        self._owed.discard(number)

    async def pending(self) -> list[Entered]:
        """Return the messages that were received and not finished, oldest first."""
        return [entered for entered in self._entered.values() if entered.state == "received"]

    async def find(self, number: int) -> Entered | None:
        """Return one message."""
        return self._entered.get(number)

    async def recent(self, *, count: int = 20, before: int = 0, state: str = "") -> list[Entered]:
        """Return messages, newest first, with a number below `before` (0: from the newest)."""
        selection = Selection((state,) if state else ())
        return await self.select(selection, count=count, beyond=before, with_raw=True)

    async def select(
        self,
        selection: Selection,
        *,
        count: int = 100,
        beyond: int = 0,
        is_oldest_first: bool = False,
        with_raw: bool = False,
    ) -> list[Entered]:
        """Return the first messages of a selection, newest first, beyond the number `beyond`."""
        numbers: Iterable[int] = sorted(self._entered, reverse=not is_oldest_first)
        if beyond:
            numbers = [n for n in numbers if (n > beyond if is_oldest_first else n < beyond)]
        found = [self._entered[n] for n in numbers if _is_of(self._entered[n], selection)][:count]
        if with_raw:
            return found
        return [replace(one, message=replace(one.message, raw=b"")) for one in found]

    async def prune(self, before: Mapping[str, int], forget: int, *, most: int = 500) -> Pruned:
        """Remove old messages, at most `most` of each kind; both zero: there are no more."""
        ended = [one for one in self._entered.values() if one.state != "received"]
        emptied = [
            one
            for one in ended
            if one.message.raw and one.message.received < before.get(one.state, 0)
        ][:most]
        for one in emptied:
            self._entered[one.number] = replace(one, message=replace(one.message, raw=b""))
        forgotten = [
            one.number
            for one in self._entered.values()
            if one.state != "received" and not one.message.raw and one.message.received < forget
            if one.number < self._last
        ][:most]
        for number in forgotten:
            del self._entered[number]
            self._owed.discard(number)
        return Pruned(len(emptied), len(forgotten))

    async def tally(self) -> dict[str, int]:
        """Return how many messages are in each state of which there are few."""
        states = [one.state for one in self._entered.values()]
        return {state: states.count(state) for state in COUNTED}

    async def shrink(self) -> int:
        """Give nothing back: there is no disk."""
        return 0

    async def owing(self) -> frozenset[int]:
        """Return the numbers of the messages whose end is to be told, ended or not."""
        return frozenset(self._owed)

    async def adopt(self, messages: Sequence[Entered], owing: Collection[int] = ()) -> None:
        """Put messages of another journal as they are there, under their own numbers."""
        entered = self._entered | {one.number: one for one in messages}
        self._entered = dict(sorted(entered.items()))
        self._last = max((self._last, *self._entered))
        self._owed = self._owed - {one.number for one in messages} | set(owing)

    def check(self, finish: Finish) -> None:
        """Raise `Conflict` unless there is such a message and it may end so."""
        state = entered.state if (entered := self._entered.get(finish.number)) else ""
        is_open = state == "received" or (finish.is_aside and state != "done")
        if not state or not (is_open or finish.is_again):
            raise Conflict("the message has ended already, or is unknown")

    def apply(self, finish: Finish) -> None:
        """Write the end of a message."""
        before = self._entered[finish.number]
        self._entered[finish.number] = replace(
            before,
            state=finish.state,
            ack=finish.ack,
            error=finish.error,
            links=finish.links,
            finished=finish.finished,
            attempts=before.attempts + finish.attempts,
            maps=finish.maps,
        )
        self._turns.end(finish.number)


def _is_of(entered: Entered, selection: Selection) -> bool:
    message, wanted = entered.message, selection
    types = {message.message_type, *message.message_type.split("^")[:2]}
    return (
        (not wanted.states or entered.state in wanted.states)
        and (not wanted.numbers or entered.number in wanted.numbers)
        and wanted.sender in ("", message.application, message.facility)
        and wanted.facility in ("", message.facility)
        and wanted.control_id in ("", message.control_id)
        and wanted.channel in ("", message.channel)
        and (not wanted.message_type or wanted.message_type in types)
        and message.received >= wanted.since
        and (not wanted.until or message.received < wanted.until)
        and (wanted.link is None or wanted.link in entered.links)
    )
