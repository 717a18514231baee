"""Look at a store for what disagrees, or set it right, whichever it is: one place for commands.

The look at a file of SQLite sees one commit; that at MongoDB sees one in each of its parts.
"""

from collections.abc import AsyncIterator, Collection
from pathlib import Path

from fhir_hub.store.findings import EntriesOf, Finding, Progress
from fhir_hub.store.journal import TurnsOf


async def findings(
    url: str,
    entries_of: EntriesOf,
    progress: Progress,
    passed_over: Collection[str] = (),
    *,
    is_quick: bool = False,
) -> AsyncIterator[Finding]:
    """Yield all that disagrees in the store at `url`, `sqlite:` or `mongodb:`.

    `entries_of` says what a resource is found by now; the entries of the types `passed_over`
    (`*`: of all) are not compared. `is_quick` reads no content. Raises `CannotOpen`.
    """
    if path := _file(url):
        from fhir_hub.store.sqlite.checking import Checking

        checking = Checking(path, entries_of, progress)
        try:
            for one in checking.findings(passed_over, is_quick=is_quick):
                yield one
        finally:
            checking.close()
        return
    from fhir_hub.store.mongo import checking as mongo

    async with mongo.opened(url) as connection:
        looking = mongo.Checking(connection, entries_of, progress, passed_over)
        async for one in looking.findings(is_quick=is_quick):
            yield one


async def mend_before(url: str, progress: Progress, turns_of: TurnsOf) -> int:
    """Set right what a pass over the contents builds on; return how much it was.

    `turns_of` says what orders a message that is still to be done.
    """
    if path := _file(url):
        from fhir_hub.store.sqlite.agreement import BEFORE_ENTRIES
        from fhir_hub.store.sqlite.checking import mend

        return mend(path, BEFORE_ENTRIES, progress)
    from fhir_hub.store.mongo import mending
    from fhir_hub.store.mongo.checking import opened

    async with opened(url) as connection:
        return await mending.mend(connection, progress, turns_of)


async def mend_after(url: str, progress: Progress) -> int:
    """Set right what that pass has left; return how much it was."""
    path = _file(url)
    if path is None:
        return 0
    from fhir_hub.store.sqlite.agreement import AFTER_ENTRIES
    from fhir_hub.store.sqlite.checking import mend

    return mend(path, AFTER_ENTRIES, progress)


def _file(url: str) -> Path | None:
    scheme, _, path = url.partition(":")
    return Path(path) if scheme == "sqlite" else None
