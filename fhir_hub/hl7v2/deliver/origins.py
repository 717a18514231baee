"""What of a commit a partner told himself, and so need not be told.

Spec: docs/outbound.md
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.emit.write_codes import authority_of
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.base import Stored

Json = dict[str, Any]


def told_by(commit: Sequence[Stored], partner: PartnerSettings) -> set[str]:
    """Return the addresses of what came by a message of the partner: its Provenance says so."""
    found: set[str] = set()
    for change in commit:
        is_his = bool(partner.facility or partner.application)
        if change.resource_type != "Provenance" or change.is_deleted or not is_his:
            continue
        provenance = fhirjson.loads(change.content)
        if is_told_by(provenance, partner):
            targets = provenance.get("target", ())
            found |= {one.get("reference", "").partition("/_history/")[0] for one in targets}
    return found


def is_told_by(provenance: Json, partner: PartnerSettings) -> bool:
    """Say whether a Provenance names the partner as who told something."""
    return any(_is_his(agent.get("who", {}), partner) for agent in provenance.get("agent", ()))


def _is_his(who: Json, partner: PartnerSettings) -> bool:
    number = who.get("identifier", {})
    authority, kind = authority_of(number.get("system", ""))
    if kind != "application" or partner.application not in ("", number.get("value")):
        return False
    is_any = bool(partner.application) and (partner.is_hub or not partner.facility)
    return is_any or authority == partner.facility
