"""The mapping tasks of a hub: local codes without a standard one, and how often each came.

Counting costs a dictionary look-up a code; every few seconds, and at the end, what was counted
goes to a file beside the database, or into one that many machines share. A crash may lose the
last seconds of the counts, nothing else.

Spec: DOMAIN 5.1 (unmapped codes by frequency)
"""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2.conversion.convert import Conversion, convert
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.parsing.er7 import Message
from fhir_hub.hl7v2.senders.local_codes import LocalCodes
from fhir_hub.repository.stored_terminology import StoredTerminology
from fhir_hub.store.terminology.codes_seen import Codes, Seen

_EVERY_S = 3.0


@dataclass(slots=True)
class _Count:
    display: str
    fields: dict[str, None]
    first: str
    last: str
    times: int = 0


class CodesSeen:
    """Converts messages by the maps in force; counts the codes of those done that no map knows.

    `stored` brings ConceptMaps that are written to the hub; they hold from the next message on.
    """

    def __init__(
        self,
        kept: Codes,
        mappings: Mappings,
        stored: StoredTerminology,
        trusted: Sequence[str] = (),
    ) -> None:
        self._kept, self._mappings, self._stored = kept, mappings, stored
        self._trusted, self._stamp = trusted, -1
        self._learned: LocalCodes | None = None
        self._lock = threading.Lock()  # long messages are converted in a thread
        self._counts: dict[tuple[str, str, str], _Count] = {}

    def version(self) -> str:
        """Return the version of the maps by which the next message is read."""
        self._learn()
        return self._mappings.version

    def convert(self, message: Message, received: str, zone: tzinfo) -> Conversion:
        """Return the conversion of a message that came at the instant `received`."""
        self._learn()
        self._mappings.require_known(message)
        return convert(message, self._mappings, zone=zone, received=received, trusted=self._trusted)

    def count(
        self, message: Message, conversion: Conversion, received: str, *, is_redone: bool
    ) -> None:
        """Count the codes of a message that is done; of one done before they are only known."""
        if conversion.local_codes:
            header = message.header
            sender = f"{header.value(3)}@{header.value(4)}"
            self._count(conversion, sender, received, 0 if is_redone else 1)

    def _learn(self) -> None:
        """Take stored ConceptMaps that are new, or that maps which were read again do not know."""
        mappings, stamp = self._mappings, self._stored.stamp
        if stamp != self._stamp or mappings.local_codes is not self._learned:
            with self._lock:
                mappings.learn(self._stored.shelf.concept_maps())
                self._stamp, self._learned = stamp, mappings.local_codes

    def _count(self, conversion: Conversion, sender: str, received: str, times: int) -> None:
        with self._lock:
            for one in conversion.local_codes:
                key = (sender, one.system, one.code)
                known = self._counts.get(key)
                if known is None:
                    known = self._counts[key] = _Count(one.display, {}, received, received)
                known.fields |= dict.fromkeys(one.field.split() or [""])
                known.times += times
                known.first, known.last = min(known.first, received), max(known.last, received)

    async def watch(self) -> None:
        """Keep what is kept up to date until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(_EVERY_S)
                with contextlib.suppress(Unavailable):
                    await self._stored.refresh()
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what was counted. What cannot be written now is written the next time."""
        with self._lock:
            counts, self._counts = self._counts, {}
        rows = [
            (*key, one.display, field, 0 if number else one.times, one.first, one.last)
            for key, one in counts.items()
            for number, field in enumerate(one.fields)
        ]
        if not rows:
            return
        try:
            await self._kept.add(rows)
        except OSError:
            self._put_back(counts)

    def _put_back(self, counts: dict[tuple[str, str, str], _Count]) -> None:
        with self._lock:
            for key, one in counts.items():
                newer = self._counts.setdefault(key, one)
                if newer is not one:
                    newer.times += one.times
                    newer.fields |= one.fields
                    newer.first = min(newer.first, one.first)
                    newer.last = max(newer.last, one.last)

    async def tasks(self, sender: str = "", *, with_mapped: bool = False) -> list[Seen]:
        """Return the codes, the most frequent first, without those that a map knows by now.

        `sender` is APP@FAC as it is listed, or APP|FAC as the journal has it.
        """
        self._learn()
        await self.flush()
        known = self._mappings.local_codes
        found = []
        for one in await self._kept.all(sender.replace("|", "@")):
            is_mapped = known.of(one.system, one.code) is not None
            if with_mapped or not is_mapped:
                found.append(one._replace(is_mapped=is_mapped))
        return found
