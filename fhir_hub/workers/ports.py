"""The MLLP ports of several processes: opened once, and known to every worker by a number.

The number of a port stays its own while it is open, whatever ports come and go beside it, so a
connection that is on its way to a worker comes to its port's channels. What stands behind a port
is what the workers are told with it.
"""

import socket
from collections.abc import Collection
from typing import Any, NamedTuple

from fhir_hub.hl7v2.channels.channel import configured
from fhir_hub.hl7v2.channels.intake import PortTaken
from fhir_hub.hl7v2.channels.ports import PortPlan, by_channel, ports_of, require_same_hosts
from fhir_hub.server import listening_socket
from fhir_hub.settings import InvalidSettings, Settings
from fhir_hub.workers.doorway import MOST_PORTS, mllp_kind


class Ways(NamedTuple):
    """What a worker is told: the tables of the channels, and their ports' numbers, in order."""

    channels: dict[str, Any]
    numbers: tuple[int, ...]


class Port(NamedTuple):
    """An open port: its number, what it is for, and the socket that listens."""

    number: int
    plan: PortPlan
    listening: socket.socket


class Ports:
    """The ports that the settings of a moment ask for."""

    def __init__(self, ports: Collection[Port] = (), ways: Ways | None = None) -> None:
        self._ports = {port.plan.place: port for port in ports}
        self.ways = ways or Ways({}, ())

    def changed(self, settings: Settings, busy: Collection[bytes] = ()) -> "Ports":
        """Return the ports of other settings: those that stay, and new ones, which are opened.

        `busy` are kinds that still have connections, whose numbers are not given anew. Raises
        `PortTaken` or `InvalidSettings`, and then none is opened.
        """
        plans = {plan.place: plan for plan in ports_of(configured(settings), settings.mllp_port)}
        require_same_hosts({place: port.plan for place, port in self._ports.items()}, plans)
        taken = {port.number for port in self._ports.values()}
        free = (n for n in range(MOST_PORTS) if n not in taken and mllp_kind(n) not in busy)
        found: list[Port] = []
        try:
            for place, plan in plans.items():
                if held := self._ports.get(place):
                    found.append(held._replace(plan=plan))
                    continue
                if (number := next(free, None)) is None:
                    raise InvalidSettings(f"channels: there may be {MOST_PORTS} ports / 端口过多")
                found.append(Port(number, plan, _listening(plan)))
        except (InvalidSettings, PortTaken):
            Ports(found).close(self)
            raise
        channels = settings.model_dump(mode="json", include={"channels"})["channels"]
        return Ports(found, Ways(channels, tuple(port.number for port in found)))

    def close(self, but: "Ports | None" = None) -> None:
        """Close the sockets, but those that other ports have too."""
        kept = but.listening().values() if but else ()
        for one in self.listening().values():
            if one not in kept:
                one.close()

    def listening(self) -> dict[bytes, socket.socket]:
        """Return the socket of each kind of connections."""
        return {mllp_kind(port.number): port.listening for port in self._ports.values()}

    def most(self) -> dict[bytes, tuple[str, int]]:
        """Return the channel of each kind (of several: the first), and its most connections."""
        return {
            mllp_kind(port.number): (port.plan.channels[0].name, port.plan.connections)
            for port in self._ports.values()
        }

    def by_channel(self) -> dict[str, int]:
        """Return the port of each channel by name."""
        ports = self._ports.values()
        numbers = [port.listening.getsockname()[1] for port in ports]
        return by_channel([port.plan for port in ports], numbers)


def _listening(plan: PortPlan) -> socket.socket:
    try:
        return listening_socket(plan.host, plan.number)
    except OSError as error:
        raise PortTaken(plan.host, plan.number, error) from None
