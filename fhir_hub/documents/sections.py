"""The sections of an International Patient Summary: its codes, and what of a record each holds.

A section that the summary must have says so where nothing is known: one statement, coded by the
guide's own system for it. The others are left out when they are empty.

Spec: https://hl7.org/fhir/uv/ips/ (STU 2), Composition (IPS); DOMAIN 2.2 for the contract
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from fhir_hub.documents.sameness import Fact
from fhir_hub.referral.prescription_rules import days_of
from fhir_hub.referral.reading import at, codings, each, has_code
from fhir_hub.repository.unit import Resource

LOINC = "http://loinc.org"
ABSENT = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
NEWEST_OF_A_KIND = 3  # results of one code that a summary shows
_ENDED_AGO = timedelta(days=90)  # a supply that ran out less long ago may still be taken
_NO_LONGER = {"inactive", "remission", "resolved"}
_PREGNANCY = frozenset(
    (LOINC, code)
    for code in ("82810-3", "11778-8", "11779-6", "11780-4", "11638-4", "11637-6", "11636-8")
)
_MOST_DAYS = 36_500  # a supply of more says nothing

Picks = Callable[[Resource, date], bool]


class Section(NamedTuple):
    """A section: its LOINC code (with the display, where it is settled) and its title.

    `types` are what it is made from, `picks` says what of them it takes.

    `absent` is the code and words of the statement that nothing is known, where one must stand.
    """

    code: str
    display: str
    title: str
    types: tuple[str, ...]
    picks: Picks
    absent: tuple[str, str] = ("", "")


def _is_valid(resource: Resource, today: date) -> bool:
    return resource.get("status") not in ("entered-in-error", "cancelled", "not-done", "unknown")


def _is_current_medicine(resource: Resource, today: date) -> bool:
    if resource.get("status") not in ("active", "on-hold", "intended"):
        return False
    end = supply_end(resource)
    return end is None or end >= today - _ENDED_AGO


def supply_end(resource: Resource) -> date | None:
    """Return the last day that a prescription's supply reaches, None if nothing says it."""
    for dosage in each(resource, "dosageInstruction"):
        if end := _day(at(dosage, "timing", "repeat", "boundsPeriod", "end")):
            return end
    start = _day(at(resource, "dispenseRequest", "validityPeriod", "start")) or _day(
        resource.get("authoredOn")
    )
    days = days_of(resource)
    if start is not None and days is not None:
        return start + timedelta(days) if days < _MOST_DAYS else None
    return _day(at(resource, "effectivePeriod", "end"))


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def _is_allergy(resource: Resource, today: date) -> bool:
    refuted = {code for _, code in codings(resource.get("verificationStatus"))}
    return refuted.isdisjoint(("refuted", "entered-in-error"))


def _is_problem(resource: Resource, today: date) -> bool:
    return _is_allergy(resource, today) and not _is_past(resource)


def _is_past_illness(resource: Resource, today: date) -> bool:
    return _is_allergy(resource, today) and _is_past(resource)


def _is_past(resource: Resource) -> bool:
    states = {code for _, code in codings(resource.get("clinicalStatus"))}
    return bool(states) and states <= _NO_LONGER


def _in_category(*wanted: str) -> Picks:
    def picks(resource: Resource, today: date) -> bool:
        return _is_valid(resource, today) and any(
            has_code(one, code) for one in each(resource, "category") for code in wanted
        )

    return picks


def _is_pregnancy(resource: Resource, today: date) -> bool:
    return _is_valid(resource, today) and not _PREGNANCY.isdisjoint(codings(resource.get("code")))


def _is_result(resource: Resource, today: date) -> bool:
    others = (_VITAL_SIGNS, _SOCIAL, _is_pregnancy)
    return _is_valid(resource, today) and not any(other(resource, today) for other in others)


def _is_active(resource: Resource, today: date) -> bool:
    end = _day(at(resource, "period", "end"))
    return resource.get("status") == "active" and (end is None or end >= today)


def _is_directive(resource: Resource, today: date) -> bool:
    return _is_active(resource, today) and has_code(resource.get("scope"), "adr")


_VITAL_SIGNS = _in_category("vital-signs")
_SOCIAL = _in_category("social-history")

