"""The steps of a message, as docs/journal.md lists them, and the call that each of them is.

A hub is killed right after a step, so between it and the next. A step that nobody but the other
side sees (an answer is there, a partner has a message) has no call: the other side kills the hub.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """A call of the program; the step is that it returned, or that it begins (`is_before`)."""

    call: str
    is_before: bool = False


def _after(*calls: str) -> tuple[Place, ...]:
    return tuple(Place(f"fhir_hub.{call}") for call in calls)


def _before(*calls: str) -> tuple[Place, ...]:
    return tuple(Place(f"fhir_hub.{call}", is_before=True) for call in calls)


def _journal(name: str) -> tuple[Place, ...]:
    return _after(
        f"store.sqlite.journal:SqliteJournal.{name}", f"store.mongo.journal:MongoJournal.{name}"
    )


PLACES: dict[str, tuple[Place, ...]] = {
    "read": _after(
        "hl7v2.wire.mllp:Framer.feed", "ops.messages:_block", "hl7v2.channels.folder:Folder._read"
    ),
    "decoded": _after("hl7v2.journal.reading:Reading.read"),
    "handed": _before("store.forward:ForwardingJournal.keep"),
    "kept": _journal("keep"),
    "handed back": _after("store.forward:ForwardingJournal.keep"),
    "committing": (
        *_before("store.sqlite.writer:Writer._commit"),
        *_after("store.mongo.commits:Commit.end"),
    ),
    "committed": _after(
        "store.sqlite.writer:Writer._commit", "store.mongo.driver:Connection._tried"
    ),
    "turned": _journal("turn"),
    "converted": _after("hl7v2.senders.codes_seen:CodesSeen.convert"),
    "applied": _after("hl7v2.processing:apply"),
    "handed over": _before("store.forward:ForwardingStore.write"),
    "written": _after("store.sqlite.store:SqliteStore.write", "store.mongo.store:MongoStore.write"),
    "handed on": _after("store.forward:ForwardingStore.write"),
    "tried": _before("hl7v2.journal.patience:Tries.again"),
    "refused": _before("hl7v2.processing:Processing.fail"),
    "ended": _journal("finish"),
    "answering": _after("hl7v2.channels.intake:Intake.take"),
    "answered": (),
    "telling": _before("hl7v2.wire.listener:Caller.tell"),
    "told": (),
    "heard": _after("hl7v2.channels.enhanced:Enhanced.acknowledged"),
    "owed": _journal("owed"),
    "told elsewhere": (),
    "settled": _journal("settle"),
    "left": _after(
        "store.sqlite.journal:SqliteJournal.pending", "store.mongo.crew:MongoCrew.take_over"
    ),
    "noted": _journal("note"),
    "replayed": _after("hl7v2.receive:Receiver.replay"),
    "file answered": _before("hl7v2.channels.folder:Folder._put_away"),
    "answer written": _after("hl7v2.channels.folder:_write_answer"),
    "file moved": _after("hl7v2.channels.folder:Folder._move"),
    "chosen": _after("hl7v2.deliver.courier:choice_in"),
    "in the outbox": _before("hl7v2.deliver.courier:Courier._deliver"),
    "sent": (),
    "silent": _after("hl7v2.deliver.breaker:Breaker.fail"),
    "matched": _after("hl7v2.deliver.link:Link.exchange"),
    "taken": _after("referral.delivery:Delivery.acknowledged"),
    "delivered": _after("hl7v2.deliver.courier:Courier._done"),
    "said later": _after("hl7v2.deliver.deferred:hear"),
    "dead": _after("hl7v2.deliver.courier:Courier._hear"),
    "reopened": _journal("reopen"),
    "pruned": _journal("prune"),
}
