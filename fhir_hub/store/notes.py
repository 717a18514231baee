"""Notes of a store, set by themselves: how far something is that goes through the commits."""

from collections.abc import Mapping

from fhir_hub.store.base import Conflict, Store

_ATTEMPTS = 20


async def set_notes(store: Store, notes: Mapping[str, str]) -> None:
    """Set notes; a search parameter that is new meanwhile has nothing to do with them."""
    for _ in range(_ATTEMPTS):
        try:
            await store.reindex([], notes, await store.generation())
        except Conflict:
            continue
        return
    raise Conflict("the search parameters change all the time")
