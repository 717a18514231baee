"""The maps that hold, as one process of a hub gives them to another.

Somebody may be editing the maps while a worker starts. The hub goes on with those that it has, so
the worker begins with them too, and takes what is on the disk when that is mended.

Spec: docs/senders.md
"""

import pickle
from collections.abc import Awaitable, Callable

from fhir_hub.app import Known, read
from fhir_hub.hl7v2.maps.map_files import InvalidMapping
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hl7v2.senders.reloading import problems_of
from fhir_hub.settings import Settings


def packed(mappings: Mappings) -> bytes:
    """Return the maps in force, for another process of this program."""
    return pickle.dumps(mappings.files)


async def known_of(settings: Settings, ask: Callable[[], Awaitable[bytes]]) -> Known:
    """Return what a hub reads; if the maps on the disk are wrong, with those that `ask` gives.

    Raises what `read` raises if there are none (`b""`).
    """
    try:
        return read(settings)
    except (InvalidMapping, OSError) as error:
        if not (held := await ask()):
            raise
        known = read(settings, maps=pickle.loads(held))
        known.mappings.refused = problems_of(error)
        return known
