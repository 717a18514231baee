"""Codes that mean the same as an order's, at whichever institution: by the ConceptMaps stored here.

An institution's own code leads to the standard one, and that back to every other institution's
own. So an order with one hospital's code finds the result that another wrote with its own.

Spec: https://hl7.org/fhir/R4/conceptmap.html
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_hub.referral.reading import each

Code = tuple[str, str]
_SAME = frozenset(("equal", "equivalent"))
_TRUE = _SAME | {"wider", "subsumes"}  # the standard's code may be the wider one


def equivalents(codes: Iterable[Code], maps: Iterable[Mapping[str, Any]]) -> set[Code]:
    """Return these codes and all that the maps say mean the same."""
    pairs = [pair for one in maps if one.get("status") != "retired" for pair in _pairs(one)]
    own = {code for code in codes if all(code)}
    standard = own | {target for source, target, kind in pairs if source in own and kind in _TRUE}
    local = {source for source, target, kind in pairs if target in standard and kind in _SAME}
    return standard | local


def _pairs(concept_map: Mapping[str, Any]) -> Iterator[tuple[Code, Code, str]]:
    for group in each(concept_map, "group"):
        source, target = str(group.get("source", "")), str(group.get("target", ""))
        for element in each(group, "element"):
            for one in each(element, "target"):
                codes = str(element.get("code", "")), str(one.get("code", ""))
                if all(codes):
                    kind = str(one.get("equivalence", ""))
                    yield (source, codes[0]), (target, codes[1]), kind
