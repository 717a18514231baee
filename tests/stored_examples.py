"""The resources that the searches of `tests/store` look for: a few people and their results."""

from fhir_hub.search.plan import (
    EVERYTHING,
    And,
    Compare,
    Has,
    Is,
    LinkedBy,
    Links,
    Not,
    Or,
    Range,
    Text,
    Together,
)

LOINC = "http://loinc.org"


def token(parameter: str, *tests: Is) -> Has:
    return Has(parameter, "token", tests)


def numbers(*comparisons: tuple[str, str, float], **unit: str) -> Range:
    return Range((tuple(Compare(*each) for each in comparisons),), **unit)


PATIENTS = [
    (EVERYTHING, "p1 p2 p3"),
    (Or(), ""),
    (Not(EVERYTHING), ""),
    (token("gender"), "p1 p2"),
    (Not(token("gender")), "p3"),
    (Not(Has("never", "token")), "p1 p2 p3"),
    (Has("never", "token"), ""),
    (Has("gender", "string"), ""),
    (token("gender", Is("female")), "p1"),
    (token("gender", Is("female", "http://hl7.org/fhir/administrative-gender")), "p1"),
    (token("gender", Is("female", "http://other")), ""),
    (token("gender", Is(None, "http://hl7.org/fhir/administrative-gender")), "p1 p2"),
    (token("identifier", Is("1")), "p1 p2"),
    (token("identifier", Is("1", "urn:b")), "p2"),
    (token("identifier", Is("1", "")), ""),
    (token("identifier", Is("2", "")), "p1"),
    (token("identifier", Is(None, "")), "p1"),
    (token("identifier", Is("1"), Is("2")), "p1 p2"),
    (token("identifier", Is("2", ""), Is("1", "urn:b"), Is(None, "urn:z")), "p1 p2"),
    (token("identifier", Is("1' OR 1=1 --")), ""),
    (And((token("identifier", Is("1")), token("gender", Is("male")))), "p2"),
    (And((token("identifier", Is("1")), Not(token("gender", Is("male"))))), "p1"),
    (Or((token("gender", Is("male")), Not(token("gender")))), "p2 p3"),
    (Or((token("gender", Is("male")), token("identifier", Is("2")))), "p1 p2"),
    (Has("name", "string", (Text("shen"),)), "p1"),
    (Has("name", "string", (Text("沈"),)), "p1"),
    (Has("name", "string", (Text("li"), Text("shen"))), "p1 p2"),
    (Has("name", "string", (Text(""),)), "p1 p2"),
    (Has("name", "string", (Text("guo", "contains"),)), "p1"),
    (Has("name", "string", (Text("", "contains"),)), "p1 p2"),
    (Has("name", "string", (Text("Li Wei", "exact"),)), "p2"),
    (Has("name", "string", (Text("li wei", "exact"),)), ""),
    (Has("name", "string", (Text("s%"),)), ""),
    (Has("birthdate", "date", (numbers(("low", ">=", 150)),)), "p2"),
    (Has("birthdate", "date", (numbers(("low", ">=", 100), ("high", "<=", 200)),)), "p1 p2"),
    (Has("birthdate", "date", (numbers(("high", ">", 160)),)), "p1"),
    (Has("birthdate", "date", (numbers(("low", "=", 150), ("high", "=", 160)),)), "p2"),
    (
        Has(
            "birthdate",
            "date",
            (Range(((Compare("low", "<", 120),), (Compare("high", "<", 170),))),),
        ),
        "p1 p2",
    ),
    (Has("birthdate", "date", (Range(()),)), ""),
    (Has("birthdate", "date", (Range(((),)),)), "p1 p2"),
    (Has("birthdate", "date", (numbers(("low", "<", 10**30)),)), "p1 p2"),
    (token("_id", Is("p2")), "p2"),
    (token("_id", Is("p2"), Is("p3"), Is("o1")), "p2 p3"),
    (And((token("_id", Is("p2"), Is("p3")), token("gender"))), "p2"),
    (Not(token("_id", Is("p2"))), "p1 p3"),
    (token("_id"), "p1 p2 p3"),
    (Has("_lastUpdated", "date", (numbers(("low", ">=", 4_000_000)),)), "p2 p3"),
    (
        Has(
            "_lastUpdated", "date", (numbers(("low", ">=", 4_000_000), ("high", "<=", 4_000_001)),)
        ),
        "p2",
    ),
    (Has("_lastUpdated", "date", (numbers(("high", "<=", 4_000_000)),)), "p1"),
    (Not(Has("_lastUpdated", "date", (numbers(("low", ">=", 4_000_000)),))), "p1"),
    (Links("organization", ("Organization",), Has("name", "string", (Text("hosp"),))), "p1"),
    (Links("organization", ("Organization", "Group"), EVERYTHING), "p1 p2"),
    (Links("organization", ("Group",), EVERYTHING), ""),
    (Links("organization", ("Organization",), token("_id", Is("o2"))), "p2"),
    (Not(Links("organization", ("Organization",), token("_id", Is("o2")))), "p1 p3"),
    (Links("never", ("Organization",), EVERYTHING), ""),
    (LinkedBy("Observation", "subject", token("code", Is("glu", LOINC))), "p1 p2"),
    (LinkedBy("Observation", "subject", token("code", Is("hb"))), "p1"),
    (LinkedBy("Observation", "never", EVERYTHING), ""),
    (LinkedBy("Group", "subject", EVERYTHING), ""),
    (Not(LinkedBy("Observation", "subject", token("code", Is("hb")))), "p2 p3"),
    (And((LinkedBy("Observation", "subject", EVERYTHING), token("gender", Is("male")))), "p2"),
]


