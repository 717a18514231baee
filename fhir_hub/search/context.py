"""What indexing and querying must agree on: the zone, the aliases of systems, the base address."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo


@dataclass(frozen=True, slots=True)
class Context:
    """`zone` is that of times without an offset; `aliases` maps a system to the canonical one.

    `base` is the server's own address: a reference below it is a relative one.
    """

    zone: tzinfo
    aliases: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
