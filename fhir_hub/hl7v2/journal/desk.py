"""The desk at which people look after messages: list, show, correct, do again, give up.

A listing holds no patient data. What was done, by whom and to which messages is logged.
"""

import asyncio
from dataclasses import dataclass, replace

from fhir_hub.errors import InvalidParameter, NotFound, VersionConflict
from fhir_hub.hl7v2.ack import read_header
from fhir_hub.hl7v2.journal.listing import Page, Row, listed, row
from fhir_hub.hl7v2.journal.masked import masked
from fhir_hub.hl7v2.journal.nothing import why_nothing
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.store.base import Conflict, Finish
from fhir_hub.store.journal import CORRECTABLE, Entered, Journal, Selection
from fhir_hub.telemetry import Log

_REPLAYED = ("failed", "dead")
_SCANNED = 2000  # texts that one page of a search looks into
_PAGE = 100


@dataclass(frozen=True, slots=True)
class JournalDesk:
    """The messages of a hub. `log` takes an event and fields."""

    journal: Journal
    receiver: Receiver
    log: Log

    async def listed(
        self, selection: Selection, *, text: str = "", count: int = 50, beyond: int = 0
    ) -> Page:
        """Return a page of messages, newest first, without patient data.

        With `text` those in whose decoded text it is; a page then looks into 2,000 at most.
        """
        if not text:
            return await listed(self.journal, selection, count, beyond)
        rows: list[Row] = []
        for _ in range(_SCANNED // _PAGE):
            found = await self.journal.select(selection, count=_PAGE, beyond=beyond)
            for one in found:
                beyond = one.number
                if await self._has(beyond, text):
                    rows.append(row(one))
                    if len(rows) == count:
                        return Page(rows, beyond)
            if len(found) < _PAGE:
                note = "" if rows else await why_nothing(self.journal, selection)
                return Page(rows, note=note)
        return Page(rows, beyond)

    async def _has(self, number: int, text: str) -> bool:
        """Say whether `text` is in a message: one at a time, for they may be large."""
        await asyncio.sleep(0)
        entered = await self.journal.find(number)
        return entered is not None and text in self.receiver.text_of(entered)

    async def message(self, number: int, *, is_masked: bool = True, who: str = "") -> Row:
        """Return a message with its text, masked unless asked otherwise: that is logged.

        Of one that is not finished also the numbers of those that are done before it, as they came
        earlier and are about the same patients. Raises `NotFound`.
        """
        entered = await self.found(number)
        text = self.receiver.text_of(entered)
        if is_masked:
            text = masked(text, read_header(text))
        else:
            self.log("message_shown", number=number, who=who)
        before = await self._before(entered) if entered.state == "received" else []
        waits = {"waitsFor": before} if before else {}
        return row(entered) | waits | {"text": text.replace("\r\n", "\n").replace("\r", "\n")}

    async def _before(self, entered: Entered) -> list[int]:
        """Return the oldest that are not finished, came before a message and share a patient."""
        turns = set(self.receiver.turns_of(entered))
        left = await self.journal.select(
            Selection(("received",)), count=_PAGE, is_oldest_first=True, with_raw=True
        )
        earlier = [one for one in left if one.number < entered.number]
        return [one.number for one in earlier if not turns.isdisjoint(self.receiver.turns_of(one))]

    async def found(self, number: int) -> Entered:
        """Return the message of that number; raises `NotFound`."""
        entered = await self.journal.find(number)
        if entered is None:
            raise NotFound(f"no message has the number {number}")
        return entered

    async def replay(
        self,
        selection: Selection,
        *,
        who: str,
        again: bool = False,
        dry_run: bool = False,
        count: int = _PAGE,
        beyond: int = 0,
    ) -> Page:
        """Do the messages of a selection again, oldest first; return how each ended.

        Without states in the selection those that failed or are dead, by number also others;
        with `again` those that are done too, which makes nothing twice. `dry_run` does nothing.
        Raises `InvalidParameter` for `again` without a selection: a list of numbers that came out
        empty must not mean every message there is; `NotFound` for a number that there is not.
        """
        if again and selection == Selection():
            raise InvalidParameter("again: say which messages, by number, type, since …")
        for number in selection.numbers if not beyond else ():
            await self.found(number)
        wanted = selection
        if not wanted.states and not wanted.numbers:
            states = (*_REPLAYED, "done") if again else _REPLAYED
            wanted = replace(selection, states=states)
        found = await self.journal.select(
            wanted, count=count + 1, beyond=beyond, is_oldest_first=True
        )
        rows = []
        for entered in found[:count]:
            before = {"was": entered.state}
            if dry_run:
                rows.append(row(entered) | before)
                continue
            try:
                ended = await self.receiver.again(entered.number, though_done=again)
            except Conflict as refusal:
                if await self._is_done_elsewhere(entered):
                    await self._let_rest(entered)
                left = await self.found(entered.number)
                rows.append(row(left) | before | {"refused": str(refusal)})
            else:
                rows.append(row(ended) | before)
        if rows and not dry_run:
            numbers = f"{rows[0]['number']}-{rows[-1]['number']}"
            self.log("messages_replayed", who=who, messages=len(rows), numbers=numbers)
        note = "" if found else await why_nothing(self.journal, selection)
        return Page(rows, found[count - 1].number if len(found) > count else 0, note)

    async def _is_done_elsewhere(self, entered: Entered) -> bool:
        """Say whether a message that failed was sent again and is done under another number."""
        if entered.state not in CORRECTABLE:
            return False
        message = entered.message
        asked = Selection(("done",), control_id=message.control_id, sender=message.application)
        twins = await self.journal.select(asked, count=_PAGE)
        said = (message.key, message.digest)
        return any((one.message.key, one.message.digest) == said for one in twins)

    async def correct(self, number: int, raw: bytes, *, who: str) -> Row:
        """Do a corrected text in the stead of a message that failed; return how it ended.

        One that is not finished, long after it came, is ended first, so that its patient's others
        go on. Raises `NotFound`, and `VersionConflict` if the message may not be replaced.
        """
        await self._ended(number)
        try:
            entered = await self.receiver.correct(number, raw)
        except Conflict as refusal:
            raise VersionConflict(str(refusal)) from None
        self.log("message_corrected", number=number, by=entered.number, who=who)
        return row(entered)

    async def ignore(self, number: int, *, who: str) -> Row:
        """Let a message that failed rest: it stays, and is not counted as failed any more.

        One that is not finished, long after it came, is ended first, so that its patient's others
        go on. Raises `NotFound`, and `VersionConflict` for one that is done or replaced.
        """
        await self._let_rest(await self._ended(number))
        self.log("message_ignored", number=number, who=who)
        return row(await self.found(number))

    async def _ended(self, number: int) -> Entered:
        """Return a message that nothing came of, ended if it had not. Raises `VersionConflict`."""
        entered = await self.found(number)
        if entered.state == "received":
            try:
                await self.receiver.stop(entered)
            except Conflict as refusal:
                raise VersionConflict(str(refusal)) from None
            entered = await self.found(number)
        if entered.state not in CORRECTABLE:
            by = f" by {entered.replaced_by}" if entered.replaced_by else ""
            raise VersionConflict(f"the message is {entered.state}{by}")
        return entered

    async def _let_rest(self, entered: Entered) -> None:
        told = (entered.ack, entered.error, (), entered.finished, 0, entered.maps)
        await self.journal.finish(Finish(entered.number, "ignored", *told))
