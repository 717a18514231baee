"""A place of a message, and the resources that it tells of: what a layout is a list of.

Spec: HL7v2 chapter 2, 2.5.2
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_hub.hl7v2.emit.written import Written

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of the message: a segment in a group, and the resources that it tells of.

    `fixed` are fields that no row writes, `begun` those that none may; `before` and `after` the
    segments beside it that its rows also write to. Without a resource it is written for its fixed
    fields alone. `tells` are elements (`value`, `Task.owner`) that other fields of the message
    say. Of an extract nobody asks what was left out.
    """

    segment: str
    group: str = ""
    drafts: Mapping[str, Json] = field(default_factory=dict)
    fixed: Mapping[str, Written] = field(default_factory=dict)
    begun: Mapping[str, Written] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    is_extract: bool = False
