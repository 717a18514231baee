"""What a sender told of a resource later than the message at hand, as the journal knows it.

The same facts again make no new version, so what is stored does not know that they were told
again; nor does it know what a list lacked that came first. The journal does: before a message
changes anything, it is asked for messages of the same kind by the same sender about the same
resource that came since, and their times are compared. Where clocks agree there are none.

Spec: HL7v2 chapter 3, EVN-2; DOMAIN 4 (out-of-order A08)
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.er7 import Message
from fhir_hub.hl7v2.meaning.teller import NOBODY, Teller, teller_of
from fhir_hub.hl7v2.meaning.updates import may_have_snapshots, snapshots_in
from fhir_hub.hl7v2.settings import Settings
from fhir_hub.store.base import Key
from fhir_hub.store.journal import Entered, Journal, Selection

_PAGE, _MOST = 20, 200  # how many messages about a resource are looked at together, how many at all
_HEAD = 8192  # bytes of a message that say who tells it, and when
_FIELDS = (("PV1", 3), ("PV1", 7))  # the bed, who attends
_LARGE = 1 << 20  # bytes: others of its kind are as large, so they are looked at one by one


class Told(NamedTuple):
    """Whether a resource was told later, and then by what events.

    `lists` are the segments that were told as whole lists, `fields` those of `_FIELDS` that had
    something, each with when it first had. Of a visit `all_events` are those that the journal has,
    earlier ones too, each with its time, the first first.
    """

    is_told: bool = False
    lists: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    fields: Mapping[str, int] = MappingProxyType({})
    all_events: tuple[tuple[int, str], ...] = ()


Later = Callable[[Key], Awaitable[Told]]


async def nothing(key: Key) -> Told:
    """Say that nothing was told later, where there is no journal to ask."""
    return Told()


@dataclass(frozen=True, slots=True)
class Retold:
    """Asks the journal, for the message at hand.

    `read` gives the message of an entry, or so much of its beginning, or None.
    `settings_of` says how the sender of a message is read. What was asked is `known`, until
    it is cleared.
    """

    journal: Journal
    at_hand: Entered
    read: Callable[[Entered, int], Message | None]
    context: Context
    settings_of: Callable[[Message], Settings]
    known: dict[Key, Told] = field(default_factory=dict)

    async def __call__(self, key: Key) -> Told:
        """Return what the teller told of the resource later; nothing if no time is known."""
        if key not in self.known:
            self.known[key] = await self._ask(key)
        return self.known[key]

    async def _ask(self, key: Key) -> Told:
        now = self._teller(self.at_hand)
        if not now.time:
            return Told()
        lists, events, fields = set[str](), set[str](), dict[str, int]()
        async for one, teller in self._others(key, now, since=now.time):
            if teller.time > now.time:
                events.add(teller.event)
                lists |= self._lists(one, teller)
                for name in self._fields(one):
                    fields[name] = min(teller.time, fields.get(name, teller.time))
        told = Told(bool(events), frozenset(lists), frozenset(events), fields)
        if not events or key.resource_type != "Encounter":
            return told
        every = [(teller.time, teller.event) async for _, teller in self._others(key, now)]
        return told._replace(all_events=tuple(sorted(every)))

    async def _others(
        self, key: Key, now: Teller, since: int = 0
    ) -> AsyncIterator[tuple[Entered, Teller]]:
        """Yield the other messages of the teller about a resource that came `since` then."""
        selection = Selection(
            states=("done",),
            sender=now.application or now.facility,
            message_type=now.message_type,
            since=since,
            link=key,
        )
        page, beyond = _PAGE if len(self.at_hand.message.raw) < _LARGE else 1, 0
        for _ in range(0, _MOST, page):
            found = await self.journal.select(selection, count=page, beyond=beyond, with_raw=True)
            for one in found:
                teller = self._teller(one) if one.number != self.at_hand.number else NOBODY
                if teller[:2] == now[:2]:
                    yield one, teller
            if len(found) < page:
                break
            beyond = found[-1].number

    def _fields(self, entered: Entered) -> Iterator[str]:
        message = self.read(entered, _HEAD)
        for name, number in _FIELDS:
            segment = message.first(name) if message is not None else None
            if segment is not None and segment.value(number):
                yield f"{name}-{number}"

    def _lists(self, entered: Entered, teller: Teller) -> frozenset[str]:
        event = (teller.message_type, teller.event)
        message = self.read(entered, 0) if may_have_snapshots(event) else None
        return snapshots_in(message, event, self.settings_of(message)) if message else frozenset()

    def _teller(self, entered: Entered) -> Teller:
        message = self.read(entered, _HEAD)
        if message is None:
            return NOBODY
        came = instant(from_microseconds(entered.message.received))
        return teller_of(message, self.context, came)
