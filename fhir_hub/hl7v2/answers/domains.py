"""Whose numbers: an assigning authority as HL7v2 names it, and the systems that it has in FHIR.

Spec: HL7v2 chapter 2A, CX.4 and HD; DOMAIN 3.2
"""

from typing import Any, NamedTuple
from urllib.parse import unquote

from fhir_hub.hl7v2.datatypes.parts import part
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity import systems

_KINDS = ("", "MR", "PT", "PN", "LR", "VN")  # what institutions number their patients by
_SIDS = f"{systems.BASE}/sid/"
Json = dict[str, Any]


class Domain(NamedTuple):
    """An authority: its name (HD.1), its universal id and the kind of that, a type of CX.5."""

    name: str
    identifier: str = ""
    kind: str = ""
    type_code: str = ""

    def __bool__(self) -> bool:
        """Say whether anything is named."""
        return any(self)

    @property
    def systems(self) -> tuple[str, ...]:
        """Return the systems of its numbers."""
        universal = systems.universal(self.identifier, self.kind)
        if universal or not (self.name or self.identifier):
            found = universal or systems.national(self.type_code, has_authority=False)
            return systems.aliases(found) if found else ()
        if own := systems.national(self.type_code, has_authority=True):
            return systems.aliases(own)
        authority = self.name or self.identifier
        kinds = dict.fromkeys((self.type_code, *_KINDS))
        return tuple(dict.fromkeys(systems.patient_number(authority, kind) for kind in kinds))

    def gave(self, identifier: Json) -> bool:
        """Say whether an Identifier is one of its numbers."""
        system = str(identifier.get("system", ""))
        canonical = {systems.canonical(one) for one in self.systems}
        named = self.name and not systems.universal(self.identifier, self.kind)
        within = f"{_SIDS}{systems.namespace(self.name)}/"
        return systems.canonical(system) in canonical or bool(named and system.startswith(within))


def domain_of(value: Value) -> Domain:
    """Return the authority that CX names in its fourth component."""
    return Domain(part(value, 4, 1), part(value, 4, 2), part(value, 4, 3), part(value, 5))


def authority_of(system: str) -> tuple[list[str], str]:
    """Return HD of an Identifier's system, and the type of number that the system says."""
    if system.startswith(_SIDS):
        name, _, kind = system.removeprefix(_SIDS).partition("/")
        if name.startswith("idtype-") and not kind:
            return [], ""
        return [unquote(name)], "PI" if kind == "patient-id" else kind.upper()
    if system.startswith("urn:oid:"):
        return ["", system.removeprefix("urn:oid:"), "ISO"], ""
    return (["", system, "URI"], "") if system else ([], "")
