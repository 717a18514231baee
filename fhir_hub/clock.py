"""The time and new logical ids, made here and passed in, so that a test can say both.

Spec: https://hl7.org/fhir/R4/datatypes.html#instant and #id
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Clock = Callable[[], datetime]
IdMaker = Callable[[], str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HELD_S = 0.01
_ALPHABET = b"0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM = random.Random()  # begun by the system's; a call of the system an id would cost more
_LETTERS = _ALPHABET * 8  # five bits of each byte
if hasattr(os, "register_at_fork"):  # a copy of this process would make the same ids
    os.register_at_fork(after_in_child=_RANDOM.seed)


class Stretch:
    """A long piece of work that lets others go on: it holds the loop for some 10 ms at a time."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def give_way(self) -> None:
        """Let others go on, if they have waited long enough."""
        if time.perf_counter() - self._since > _HELD_S:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


def now() -> datetime:
    """Return the present, UTC-aware."""
    return datetime.now(UTC)


def microseconds(moment: datetime) -> int:
    """Return microseconds since 1970, UTC: how stores and the search compare times."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Return the UTC-aware moment of `microseconds`."""
    return _EPOCH + timedelta(microseconds=value)


def instant(moment: datetime) -> str:
    """Return the FHIR instant of `moment`, in UTC, to the millisecond where there is a fraction.

    >>> instant(datetime(2024, 2, 29, 10, tzinfo=UTC))
    '2024-02-29T10:00:00Z'

    Spec: https://hl7.org/fhir/R4/datatypes.html#instant
    """
    moment = moment.astimezone(UTC)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def instant_at(value: int) -> str:
    """Return the FHIR instant of `microseconds`, as `instant` writes it.

    >>> instant_at(1_709_200_800_120_999), instant_at(1_709_200_800_000_000)
    ('2024-02-29T10:00:00.120Z', '2024-02-29T10:00:00Z')
    """
    seconds, fraction = divmod(value, 1_000_000)
    whole = _second(seconds)
    return f"{whole[:-1]}.{fraction // 1000:03}Z" if fraction else whole


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return instant(from_microseconds(seconds * 1_000_000))


def new_logical_id() -> str:
    """Return a new logical id: 22 characters that sort by time, so an index grows at its end.

    45 bits of milliseconds and 65 random bits, in a lower-case base 32 without i, l, o, u.
    """
    milliseconds = time.time_ns() // 1_000_000
    letters = _RANDOM.getrandbits(104).to_bytes(13, "little").translate(_LETTERS)
    own = bytes((_LETTERS[milliseconds >> 5 & 31], _LETTERS[milliseconds & 31])) + letters
    return _since(milliseconds >> 10) + own.decode("ascii")


@lru_cache(maxsize=4)
def _since(seconds: int) -> str:
    """Return what ids begin with for a second, which has 1,024 milliseconds here."""
    return bytes(_ALPHABET[seconds >> shift & 31] for shift in range(30, -1, -5)).decode()


class Rounds:
    """Work that one process of a hub does again and again. `lead` lets `watch` begin.

    A round that fails is told to `on_fault`, and the next one is tried.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[object]],
        every_s: float,
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._work, self._every_s, self._on_fault = work, every_s, on_fault
        self._leads = asyncio.Event()

    def lead(self) -> None:
        """Be the process that does it."""
        self._leads.set()

    async def rest(self) -> None:
        """Let another process do it; a round under way is finished."""
        self._leads.clear()

    async def watch(self) -> None:
        """Do the work while this process leads, until cancelled."""
        while True:
            await self._leads.wait()
            try:
                await self._work()
            except Exception as error:
                self._on_fault(error)
            await asyncio.sleep(self._every_s)
