"""What is said of a name in a query that means nothing there: what would be right.

Spec: https://hl7.org/fhir/R4/search.html#errors
"""

from collections.abc import Collection, Sequence

from fhir_hub.nearest import did_you_mean, nearest
from fhir_hub.search.kinds import special


def no_type(name: str, resource_type: str, known: Collection[str]) -> str:
    """Return that a word of the parameter `name` is no resource type, and the nearest that is."""
    near = did_you_mean(resource_type, known)
    return f"{name}: {resource_type[:60]!r} is no resource type of R4{near}"


def no_modifier(modifier: str, known: Sequence[str], targets: Sequence[str] = ()) -> str:
    """Return that a modifier is not known, which are, and the nearest: also a type of `targets`."""
    names = list(dict.fromkeys((*known, "missing")))
    what = "is not supported" if modifier in special.MODIFIERS else "is not known"
    near = [f":{one}" for one in nearest(modifier, [*names, *targets])]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return f"the modifier :{modifier[:60]} {what}; there are :{', :'.join(names)}{hint}"
