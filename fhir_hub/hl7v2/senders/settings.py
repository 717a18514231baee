"""What a sender's file may say besides rows and tables: how its messages are to be read.

Spec: DESIGN 2a (senders); DOMAIN 4
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta, timezone, tzinfo
from typing import Any

from fhir_hub.hl7v2.parsing.path import Path, parse_path
from fhir_hub.hl7v2.parsing.structure import problem
from fhir_hub.hl7v2.wire.charset import codec

_OFFSET = re.compile(r"([+-])(0\d|1[0-3]|14(?=:00)):([0-5]\d)", re.ASCII)  # as R4 has them


@dataclass(frozen=True, slots=True)
class Settings:
    """How to read a sender.

    `charset` is forced where set; `zone` is that of times without offset, `None`: the hub's;
    `name_order` is `family-first` or `given-first`; `nulls` says whether `""` is to `delete` or to
    `ignore`; `tolerance` `strict` refuses what `tolerant` takes with an issue. `update_mode` says
    what a repeating group (AL1, DG1, IN1, NK1 …) tells: `snapshot` all that there is, so that what
    it lacks is gone, `action-code` the changes alone, each segment with its code (HL7v2 chapter 2,
    2.10.4); `""`: the hub's own rule for the message; `update_modes` says it for one
    segment. `version` stands in for an empty MSH-12,
    `campus` is the field that tells two sites of one MSH-4 apart, whose numbers then never meet;
    `is_hub` says that it passes on what others tell, and may pass on what they tell here too;
    `country` is that of a message without MSH-17, in whose money its amounts are.
    """

    charset: str = ""
    zone: tzinfo | None = None
    name_order: str = "family-first"
    nulls: str = "delete"
    tolerance: str = "tolerant"
    update_mode: str = ""
    update_modes: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    campus: Path | None = None
    country: str = ""
    is_hub: bool = False

    @property
    def is_strict(self) -> bool:
        """Say whether what is not as HL7 has it is refused."""
        return self.tolerance == "strict"

    @property
    def deletes(self) -> bool:
        """Say whether `""` deletes; else it is as empty."""
        return self.nulls == "delete"

    def overlaid(self, document: Mapping[str, Any]) -> "Settings":
        """Return these settings with what a sender's file says instead."""
        changes = dict(document)
        if changes.get("charset") and not codec(changes["charset"]):
            known = "write UTF-8, GBK, GB18030 …"
            raise ValueError(f"charset: no such character set as {changes['charset']!r} ({known})")
        if "zone" in changes:
            changes["zone"] = _zone(changes["zone"])
        if "campus" in changes:
            changes["campus"] = parse_path(changes["campus"])
            if found := problem(changes["campus"]):
                raise ValueError(f"campus: no such path as {changes['campus']}: {found}")
        return replace(self, **changes)


def _zone(text: str) -> tzinfo:
    match = _OFFSET.fullmatch(text)
    if not match:
        raise ValueError(f"not an offset: {text!r} (write +08:00)")
    sign = -1 if match[1] == "-" else 1
    return timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3])))
