"""Which stored order or report is the one of a number that several of a message share.

A message that told only one of them stored it with the number alone: the others of the number do
not take its place, the one of its code is it.

Spec: HL7v2 chapter 4, ORC-2 and OBR-2; R4 http.html#cond-update
"""

from collections.abc import Mapping, Sequence

from fhir_hub.hl7v2.matches import PART, code_of
from fhir_hub.hl7v2.merge import Resource
from fhir_hub.hl7v2.things import Thing, numbers_of
from fhir_hub.identity.match import Number


def choose_part(
    thing: Thing, holders: Mapping[Number, Mapping[str, Resource]], of_type: Sequence[Thing]
) -> None:
    """Have a thing found by a number that it shares: what has that alone, and the same code.

    What a result only names (`create`) is the order of that number, whatever is asked for by it.
    """
    is_named = thing.converted.mode == "create"
    taken = {one.logical_id for one in of_type if not is_named}
    for number in numbers_of(thing.converted.earlier):
        held = holders.get(number, {}).values()
        found = [one for one in held if code_of(one) == code_of(thing.resource)]
        if is_named and len(held) == 1:
            found = list(held)
        found = [one for one in found if one["id"] not in taken and not _is_part(one)]
        if len(found) == 1:
            thing.found(found[0])
            return


def _is_part(resource: Resource) -> bool:
    return any(one.get("system") == PART for one in resource.get("meta", {}).get("tag", ()))
