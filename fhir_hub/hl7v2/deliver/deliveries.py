"""All partners' couriers: one process of a hub runs them, and stops them gracefully.

A message on its way when the hub is asked to stop is waited for, as long as the hub drains; one
that is waiting for its turn goes at the next start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import monotonic

from fhir_hub.clock import Clock, IdMaker, from_microseconds
from fhir_hub.hl7v2.deliver.breaker import STATES, Breaker
from fhir_hub.hl7v2.deliver.checked import check_partners
from fhir_hub.hl7v2.deliver.choose import Choice
from fhir_hub.hl7v2.deliver.courier import Courier, Delivered, Round
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.deliver.link import Link
from fhir_hub.hl7v2.deliver.outbox import Outbox
from fhir_hub.hl7v2.deliver.silence import Silences
from fhir_hub.hl7v2.emit.emit import Emitted, Receiver, emit
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.ending import end_tasks
from fhir_hub.store.news import News, NoNews
from fhir_hub.telemetry import Log, Metrics

_WATCH_S, _LOOK_S = 1.0, 0.01
Hear = Callable[..., Awaitable[bytes | None]]


async def _nothing(event: str, address: str) -> None:
    """Tell nobody of a message that was taken."""


async def _unheard(raw: bytes, *, partner: str) -> None:
    """Take no note of what a partner says later."""


def receiver_of(partner: PartnerSettings) -> Receiver:
    """Return how a partner wants his messages."""
    return Receiver(
        partner.application,
        partner.facility,
        partner.version,
        partner.charset,
        partner.sender,
        partner.sending_application,
        partner.sending_facility,
        partner.processing_id,
        is_enhanced=partner.ack_mode == "enhanced",
        application_ack=partner.application_ack,
        is_kept_told="Patient" in partner.sends,
    )


def write(mappings: Mappings, receiver: Receiver, choice: Choice, control_id: str) -> Emitted:
    """Return the message of a choice; MSH-7 is when the change was written."""
    return emit(
        choice.resources,
        mappings,
        receiver,
        moment=from_microseconds(choice.change.last_updated),
        control_id=control_id,
        event=choice.event,
        main=choice.main,
        before=choice.before,
        answers=choice.answers,
    )


class Deliveries:
    """The couriers of a hub; nothing is delivered before `lead` is called.

    Raises `InvalidSettings` for a partner to whom nothing could be delivered.
    """

    def __init__(
        self,
        partners: Mapping[str, PartnerSettings],
        mappings: Mappings,
        desk: Desk,
        clock: Clock,
        new_id: IdMaker,
        log: Log,
        metrics: Metrics,
        delivered: Delivered = _nothing,
        hear: Hear = _unheard,
        time: Callable[[], float] = monotonic,
        news: News | None = None,
    ) -> None:
        check_partners(partners, mappings, desk)
        self._metrics, self._news = metrics, news or NoNews()
        self._breakers: dict[str, Breaker] = {}
        self._silences: dict[str, Silences] = {}
        self._couriers: dict[str, Courier] = {}
        self._tasks: list[asyncio.Task[None]] = []
        for name, partner in partners.items():
            breaker = Breaker(partner.failures, partner.pause_s, partner.max_pause_s, time)
            self._breakers[name] = breaker
            self._silences[name] = silences = Silences(desk.store, name, clock)
            given = Round(
                name,
                partner,
                desk,
                Outbox(desk.store, name, new_id),
                Link(partner),
                breaker,
                silences,
                partial(write, mappings, receiver_of(partner)),
                clock,
                log,
                metrics.observe_delivery,
                delivered,
                partial(hear, partner=name),
                asyncio.sleep,
                self._news,
            )
            self._couriers[name] = Courier(given)

    def lead(self) -> None:
        """Let this process deliver: one of several does."""
        if not self._tasks and self._couriers:
            self._news.hear(self._wake)
            self._tasks = [asyncio.create_task(one.run()) for one in self._couriers.values()]
            self._tasks.append(asyncio.create_task(self._watch()))

    async def rest(self) -> None:
        """Let another process deliver; what is on its way goes from there again, the same."""
        tasks, self._tasks = self._tasks, []
        await end_tasks(*tasks)

    async def opened(self) -> None:
        """Return when every courier knows from where on it tells."""
        await asyncio.gather(*(one.is_open.wait() for one in self._couriers.values()))

    async def until(self, name: str, state: str) -> None:
        """Return when a partner's circuit breaker is in that state."""
        while self._breakers[name].state != state:
            await asyncio.sleep(_LOOK_S)

    async def close(self, drain_s: float) -> None:
        """Stop; a message that is on its way is waited for so long."""
        for courier in self._couriers.values():
            courier.stop()
        loop = asyncio.get_running_loop()
        until = loop.time() + drain_s
        while any(one.is_busy for one in self._couriers.values()) and loop.time() < until:
            await asyncio.sleep(_LOOK_S)
        await end_tasks(*self._tasks)

    def _wake(self) -> None:
        """Let all look: something was written."""
        for courier in self._couriers.values():
            courier.wake()

    async def look(self) -> None:
        """Tell the metrics how it stands."""
        for name, courier in self._couriers.items():
            await courier.look()
            state = STATES.index(self._breakers[name].state)
            silent_s = self._silences[name].seconds
            self._metrics.set_partner(name, state, courier.waiting, silent_s)

    async def _watch(self) -> None:
        """Tell the metrics how it stands, again and again. Endless."""
        while True:
            await self.look()
            await asyncio.sleep(_WATCH_S)
