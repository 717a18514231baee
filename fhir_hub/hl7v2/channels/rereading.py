"""New channels for a running hub: taken whole if they are in order, left alone if they are not.

The file of the settings and the certificates that it names are looked at as often as the maps
are, and at once on SIGHUP. What has changed is read as at the start. A mistake is told and
counted, and nothing else happens. Of the settings that are no channels the log says that they
hold from the next start on.

Spec: DOMAIN 5.1 (interface registry)
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from fhir_hub.hl7v2.channels.channel import configured, require_ack_channels
from fhir_hub.hl7v2.channels.intake import Intake, PortTaken
from fhir_hub.hl7v2.channels.ports import why_not
from fhir_hub.hl7v2.journal.reading import Reading
from fhir_hub.hl7v2.wire.listener import Log
from fhir_hub.settings import Given, InvalidSettings, Settings
from fhir_hub.settings.places import located

Stamp = tuple[tuple[str, int, int], ...]
Become = Callable[[Settings], Awaitable[None]]


async def become(intake: Intake, reading: Reading, settings: Settings) -> None:
    """Have one process take messages by the channels of other settings.

    Raises `InvalidSettings` or `PortTaken`, and then everything is as before.
    """
    channels = configured(settings)
    await intake.become(channels)
    reading.know(one.channel for one in channels)
    intake.tables = settings.channels


class Rereading:
    """Keeps the channels what the settings say; `count` hears of each outcome.

    `given` is what the settings were read from; `become` makes the hub take the channels of
    others.
    """

    def __init__(
        self,
        given: Given,
        settings: Settings,
        become: Become,
        log: Log,
        count: Callable[[str], None],
    ) -> None:
        self._given, self._settings, self._become = given, settings, become
        self._log, self._count = log, count
        self._seen = self._stamp()

    async def look(self, is_asked: bool) -> None:
        """Read the settings if a file has changed, or if that is asked for."""
        seen = await asyncio.to_thread(self._stamp)
        if self._given.config is None or (seen == self._seen and not is_asked):
            return
        self._seen = seen
        try:
            settings = await asyncio.to_thread(self._given.read)
            try:
                require_ack_channels(settings, configured(settings))  # the next start would
                await self._become(settings)
            except InvalidSettings as error:  # of a channel, which does not know its file
                raise InvalidSettings(located(self._given.config, str(error))) from None
        except InvalidSettings as error:
            self._refuse(str(error))
        except PortTaken as error:
            host, port, reason = error.args
            self._refuse(f"cannot listen on {host} port {port}: {why_not(reason)}")
        else:
            others = self._others(settings)
            self._settings = settings
            self._log("channels_taken", channels=len(configured(settings)))
            self._count("taken")
            if others:
                self._log("settings_need_restart", names=" ".join(others))
            now = await asyncio.to_thread(self._stamp)
            if now[:1] == seen[:1]:  # else the file has changed since it was read
                self._seen = now

    def _refuse(self, problems: str) -> None:
        self._log("channels_refused", problems="; ".join(problems.splitlines()))
        self._count("refused")

    def _others(self, settings: Settings) -> list[str]:
        return [
            name
            for name in Settings.model_fields
            if name != "channels" and getattr(settings, name) != getattr(self._settings, name)
            if name != "port" or settings.port  # who asks for any (0) has one
        ]

    def _stamp(self) -> Stamp:
        """Return what changes when a file does: names, times, sizes."""
        paths = [self._given.config]
        for one in self._settings.channels.values():
            paths += [one.certificate, one.key, one.client_ca]
            paths += [one.tls_ca, one.tls_certificate, one.tls_key]
        found = []
        for path in dict.fromkeys(path for path in paths if isinstance(path, Path)):
            with contextlib.suppress(OSError):
                told = path.stat()
                found.append((str(path), told.st_mtime_ns, told.st_size))
        return tuple(found)
