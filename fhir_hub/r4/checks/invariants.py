"""The invariants that meet often, as functions: a microsecond each, where FHIRPath takes hundreds.

A rule gets an object whose elements are structurally right, and answers an issue or nothing. Only
invariants of which R4's text leaves no doubt stand here; the others are interpreted.

Spec: the "Constraints" of each page of https://hl7.org/fhir/R4/resourcelist.html
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.bundles import BUNDLE, ENTRY
from fhir_hub.r4.checks.issues import NONE, Issues, Scope
from fhir_hub.r4.checks.moments import is_after
from fhir_hub.r4.checks.objects import Shortcut

Node = dict[str, Any]

_CURRENCIES = "urn:iso:std:iso:4217"
_UCUM = "http://unitsofmeasure.org"
_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_CONDITION_VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ALLERGY_VERIFIED = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"


def rule(key: str, holds: Callable[[Node], bool], advice: str, severity: str = "error") -> Shortcut:
    """Return the rule that `holds` must be true of an object; `advice` says what to do if not."""
    issues = [Issue("invariant", f"{advice} ({key})", "", severity)]
    return Shortcut((key,), lambda node, scope: NONE if holds(node) else issues)


def has(node: Node, name: str) -> bool:
    """Return whether the element `name` is in `node`, be it only by an extension."""
    return name in node or "_" + name in node


def has_choice(node: Node, name: str) -> bool:
    """Return whether the choice element `name` (`value` of `value[x]`) is in `node`."""
    length = len(name)
    for key in node:
        plain = key.lstrip("_")
        if plain.startswith(name) and plain[length : length + 1].isupper():
            return True
    return False


def needs(key: str, name: str, other: str) -> Shortcut:
    """Return the rule that whoever gives `name` gives `other` too."""
    issues = [Issue("invariant", f"give {other} with {name} ({key})")]

    def check(node: Node, scope: Scope) -> Issues:
        # a Quantity has both: its names are looked for before anything is called
        is_wrong = (name in node or "_" + name in node) and other not in node
        return issues if is_wrong and not has(node, other) else NONE

    return Shortcut((key,), check)


def excludes(key: str, name: str, other: str) -> Shortcut:
    """Return the rule that `name` and `other` do not stand together."""
    return rule(
        key, lambda node: not (has(node, name) and has(node, other)), f"give {name} or {other}"
    )


def one_of(key: str, *names: str) -> Shortcut:
    """Return the rule that at least one of `names` is given."""
    return rule(
        key, lambda node: any(has(node, name) for name in names), f"give {' or '.join(names)}"
    )


def in_order(key: str, first: str, last: str) -> Shortcut:
    """Return the rule that the date or time `first` is not after `last`."""
    return rule(
        key,
        lambda node: not (first in node and last in node and is_after(node[first], node[last])),
        f"let {first} be before {last}",
    )


def coded(node: Node, name: str, system: str, *codes: str) -> bool:
    """Return whether the CodeableConcept `name` has a coding of `system` with one of `codes`."""
    return any(
        coding.get("system") == system and coding.get("code") in codes
        for coding in node.get(name, {}).get("coding", ())
    )


def _not_negative(key: str, name: str) -> Shortcut:
    return rule(key, lambda node: node.get(name, 0) >= 0, f"let {name} not be negative")


def _in_ucum(node: Node) -> bool:
    """Return whether a value has a code, and a system is UCUM: what Age and its like ask for."""
    return (has(node, "code") or not has(node, "value")) and _is_ucum_if_any(node)


def _in_money(node: Node) -> bool:
    is_coded = has(node, "code") or not has(node, "value")
    return is_coded and node.get("system", _CURRENCIES) == _CURRENCIES


def _is_ucum_if_any(node: Node) -> bool:
    return not has(node, "system") or node.get("system") == _UCUM


def _positive(node: Node) -> bool:
    return _in_ucum(node) and node.get("value", 1) > 0


def _whole(node: Node) -> bool:
    unit = not has(node, "code") or node.get("code") == "1"
    return _in_ucum(node) and unit and "." not in str(node.get("value", ""))


def _timed_unit(node: Node) -> bool:
    if not has(node, "code"):
        return True
    return node.get("system") == _UCUM and has(node, "value")


def _extension(node: Node) -> bool:
    return has(node, "extension") != has_choice(node, "value")


def _in_one_unit(node: Node) -> bool:
    low, high = node.get("low", {}), node.get("high", {})
    if any(low.get(name) != high.get(name) for name in ("system", "code", "unit")):
        return True  # no comparison without conversion; FHIRPath's answer is empty
    values = (low.get("value"), high.get("value"))
    return None in values or Decimal(values[0]) <= Decimal(values[1])


def _ratio(node: Node) -> bool:
    both = has(node, "numerator") == has(node, "denominator")
    return both and (has(node, "numerator") or has(node, "extension"))


def _repeated_code(node: Node) -> bool:
    """obs-7: who gives a value does not give a component of the same code."""
    if "component" not in node or not has_choice(node, "value"):
        return True
    own = {_coding(coding) for coding in node["code"].get("coding", ())}
    return not any(
        _coding(coding) in own
        for component in node["component"]
        for coding in component["code"].get("coding", ())
    )


def _coding(coding: Node) -> tuple[Any, ...]:
    # FHIRPath compares whole codings; a coding that says more is another one
    return tuple(sorted((name, str(item)) for name, item in coding.items()))


def _timed(node: Node) -> bool:
    if has(node, "start") and has(node, "end"):
        return True
    return node.get("status") in ("proposed", "cancelled", "waitlist")


def _abated(node: Node) -> bool:
    return not has_choice(node, "abatement") or coded(
        node, "clinicalStatus", _CONDITION, "resolved", "remission", "inactive"
    )


def _parameter(node: Node) -> bool:
    given = (has_choice(node, "value"), "resource" in node, "part" in node)
    return sum(given) == 1


def _not_home(node: Node, name: str) -> bool:
    return all(each.get("use") != "home" for each in node.get(name, ()))


def _allergy_in_error(node: Node) -> bool:
    return coded(node, "verificationStatus", _ALLERGY_VERIFIED, "entered-in-error")


def _condition_in_error(node: Node) -> bool:
    return coded(node, "verificationStatus", _CONDITION_VERIFIED, "entered-in-error")


INVARIANTS: Mapping[str, tuple[Shortcut, ...]] = {
    "Age": (rule("age-1", _positive, "give a value above 0 with a code of UCUM, such as a"),),
    "AllergyIntolerance": (
        rule(
            "ait-1",
            lambda node: _allergy_in_error(node) or has(node, "clinicalStatus"),
            "give clinicalStatus, unless verificationStatus is entered-in-error",
        ),
        rule(
            "ait-2",
            lambda node: not (_allergy_in_error(node) and has(node, "clinicalStatus")),
            "leave clinicalStatus out when verificationStatus is entered-in-error",
        ),
    ),
    "Appointment": (
        rule("app-2", lambda node: has(node, "start") == has(node, "end"), "give start and end"),
        rule(
            "app-3",
            _timed,
            "give start and end, unless status is proposed, cancelled or waitlist",
        ),
        rule(
            "app-4",
            lambda node: (
                not has(node, "cancelationReason") or node.get("status") in ("no-show", "cancelled")
            ),
            "give cancelationReason only when status is no-show or cancelled",
        ),
    ),
    "Appointment.participant": (one_of("app-1", "type", "actor"),),
    "AppointmentResponse": (one_of("apr-1", "participantType", "actor"),),
    "Attachment": (needs("att-1", "data", "contentType"),),
    "AuditEvent.entity": (excludes("sev-1", "name", "query"),),
    "Bundle": BUNDLE,
    "Bundle.entry": ENTRY,
    "CarePlan.activity": (excludes("cpl-3", "detail", "reference"),),
    "Composition.section": (
        one_of("cmp-1", "text", "entry", "section"),
        excludes("cmp-2", "emptyReason", "entry"),
    ),
    "Condition": (
        rule(
            "con-4",
            _abated,
            "give abatement only when clinicalStatus is resolved, remission or inactive",
        ),
        rule(
            "con-5",
            lambda node: not (_condition_in_error(node) and has(node, "clinicalStatus")),
            "leave clinicalStatus out when verificationStatus is entered-in-error",
        ),
    ),
    "Condition.stage": (one_of("con-1", "summary", "assessment"),),
    "Condition.evidence": (one_of("con-2", "code", "detail"),),
    "Consent": (one_of("ppc-1", "policy", "policyRule"),),
    "ContactPoint": (needs("cpt-2", "value", "system"),),
    "Count": (rule("cnt-3", _whole, "give a whole value with the code 1 of UCUM"),),
    "CoverageEligibilityResponse.insurance.item": (
        rule(
            "ces-1",
            lambda node: has(node, "category") != has(node, "productOrService"),
            "give either category or productOrService",
        ),
    ),
    "Distance": (rule("dis-1", _in_ucum, "give the value with a code of UCUM, such as m"),),
    "Duration": (rule("drt-1", _timed_unit, "give the code with a value and the system UCUM"),),
    "Expression": (one_of("exp-1", "expression", "reference"),),
    "Extension": (
        rule("ext-1", _extension, "give the extension either a value or extensions of its own"),
    ),
    "FamilyMemberHistory": (
        rule(
            "fhs-1",
            lambda node: not (has_choice(node, "age") and has_choice(node, "born")),
            "give age[x] or born[x], not both",
        ),
        rule(
            "fhs-2",
            lambda node: has_choice(node, "age") or not has(node, "estimatedAge"),
            "give age[x] with estimatedAge",
        ),
    ),
    "Goal.target": (
        rule(
            "gol-1",
            lambda node: has(node, "measure") or not has_choice(node, "detail"),
            "give measure with detail[x]",
        ),
    ),
    "Group": (
        rule(
            "grp-1",
            lambda node: "member" not in node or node.get("actual") is True,
            "give members only when actual is true",
        ),
    ),
    "Immunization.education": (one_of("imm-1", "documentType", "reference"),),
    "Linkage": (rule("lnk-1", lambda node: len(node["item"]) > 1, "give two items or more"),),
    "List": (
        excludes("lst-1", "emptyReason", "entry"),
        rule(
            "lst-2",
            lambda node: (
                node.get("mode") == "changes"
                or not any(has(entry, "deleted") for entry in node.get("entry", ()))
            ),
            "give entry.deleted only when mode is changes",
        ),
        rule(
            "lst-3",
            lambda node: (
                node.get("mode") == "working"
                or not any(has(entry, "date") for entry in node.get("entry", ()))
            ),
            "give entry.date only when mode is working",
        ),
    ),
    "MedicationAdministration.dosage": (
        rule(
            "mad-1",
            lambda node: has(node, "dose") or has_choice(node, "rate"),
            "give dose or rate[x]",
        ),
    ),
    "MedicationDispense": (in_order("mdd-1", "whenPrepared", "whenHandedOver"),),
    "Observation": (
        rule(
            "obs-6",
            lambda node: "dataAbsentReason" not in node or not has_choice(node, "value"),
            "give value[x] or dataAbsentReason, not both",
        ),
        rule(
            "obs-7",
            _repeated_code,
            "leave value[x] out when a component has the code of the Observation",
        ),
    ),
    "Observation.referenceRange": (one_of("obs-3", "low", "high", "text"),),
    "OperationDefinition.parameter": (one_of("opd-1", "type", "part"),),
    "Organization": (
        one_of("org-1", "identifier", "name"),
        rule("org-2", lambda node: _not_home(node, "address"), "give no address for use home"),
        rule("org-3", lambda node: _not_home(node, "telecom"), "give no telecom for use home"),
    ),
    "Parameters.parameter": (rule("inv-1", _parameter, "give one of value[x], resource and part"),),
    "Patient.contact": (one_of("pat-1", "name", "telecom", "address", "organization"),),
    "MoneyQuantity": (rule("mqty-1", _in_money, "give the value with a code of ISO 4217"),),
    "Period": (in_order("per-1", "start", "end"),),
    "Quantity": (needs("qty-3", "code", "system"),),
    "QuestionnaireResponse.item": (excludes("qrs-1", "answer", "item"),),
    "Range": (rule("rng-2", _in_one_unit, "let low not be above high"),),
    "Ratio": (rule("rat-1", _ratio, "give numerator and denominator, or neither"),),
    "Questionnaire.item": (
        rule(
            "que-1",
            lambda node: (
                (node.get("type") != "group" or has(node, "item"))
                and (node.get("type") != "display" or not has(node, "item"))
            ),
            "give items to a group, and none to a display",
        ),
        excludes("que-4", "answerOption", "answerValueSet"),
        excludes("que-11", "answerOption", "initial"),
    ),
    "ServiceRequest": (needs("prr-1", "orderDetail", "code"),),
    "SimpleQuantity": (
        rule("sqty-1", lambda node: not has(node, "comparator"), "leave comparator out"),
    ),
    "Task": (in_order("inv-1", "authoredOn", "lastModified"),),
    "Timing.repeat": (
        needs("tim-1", "duration", "durationUnit"),
        needs("tim-2", "period", "periodUnit"),
        _not_negative("tim-4", "duration"),
        _not_negative("tim-5", "period"),
        needs("tim-6", "periodMax", "period"),
        needs("tim-7", "durationMax", "duration"),
        needs("tim-8", "countMax", "count"),
        rule(
            "tim-9",
            lambda node: (
                not has(node, "offset")
                or (has(node, "when") and not {"C", "CM", "CD", "CV"} & set(node.get("when", ())))
            ),
            "give offset only with when, and not with C, CM, CD or CV",
        ),
        excludes("tim-10", "timeOfDay", "when"),
    ),
    "ValueSet.compose.include": (
        one_of("vsd-1", "valueSet", "system"),
        rule(
            "vsd-2",
            lambda node: has(node, "system") or not (has(node, "concept") or has(node, "filter")),
            "give system with concept or filter",
        ),
        excludes("vsd-3", "concept", "filter"),
    ),
    "ValueSet.expansion.contains": (
        one_of("vsd-6", "code", "display"),
        needs("vsd-10", "code", "system"),
    ),
}