OBSERVATIONS = [
    (
        Links(
            "subject",
            ("Patient",),
            Links("organization", ("Organization",), token("_id", Is("o2"))),
        ),
        "b3",
    ),
    (
        Links("subject", ("Patient",), LinkedBy("Observation", "subject", token("code", Is("hb")))),
        "b1 b2",
    ),
    (Has("value", "quantity", (numbers(("low", ">=", 6), unit="mg"),)), "b2 b3 b4"),
    (
        Has("value", "quantity", (numbers(("low", ">=", 6), code="mg", system="http://ucum"),)),
        "b2 b3 b4",
    ),
    (Has("value", "quantity", (numbers(("low", ">=", 6), code="g"),)), ""),
    (Has("value", "quantity", (numbers(("low", ">=", 6), system="http://other"),)), ""),
    (Has("value", "quantity", (numbers(("low", ">=", 6), unit="g"),)), ""),
    (
        Has("value", "quantity", (numbers(("low", ">=", 6)), numbers(("high", "<", 6)))),
        "b1 b2 b3 b4",
    ),
    (
        And(
            (
                token("code", Is("glu", LOINC)),
                Has("value", "quantity", (numbers(("low", ">=", 6)),)),
            )
        ),
        "b3 b4",
    ),
    (
        Together("code-value", (("token", Is("glu")), ("quantity", numbers(("low", ">", 6))))),
        "b3 b4",
    ),
    (Together("code-value", (("token", Is("glu")), ("quantity", numbers(("low", ">", 600))))), ""),
    (
        Together("code-value", (("token", Is("other")), ("quantity", numbers(("low", ">", 600))))),
        "b1 b2 b3 b4",
    ),
    (Together("never", (("token", Is("other")), ("quantity", numbers(("low", ">", 600))))), ""),
    (
        And(
            (
                token("code", Is("hb")),
                Together(
                    "code-value", (("token", Is("hb")), ("quantity", numbers(("low", ">", 6))))
                ),
            )
        ),
        "b2",
    ),
    (Has("code-value.1", "quantity", (numbers(("low", ">", 600)),)), "b1 b2 b3 b4"),
    (Has("profile", "uri", (Is("http://x/1/y"),)), "b1"),
    (Has("profile", "uri", (Text("http://x/1", "below"),)), "b1"),
    (Has("profile", "uri", (Text("http://x/1/y/z", "above"),)), "b1"),
    (Has("profile", "uri", (Text("http://x/1/y" + "z" * 400, "above"),)), "b1"),
    (Has("subject", "reference", (Is("Patient/p1"),)), "b1 b2"),
    (Has("subject", "reference", (Is("Patient/p1"), Is("Patient/gone"))), "b1 b2 b4"),
]
