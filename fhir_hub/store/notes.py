"""Notes of a store, set by themselves: how far something is that goes through the commits."""

from collections.abc import Mapping

from fhir_hub.store.base import NOTHING, Conflict, Outdated, Store

_ATTEMPTS = 20


async def set_notes(
    store: Store, notes: Mapping[str, str], expected: Mapping[str, str] = NOTHING
) -> None:
    """Set notes; a search parameter that is new meanwhile has nothing to do with them.

    Raises `Outdated` if a note is not as `expected` (empty: there is none).
    """
    for _ in range(_ATTEMPTS):
        try:
            await store.reindex([], notes, await store.generation(), expected)
        except Outdated:
            raise
        except Conflict:
            continue
        return
    raise Conflict("the search parameters change all the time")


def require_notes(expected: Mapping[str, str], notes: Mapping[str, str]) -> None:
    """Raise `Outdated` unless each note is as `expected`."""
    if any(notes.get(name, "") != text for name, text in expected.items()):
        raise Outdated("another process has set a note")
