"""Log lines of who comes again and again in vain: one a minute each, and of how many.

A balancer that asks a port of MLLP by HTTP every second, a scanner, or all who come while there is
no room for a connection would fill the log, and what matters would be lost in it. The first is told
at once, as who mends a connection looks for.
"""

import asyncio

from fhir_hub.hl7v2.wire.listener import Log

_EVERY_S = 60.0
_MOST = 1000  # clients that are remembered
_OF = frozenset(
    (
        "connections_closed",
        "http_not_accepted",
        "mllp_address_refused",
        "mllp_connection_refused",
        "mllp_not_accepted",
        "mllp_other_protocol",
        "mllp_tls_refused",
    )
)


def seldom(log: Log) -> Log:
    """Return what logs as `log` does, but of one client in vain at most one line a minute.

    The next line has in `times` for how many it is, if it is not for one alone.
    """
    told: dict[tuple[object, ...], tuple[float, int]] = {}  # when, and how often since then

    def logged(event: str, **fields: object) -> None:
        if event not in _OF:
            log(event, **fields)
            return
        key = (event, fields.get("channel"), fields.get("client_ip"), fields.get("reason"))
        now = asyncio.get_running_loop().time()
        last, since = told.get(key, (now - _EVERY_S, 0))
        if now - last < _EVERY_S:
            told[key] = last, since + 1
            return
        told.pop(key, None)
        if len(told) >= _MOST:
            del told[next(iter(told))]
        told[key] = now, 0
        log(event, **fields, **({"times": since + 1} if since else {}))

    return logged
