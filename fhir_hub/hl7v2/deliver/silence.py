"""Since when a partner does not answer, why, and when he is tried next: for who looks after him.

The process that delivers to him knows it; it is noted in the store, so that any other can say it,
and so that it is known after a restart since when he has been silent.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from fhir_hub.clock import Clock, instant
from fhir_hub.errors import FhirError
from fhir_hub.hl7v2.deliver.outbox import PREFIX
from fhir_hub.store.base import Store
from fhir_hub.store.notes import set_notes

_ENDING = "/silent"


@dataclass(frozen=True, slots=True)
class Silence:
    """`since` and `next_try` are instants; `tries` went without an answer, the last for `reason`.

    `is_left_alone`: the circuit breaker is open.
    """

    since: str
    reason: str
    tries: int
    next_try: str
    is_left_alone: bool = False


class Silences:
    """Notes a partner's silence and its end; where the store takes no note it goes on."""

    def __init__(self, store: Store, partner: str, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._name = f"{PREFIX}{partner}{_ENDING}"
        self._now: Silence | None = None
        self._is_read = False

    @property
    def seconds(self) -> float:
        """Return for how long he has not answered, 0 if he does."""
        if self._now is None:
            return 0.0
        return (self._clock() - datetime.fromisoformat(self._now.since)).total_seconds()

    async def go_on(self, reason: str, wait_s: float, *, is_left_alone: bool) -> None:
        """Note that he did not answer, and is tried again in so many seconds."""
        with suppress(FhirError):
            await self._read()
            now = self._clock()
            last = self._now or Silence(instant(now), reason, 0, "")
            until = instant(now + timedelta(seconds=wait_s))
            self._now = replace(
                last,
                reason=reason,
                tries=last.tries + 1,
                next_try=until,
                is_left_alone=is_left_alone,
            )
            await set_notes(self._store, {self._name: json.dumps(asdict(self._now))})

    async def end(self) -> None:
        """Note that he answered."""
        with suppress(FhirError):
            await self._read()
            if self._now is not None:
                await set_notes(self._store, {self._name: ""})
                self._now = None

    async def _read(self) -> None:
        if not self._is_read:
            self._now = silences(await self._store.notes()).get(self._name)
            self._is_read = True


def silences(notes: Mapping[str, str]) -> dict[str, Silence]:
    """Return who does not answer, by the name of the note."""
    return {
        name: Silence(**json.loads(text))
        for name, text in notes.items()
        if name.startswith(PREFIX) and name.endswith(_ENDING)
    }


async def silent(store: Store) -> dict[str, Silence]:
    """Return the partners who do not answer."""
    found = silences(await store.notes())
    return {name[len(PREFIX) : -len(_ENDING)]: one for name, one in found.items()}
