"""What a sender told of a resource later than the message at hand, as the journal knows it.

The same facts again make no new version, so what is stored does not know that they were told
again; nor does it know what a list lacked that came first. The journal does: before a message
changes anything, it is asked for messages by the same sender about the same resource that came
since, and their times are compared. Where clocks agree there are none. Else they are read again,
and the late one is laid in its place (`in_turn.py`).

Spec: HL7v2 chapter 3, EVN-2; DOMAIN 4 (out-of-order A08)
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.hl7v2.conversion.convert import Conversion
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.meaning.in_turn import Known, Step
from fhir_hub.hl7v2.meaning.teller import NOBODY, OF_PERSON, Teller, teller_of
from fhir_hub.hl7v2.meaning.updates import may_have_snapshots, snapshots_in
from fhir_hub.hl7v2.parsing.er7 import Message
from fhir_hub.hl7v2.senders.settings import Settings
from fhir_hub.hl7v2.storing.rewriting import Rewriting
from fhir_hub.hl7v2.storing.things import Thing, joined
from fhir_hub.store.base import Key
from fhir_hub.store.journal import Entered, Journal, Selection

_PAGE, _MOST = 20, 200  # how many messages about a resource are looked at together, how many at all
_FEW = 5  # messages of any kind that are looked at together
_HEAD = 8192  # bytes of a message that say who tells it, and when
_LARGE = 1 << 20  # bytes: others of its kind are as large, so they are looked at one by one


_MOST_AGAIN = 50  # messages that are read again of what was told since
# A message as it is read again: what it makes, and its date.
Again = tuple[Conversion, str]


class Told(NamedTuple):
    """Whether a resource was told later, and then when, by what events, and what as whole lists."""

    is_told: bool = False
    lists: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    times: frozenset[int] = frozenset()


class Later(Protocol):
    """Knows what the teller of the message at hand told of a resource, but for that message."""

    async def told(self, key: Key) -> Told:
        """Return what was told later; nothing if no time is known."""

    async def known(self, key: Key, stamp: int) -> Known:
        """Return what is known to have been told; of a visit also what was told before.

        `stamp` is as of when the teller told the resource, as that says.
        """

    async def first(self, key: Key) -> int:
        """Return as of when the teller told a visit first, 0 if nobody knows."""


class Nothing:
    """Knows nothing: there is no journal to ask."""

    async def told(self, key: Key) -> Told:
        """Say that nothing was told later."""
        return Told()

    async def known(self, key: Key, stamp: int) -> Known:
        """Say that nobody knows."""
        return Known()

    async def first(self, key: Key) -> int:
        """Say that nobody knows."""
        return 0


@dataclass(frozen=True, slots=True)
class Retold:
    """Asks the journal, for the message at hand.

    `read` gives the message of an entry, or so much of its beginning, or None; `again` what it
    makes, None where that cannot be told. `numbers` gives those of the messages about a resource.
    `settings_of` says how the sender of a message is read. What was asked is `asked`, and what
    was read again `steps`, until they are cleared.
    """

    journal: Journal
    at_hand: Entered
    read: Callable[[Entered, int], Message | None]
    again: Callable[[Entered], Awaitable[Again | None]]
    numbers: Callable[[Key], Awaitable[Sequence[int]]]
    context: Context
    settings_of: Callable[[Message], Settings]
    asked: dict[Key, Told] = field(default_factory=dict)
    steps: dict[int, Mapping[Key, Step]] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget what was asked."""
        self.asked.clear()
        self.steps.clear()

    async def told(self, key: Key) -> Told:
        """Return what the teller told of the resource later; nothing if no time is known."""
        if key not in self.asked:
            self.asked[key] = await self._ask(key)
        return self.asked[key]

    async def _ask(self, key: Key) -> Told:
        now = self._teller(self.at_hand)
        if not now.time:
            return Told()
        lists, events, times = set[str](), set[str](), set[int]()
        async for one, teller in self._others(key, now):
            if teller.is_one_with(now, key[0]) and teller.time > now.time:
                events.add(teller.event)
                times.add(teller.time)
                lists |= self._lists(one, teller)
        return Told(bool(events), frozenset(lists), frozenset(events), frozenset(times))

    async def known(self, key: Key, stamp: int) -> Known:
        """Return what the journal knows of what was told, and whether that is all told since."""
        now, found, is_whole, seen = self._teller(self.at_hand), dict[int, Step](), True, 0
        if not now.time:
            return Known()
        async for one, teller in self._others(key, now):
            seen += 1
            is_later = teller.is_one_with(now, key[0]) and teller.time > now.time
            if teller is not NOBODY and not is_later:
                continue
            step = await self._step(key, one) if len(found) < _MOST_AGAIN else None
            if step is None:
                is_whole = False
            else:
                found[one.number] = step
        # a list of the patient's may have ended it, and not named it
        times = {time for one in self.asked.values() for time in one.times}
        times |= {step.teller.time for step in found.values()}
        is_whole = is_whole and seen < _MOST - 1 and (stamp <= now.time or stamp in times)
        if key.resource_type == "Encounter":
            late = (await self.numbers(key))[-_MOST:]
            async for one, _ in self._all(key, now, late):
                step = found.get(one.number) or await self._step(key, one)
                found |= {one.number: step} if step is not None else {}
        inorder = sorted(found.items(), key=lambda item: (item[1].teller.time, item[0]))
        return Known(tuple(step for _, step in inorder), is_whole)

    async def first(self, key: Key) -> int:
        """Return as of when the teller told a visit first, 0 if nobody knows."""
        now = self._teller(self.at_hand)
        early = (await self.numbers(key))[:_MOST]
        times = [teller.time async for _, teller in self._all(key, now, early)]
        return min(times, default=0)

    async def _all(
        self, key: Key, now: Teller, numbers: Sequence[int]
    ) -> AsyncIterator[tuple[Entered, Teller]]:
        """Yield those messages of the teller about a resource, but for the one at hand.

        A few are held at a time: documents are among them.
        """
        others = [one for one in numbers if one != self.at_hand.number]
        for start in range(0, len(others), _FEW):
            few = tuple(others[start : start + _FEW])
            selection = Selection(states=("done",), numbers=few, link=key)
            for one in await self.journal.select(selection, count=_FEW, with_raw=True):
                teller = self._teller(one)
                if teller.is_one_with(now, key[0]):
                    yield one, teller

    async def _step(self, key: Key, entered: Entered) -> Step | None:
        """Return what a message tells of a resource, None where that cannot be told."""
        if entered.number not in self.steps:
            is_small = len(entered.message.raw) < _LARGE
            again = await self.again(entered) if is_small else None
            self.steps[entered.number] = _steps(again, entered.links) if again else {}
            await asyncio.sleep(0)  # others go on meanwhile
        return self.steps[entered.number].get(key)

    async def _others(self, key: Key, now: Teller) -> AsyncIterator[tuple[Entered, Teller]]:
        """Yield the other messages about a resource that came since then, with who told them.

        They are of the teller's application, or facility; of one that cannot be read nobody is.
        """
        names = (now.application, now.facility)
        is_of_place = key.resource_type in OF_PERSON and not now.is_hub
        first, other = names[::-1] if is_of_place else names
        selection = Selection(
            states=("done",),
            sender=first or other,
            since=now.time,
            link=key,
        )
        page, beyond = _PAGE if len(self.at_hand.message.raw) < _LARGE else 1, 0
        for _ in range(0, _MOST, page):
            found = await self.journal.select(selection, count=page, beyond=beyond, with_raw=True)
            for one in found:
                is_told = one.message.message_type != "REF^I15"  # which asks, and tells nothing
                if is_told and one.number != self.at_hand.number:
                    yield one, self._teller(one)
            if len(found) < page:
                break
            beyond = found[-1].number

    def _lists(self, entered: Entered, teller: Teller) -> frozenset[str]:
        event = (teller.message_type, teller.event)
        message = self.read(entered, 0) if may_have_snapshots(event) else None
        return snapshots_in(message, event, self.settings_of(message)) if message else frozenset()

    def _teller(self, entered: Entered) -> Teller:
        message = self.read(entered, _HEAD)
        if message is None:
            return NOBODY
        came = instant(from_microseconds(entered.message.received))
        teller = teller_of(message, self.context, came)
        return teller._replace(is_hub=self.settings_of(message).is_hub)


def _steps(again: Again, links: Sequence[Key]) -> Mapping[Key, Step]:
    """Return what a message tells of each resource that it was about, as its `links` say.

    Of a type of which it makes more or fewer now than then nobody knows which is which.
    """
    conversion, day = again
    things, addresses = dict[Key, Thing](), dict[str, str]()
    made = joined(conversion.resources, conversion.teller.event)
    for kind in {one.resource_type for one in made}:
        of_kind = [one for one in made if one.resource_type == kind]
        keys = [one for one in links if one.resource_type == kind]
        if len(of_kind) == len(keys):
            things |= dict(zip(keys, of_kind, strict=True))
    for key, thing in things.items():
        address = f"{key.resource_type}/{key.logical_id}"
        addresses |= dict.fromkeys(thing.full_urls, address)
    rewriting = Rewriting(addresses)
    return {
        key: Step(conversion.teller, day, rewriting.converted(thing.converted))
        for key, thing in things.items()
    }
