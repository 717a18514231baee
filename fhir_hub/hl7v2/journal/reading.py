"""How the messages of all channels are read, and answered in the sender's own words.

A channel is known by the name that the journal keeps, so a message that came long ago is read
as its channel reads now; if that is gone, as the channel that is always there does.
"""

from collections.abc import Callable, Iterable, Sequence

from fhir_hub.clock import Clock, IdMaker
from fhir_hub.errors import Ack
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.course import Read, read_message
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.senders.settings import Settings
from fhir_hub.store.journal import Entered

_WIDE = 8  # bytes of which one is zero where a letter has two or four of them: no place to cut


class Reading:
    """Reads messages. `channel` is that of a message of which nothing else is known.

    `settings_of` gets a message's header alone and says how its sender is to be read.
    """

    def __init__(
        self,
        channel: Channel,
        channels: Iterable[Channel],
        settings_of: Callable[[er7.Message], Settings],
        clock: Clock,
        new_id: IdMaker,
    ) -> None:
        self.channel = channel
        self.know(channels)
        self.settings_of, self._clock, self._new_id = settings_of, clock, new_id

    def know(self, channels: Iterable[Channel]) -> None:
        """Know these channels by name from now on."""
        self.channels = {one.name: one for one in channels}

    def read(self, raw: bytes, channel: Channel) -> Read:
        """Return what can be read of a message that comes by a channel."""
        return read_message(raw, channel, self.settings_of)

    def kept(self, entered: Entered) -> Read:
        """Return what can be read of a message of the journal."""
        return self.read(entered.message.raw, self.way(entered))

    def message(self, entered: Entered, most: int = 0) -> er7.Message | None:
        """Return a message of the journal, None if it cannot be read, or its bytes are gone.

        With `most` it is its first segments alone, of one that has more bytes.
        """
        raw = entered.message.raw
        if not raw:  # it was kept long enough
            return None
        if most and len(raw) > most and b"\0" not in raw[:_WIDE]:
            end = max(raw.rfind(b"\r", 0, most), raw.rfind(b"\n", 0, most))
            raw = raw[: end + 1] or raw
        read = self.read(raw, self.way(entered))
        return None if read.fault else er7.parse(read.text, read.charset)

    def way(self, entered: Entered) -> Channel:
        """Return the channel by which a message came, if it is still there."""
        return self.channels.get(entered.message.channel, self.channel)

    def answer(
        self,
        read: Read,
        verdict: Ack,
        kind: Sequence[str] = (),
        more: Sequence[Sequence[str]] = (),
    ) -> bytes:
        """Return the acknowledgment that says `verdict` of a message; with `kind` that says more.

        As `ack.acknowledge` has it.
        """
        return ack.acknowledge(
            read.header,
            read.charset,
            verdict,
            moment=self._clock(),
            control_id=self._new_id(),
            zone=read.channel.zone,
            kind=kind,
            more=more,
            conditions=ack.own_conditions(read.header, verdict, read.channel.ack_mode),
            words=read.words,
        )
