"""Whether a sender told the same of a resource again, later than the message at hand says it.

The same facts again make no new version, so what is stored does not know that they were told
again. The journal does: before a message changes anything, it is asked for messages of the same
kind by the same sender about the same resource that came since, and their times are compared.
Where clocks agree there are none to compare.

Spec: HL7v2 chapter 3, EVN-2; DOMAIN 4 (out-of-order A08)
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.er7 import Message
from fhir_hub.hl7v2.meaning.teller import NOBODY, Teller, teller_of
from fhir_hub.store.base import Key
from fhir_hub.store.journal import Entered, Journal, Selection

IsRetold = Callable[[Key], Awaitable[bool]]
_MOST = 20  # the latest messages about a resource that are looked at


async def never(key: Key) -> bool:
    """Say that nothing was told again, where there is no journal to ask."""
    return False


@dataclass(frozen=True, slots=True)
class Retold:
    """Asks the journal, for the message at hand: `read` gives the message of an entry, or None."""

    journal: Journal
    at_hand: Entered
    read: Callable[[Entered], Message | None]
    context: Context

    async def __call__(self, key: Key) -> bool:
        """Say whether the teller told the resource again later; False if no time is known."""
        now = self._teller(self.at_hand)
        if not now.time:
            return False
        selection = Selection(
            states=("done",),
            sender=now.application or now.facility,
            message_type=now.message_type,
            since=now.time,
            link=key,
        )
        since = await self.journal.select(selection, count=_MOST, with_raw=True)
        others = [self._teller(one) for one in since if one.number != self.at_hand.number]
        return any(one[:2] == now[:2] and one.time > now.time for one in others)

    def _teller(self, entered: Entered) -> Teller:
        message = self.read(entered)
        if message is None:
            return NOBODY
        return teller_of(
            message, self.context, instant(from_microseconds(entered.message.received))
        )
