"""The rules of prescriptions, one function each: what they find in one prescription.

Days and drug groups are settings (`[prescriptions.NAME]`): the published texts differ between
years.

Spec: DOMAIN 2.7
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from fhir_hub.identity.systems import BASE
from fhir_hub.referral.contracts import INSTITUTIONS, contract_on, members
from fhir_hub.referral.finding import find, read
from fhir_hub.referral.places import resource_at
from fhir_hub.referral.reading import at, codings, each, extension, has_code, key_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.settings.care import PrescriptionSettings
from fhir_hub.store.base import Key

KIND = f"{BASE}/StructureDefinition/prescription-type"
STRENGTH = f"{BASE}/StructureDefinition/requested-strength"
ATC = "http://www.whocc.no/atc"
_KINDS = {"LONG": "long", "EXT": "extended", "NORMAL": "normal", "EMERGENCY": "emergency"}
_DAY = {"d": 1, "wk": 7, "mo": 30, "a": 365}


class Finding(NamedTuple):
    """What a rule found: a code, the element, what it means; others that it is about.

    `is_broken`: a command is refused. `is_grave`: it may harm the patient.
    """

    code: str
    element: str
    english: str
    chinese: str
    is_broken: bool = False
    is_grave: bool = False
    others: tuple[Key, ...] = ()


async def findings(
    unit: Unit, key: Key, request: Resource, limits: PrescriptionSettings
) -> list[Finding]:
    """Return what the rules find in an active prescription; of one without a kind little."""
    kind = kind_of(request)
    found = await _internet(unit, key, request, limits)
    if not kind and not limits.without_kind:
        return found
    found += [*_days(request, kind, limits), *_controlled(request, kind, limits)]
    found += _quantity(request)
    patient = key_of(request.get("subject"))
    if patient is None:
        return found
    others = [read(one) for one in await find(unit, "MedicationRequest", subject=patient)]
    others = [one for one in others if one["id"] != key.logical_id]
    if kind in ("long", "extended"):
        found += await _basis(unit, patient, kind, limits)
    if kind == "extended":
        found += await _source(unit, request, patient, others, limits)
    found += _together(request, others, limits)
    found += await _allergies(unit, request, patient)
    found += await _guardian(unit, request, patient, limits)
    return found


def kind_of(request: Resource) -> str:
    """Return `long`, `extended`, `normal` or `emergency`, empty for one that says no kind."""
    for _, code in codings(extension(request, KIND)):
        if code.upper() in _KINDS or code in _KINDS.values():
            return _KINDS.get(code.upper(), code)
    return ""


def days_of(request: Resource) -> int | None:
    """Return for how many days the supply is, None if it is not said."""
    supply = at(request, "dispenseRequest", "expectedSupplyDuration")
    value, unit = at(supply, "value"), at(supply, "code") or at(supply, "unit")
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or str(unit) not in _DAY:
        return None
    return int(value * _DAY[str(unit)])


def ingredients(request: Resource) -> set[str]:
    """Return the ATC codes of substances (level 5) of a prescription."""
    named = codings(request.get("medicationCodeableConcept"))
    return {code for system, code in named if system == ATC and len(code) == 7}


def _days(request: Resource, kind: str, limits: PrescriptionSettings) -> Iterator[Finding]:
    days, place = days_of(request), "dispenseRequest.expectedSupplyDuration"
    if days is None or not kind:
        return
    most = {"normal": limits.normal_days, "emergency": limits.emergency_days}.get(
        kind, limits.longest_days
    )
    if days > most:
        yield Finding(
            "days",
            place,
            f"this kind of prescription is for at most {most} days, not {days}",
            f"该类处方最长 {most} 天，现为 {days} 天",
            is_broken=True,
        )
    elif kind in ("long", "extended") and days > limits.long_days and not request.get("note"):
        yield Finding(
            "assessment",
            "note",
            f"more than {limits.long_days} days need a note of the assessment",
            f"超过 {limits.long_days} 天的长处方应注明评估情况",
        )


def _controlled(request: Resource, kind: str, limits: PrescriptionSettings) -> Iterator[Finding]:
    if kind in ("long", "extended") and _is_controlled(request, limits):
        yield Finding(
            "controlled",
            "medication",
            "a controlled drug is never on a long or extended prescription",
            "麻醉及第一类精神药品不得开具长处方或延伸处方",
            is_broken=True,
            is_grave=True,
        )


def _is_controlled(request: Resource, limits: PrescriptionSettings) -> bool:
    return any(code.startswith(limits.controlled) for code in ingredients(request))


async def _internet(
    unit: Unit, key: Key, request: Resource, limits: PrescriptionSettings
) -> list[Finding]:
    """Find what an Internet hospital may not do: without a pharmacist, or at all."""
    visit = await resource_at(unit.current, key_of(request.get("encounter")))
    if at(visit, "class", "code") not in limits.internet_classes:
        return []
    found = []
    if _is_controlled(request, limits):
        found.append(
            Finding(
                "controlled",
                "medication",
                "a controlled drug is not prescribed by an Internet hospital",
                "互联网医院不得开具麻醉及第一类精神药品",
                is_broken=True,
                is_grave=True,
            )
        )
    reviews = [read(one) for one in await find(unit, "Provenance", target=key)]
    if not any(
        has_code(agent.get("type"), "verifier") for one in reviews for agent in each(one, "agent")
    ):
        found.append(
            Finding(
                "pharmacist-review",
                "status",
                "a prescription of an Internet hospital is a draft until a pharmacist has reviewed"
                " it: a Provenance of it with an agent of the type verifier",
                "互联网医院处方须经药师审核后方可生效",
                is_broken=True,
            )
        )
    return found


def _quantity(request: Resource) -> Iterator[Finding]:
    """Compare the quantity with dose, frequency and days, where all are told in one unit."""
    dosage = at(request, "dosageInstruction", 0)
    repeat = at(dosage, "timing", "repeat")
    dose, strength = at(dosage, "doseAndRate", 0, "doseQuantity"), extension(request, STRENGTH)
    numbers = [
        at(dose, "value"),
        at(strength, "value"),
        at(repeat, "frequency"),
        at(repeat, "period"),
        days_of(request),
        at(request, "dispenseRequest", "quantity", "value"),
    ]
    if at(dose, "code") != at(strength, "code") or at(repeat, "periodUnit") != "d":
        return
    if not all(isinstance(one, int | Decimal) and one > 0 for one in numbers):
        return
    amount, each_is, frequency, period, days, quantity = (Decimal(one) for one in numbers)
    needed = amount / each_is * frequency / period * days
    if needed != quantity:
        yield Finding(
            "quantity",
            "dispenseRequest.quantity",
            f"dose, frequency and days make {needed.normalize():f}, not {quantity:f}",
            f"按剂量、频次和天数应为 {needed.normalize():f}，现为 {quantity:f}",
        )


async def _basis(
    unit: Unit, patient: Key, kind: str, limits: PrescriptionSettings
) -> list[Finding]:
    if await contract_on(unit, patient, unit.today) is not None:
        return []
    if kind == "long":
        known = [read(one) for one in await find(unit, "Condition", subject=patient)]
        codes = [code for one in known for _, code in codings(one.get("code"))]
        if any(code.startswith(limits.chronic) for code in codes):
            return []
    return [
        Finding(
            "contract",
            "subject",
            f"a {kind} prescription is for a resident with an active contract",
            "长处方、延伸处方需有有效签约（长处方或慢病诊断）",
            is_broken=True,
        )
    ]


async def _source(
    unit: Unit,
    request: Resource,
    patient: Key,
    others: list[Resource],
    limits: PrescriptionSettings,
) -> list[Finding]:
    """Look for what an extended prescription continues: of a hospital of the contract."""
    same = [one for one in others if ingredients(one) & ingredients(request)]
    prior = request.get("priorPrescription")
    named = key_of(prior)
    number = at(prior, "identifier", "value")
    sources = [
        one
        for one in same
        if (named is None and number is None)
        or (named is not None and one["id"] == named.logical_id)
        or any(each_one.get("value") == number for each_one in each(one, "identifier"))
    ]
    if not sources:
        return [
            _unsupported(
                "an extended prescription continues one of a hospital for the same"
                " ingredient: none is known",
                "未找到上级医院同成分的来源处方",
            )
        ]
    contract = await contract_on(unit, patient, unit.today)
    upper = {one for tier in INSTITUTIONS[1:] for one in members(contract or {}, tier)}
    for source in sources:
        if await _institution(unit, source) not in (upper | {None}):
            continue
        if source.get("status") in ("stopped", "cancelled", "entered-in-error"):
            return [_unsupported("the source prescription was stopped", "来源处方已停用")]
        if _age(source, unit.now.date()) > limits.source_days:
            return [_unsupported("the source prescription is too old", "来源处方已超过 6 个月")]
        if _dose(source) and _dose(source) != _dose(request):
            return [_unsupported("the dose is not that of the source", "剂量与来源处方不一致")]
        return []
    return [
        _unsupported(
            "the source prescription is of no hospital of the contract",
            "来源处方不属于签约组合内的上级医院",
        )
    ]


def _unsupported(english: str, chinese: str) -> Finding:
    return Finding("source", "priorPrescription", english, chinese, is_broken=True)


async def _institution(unit: Unit, request: Resource) -> Key | None:
    visit = key_of(request.get("encounter"))
    stored = await unit.current(visit) if visit is not None else None
    if stored is None or stored.is_deleted:
        return None
    return key_of(read(stored).get("serviceProvider"))


def _age(request: Resource, today: date) -> int:
    try:
        return (today - date.fromisoformat(str(request.get("authoredOn"))[:10])).days
    except ValueError:
        return 0


def _dose(request: Resource) -> object:
    dose = at(request, "dosageInstruction", 0, "doseAndRate", 0, "doseQuantity")
    return dose and (at(dose, "value"), at(dose, "code") or at(dose, "unit"))


def _together(
    request: Resource, others: list[Resource], limits: PrescriptionSettings
) -> Iterator[Finding]:
    """Find what is prescribed already with the same ingredient, and how long it still lasts."""
    start = _day(at(request, "dispenseRequest", "validityPeriod", "start"))
    prior = key_of(request.get("priorPrescription"))
    for other in others:
        if other.get("status") != "active" or not ingredients(other) & ingredients(request):
            continue
        key = Key("MedicationRequest", other["id"])
        end = _day(at(other, "dispenseRequest", "validityPeriod", "end"))
        if start and end and end - start > timedelta(days=limits.refill_days):
            yield Finding(
                "early-refill",
                "dispenseRequest.validityPeriod",
                f"the supply of the same ingredient lasts until {end}",
                f"同成分药品尚可用至 {end}",
                others=(key,),
            )
        elif key != prior and (end is None or start is None or end >= start):
            yield Finding(
                "duplicate-ingredient",
                "medication",
                "another active prescription has the same ingredient",
                "已有同成分的有效处方",
                others=(key,),
            )


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


async def _allergies(unit: Unit, request: Resource, patient: Key) -> list[Finding]:
    """Find allergies to the drug or to its group: a group's ATC code begins the drug's."""
    wanted = codings(request.get("medicationCodeableConcept"))
    found = []
    for stored in await find(unit, "AllergyIntolerance", patient=patient):
        allergy = read(stored)
        is_active = all(code == "active" for _, code in codings(allergy.get("clinicalStatus")))
        to = codings(allergy.get("code"))
        if is_active and any(
            system == known and (code == of if system != ATC else code.startswith(of))
            for system, code in wanted
            for known, of in to
            if of
        ):
            found.append(
                Finding(
                    "allergy",
                    "medication",
                    "the patient is allergic to the drug or its group",
                    "患者对该药或同类药过敏",
                    is_grave=True,
                    others=(Key("AllergyIntolerance", stored.logical_id),),
                )
            )
    return found


async def _guardian(
    unit: Unit, request: Resource, patient: Key, limits: PrescriptionSettings
) -> list[Finding]:
    stored = await unit.current(patient)
    born = _day(read(stored).get("birthDate")) if stored and not stored.is_deleted else None
    if born is None or request.get("note"):
        return []
    today = unit.now.date()
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if years >= limits.guardian_years:
        return []
    return [
        Finding(
            "guardian",
            "note",
            f"for a child below {limits.guardian_years} note the guardian",
            f"{limits.guardian_years} 岁以下儿童处方应注明监护人",
        )
    ]
