"""Why a selection of the journal finds nothing: which of its words no message has.

A misspelt sender selects no message, as a sender without failed messages does; who asks must be
able to tell the two apart.
"""

from collections import Counter
from collections.abc import Iterable

from fhir_hub.nearest import did_you_mean
from fhir_hub.store.journal import Journal, Received, Selection

_LOOKED = 2000  # messages, the newest
_SHOWN = 9


async def why_nothing(journal: Journal, selection: Selection) -> str:
    """Return what to say of a selection that found nothing; empty if it names nobody.

    Only the newest 2,000 messages are looked at, and only if a sender, channel or type is asked.
    """
    asked = {
        "sender / 发送方": "|".join(filter(None, (selection.sender, selection.facility))),
        "channel / 通道": selection.channel,
        "type / 类型": selection.message_type,
    }
    if not any(asked.values()):
        return ""
    newest = [one.message for one in await journal.select(Selection(since=1), count=_LOOKED)]
    if not newest:
        return "there is no message yet / 尚无消息"
    there = (_senders(newest), [{one.channel} for one in newest], _types(newest))
    told = [
        _unknown(name, value, words, len(newest))
        for (name, value), words in zip(asked.items(), there, strict=True)
        if value and not any(value in one for one in words)
    ]
    return "; ".join(told) or "no message has all of what is asked / 没有同时符合这些条件的消息"


def _senders(messages: Iterable[Received]) -> list[set[str]]:
    """Return by what the sender of each message may be asked for."""
    return [
        {"|".join(filter(None, (m.application, m.facility))), m.application, m.facility}
        for m in messages
    ]


def _types(messages: Iterable[Received]) -> list[set[str]]:
    return [{m.message_type, *m.message_type.split("^")[:2]} for m in messages]


def _unknown(name: str, value: str, words: list[set[str]], looked: int) -> str:
    """Return that none of the messages has the value, and which there are: the whole ones."""
    counted = Counter(max(one, key=len) for one in words)
    known = [one for one, _ in counted.most_common(_SHOWN) if one]
    near = did_you_mean(value, counted, "") or did_you_mean(
        value, set().union(*words) - {""}, f"there are {', '.join(known) or 'none'}"
    )
    english, _, chinese = name.partition(" / ")
    return (
        f"{english}: none of the newest {looked} messages has {value[:60]!r}{near}"
        f" / 最近 {looked} 条消息中没有该{chinese}"
    )
