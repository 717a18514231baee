"""How one message fares from its bytes to its end, and what can go wrong on the way.

Spec: HL7v2 chapter 2, MSH and 2.9.2
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from fhir_hub.errors import FhirError, InvalidMessage, Stopped, Unavailable
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.order import patient_numbers
from fhir_hub.hl7v2.journal.patience import Tries
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.senders.settings import Settings
from fhir_hub.hl7v2.wire import charset
from fhir_hub.store.journal import Entered, Received

QUERIES = ("QBP", "QRY", "QCN")  # message types that ask, and say nothing
_LINE_ENDS = re.compile(r"[\r\n]+")
_NOWHERE = Entered(0, Received("", "", "", 0, b""), "received")


@dataclass(frozen=True, slots=True)
class Read:
    """A message as far as it can be read: its header always, and the text or why not.

    It is answered in `charset`; what is said in `words`, where the rest is echoed byte for byte.
    """

    channel: Channel
    header: ack.Header
    charset: str
    text: str = ""
    fault: FhirError | None = None
    issues: er7.Issues = ()
    is_strict: bool = False
    words: str = ""


def read_message(
    raw: bytes, channel: Channel, settings_of: Callable[[er7.Message], Settings]
) -> Read:
    """Return what can be read of a message's bytes, as its sender's settings say."""
    settings = _settings(raw, settings_of)
    forced = channel.charset or settings.charset
    try:
        decoded = charset.decode(raw, forced)
    except FhirError as error:
        # as Latin-1 every byte stands for itself: what is echoed comes back as it was sent
        header = ack.read_header(raw.decode("latin-1"))
        return Read(channel, header, "latin-1", fault=error, words=charset.of_answer(raw, forced))
    header = ack.read_header(decoded.text, settings.version)
    # of what has no header `parse` says so better than a channel can
    fault = channel.fault(header) if header.fields else None
    strict = settings.is_strict
    return Read(channel, header, decoded.charset, decoded.text, fault, decoded.issues, strict)


def _settings(raw: bytes, settings_of: Callable[[er7.Message], Settings]) -> Settings:
    try:
        return settings_of(er7.parse(charset.first_line(raw)))
    except FhirError:
        return Settings()  # there is no header: `decode` and `parse` say so better


# Hears the number of a message that is kept, and the commit acknowledgment (enhanced mode).
OnKept = Callable[[int, bytes], None]


@dataclass(slots=True)
class Course:
    """How one message fares: its entry in the journal once it is kept, and what was tried.

    `is_again`: somebody may have finished it; `is_free`: it need not wait for its turn;
    `is_redone`: it was done before; `is_late`: its sender was told that it takes too long.
    With `on_kept` the sender waits for no more than that the message is kept. `maps` is the
    version of the maps by which it was read, once it was. `is_promised`: its sender has heard that
    it is kept, so no time is up; `outlasts` is set once it takes longer than others may.
    """

    read: Read
    tries: Tries
    entered: Entered = _NOWHERE
    is_again: bool = False
    is_free: bool = False
    is_redone: bool = False
    is_late: bool = False
    attempts: int = 0
    on_kept: OnKept | None = None
    maps: str = ""
    is_promised: bool = False
    outlasts: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def number(self) -> int:
        """Return the message's number, 0 before it is kept."""
        return self.entered.number

    @property
    def names(self) -> dict[str, object]:
        """Return what a line of the log names the message by."""
        channel = self.entered.message.channel or self.read.channel.name
        return {"number": self.number, "channel": channel}


def is_promised(read: Read) -> bool:
    """Say whether who sent a message that is kept was told so, and waits for no more."""
    is_enhanced = read.channel.ack_mode == "enhanced" and ack.is_enhanced(read.header)
    return is_enhanced and read.fault is None


def digest(read: Read, raw: bytes) -> str:
    """Return what tells whether a message says the same: its text, whatever its line ends."""
    if read.text:
        text = read.text
        if "\n" in text or "\r\r" in text:  # looking is cheap, and a message may bring a film
            text = _LINE_ENDS.sub("\r", text)
        raw = text.strip().encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).hexdigest()


def received(read: Read, raw: bytes, now: int, *, owes: bool = False) -> Received:
    """Return the message as the journal keeps it; `now` is in microseconds."""
    header = read.header
    return Received(
        read.channel.name,
        header.key,
        digest(read, raw),
        now,
        raw,
        "^".join(filter(None, (header.component(9, 1), header.component(9, 2)))),
        header.field(3),
        header.field(4),
        header.field(10),
        turns=patient_numbers(read.text, header),
        owes=owes and read.fault is None and ack.owes(header),
        place=time.monotonic_ns(),
    )


def day_of(read: Read, now: datetime) -> str:
    """Return the date of MSH-7 as FHIR writes it; today if it is none, or one to come.

    What a message ends (a phone) has ended then: not in the future by a sender's wrong clock.
    """
    today = now.astimezone(read.channel.zone).date().isoformat()
    return min(_day(read.header.field(7)[:10]) or today, today)


@lru_cache(maxsize=64)  # a feed tells of today
def _day(written: str) -> str:
    digits = "".join(letter for letter in written if letter.isdigit() and letter.isascii())[:8]
    try:
        day = datetime(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return ""
    return day.date().isoformat()


def late() -> Unavailable:
    """Return what a sender is told who has waited long enough."""
    return Unavailable(
        "the message was not finished in time; send it again to hear how it ended"
        " / 消息未能按时处理完，请重发以获知结果"
    )


def held_up() -> Unavailable:
    """Return what is said of a message whose turn has not come."""
    return Unavailable(
        "earlier messages about the same patient are not finished; send it again"
        " / 同一患者的较早消息尚未处理完，请重发"
    )


def stopped() -> Stopped:
    """Return why a message is dead that somebody ended by hand."""
    return Stopped(
        "the message was not done: somebody at the hub ended it / 消息未处理：平台人员已将其终止"
    )


class NotKept(Exception):
    """The message is not in the journal: what went on early did not become durable."""


class Ended(Exception):
    """The message has ended meanwhile: what was made of it is lost. It was answered `answer`."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


def interrupted(error: BaseException) -> Exception:
    """Return what those are told who wait for a message that did not end."""
    return (
        error if isinstance(error, Exception) else Unavailable("the hub is closing / 平台正在关闭")
    )


def changed(is_strict: bool) -> FhirError:
    """Return what is said of other content under a known control id."""
    return InvalidMessage(
        "duplicate key identifier with different content / 控制号重复而内容不同",
        error_code="205",
        location="MSH-10",
        ack_code="AR" if is_strict else "AE",
    )
