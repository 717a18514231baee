"""Which of a person's allergies, covers and relatives are told: those that are so.

NK1, AL1 and IN1 cannot say that something is over. They are lists of what there is, so what has
ended, was refuted or entered in error is not in them.

Spec: HL7v2 chapter 2, 2.10.4 (snapshot mode); chapter 3, AL1; chapter 6, IN1
"""

from typing import Any

Json = dict[str, Any]
_OVER = {
    "verificationStatus": ("entered-in-error", "refuted"),
    "clinicalStatus": ("inactive", "resolved"),
}
_NO_COVER = ("cancelled", "entered-in-error", "draft")


def in_force(found: list[Json]) -> list[Json]:
    """Return those that are so, of resources of one type.

    >>> in_force([{"resourceType": "Coverage", "status": "cancelled"}])
    []
    """
    return [one for one in found if not _is_over(one)]


def _is_over(one: Json) -> bool:
    kind = one["resourceType"]
    if kind == "AllergyIntolerance":
        return any(_codes(one, element) & set(codes) for element, codes in _OVER.items())
    if kind == "Coverage":
        return one.get("status") in _NO_COVER
    return one.get("active") is False


def _codes(one: Json, element: str) -> set[str]:
    return {coding.get("code", "") for coding in one.get(element, {}).get("coding", ())}
