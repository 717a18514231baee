"""What is known of a partner's deliveries, durably: how far, what is under way, what is dead.

It stands in the store's notes, so it survives what the store survives. A message is noted with
its bytes before it goes, so that after a crash the same bytes go again, under the same control
id; what is done is the sequence of the last commit of which he was told all there was to tell.

Spec: DESIGN 5 (gap-free order)
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from fhir_hub.store.base import Outdated, Store
from fhir_hub.store.notes import set_notes

PREFIX = "outbound/"
SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that is to be delivered: of which change it tells, and its bytes.

    `again_of` is the control id under which it was given up before, `refusal` what he last answered
    in codes (`AE 207 PID-3`).
    """

    control_id: str
    event: str
    address: str
    version_id: int
    sequence: int
    raw: bytes
    attempts: int = 0
    again_of: str = ""
    refusal: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self) | {"raw": base64.b64encode(self.raw).decode("ascii")}

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Self:
        """Return it from its JSON."""
        return cls(**{**data, "raw": base64.b64decode(data["raw"])})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partner is: all commits up to `sequence`, in the one after it up to `done`.

    `is_as_written`: that one was begun by an older hub, which told it in the order written.
    """

    epoch: str
    sequence: int
    done: int = 0
    pending: Pending | None = None
    is_as_written: bool = False

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON."""
        pending = self.pending.as_data() if self.pending else None
        return {
            "epoch": self.epoch,
            "sequence": self.sequence,
            "done": self.done,
            "pending": pending,
            "in_turn": not self.is_as_written,
        }

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Self:
        """Return it from its JSON."""
        pending = Pending.of_data(data["pending"]) if data["pending"] else None
        is_begun = bool(data["done"] or pending)
        is_as_written = is_begun and not data.get("in_turn")
        return cls(data["epoch"], data["sequence"], data["done"], pending, is_as_written)


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that was given up: what he answered, and of which change it told."""

    control_id: str
    event: str
    address: str
    version_id: int
    sequence: int
    ack_code: str
    error_code: str = ""
    at: str = ""
    retries: int = 0
    partner: str = field(default="", compare=False)

    @property
    def is_skipped(self) -> bool:
        """Say whether an operator gave it up, not the partner."""
        return self.ack_code == SKIPPED


@dataclass(frozen=True, slots=True)
class Orders:
    """What an operator wants: a dead message tried `again`, messages skipped, nothing sent.

    And what the partner said by another way, by the control id of the message of which he did.
    """

    again: Dead | None = None
    skipped: frozenset[str] = frozenset()
    is_paused: bool = False
    heard: Mapping[str, Dead] = field(default_factory=dict)


class Outbox:
    """The notes of one partner, as the process that delivers to him knows them."""

    def __init__(self, store: Store, name: str, new_id: Callable[[], str]) -> None:
        self._store, self._name, self._new_id = store, name, new_id
        self._key, self._noted = f"{PREFIX}{name}", ""

    async def open(self) -> Progress:
        """Return how far he is; of a new partner: everything until now is done."""
        self._noted = noted = (await self._store.notes()).get(self._key, "")
        if not noted:
            status = await self._store.status()
            progress = Progress(self._new_id()[-6:].upper(), status.sequence)
            try:
                await self.save(progress)
            except Outdated:  # another process has met him
                return await self.open()
            return progress
        return Progress.of_data(json.loads(noted))

    async def save(
        self,
        progress: Progress,
        dead: Dead | None = None,
        gone: str = "",
        taken: str = "",
        heard: str = "",
    ) -> None:
        """Note how far he is; with it a message that is `dead`, or one that is so no more.

        `taken` is a dead message that was to be tried again and is being tried now, `heard` one of
        which it was noted that he said something. Raises `Outdated` if another process has noted
        meanwhile how far he is: that holds, so this one has to `open` it anew.
        """
        text = json.dumps(progress.as_data())
        notes = {self._key: text}
        if gone:
            notes |= {f"{self._key}/dead/{gone}": ""}
        if taken:
            notes |= {f"{self._key}/again/{taken}": ""}
        if heard:
            notes |= {f"{self._key}/heard/{heard}": ""}
        if dead is not None:
            data = asdict(replace(dead, partner=self._name))
            notes |= {f"{self._key}/dead/{dead.control_id}": json.dumps(data)}
            notes |= {f"{self._key}/skip/{dead.control_id}": ""} if dead.is_skipped else {}
        try:
            await set_notes(self._store, notes, {self._key: self._noted})
        except Outdated:  # or it was noted, and only the answer was lost
            if (await self._store.notes()).get(self._key) != text:
                raise
        self._noted = text

    async def orders(self) -> Orders:
        """Return what an operator wants; of dead messages that are to go again the earliest."""
        notes = await self._store.notes()
        own = f"{self._key}/"
        wanted = sorted(
            name.removeprefix(own)
            for name in notes
            if name.startswith(own) and not name.startswith(f"{own}dead/")
        )
        again = (notes.get(f"{own}dead/{name[6:]}") for name in wanted if name[:6] == "again/")
        found = (Dead(**json.loads(text)) for text in again if text)
        return Orders(
            min(found, key=_sequence, default=None),
            frozenset(name[5:] for name in wanted if name[:5] == "skip/"),
            "paused" in wanted,
            {n[6:]: Dead(**json.loads(notes[f"{own}{n}"])) for n in wanted if n[:6] == "heard/"},
        )


async def restored(
    store: Store, other: Mapping[str, str], sequence: int, new_id: Callable[[], str]
) -> None:
    """Set the notes of a store that was brought back to an earlier `sequence`.

    `other` are the notes of the file that went on, which know how far the partners were told. New
    commits get numbers that were given once before, so control ids begin anew with an epoch.
    """
    notes = await store.notes() | {
        name: text for name, text in other.items() if name.startswith(PREFIX)
    }
    changed = {}
    for name, text in notes.items():
        if not name.startswith(PREFIX):
            continue
        data = json.loads(text) if text.startswith("{") else {}
        if name.count("/") > 1:  # a message that was given up, or is to be tried again
            changed[name] = "" if data.get("sequence", 0) > sequence else text
            continue
        data["epoch"] = new_id()[-6:].upper()
        if data["sequence"] >= sequence:
            data |= {"sequence": sequence, "done": 0, "pending": None}
        changed[name] = json.dumps(data)
    if changed:
        await set_notes(store, changed)


async def dead_messages(store: Store) -> list[Dead]:
    """Return the messages of all partners that were given up, each partner's in their order."""
    notes = await store.notes()
    found = (
        Dead(**json.loads(text))
        for name, text in notes.items()
        if name.startswith(PREFIX) and "/dead/" in name
    )
    return sorted(found, key=lambda one: (one.partner, one.sequence))


