"""The searches that are measured, each with its target; `make bench` and `make bench-scale`."""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from bench.data import LABS, SURNAMES
from bench.records import CONDITIONS, DOCTORS, DRUGS, LONG_RECORD, patient_id

LOINC = "http://loinc.org|"
_SYLLABLES = ("wang", "li", "zhang", "liu", "chen", "yang", "zhao", "huang", "shen", "lu")


class Search(NamedTuple):
    """`path(n, people)` is the `n`th request over a database of so many people."""

    name: str
    path: Callable[[int, int], str]
    p50_ms: float = 20


def _someone(n: int, people: int) -> str:
    return patient_id(1 + n * 7919 % people)


def _day(n: int) -> str:
    return f"2025-{4 + n % 9:02}-{1 + n % 28:02}"


def _week(n: int) -> str:
    return f"date=ge2025-{4 + n % 9:02}-01&date=lt2025-{4 + n % 9:02}-08"


SEARCHES = (
    Search(
        "patient + code + date",
        lambda n, people: (
            f"/fhir/Observation?patient=Patient/{_someone(n, people)}"
            f"&code={LOINC}{LABS[0][0]}&date=ge2025-03-01&_count=20"
        ),
        1,
    ),
    Search(
        "`_sort=-date` of a patient",
        lambda n, people: f"/fhir/Observation?patient={_someone(n, people)}&_sort=-date",
    ),
    Search(
        "`_sort=-date` of a code",
        lambda n, people: f"/fhir/Observation?code={LOINC}{LABS[n % 10][0]}&_sort=-date",
    ),
    Search(
        "`_sort=-date` from a day on",
        lambda n, people: f"/fhir/Observation?date=ge{_day(n)}&_sort=-date",
    ),
    Search("`_sort=-date` of all", lambda n, people: "/fhir/Observation?_sort=-date"),
    Search("a week of Encounters", lambda n, people: f"/fhir/Encounter?{_week(n)}&_sort=date"),
    Search("`:missing` rare", lambda n, people: "/fhir/Observation?performer:missing=true"),
    Search(
        "`:missing` common, newest first",
        lambda n, people: "/fhir/Observation?encounter:missing=true&_sort=-date",
    ),
    Search(
        "`:missing` of Patients",
        lambda n, people: "/fhir/Patient?birthdate:missing=true&gender=male",
    ),
    Search(
        "chain `subject:Patient.identifier`",
        lambda n, people: (
            "/fhir/Observation?subject:Patient.identifier=urn:oid:2.16.156.10011.1.19|"
            f"310118D{1 + n * 7919 % people:08}&code={LOINC}{LABS[0][0]}"
        ),
    ),
    Search(
        "two hops, to an Organization",
        lambda n, people: f"/fhir/Observation?patient.organization.name={quote('苏州')}",
    ),
    Search(
        "two hops, to a doctor, and a code",
        lambda n, people: (
            f"/fhir/Observation?patient.general-practitioner.identifier=T{n * 7 % DOCTORS:05}"
            f"&code={LOINC}{LABS[n % 10][0]}"
        ),
    ),
    Search(
        "`_has` a result",
        lambda n, people: f"/fhir/Patient?_has:Observation:patient:code={LOINC}{LABS[n % 10][0]}",
    ),
    Search(
        "`_has` a condition, and gender",
        lambda n, people: (
            f"/fhir/Patient?_has:Condition:patient:code={CONDITIONS[n % 9][0]}&gender=female"
        ),
    ),
    Search(
        "`_has` a drug, by birth date",
        lambda n, people: (
            "/fhir/Patient?_has:MedicationRequest:patient:code="
            f"http://www.whocc.no/atc|{DRUGS[n % 8][0]}&_sort=birthdate"
        ),
    ),
    Search(
        "`_total=accurate` of a code",
        lambda n, people: f"/fhir/Observation?code={LOINC}{LABS[n % 10][0]}&_total=accurate",
    ),
    Search(
        "`_total=accurate` from a day on",
        lambda n, people: f"/fhir/Observation?date=ge{_day(n)}&_total=accurate",
    ),
    Search(
        "`_total=accurate` of most",
        lambda n, people: "/fhir/Observation?status=final&_total=accurate",
    ),
    Search("`:not` of most", lambda n, people: "/fhir/Observation?status:not=final"),
    Search("`:not` of half", lambda n, people: "/fhir/Patient?gender:not=male&_total=accurate"),
    Search(
        "name in Han", lambda n, people: f"/fhir/Patient?name={quote(SURNAMES[n % len(SURNAMES)])}"
    ),
    Search("name by pinyin", lambda n, people: f"/fhir/Patient?name={_SYLLABLES[n % 10]}"),
    Search(
        "identifier",
        lambda n, people: (
            "/fhir/Patient?identifier=urn:oid:2.16.156.10011.1.19|"
            f"310118D{1 + n * 7919 % people:08}"
        ),
        1,
    ),
    Search(
        "`_lastUpdated` of the last hours",
        lambda n, people: "/fhir/Observation?_lastUpdated=ge2026-04-25",
    ),
    Search(
        "`_lastUpdated`, newest first",
        lambda n, people: "/fhir/Observation?_sort=-_lastUpdated&_lastUpdated=ge2026-01-02",
    ),
    Search(
        "value above a bound, newest first",
        lambda n, people: (
            f"/fhir/Observation?code={LOINC}{LABS[0][0]}&value-quantity=gt11.8&_sort=-date"
        ),
    ),
)
EVERYTHING = Search(
    "`$everything` of 500",
    lambda n, people: f"/fhir/Patient/{patient_id(LONG_RECORD)}/$everything",
    50,
)
