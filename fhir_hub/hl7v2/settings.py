"""What a sender's file may say besides rows and tables: how its messages are to be read.

Spec: DESIGN 2a (senders); DOMAIN 4
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta, timezone, tzinfo
from typing import Any

_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to read a sender.

    `charset` is forced where set; `zone` is that of times without offset, `None`: the hub's;
    `name_order` is `family-first` or `given-first`; `nulls` says whether `""` is to `delete` or to
    `ignore`; `tolerance` `strict` refuses what `tolerant` takes with an issue.
    """

    charset: str = ""
    zone: tzinfo | None = None
    name_order: str = "family-first"
    nulls: str = "delete"
    tolerance: str = "tolerant"

    def overlaid(self, document: Mapping[str, Any]) -> "Settings":
        """Return these settings with what a sender's file says instead."""
        changes = dict(document)
        if "zone" in changes:
            changes["zone"] = _zone(changes["zone"])
        return replace(self, **changes)


def _zone(text: str) -> tzinfo:
    match = _OFFSET.fullmatch(text)
    if not match:
        raise ValueError(f"not an offset: {text!r} (write +08:00)")
    sign = -1 if match[1] == "-" else 1
    return timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3])))
