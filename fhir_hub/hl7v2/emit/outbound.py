"""What a writer of a datatype knows besides the value: the receiver, its tables, the resources.

The counterpart of the readers' `Context`. A writer tells with `issue` what it had to leave out,
by a text that holds nothing of the patient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from fhir_hub.hl7v2.datatypes.context import CHINA, Table
from fhir_hub.hl7v2.emit.resources import Resources

Json = dict[str, Any]


def no_issue(text: str) -> None:
    """Take an issue and forget it."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """`facility` is MSH-4: its own numbers and codes need no authority, as a reader has it.

    `moment` is when the message is written, or that was written which it tells. A receiver who
    `is_kept_told` was told of each change of a person before that.
    """

    facility: str
    resources: Resources
    moment: datetime
    zone: tzinfo = CHINA
    tables: Mapping[str, Table] = field(default_factory=dict)
    version: str = "2.4"
    name_order: str = "family-first"
    issue: Callable[[str], None] = no_issue
    is_kept_told: bool = False

    def table(self, name: str) -> Table:
        """Return the code table of that name, an empty one if there is none."""
        return self.tables.get(name) or Table(name)

    def kind_of(self, reference: Json) -> str:
        """Return of what type a Reference is: `""` unknown, `none` if it only shows a text."""
        found = self.resources.resolve(reference)
        if found is not None:
            return str(found["resourceType"])
        said = reference.get("type") or str(reference.get("reference", "")).split("/")[-2:][0]
        is_address = "reference" in reference or "identifier" in reference
        return str(said) if said[:1].isupper() else "" if is_address else "none"

    def resource(self, value: Any, resource_type: str) -> Json | None:
        """Return the resource of that type which a Reference leads to, or as much as it says.

        A Reference to what is not here has its identifier and its display: they make a resource
        with a number and a name. `None` for one of another type.
        """
        if value.get("resourceType") == resource_type:
            return dict(value)
        found = self.resources.resolve(value)
        if found is not None:
            return found if found["resourceType"] == resource_type else None
        named = value.get("type") or str(value.get("reference", "")).split("/")[-2:][0]
        if named and named[:1].isupper() and named != resource_type:
            return None
        number, display = value.get("identifier"), value.get("display")
        if not number and not display:
            return None
        person = resource_type in ("Practitioner", "Patient", "RelatedPerson")
        name: Any = [{"text": display}] if person else display
        parts = {"identifier": [number] if number else None, "name": name if display else None}
        return {"resourceType": resource_type} | {k: v for k, v in parts.items() if v}
