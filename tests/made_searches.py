"""Generated searches over the records of `made_records`.

What may be asked is read from the search parameters and the tables of modifiers: a modifier
that is added takes part without a change here, with the values of its kind.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import parts
import quick_draws as st
from made_records import (
    LOCAL,
    LOINC,
    NUMBERS,
    SYSTEMS,
    TYPES,
    UCUM,
    UNITS,
    codes,
    dates,
    days,
    ids,
    texts,
    uris,
)

from fhir_hub.search.filter import OPERATORS
from fhir_hub.search.kinds.table import KINDS
from fhir_hub.search.parameter import Parameter

BOOLEANS = st.booleans()
UP_TO = tuple(st.integers(0, most) for most in range(20))


@cache
def one_of(values: tuple[Any, ...]) -> st.Drawn:
    """Return what draws one of the values, made once: to make it costs more than to draw."""
    return st.sampled_from(values)


def pick(draw: st.Draw, values: Iterable[Any]) -> Any:
    return draw(one_of(tuple(values)))


@cache
def few(values: st.Drawn, least: int, most: int, unique: bool = False) -> st.Drawn:
    return st.lists(values, min_size=least, max_size=most, unique=unique)


# what these records say something under; the other parameters are asked now and then
WORDY = ("_text", "_content")
EVERY = ("_id", "_lastUpdated", *WORDY)
TOLD: dict[str, tuple[str, ...]] = {
    "Patient": (
        *("_tag", "_profile", "_source", "identifier", "name", "family", "given", "gender"),
        *("birthdate", "phone", "address", "address-city", "organization", "link"),
        "general-practitioner",
    ),
    "Organization": ("name", "identifier", "partof"),
    "Observation": (
        *("status", "code", "subject", "patient", "encounter", "performer", "date", "has-member"),
        *("value-quantity", "component-code", "component-value-quantity", "combo-code", "_tag"),
        *("code-value-quantity", "combo-value-quantity", "component-code-value-quantity"),
    ),
    "Encounter": ("status", "subject", "patient", "date", "length", "type", "service-provider"),
    "RiskAssessment": ("subject", "patient", "probability"),
    "ValueSet": ("url", "name", "status"),
    "Location": ("name", "near"),
    "List": ("status", "subject", "item"),
}

# codes of required value sets that these records have
HAD = frozenset(
    ("female", "male", "final", "preliminary", "finished", "planned", "active", "current")
)
# what a value may look like, by the parameter's type; a wrong one is refused and not compared
tokens = codes | st.builds("{}|{}".format, st.sampled_from(SYSTEMS), codes) | st.just(f"{LOINC}|")
prefixes = st.sampled_from(("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"))
measures = st.builds(
    lambda number, unit: number + unit,
    st.sampled_from(NUMBERS),
    st.sampled_from(("", "||mg", f"|{LOCAL}|pill", f"|{UCUM}|"))
    | st.sampled_from(UNITS).map(lambda unit: f"|{UCUM}|{unit[2]}"),
)
VALUES: dict[str, st.Drawn] = {
    "token": tokens | st.just("13916123456"),
    "string": texts | st.sampled_from(("s", "sgf", "沈", "guifang", "b", "")).filter(bool),
    "date": st.builds("{}{}".format, prefixes, dates | days),
    "number": st.builds("{}{}".format, prefixes, st.sampled_from(NUMBERS)),
    "quantity": st.builds("{}{}".format, prefixes, measures),
    "reference": ids | st.builds("{}/{}".format, st.sampled_from(TYPES), ids),
    "uri": uris,
    "special": st.sampled_from(
        ("31.15|121.12|5|km", "30.9|121|40", "31|121", "31.15|121.12|0", "30|121|95.5|[mi_i]")
    ),
}
WORDS = (
    "沈",
    "沈桂",
    '"shen guifang"',
    "record",
    "abc",
    "not ab",
    "(ab or 李)",
    "final",
    "5.4",
    "mg",
)
VALUES["text"] = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).flatmap(
    lambda words: st.sampled_from((" ", " and ", " or ")).map(lambda by: by.join(words))
)
OF_MODIFIER: dict[str, st.Drawn] = {
    "missing": st.sampled_from(("true", "false")),
    "identifier": tokens,
    "of-type": st.builds("urn:t|{}|{}".format, st.sampled_from(("MR", "RI")), codes),
    "text": texts,
}


OF_TERMS_IN_FILTERS = ("in", "ni", "sb", "ss")
OF_TERMS = {("token", name) for name in ("in", "not-in", "below", "above")}


def of(resource_type: str) -> Mapping[str, Parameter]:
    return parts.all_parameters().of(resource_type)


def known_as(known: Mapping[str, Parameter], code: str, kind: str) -> bool:
    return code in known and known[code].kind == kind


@cache
def modifiers(parameter: Parameter) -> tuple[str, ...]:
    """Return the modifiers that the parameter has, without those that need a terminology."""
    if parameter.kind not in KINDS:
        return ("",)
    types = {path.type for path in parameter.paths}
    return tuple(
        name
        for name, row in KINDS[parameter.kind].modifiers.items()
        if (parameter.kind, name) not in OF_TERMS and (not row.types or types & set(row.types))
    )


def usable(parameter: Parameter) -> bool:
    return parameter.kind in VALUES and parameter.kind not in ("special", "text")


def allowed(draw: st.Draw, parameter: Parameter) -> str:
    """Return a code that the parameter may ask for, one that records have if it can be."""
    codes = parameter.codes or frozenset()
    return pick(draw, sorted(codes & HAD) or sorted(codes))


@cache
@st.composite
def values(draw: st.Draw, kind: str, modifier: str = "") -> str:
    one = OF_MODIFIER.get(modifier, VALUES[kind])
    most = 1 if modifier == "missing" else 2
    return ",".join(draw(few(one, 1, most)))


@cache
@st.composite
def conditions(draw: st.Draw, resource_type: str, depth: int = 0) -> tuple[str, str]:
    """Return one condition on the type: plain, chained or reverse chained, to three links."""
    known = of(resource_type)
    way = pick(draw, (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)) if depth < 3 else 9
    links = [code for code in TOLD[resource_type] if known_as(known, code, "reference")]
    if way == 0 and links:
        link = known[pick(draw, links)]
        target = pick(draw, sorted(set(link.targets) & set(TYPES)))
        name, value = draw(conditions(target, depth + 1))
        return f"{link.code}:{target}.{name}", value
    if way == 1:
        backs = [
            (source, code)
            for source in TYPES
            for code in TOLD[source]
            if known_as(of(source), code, "reference") and resource_type in of(source)[code].targets
        ]
        if backs:
            source, code = pick(draw, backs)
            name, value = draw(conditions(source, depth + 1))
            return f"_has:{source}:{code}:{name}", value
    every = EVERY if way == 3 else EVERY[:2]
    told = [code for code in (*every, *TOLD[resource_type]) if code in known]
    parameter = known[pick(draw, known if way == 2 else told)]
    if parameter.kind == "composite":
        pair = parameter.pairs[0].parts
        return parameter.code, "$".join(draw(VALUES[part.kind]) for part in pair)
    table = modifiers(parameter)
    modifier = pick(draw, (*table, *table, "", "missing"))
    if parameter.kind == "reference" and modifier == "":
        target = pick(draw, sorted(set(parameter.targets) & set(TYPES)) or ["Patient"])
        return parameter.code, f"{target}/{draw(ids)}" if draw(BOOLEANS) else draw(ids)
    is_bound = parameter.codes and modifier in ("", "not")
    text = allowed(draw, parameter) if is_bound else draw(values(parameter.kind, modifier))
    return f"{parameter.code}:{modifier}" if modifier else parameter.code, text


@cache
@st.composite
def filters(draw: st.Draw, resource_type: str, depth: int = 0) -> str:
    """Return a `_filter` on the type: comparisons by every operator, joined, in brackets."""
    known = of(resource_type)
    way = draw(UP_TO[9]) if depth < 3 else 9
    if way < 3:
        one, other = (draw(filters(resource_type, depth + 1)) for _ in range(2))
        by, text = pick(draw, ("and", "or")), f"({one})"
        return f"{text if draw(BOOLEANS) else one} {by} {other}"
    if way == 3:
        return f"not ({draw(filters(resource_type, depth + 1))})"
    links = [code for code in TOLD[resource_type] if known_as(known, code, "reference")]
    if way == 4 and links:
        link = known[pick(draw, links)]
        target = pick(draw, sorted(set(link.targets) & set(TYPES)))
        inner = f"[{draw(filters(target, depth + 1))}]" if draw(BOOLEANS) else ""
        return f"{link.code}:{target}{inner}.{draw(filters(target, 3))}"
    told = [code for code in (*EVERY, *TOLD[resource_type]) if code in known]
    parameter = known[pick(draw, told)]
    fit = [
        name
        for name, row in OPERATORS.items()
        if parameter.kind in (row.kinds or KINDS) and name not in OF_TERMS_IN_FILTERS
    ]
    operator = pick(draw, (*fit, "eq") if parameter.kind == "text" else (*fit, "eq", "ne"))
    if parameter.kind == "reference":
        targets = sorted(set(parameter.targets) & set(TYPES))
        text = f"{pick(draw, targets or TYPES)}/{draw(ids)}"
    elif parameter.kind == "composite":
        text = "$".join(draw(VALUES[part.kind]) for part in parameter.pairs[0].parts)
    elif parameter.codes and operator in ("eq", "ne"):
        text = allowed(draw, parameter)
    else:
        text = draw(VALUES[parameter.kind])
    if operator == "pr":
        text = pick(draw, ("true", "false"))
    elif parameter.kind in ("date", "number", "quantity"):
        text = text[2:] if text[:2].isalpha() else text
    return f'{parameter.code} {operator} "{text}"'


@cache
@st.composite
def searches(draw: st.Draw) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Return the types and the pairs of a search, sorted, counted and paged in all ways."""
    resource_type = pick(draw, TYPES)
    pairs = [draw(conditions(resource_type)) for _ in range(pick(draw, (1, 1, 1, 2, 2, 3)))]
    if draw(UP_TO[7]) == 7:
        pairs.append(("_filter", draw(filters(resource_type))))
    if draw(UP_TO[19]) == 7:
        pairs.append(("_list", draw(ids)))
    if draw(BOOLEANS):
        known = of(resource_type)
        told = [code for code in (*EVERY, *TOLD[resource_type]) if code in known]
        sortable = [code for code in told if usable(known[code])]
        keys = draw(few(one_of(tuple(sortable)), 1, 2))
        pairs.append(("_sort", ",".join(pick(draw, ("", "-")) + key for key in keys)))
    pairs.append(("_count", pick(draw, ("1", "2", "3", "20", "0"))))
    if draw(BOOLEANS):
        pairs.append(("_total", "accurate"))
    return (resource_type,), pairs


@cache
@st.composite
def searches_of_types(draw: st.Draw) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Return a search of several types or of all, by what they have in common, and its order."""
    types = draw(few(one_of(TYPES), 2, 3, unique=True))
    if draw(UP_TO[5]) == 3:
        types = []
    shared = set(EVERY).union(*TOLD.values()).intersection(*(of(t) for t in types or ["Resource"]))
    pairs = [("_count", pick(draw, ("1", "3", "20")))]
    for code in draw(few(one_of(tuple(sorted(shared))), 1, 2)):
        kind = of(types[0] if types else "Resource")[code].kind
        pairs.append((code, draw(values(kind))))
    keys = draw(few(one_of(tuple(sorted(shared - set(WORDY)))), 0, 2))
    if keys:
        pairs.append(("_sort", ",".join(pick(draw, ("", "-")) + key for key in keys)))
    if draw(BOOLEANS):
        pairs.append(("_total", "accurate"))
    return tuple(types), pairs
