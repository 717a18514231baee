"""The time and new logical ids, made here and passed in, so that a test can say both.

Spec: https://hl7.org/fhir/R4/datatypes.html#instant and #id
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
IdMaker = Callable[[], str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM = random.Random()  # begun by the system's; a call of the system an id would cost more
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)


def now() -> datetime:
    """Return the present, UTC-aware."""
    return datetime.now(UTC)


def microseconds(moment: datetime) -> int:
    """Return microseconds since 1970, UTC: how stores and the search compare times."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


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


def new_logical_id() -> str:
    """Return a new logical id: 22 characters that sort by time, so an index grows at its end.

    45 bits of milliseconds and 65 random bits, in a lower-case base 32 without i, l, o, u.
    """
    number = (time.time_ns() // 1_000_000 << 65) | _RANDOM.getrandbits(65)
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(100, -1, -10)])


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
