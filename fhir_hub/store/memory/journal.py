"""Received messages in a list: the reference meaning of a journal."""

from dataclasses import replace

from fhir_hub.store.base import Conflict, Entered, Finish, Kept, Received


class MemoryJournal:
    """A journal that lives as long as the process."""

    def __init__(self) -> None:
        self._entered: list[Entered] = []

    async def keep(self, message: Received) -> Kept:
        """Store the message, unless it is a duplicate."""
        is_changed = False
        for entered in self._entered:
            before = entered.message
            if before.key == message.key and before.digest == message.digest:
                if entered.state != "failed":
                    return Kept(entered, is_duplicate=True)
            elif message.key and before.key == message.key:
                is_changed = True
        entered = Entered(len(self._entered) + 1, message, "received")
        self._entered.append(entered)
        return Kept(entered, is_changed=is_changed)

    async def finish(self, finish: Finish) -> None:
        """Record the end of a message. Raises `Conflict` if it is done already, or unknown."""
        self.check(finish)
        self.apply(finish)

    async def pending(self) -> list[Entered]:
        """Return the messages that were received and not finished, oldest first."""
        return [entered for entered in self._entered if entered.state == "received"]

    async def find(self, number: int) -> Entered | None:
        """Return one message."""
        return self._entered[number - 1] if 0 < number <= len(self._entered) else None

    async def recent(self, *, count: int = 20, before: int = 0, state: str = "") -> list[Entered]:
        """Return messages, newest first, with a number below `before` (0: from the newest)."""
        found = [
            entered
            for entered in reversed(self._entered)
            if (not before or entered.number < before) and (not state or entered.state == state)
        ]
        return found[:count]

    def check(self, finish: Finish) -> None:
        """Raise `Conflict` unless there is such a message and it is not done."""
        if not 0 < finish.number <= len(self._entered):
            raise Conflict("the message is unknown")
        if self._entered[finish.number - 1].state == "done":
            raise Conflict("the message is done already")

    def apply(self, finish: Finish) -> None:
        """Write the end of a message."""
        place = finish.number - 1
        self._entered[place] = replace(
            self._entered[place],
            state=finish.state,
            ack=finish.ack,
            error=finish.error,
            links=finish.links,
        )
