"""A partner's application acknowledgment that comes later, as a message of its own, by a channel.

In enhanced mode he takes a message over (CA) and says afterwards what became of it. MSA-2 says of
which message: it is matched to the partner whose control id that is, in whatever process it
arrives, and noted for his courier, who alone says what is dead. It is answered as its MSH-15 asks,
with a commit acknowledgment or not at all: nobody acknowledges an acknowledgment otherwise.

A control id is no secret, so only he is heard: on the connection to him, or by a channel if MSH-3
and MSH-4 are his and the channel is one of his. Another hears what he would of a message that is
none of ours.

Spec: HL7v2 chapter 2, 2.9.3 (enhanced mode) and table 0155
"""

import re
from collections.abc import Callable, Mapping

from fhir_hub.clock import Clock, instant
from fhir_hub.errors import FhirError
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.deliver.choose import choice_of
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.deliver.link import ACCEPTED, Answer, read_answer
from fhir_hub.hl7v2.deliver.outbox import Dead, Progress, hear, progresses
from fhir_hub.hl7v2.deliver.turns import in_turn, told_of
from fhir_hub.hl7v2.wire import charset
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.base import Stored
from fhir_hub.store.feed import Feed
from fhir_hub.telemetry import Log

# A control id of ours: the epoch, the number of the change, and how often it was tried anew.
_OURS = re.compile(r"(([^-]+)-(\d{1,18}))(?:-R(\d{1,9}))?", re.ASCII)

Commit = Callable[[bytes, Channel | None], bytes]


class Deferred:
    """Hears acknowledgments; `commit` returns the commit acknowledgment of a message.

    `refused` counts, by the partner's name, what another said of his messages.
    """

    def __init__(
        self,
        commit: Commit,
        partners: Mapping[str, PartnerSettings],
        desk: Desk,
        clock: Clock,
        log: Log,
        refused: Callable[[str], None],
    ) -> None:
        self._commit, self._partners, self._desk, self._clock = commit, partners, desk, clock
        self._log, self._refused = log, refused

    async def answer(
        self, raw: bytes, channel: Channel | None = None, *, partner: str = ""
    ) -> bytes | None:
        """Return the answer to an acknowledgment (`b""`: none), None if it is of nothing of ours.

        What it says is durable before. It came by `channel`, or on the connection to `partner`.
        """
        try:
            said = read_answer(raw)
            header = ack.read_header(charset.decode(raw).text)
        except FhirError:
            return None
        name, progress = await self._whose(said)
        if progress is None:
            return None
        way = partner or (channel.name if channel else "")
        if name != partner and not (channel and _is_his(self._partners[name], header, way)):
            self._refused(name)
            self._log(
                "acknowledgment_refused", partner=name, control_id=said.control_id, channel=way
            )
            return None
        if not await self._note(said, name, progress):
            return None
        is_wanted = ack.is_wanted(header.field(15), is_good=True)
        return self._commit(raw, channel) if is_wanted else b""

    async def _whose(self, answer: Answer) -> tuple[str, Progress | None]:
        """Return to whom the message went that an acknowledgment names, and how far he is."""
        ours = _OURS.fullmatch(answer.control_id)
        if ours is None or not answer.ack_code:
            return "", None
        known = await progresses(self._desk.store)
        name = next((one for one, it in known.items() if it.epoch == ours[2]), "")
        return name, known[name] if name in self._partners else None

    async def _note(self, answer: Answer, name: str, progress: Progress) -> bool:
        """Note what became of a message to a partner; say whether it is one.

        Of one that was applied there is nothing to note, unless it is still under way.
        """
        ours = _OURS.fullmatch(answer.control_id)
        assert ours is not None
        number, _, place, retry = ours.groups("0")
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
        store = self._desk.store
        if 0 < sequence <= progress.sequence:
            page = await store.history(count=1, before=sequence + 1)
            return next((one for one in page.matches if one.sequence == sequence), None)
        turns = in_turn(await Feed(store).commit(progress.sequence), progress.is_as_written)
        pending = progress.pending.sequence if progress.pending else 0
        told = (*told_of(turns, progress.done), *(one for one in turns if one.sequence == pending))
        return next((one for one in told if one.sequence == sequence), None)

    async def _event(self, change: Stored, partner: PartnerSettings) -> str:
        """Return which message tells of a change, as things are now."""
        try:
            choice = await choice_of(change, partner, self._desk)
        except FhirError:  # nothing more does
            return ""
        return choice.event if choice else ""


def _is_his(partner: PartnerSettings, header: ack.Header, channel: str) -> bool:
    """Say whether what came by a channel is a partner's own: who has no name has none."""
    if partner.ack_channels and channel not in partner.ack_channels:
        return False
    facility = "" if partner.is_hub else partner.facility
    named = ((3, partner.application), (4, facility))
    wanted = [(number, name) for number, name in named if name]
    return bool(wanted) and all(header.component(number, 1) == name for number, name in wanted)
