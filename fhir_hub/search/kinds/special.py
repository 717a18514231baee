"""What R4 lets a client ask and this server does not answer: refused by name, never ignored.

Spec: https://hl7.org/fhir/R4/search.html#all
"""

from collections.abc import Mapping

# parameters without an expression, or with a meaning of their own; some are other servers' own
PARAMETERS: Mapping[str, str] = {
    "_contained": "contained resources are not searched by themselves",
    "_containedType": "contained resources are not searched by themselves",
    "_filter": "it stands by itself, without a modifier and not at the end of a chain",
    "_query": "no named queries are defined",
    "_score": "results have no score",
    **dict.fromkeys(
        ("_offset", "_page", "_skip", "_getpages", "_getpagesoffset"),
        "pages follow the link `next` of the Bundle; _count is their size",
    ),
    "_limit": "use _count",
    "age": "R4 gives it no expression; use birthdate",
    "birthOrderBoolean": "R4 gives it no expression",
}

# modifiers of R4 that have no row in the type's table
MODIFIERS = ("above", "below", "in", "not-in", "of-type", "text", "identifier")
