"""A partner's application acknowledgment that comes later, as a message of its own, by a channel.

In enhanced mode he takes a message over (CA) and says afterwards what became of it. MSA-2 says of
which message: it is matched to the partner whose control id that is, in whatever process it
arrives, and noted for his courier, who alone says what is dead. It is answered as its MSH-15 asks,
with a commit acknowledgment or not at all: nobody acknowledges an acknowledgment otherwise.

Spec: HL7v2 chapter 2, 2.9.3 (enhanced mode) and table 0155
"""

import re
from collections.abc import Callable, Mapping

from fhir_hub.clock import Clock, instant
from fhir_hub.errors import FhirError
from fhir_hub.hl7v2 import ack, charset
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.deliver.choose import choice_of
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.deliver.link import ACCEPTED, Answer, read_answer
from fhir_hub.hl7v2.deliver.outbox import Dead, Progress, hear, progresses
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.base import Stored

# A control id of ours: the epoch, the number of the change, and how often it was tried anew.
_OURS = re.compile(r"(([^-]+)-(\d{1,18}))(?:-R(\d{1,9}))?", re.ASCII)

Commit = Callable[[bytes, Channel | None], bytes]


class Deferred:
    """Hears acknowledgments; `commit` returns the commit acknowledgment of a message."""

    def __init__(
        self, commit: Commit, partners: Mapping[str, PartnerSettings], desk: Desk, clock: Clock
    ) -> None:
        self._commit, self._partners, self._desk, self._clock = commit, partners, desk, clock

    async def answer(self, raw: bytes, channel: Channel | None = None) -> bytes | None:
        """Return the answer to an acknowledgment (`b""`: none), None if it is of nothing of ours.

        What it says is durable before. `channel` is that by which it came, if by one.
        """
        try:
            said = read_answer(raw)
            header = ack.read_header(charset.decode(raw).text)
        except FhirError:
            return None
        if not await self._note(said):
            return None
        is_wanted = ack.is_wanted(header.field(15), is_good=True)
        return self._commit(raw, channel) if is_wanted else b""

    async def _note(self, answer: Answer) -> bool:
        """Note what became of a message to a partner; say whether it is one.

        Of one that was applied there is nothing to note, unless it is still under way.
        """
        ours = _OURS.fullmatch(answer.control_id)
        number, epoch, place, retry = ours.groups("0") if ours else ("", "", "0", "0")
        known = await progresses(self._desk.store) if ours else {}
        name = next((one for one, it in known.items() if it.epoch == epoch), "")
        if name not in self._partners or not answer.ack_code:
            return False
        progress = known[name]
        is_under_way = progress.pending and progress.pending.control_id == answer.control_id
        change = await self._told(int(place), progress)
        if change is None:
            return False
        if is_under_way or answer.ack_code not in ACCEPTED:
            address = f"{change.resource_type}/{change.logical_id}"
            said = Dead(
                number,
                await self._event(change, self._partners[name]),
                address,
                change.version_id,
                change.sequence,
                answer.ack_code,
                answer.error_code,
                instant(self._clock()),
                int(retry),
            )
            await hear(self._desk.store, name, answer.control_id, said)
        return True

    async def _told(self, sequence: int, progress: Progress) -> Stored | None:
        """Return the change that a message told of, None if none was told yet."""
        pending = progress.pending.sequence if progress.pending else 0
        if not 0 < sequence <= max(progress.sequence, progress.done, pending):
            return None
        page = await self._desk.store.history(count=1, before=sequence + 1)
        return next((one for one in page.matches if one.sequence == sequence), None)

    async def _event(self, change: Stored, partner: PartnerSettings) -> str:
        """Return which message tells of a change, as things are now."""
        try:
            choice = await choice_of(change, partner, self._desk)
        except FhirError:  # nothing more does
            return ""
        return choice.event if choice else ""
