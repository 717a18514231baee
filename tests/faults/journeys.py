"""The ways of a message through a hub, each from its first byte to its last, as often as it takes.

Each is of one unit: its messages, patients and files have the unit's tag, so that what came of it
can be told from everything else. After whichever step the hub died, the way is gone to its end.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import NamedTuple

import apsw
from faults.world import World, acknowledgment
from mongo_faults import NO_SPACE, failing

from fhir_hub.hl7v2.wire.batches import MESSAGE, parts_of
from fhir_hub.hl7v2.wire.sender import control_id


def message(
    tag: str,
    place: str,
    kind: str = "ORU^R01",
    *lines: str,
    who: str = "P",
    name: str = "",
    sender: str = "LIS",
) -> bytes:
    head = f"MSH|^~\\&|{sender}|SHTH01|FHIRHUB|QPRHP|20250314103000||{kind}|{tag}{place}|P|2.4"
    person = f"PID|1||{tag}{who}^^^SHTH01^PI||{name}"
    return "\r".join([head, person, *(lines or _result(tag, place)), ""]).encode()


def _result(tag: str, place: str) -> tuple[str, ...]:
    return (
        f"OBR|1|O{tag}{place}^SHTH01|F{tag}{place}^LIS|CHEM^生化^L|||20250314081000"
        "|||||||||||||||20250314102800||CH|F",
        "OBX|1|NM|14771-0^空腹血糖^LN||9.8|mmol/L|3.9-6.1|H|||F|||20250314081000",
    )


def visit(tag: str, place: str, **given: str) -> bytes:
    return message(tag, place, "ADT^A04^ADT_A01", "PV1|1|O", **given)


def enhanced(raw: bytes) -> bytes:
    """Return a message that is answered twice."""
    return raw.replace(b"|P|2.4", b"|P|2.4|||AL|AL", 1)


def batch(*messages: bytes) -> bytes:
    head = b"FHS|^~\\&|LIS|SHTH01\rBHS|^~\\&|LIS|SHTH01\r"
    return head + b"".join(messages) + b"BTS|%d\rFTS|1\r" % len(messages)


def acks_of(answer: bytes) -> list[bytes]:
    return [part.raw for part in parts_of(answer) if part.kind == MESSAGE]


@contextmanager
def nothing_can_be_written(world: World) -> Iterator[Callable[[], None]]:
    """Have what came of each message refused, as on a full disk; messages are kept all the same.

    Until what is yielded is called, or the hub dies.
    """
    world.up()
    with (_versions_refused if world.is_on_sqlite else _ends_refused)(world.address) as allow:
        world.at_death = allow
        try:
            yield allow
        finally:
            world.at_death = lambda: None


@contextmanager
def _versions_refused(address: str) -> Iterator[Callable[[], None]]:
    def allow() -> None:
        connection.execute("DROP TRIGGER IF EXISTS full")

    refuse = "BEFORE INSERT ON version BEGIN SELECT RAISE(ABORT, 'full'); END"
    with closing(apsw.Connection(address.removeprefix("sqlite:"))) as connection:
        connection.set_busy_timeout(60_000)
        connection.execute(f"CREATE TRIGGER full {refuse}")
        yield allow


def _ends_refused(address: str) -> AbstractContextManager[Callable[[], None]]:
    return failing(address, "delete", NO_SPACE)  # of its turn, in the write of its end


def results(world: World, tag: str) -> None:
    """Two results of one patient and one of another at once; a control id with other content."""
    first = message(tag, "A")
    others = message(tag, "B"), message(tag, "C", who="Q")
    assert world.deliver(first, *others) == ["AA", "AA", "AA"]
    assert world.deliver(first.replace(b"9.8", b"7.1")) == ["AE"]
    assert world.deliver(first) == ["AA"]


def barrier(world: World, tag: str) -> None:
    """Two patients, their merge, and what comes after it about who was merged, all at once."""
    parts = (
        visit(tag, "A", sender="BOTH"),
        visit(tag, "B", who="Q", sender="BOTH"),
        message(tag, "C", "ADT^A40^ADT_A39", f"MRG|{tag}Q^^^SHTH01^PI", sender="BOTH"),
        message(tag, "D", who="Q", sender="BOTH"),
    )
    messages = [*map(enhanced, parts)]
    with nothing_can_be_written(world) as allow:
        world.pipeline(*messages, when_committed=allow)


def replayed(world: World, tag: str) -> None:
    """A message that was kept, and that the hub died of once."""
    world.pipeline(enhanced(message(tag, "A", sender="BOTH")))


def debt(world: World, tag: str) -> None:
    """A sender that hangs up before it hears how its message ended."""
    raw = enhanced(message(tag, "A", sender="BOTH"))
    world.pipeline(raw, is_applied=False)
    if world.is_up and not world.is_told_elsewhere(raw):
        world.restart()
    world.until(lambda: world.is_told_elsewhere(raw))


def posted(world: World, tag: str) -> None:
    """A batch by HTTP."""
    messages = message(tag, "A"), message(tag, "B"), message(tag, "C", who="Q")
    headers = {"content-type": "x-application/hl7-v2+er7"}
    answer = world.ask("POST", "hl7v2", content=batch(*messages), headers=headers)
    world.reach("answered")
    assert answer.status_code == 200
    for raw, ack in zip(messages, acks_of(answer.content), strict=True):
        assert world.note(raw, ack) == "AA"


def file(world: World, tag: str) -> None:
    """A batch in a watched folder."""
    messages = message(tag, "A"), message(tag, "B"), message(tag, "C", who="Q")
    answer = world.put_in_folder(f"{tag}.hl7", batch(*messages))
    for raw, ack in zip(messages, acks_of(answer), strict=True):
        assert world.note(raw, ack) == "AA"


def by_hand(world: World, tag: str) -> None:
    """A message that is refused, corrected, done again as it is, and one that is let rest."""
    good = message(tag, "A")
    bad, other = good.replace(b"|P|2.4", b"|T|2.4"), message(tag, "B").replace(b"|P|", b"|T|")
    assert world.deliver(bad) == ["AR"]
    assert world.deliver(other) == ["AR"]
    failed = world.entered(bad)
    world.ask("POST", f"ops/messages/{failed[-1]}/$correct", content=good)
    world.until(lambda: len(world.entered(good, "done")) == 1)  # by the next start, if need be
    asked = {"number": str(world.entered(good, "done")[0]), "again": True}
    assert world.ask("POST", "ops/messages/$replay", json=asked).status_code == 200
    for number in world.entered(other, "failed"):
        world.ask("POST", f"ops/messages/{number}/$ignore")
    assert world.entered(other, "failed") == []


def outbound(world: World, tag: str) -> None:
    """A patient of whom a partner is told; the first time he hangs up."""
    world.partner_hangs_up = 2
    raw = visit(tag, "A", name=f"Ausgang^{tag}")
    assert world.deliver(raw) == ["AA"]
    world.until(lambda: world.is_delivered("his", tag))


def told_later(world: World, tag: str) -> None:
    """A patient of whom a partner is told who says later that he could not take it."""
    raw = visit(tag, "A", name=f"Spaeter^{tag}")
    assert world.deliver(raw) == ["AA"]
    world.until(lambda: world.is_delivered("later", tag))
    (told,) = {one for one in world.later.heard if tag.encode() in one}
    said = acknowledgment("AE", told, "LATER", f"{tag}S").replace(b"|2.4", b"|2.4|||AL|NE")
    assert world.deliver(said) == ["CA"]
    world.until(lambda: control_id(told) in {one.control_id for one in world.dead()})


def by_rest(world: World, tag: str) -> None:
    """A patient who comes by FHIR, of whom a partner is told."""
    name, number = {"family": "Ausgang", "given": [tag]}, {"system": "urn:steps", "value": tag}
    body = {"resourceType": "Patient", "identifier": [number], "name": [name]}
    headers = {"If-None-Exist": f"identifier=urn:steps|{tag}"}
    assert world.ask("POST", "fhir/Patient", json=body, headers=headers).is_success
    world.until(lambda: world.is_delivered("his", tag))


def asked(world: World, tag: str) -> None:
    """A query about one who is not known, and about him when he is."""
    (nobody,) = world.answers(_query(tag, "A"))
    assert b"\rQAK|T|NF" in nobody
    assert world.deliver(visit(tag, "B")) == ["AA"]
    (found,) = world.answers(_query(tag, "C"))
    assert b"\rQAK|T|OK" in found
    assert f"|{tag}P^^^".encode() in found


def _query(tag: str, place: str) -> bytes:
    head = f"MSH|^~\\&|LIS|SHTH01|FHIRHUB|QPRHP|20250314103000||QBP^Q22^QBP_Q21|{tag}{place}|P|2.5"
    return f"{head}\rQPD|Q22^Find|T|@PID.3.1^{tag}P\rRCP|I\r".encode()


def aged(world: World, tag: str) -> None:
    """A message whose bytes are removed when it is old; that it came is known all the same."""
    raw = message(tag, "A")
    assert world.deliver(raw) == ["AA"]
    world.days += 200  # more than `journal_days`
    world.restart()
    (number,) = world.entered(raw)
    world.until(lambda: not world.ask("GET", f"ops/messages/{number}").json()["text"])
    assert world.deliver(raw) == ["AA"]


class Journey(NamedTuple):
    """A way, and the steps of it in one process; `begins_with` has the hub die of it before."""

    go: Callable[[World, str], None]
    steps: tuple[str, ...]
    begins_with: str = ""


_KEPT = ("kept", "committing", "committed")
_APPLIED = ("converted", "applied", "written")
_TWICE = ("telling", "told", "heard", "settled")
_FILE = ("file answered", "answer written", "file moved")
_OUT = ("chosen", "in the outbox", "sent", "silent", "matched", "taken", "delivered")
_OUT_BY_REST = tuple(step for step in _OUT if step != "silent")
JOURNEYS: dict[str, Journey] = {
    "results": Journey(
        results, ("read", "decoded", *_KEPT, *_APPLIED, "answering", "answered", "ended")
    ),
    "barrier": Journey(barrier, (*_KEPT, "tried", "turned", *_APPLIED, *_TWICE)),
    "replayed": Journey(replayed, ("left", "noted", *_APPLIED, "replayed"), "converted"),
    "debt": Journey(debt, ("answered", "owed", "told elsewhere", "settled")),
    "posted": Journey(posted, ("read", *_KEPT, *_APPLIED, "answering", "answered")),
    "file": Journey(file, ("read", *_KEPT, *_APPLIED, "answering", *_FILE)),
    "by hand": Journey(by_hand, ("refused", "ended", *_KEPT, "reopened", *_APPLIED)),
    "outbound": Journey(outbound, _OUT),
    "by rest": Journey(by_rest, ("committing", "committed", "written", *_OUT_BY_REST)),
    "asked": Journey(asked, ("read", *_KEPT, "ended", "answering", "answered")),
    "told later": Journey(told_later, ("said later", "dead")),
    "aged": Journey(aged, ("pruned",)),
}
# by several processes: steps of those that serve, and of the one that writes for all
SERVING = ("handed", "handed back", "converted", "handed over", "handed on", "answering")
WRITING = (*_KEPT, "written")
SEVERAL = {name: Journey(JOURNEYS[name].go, (*SERVING, *WRITING)) for name in ("results", "posted")}
