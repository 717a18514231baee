"""What a message names and does not tell enough of: it is not made, and nothing refers to it.

Spec: https://hl7.org/fhir/R4/conformance-rules.html#cardinality
"""

from typing import Any

from fhir_hub.hl7v2.completeness import Completeness
from fhir_hub.hl7v2.drafts import Draft, Place, Run
from fhir_hub.hl7v2.meaning.updates import names_nothing
from fhir_hub.hl7v2.programs import Entry

Json = dict[str, Any]
Late = list[tuple[Place, Entry, Draft]]
Dropped = list[tuple[Draft, str]]


def drop_incomplete(late: Late, run: Run, completeness: Completeness) -> Dropped:
    """Leave out what lacks a required element, and all references to it; say why."""
    dropped: Dropped = []
    leave_out: list[str] = []
    run.row = None
    again = True
    while again:
        again = False
        for draft in [one for one in run.drafts if not one.is_witness]:
            if draft.mode == "change":
                if not draft.match:
                    run.drafts.remove(draft)
                continue
            is_none = draft.name != "Patient" and names_nothing(draft.segment)
            lacking = "content" if is_none else completeness.missing(draft.resource, leave_out)
            if leave_out:
                for part in leave_out:
                    run.issue("incomplete", f"{part} was left out")
                leave_out.clear()
            if lacking:
                resource_type = draft.resource["resourceType"]
                reason = f"{resource_type} without {lacking} was not made"
                run.issue("incomplete", reason)
                dropped.append((draft, reason))
                _leave(draft, late, run)
                again = True
    return dropped


def _leave(gone: Draft, late: Late, run: Run) -> None:
    """Take a draft out, and all references to it."""
    run.drafts.remove(gone)
    for place, _, _ in late:
        place.node.forget(gone.name, gone)
    for draft in run.drafts:
        _without(draft.resource, {"reference": gone.full_url})


def _without(node: Any, reference: Json) -> None:
    children = list(node.items()) if isinstance(node, dict) else []
    for name, value in children:
        if value == reference:
            del node[name]
        elif isinstance(value, list):
            for item in value:
                _without(item, reference)
            value[:] = [item for item in value if item not in (reference, {})]
            if not value:
                del node[name]
        else:
            _without(value, reference)


def drop_witnesses(run: Run, completeness: Completeness) -> Dropped:
    """Leave out the witnesses that lack a required element; say why."""
    dropped: Dropped = []
    for draft in [one for one in run.drafts if one.is_witness]:
        if lacking := completeness.missing(draft.resource, []):
            run.row = None
            run.issue("incomplete", f"{draft.name} without {lacking} was not made")
            dropped.append((draft, f"{draft.name} without {lacking} was not made"))
            run.drafts.remove(draft)
    return dropped
