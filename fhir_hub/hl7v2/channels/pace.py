"""How fast messages are taken, where a channel says so: who is faster waits, none is refused.

A sender is answered message by message, so holding back an answer holds back the sender. What
was not used in the last minute may be used at once.

Spec: the generic cell rate algorithm (ITU-T I.371)
"""

import asyncio

_MINUTE_S = 60.0


class Pace:
    """A limit of messages a minute; `wait` returns when the next may be taken."""

    def __init__(self, messages_per_minute: int | None) -> None:
        self.messages_per_minute = messages_per_minute
        self._interval_s = _MINUTE_S / messages_per_minute if messages_per_minute else 0.0
        self._next_s = 0.0

    async def wait(self) -> None:
        """Wait until one message more is within the limit."""
        if not self._interval_s:
            return
        now = asyncio.get_running_loop().time()
        self._next_s = max(self._next_s, now - _MINUTE_S) + self._interval_s
        if self._next_s > now:
            await asyncio.sleep(self._next_s - now)
