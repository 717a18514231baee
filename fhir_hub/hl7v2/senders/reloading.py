"""New maps for a running hub: taken whole if they are in order, left alone if they are not.

The folders are looked at every few seconds, and at once on SIGHUP. What has changed is read and
checked beside the maps in force; a mistake is told with file and row and counted, and nothing
else happens. Each message is read by one version of the maps: the one that its journal row names.

Spec: DESIGN 2a
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from fhir_hub.hl7v2.maps.chinese import in_both
from fhir_hub.hl7v2.maps.map_files import InvalidMapping, built_in_folder
from fhir_hub.hl7v2.maps.mappings import Mappings, load_mappings
from fhir_hub.r4.definitions import Definitions
from fhir_hub.settings import Settings
from fhir_hub.telemetry import Logs

Print = tuple[tuple[str, int, int], ...]


class Reloading:
    """Keeps `mappings` what the folders of the settings say; `count` hears of each outcome.

    Of several processes each has maps of its own; the one that leads tells and counts. `also` looks
    at the same time for what else may have changed; it is told whether it must.
    """

    def __init__(
        self,
        mappings: Mappings,
        definitions: Definitions,
        settings: Settings,
        logs: Logs,
        count: Callable[[str], None] = lambda outcome: None,
        also: Sequence[Callable[[bool], Awaitable[None]]] = (),
    ) -> None:
        self._mappings, self._count, self._also = mappings, count, also
        own = (settings.mappings_folders, mappings.organization)
        self._load = partial(load_mappings, definitions, *own)
        self._logs = logs.get_logger("hl7v2")
        self._folders = (built_in_folder(), *settings.mappings_folders)
        self._every_s = settings.mappings_watch_s
        self._asked = asyncio.Event()
        self._leads = False
        self._hear: Callable[[Mappings], None] = lambda mappings: None
        # what changes from here on is new, also before `watch` begins; so is what was refused
        self._seen = () if mappings.refused else self._print()

    def lead(self) -> None:
        """Tell of what becomes of the maps, for all processes of this hub."""
        self._leads = True

    def tell(self, hear: Callable[[Mappings], None]) -> None:
        """Have `hear` told of the maps in force: of those of now, and whenever others are taken."""
        self._hear = hear
        hear(self._mappings)

    async def watch(self) -> None:
        """Look, and take what is new, until cancelled."""
        loop = asyncio.get_running_loop()
        if hears := _hears_signals():
            loop.add_signal_handler(signal.SIGHUP, self._asked.set)
        try:
            while True:
                await self._wait()
                is_asked = self._asked.is_set()
                try:
                    await self.look()
                    for look in self._also:
                        await look(is_asked)
                except OSError as fault:  # too many files are open: another time they are not
                    self._logs.warning("files_not_looked_at", fault=fault)
        finally:
            if hears:
                loop.remove_signal_handler(signal.SIGHUP)

    async def look(self, *, is_asked: bool = False) -> None:
        """Read the folders if something in them has changed, or if that is asked for."""
        is_asked = is_asked or self._asked.is_set()
        self._asked.clear()
        seen = await asyncio.to_thread(self._print)
        if is_asked or seen != self._seen:
            self._seen = seen
            await self._reload()

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._every_s or None):
                await self._asked.wait()

    async def _reload(self) -> None:
        try:
            found = await asyncio.to_thread(self._load)
        except (InvalidMapping, OSError) as error:
            self._refuse(problems_of(error))
        else:
            if found.version == self._mappings.of_files and not self._mappings.refused:
                self._log("maps_unchanged", version=found.version)
                return
            self._mappings.become(found)
            self._hear(self._mappings)
            self._log("maps_taken", "taken", version=found.version)

    def _refuse(self, problems: Sequence[str]) -> None:
        self._mappings.refused = tuple(problems)
        told = {"version": self._mappings.version, "problems": "; ".join(problems)}
        self._log("maps_refused", "refused", **told)

    def _log(self, event: str, outcome: str = "", **fields: object) -> None:
        if not self._leads:
            return
        tell = self._logs.warning if outcome == "refused" else self._logs.info
        tell(event, **fields)
        if outcome:
            self._count(outcome)

    def _print(self) -> Print:
        """Return what changes when a file does: names, times, sizes."""
        found = []
        for folder in self._folders:
            for path in sorted(folder.rglob("*")):
                with contextlib.suppress(OSError):  # it was there a moment ago
                    told = path.stat()
                    if path.suffix in (".toml", ".json"):
                        found.append((str(path), told.st_mtime_ns, told.st_size))
        return tuple(found)


def problems_of(error: InvalidMapping | OSError) -> tuple[str, ...]:
    """Return what is wrong with maps that could not be read."""
    if isinstance(error, InvalidMapping):
        return error.problems
    return (in_both(f"the maps cannot be read: {error.strerror}"),)


def _hears_signals() -> bool:
    """Say whether SIGHUP can come here: it exists, and only the main thread hears it."""
    return hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread()
