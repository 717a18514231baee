"""A process that does what others left, and nothing else, where each process writes by itself.

One of the messages that a process did may be why it died. Who leads has others to serve, so a
worker does them that takes no connections: one at a time, and that it begins one is noted before
(`suspects.py`). If it dies they are left again, and the next one finds the note.

While it is at work they are its own, so whoever gets one of them again waits for its end.
"""

import asyncio
from collections.abc import Mapping

from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.settings import Settings
from fhir_hub.settings.channels import ChannelSettings
from fhir_hub.telemetry import Logs
from fhir_hub.workers.begin import begin
from fhir_hub.workers.folder import metrics_folder
from fhir_hub.workers.maps import packed
from fhir_hub.workers.member import Member
from fhir_hub.workers.pipe import open_pipe

_FIRST_S, _LONGEST_S = 1.0, 30.0  # before the next one is begun


class Apart:
    """Begins such a process for a hub of these settings and maps, with the channels of then."""

    def __init__(self, settings: Settings, logs: Logs, mappings: Mappings) -> None:
        self._settings, self._log = settings, logs.get_logger("hub")
        self._mappings = mappings
        self._pause_s = _FIRST_S

    async def finish_left(self, channels: Mapping[str, ChannelSettings]) -> None:
        """Have a process finish what was left; if it dies wait a little, longer each time."""
        try:
            with metrics_folder() as folder:
                await self._finish_left(folder, channels)
            self._pause_s = _FIRST_S
        except Exception as fault:
            self._log.error("messages_not_replayed", fault=fault)
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, _LONGEST_S)

    async def _finish_left(self, folder: str, channels: Mapping[str, ChannelSettings]) -> None:
        process, own, door = await begin(folder)
        worker = Member("apart", process, door)
        worker.pipe = await open_pipe(own, self._answer, worker.lost)
        try:
            await worker.build(self._settings.model_copy(update={"channels": channels}))
            work, limit_s = worker.ask("left"), self._settings.worker_timeout_s
            await worker.feeling_pulse(work, limit_s, self._log.error)
        finally:
            await worker.end(self._settings.drain_s)
            worker.pipe.close()
            door.own.close()

    async def _answer(self, kind: str, value: object) -> bytes | None:
        """Give it our maps; take notice that it ends: there is nobody to send elsewhere."""
        return packed(self._mappings) if kind == "maps" else None