SECTIONS = (
    Section(
        "10160-0",
        "History of Medication use Narrative",
        "用药 / Medication Summary",
        ("MedicationRequest", "MedicationStatement"),
        _is_current_medicine,
        ("no-medication-info", "没有用药信息 / No information about medications"),
    ),
    Section(
        "48765-2",
        "Allergies and adverse reactions Document",
        "过敏与不耐受 / Allergies and Intolerances",
        ("AllergyIntolerance",),
        _is_allergy,
        ("no-allergy-info", "没有过敏信息 / No information about allergies"),
    ),
    Section(
        "11450-4",
        "Problem list - Reported",
        "健康问题 / Problem List",
        ("Condition",),
        _is_problem,
        ("no-problem-info", "没有健康问题信息 / No information about problems"),
    ),
    Section(
        "11369-6",
        "History of Immunization Narrative",
        "预防接种 / Immunizations",
        ("Immunization",),
        _is_valid,
    ),
    Section(
        "30954-2",
        "Relevant diagnostic tests/laboratory data Narrative",
        "检查检验结果 / Results",
        ("DiagnosticReport", "Observation"),
        _is_result,
    ),
    Section(
        "47519-4",
        "History of Procedures Document",
        "操作与手术 / History of Procedures",
        ("Procedure",),
        _is_valid,
    ),
    Section(
        "46264-8",
        "History of medical device use",
        "医疗器械 / Medical Devices",
        ("DeviceUseStatement",),
        _is_valid,
    ),
    Section("8716-3", "", "生命体征 / Vital Signs", ("Observation",), _VITAL_SIGNS),
    Section(
        "11348-0",
        "",
        "既往疾病 / Past Illness",
        ("Condition",),
        _is_past_illness,
    ),
    Section("29762-2", "", "生活史 / Social History", ("Observation",), _SOCIAL),
    Section(
        "10162-6",
        "",
        "妊娠史 / History of Pregnancy",
        ("Observation",),
        _is_pregnancy,
    ),
    Section(
        "47420-5",
        "",
        "功能状态 / Functional Status",
        ("ClinicalImpression",),
        _is_valid,
    ),
    Section("18776-5", "", "诊疗计划 / Plan of Care", ("CarePlan",), _is_active),
    Section(
        "42348-3",
        "",
        "预立医嘱 / Advance Directives",
        ("Consent",),
        _is_directive,
    ),
    Section("104605-1", "", "警示 / Alerts", ("Flag",), _is_active),
    Section(
        "85847-2",
        "",
        "签约与照护团队 / Care Team",
        ("CareTeam",),
        _is_active,
    ),
)
TYPES = tuple(dict.fromkeys(name for section in SECTIONS for name in section.types))


def newest(facts: list[Fact]) -> list[Fact]:
    """Return the newest results of each code; `facts` come newest first."""
    seen: dict[tuple[tuple[str, str], ...], int] = {}
    kept = []
    for fact in facts:
        codes = tuple(sorted(codings(fact.resource.get("code"))))
        count = seen[codes] = seen.get(codes, 0) + 1
        if count <= NEWEST_OF_A_KIND:
            kept.append(fact)
    return kept


def statement(section: Section, patient: str) -> Resource:
    """Return what says that nothing is known, about the patient of this address."""
    code, text = section.absent
    concept = {"coding": [{"system": ABSENT, "code": code}], "text": text}
    subject = {"reference": patient}
    clinical = "http://terminology.hl7.org/CodeSystem"
    if "AllergyIntolerance" in section.types:
        state = {
            "coding": [{"system": f"{clinical}/allergyintolerance-clinical", "code": "active"}]
        }
        made: Resource = {"resourceType": "AllergyIntolerance", "clinicalStatus": state}
        return made | {"code": concept, "patient": subject}
    if "Condition" in section.types:
        state = {"coding": [{"system": f"{clinical}/condition-clinical", "code": "active"}]}
        made = {"resourceType": "Condition", "clinicalStatus": state}
        return made | {"code": concept, "subject": subject}
    made = {"resourceType": "MedicationStatement", "status": "unknown"}
    return made | {"medicationCodeableConcept": concept, "subject": subject}