def _sequence(dead: Dead) -> int:
    return dead.sequence


async def progresses(store: Store) -> dict[str, Progress]:
    """Return how far each partner is, by name."""
    found = {}
    for name, text in sorted((await store.notes()).items()):
        rest = name.removeprefix(PREFIX)
        if rest != name and "/" not in rest:
            found[rest] = Progress.of_data(json.loads(text))
    return found


async def try_again(store: Store, dead: Dead) -> None:
    """Have a dead message made and sent anew."""
    await set_notes(store, {f"{PREFIX}{dead.partner}/again/{dead.control_id}": "1"})


async def paused(store: Store) -> set[str]:
    """Return the partners to whom nothing is sent for now."""
    ending = "/paused"
    return {
        name.removeprefix(PREFIX).removesuffix(ending)
        for name in await store.notes()
        if name.startswith(PREFIX) and name.endswith(ending)
    }


async def pause(store: Store, partner: str, *, is_paused: bool) -> None:
    """Have nothing sent to a partner for now, or again."""
    await set_notes(store, {f"{PREFIX}{partner}/paused": "1" if is_paused else ""})


async def skip(store: Store, partner: str, control_id: str) -> None:
    """Have the message that is on its way given up, so that the next one goes."""
    await set_notes(store, {f"{PREFIX}{partner}/skip/{control_id}": "1"})


async def hear(store: Store, partner: str, control_id: str, said: Dead) -> None:
    """Note what a partner said of a message by another way than on its connection."""
    told = json.dumps(asdict(replace(said, partner=partner)))
    await set_notes(store, {f"{PREFIX}{partner}/heard/{control_id}": told})


async def drop(store: Store, dead: Iterable[Dead]) -> None:
    """Forget dead messages for good."""
    kinds = ("dead", "again")
    names = [f"{PREFIX}{one.partner}/{kind}/{one.control_id}" for one in dead for kind in kinds]
    await set_notes(store, dict.fromkeys(names, ""))


async def forget(store: Store, partner: str) -> None:
    """Forget a partner: how far he was, what waited for him, what was given up."""
    own = f"{PREFIX}{partner}"
    names = [one for one in await store.notes() if one == own or one.startswith(f"{own}/")]
    await set_notes(store, dict.fromkeys(names, ""))
