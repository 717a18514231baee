"""Generated records: small worlds of resources in which every kind of search finds something.

Values come from short lists, so that resources share them and searches meet them.
"""

from typing import Any

import parts
import quick_draws as st
from hypothesis.strategies import lists

Resource = dict[str, Any]

LOINC, UCUM, LOCAL = "http://loinc.org", "http://unitsofmeasure.org", "urn:hospital"
IDS = ("1", "2", "3", "4")
TEXTS = ("沈桂芳", "沈国", "Shen Guifang", "shen", "Ångström", "ANGSTROM", "李", "ab", "abc", "ｱＢ")
CODES = ("1", "2", "a", "A", "29463-7", "HIV")
SYSTEMS = (LOINC, LOCAL, "")
DATES = (
    *("2024", "2023-12", "2024-02-29", "2024-02-29T10:00:00Z", "2024-02-29T18:00:00.5+08:00"),
    *("2024-03-01T00:30:00+08:00", "1953-04-12", "2024-02-29T23:59"),
)
NUMBERS = ("5.4", "5.40", "0.0054", "5", "-1.5", "100", "1e3", "7", "5400", "0.054")
UNITS = (
    *(("mg", UCUM, "mg"), ("g", UCUM, "g"), ("毫克", UCUM, "mg"), ("mmol/L", UCUM, "mmol/L")),
    *((None, None, None), ("片", LOCAL, "pill"), ("mg", None, None), ("mg/dL", UCUM, "mg/dL")),
    *(("g/L", UCUM, "g/L"), ("ug/mL", UCUM, "ug/mL"), ("Cel", UCUM, "Cel")),
    *(("°F", UCUM, "[degF]"), ("分", UCUM, "{score}")),
)
URIS = ("http://a/b", "http://a/b/c", "http://a/bc", "urn:oid:1.2.3", "http://a")

texts, codes, dates = st.sampled_from(TEXTS), st.sampled_from(CODES), st.sampled_from(DATES)
uris, ids = st.sampled_from(URIS), st.sampled_from(IDS)
days = st.sampled_from(("1953-04-12", "2024", "2024-02", "1953"))


def some(values: st.Drawn, most: int = 2) -> st.Drawn:
    return st.none() | st.lists(values, min_size=1, max_size=most)


def record(**elements: st.Drawn) -> st.Drawn:
    """Return objects of these elements; one that is None is left out."""
    return st.fixed_dictionaries(elements).map(
        lambda made: {name: value for name, value in made.items() if value is not None}
    )


def reference(*resource_types: str) -> st.Drawn:
    addresses = st.builds("{}/{}".format, st.sampled_from(resource_types), ids)
    outside = st.sampled_from(("http://other/fhir/Patient/1", "Patient/2/_history/1"))
    literal = (addresses | addresses | addresses | outside).map(lambda text: {"reference": text})
    logical = identifiers.map(lambda identifier: {"identifier": identifier})
    return literal | literal | literal | logical | st.just({"display": "ab"})


codings = record(
    system=st.sampled_from((LOINC, LOCAL, None)), code=codes, display=st.none() | texts
)
concepts = record(coding=some(codings), text=st.none() | texts)
identifiers = record(
    system=st.sampled_from((LOCAL, "urn:other", None)),
    value=codes,
    type=st.none()
    | st.sampled_from(("MR", "RI")).map(lambda c: {"coding": [{"system": "urn:t", "code": c}]}),
)
names = record(text=st.none() | texts, family=st.none() | texts, given=some(texts))


@st.composite
def quantities(draw: st.Draw) -> Resource:
    unit, system, code = draw(st.sampled_from(UNITS))
    number = draw(st.sampled_from(NUMBERS))
    made = {"value": parts.exact(number), "unit": unit, "system": system, "code": code}
    return {name: value for name, value in made.items() if value is not None}


periods = record(start=st.none() | dates, end=st.none() | dates)
metas = record(
    tag=some(codings, 1), profile=some(uris, 1), source=st.none() | uris, security=some(codings, 1)
)
narratives = texts.map(
    lambda text: {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{text}</p> record</div>',
    }
)

INSIDE = record(  # a Patient that an Observation contains
    resourceType=st.just("Patient"),
    id=st.just("in"),
    name=some(names),
    gender=st.sampled_from(("female", "male", None)),
    birthDate=st.none() | days,
    managingOrganization=st.none() | reference("Organization"),
)

RESOURCES: dict[str, st.Drawn] = {
    "Patient": record(
        meta=st.none() | metas,
        text=st.none() | narratives,
        identifier=some(identifiers),
        name=some(names),
        gender=st.sampled_from(("female", "male", None)),
        birthDate=st.none() | days,
        telecom=some(st.sampled_from(({"system": "phone", "value": "139 1612 3456"},))),
        address=some(record(city=texts, text=st.none() | texts), 1),
        managingOrganization=st.none() | reference("Organization"),
        generalPractitioner=some(reference("Organization"), 1),
        link=some(record(other=reference("Patient")), 1),
    ),
    "Organization": record(
        name=st.none() | texts,
        identifier=some(identifiers),
        partOf=st.none() | reference("Organization"),
    ),
    "Observation": record(
        meta=st.none() | metas,
        status=st.sampled_from(("final", "preliminary")),
        code=concepts,
        contained=some(INSIDE, 1),
        subject=st.none() | reference("Patient") | st.just({"reference": "#in"}),
        encounter=st.none() | reference("Encounter"),
        performer=some(reference("Organization", "Patient")),
        effectiveDateTime=st.none() | dates,
        valueQuantity=st.none() | quantities(),
        component=some(record(code=concepts, valueQuantity=quantities())),
        hasMember=some(reference("Observation"), 1),
    ),
    "Encounter": record(
        status=st.sampled_from(("finished", "planned")),
        subject=st.none() | reference("Patient"),
        period=st.none() | periods,
        length=st.none() | quantities(),
        type=some(concepts),
        serviceProvider=st.none() | reference("Organization"),
    ),
    "RiskAssessment": record(
        subject=reference("Patient"),
        prediction=some(
            st.sampled_from(NUMBERS).map(lambda n: {"probabilityDecimal": parts.exact(n)})
        ),
    ),
    "ValueSet": record(url=st.none() | uris, name=st.none() | texts, status=st.just("active")),
    "Location": record(
        name=st.none() | texts,
        position=st.none()
        | st.sampled_from(
            (
                {"latitude": parts.exact("31.15"), "longitude": parts.exact("121.12")},
                {"latitude": parts.exact("30.85"), "longitude": parts.exact("120.93")},
            )
        ),
    ),
    "List": record(
        status=st.just("current"),
        subject=st.none() | reference("Patient"),
        entry=some(record(item=reference("Patient", "Observation"))),
    ),
}
TYPES = tuple(RESOURCES)
one_of_world = st.sampled_from(
    (*TYPES, "Patient", "Observation", "Observation", "Encounter")
).flatmap(lambda name: st.tuples(st.just(name), ids, RESOURCES[name], st.integers(0, 9)))
worlds = lists(one_of_world.seeded(), min_size=30, max_size=50)
of_any_type = st.sampled_from(TYPES).flatmap(
    lambda name: RESOURCES[name].map(lambda made: {"resourceType": name, **made})
)
two_of_a_type = st.sampled_from(TYPES).flatmap(
    lambda name: st.tuples(st.just(name), RESOURCES[name], RESOURCES[name])
)
