"""Referential integrity: references that lead somewhere, deletions that orphan nobody.

The atomic write decides (`Store.write` with `targets`). Here is what is said of it: a refusal
that names every element, a warning that says the same, or a placeholder for what is missing.

Spec: https://hl7.org/fhir/R4/http.html#delete and references.html
"""

from collections.abc import Iterable

from fhir_hub import fhirjson
from fhir_hub.errors import DanglingReference, FhirError, Issue, StillReferred
from fhir_hub.r4.references import RECORDS, Literal, find_references
from fhir_hub.repository.rules import Rules
from fhir_hub.repository.unit import Resource, Unit, Warned
from fhir_hub.search.entry import UNNAMED
from fhir_hub.store.base import Broken, Key, Store, Target, key_of, target_of, version_number

_MOST_ISSUES, _MOST_REFERRERS = 100, 20


async def prepare(store: Store, rules: Rules, unit: Unit) -> list[Target] | None:
    """Return what the write is to hold true, None for nothing; make placeholders, or warn."""
    if rules.references == "off":
        return None
    targets = _targets(unit)
    if rules.references == "enforce":
        if rules.placeholder is None or not await _mend(store, rules, unit, targets):
            return targets
        return _targets(unit)
    missing = await _missing(store, targets, unit)
    held = [key for key, change in unit.changes.items() if change.method == "DELETE"]
    unit.warnings += _dangling(rules, unit, missing, "warning")
    unit.warnings += await _referred(store, unit, held, "warning")
    return None


async def refusal(store: Store, rules: Rules, unit: Unit, broken: Broken) -> FhirError | None:
    """Return the error that says what is broken; None if that has just been put right."""
    dangling = _dangling(rules, unit, broken.missing, "error")
    referred = await _referred(store, unit, broken.held, "error")
    issues = [warned.issue for warned in [*dangling, *referred]]
    if not issues:
        return None
    error = DanglingReference if dangling else StillReferred
    return error(issues[0].diagnostics, *issues)


async def deletion_issues(store: Store, rules: Rules, key: Key) -> list[Issue]:
    """Return what would be said if the resource were deleted now: who still refers to it."""
    if rules.references == "off":
        return []
    unit = Unit(store, rules)
    await unit.delete(key)
    severity = "error" if rules.references == "enforce" else "warning"
    return [warned.issue for warned in await _referred(store, unit, [key], severity)]


def _targets(unit: Unit) -> list[Target]:
    """Return what must be stored, and stay, for the staged references to lead somewhere."""
    found: dict[Target, None] = {}
    changes = unit.changes
    known: dict[bool, set[Literal]] = {False: set(), True: set()}
    for key, literals in unit.literals.items():
        may_be_deleted = key.resource_type in RECORDS
        seen = known[may_be_deleted]
        for literal in literals:
            if literal in seen:  # ten results refer to one patient, visit, order and report
                continue
            seen.add(literal)
            _, resource_type, logical_id, version_id = literal
            staged = changes.get((resource_type, logical_id))  # type: ignore[call-overload]  # a Key is this pair
            is_own = staged is not None and staged.method != "DELETE"
            if not is_own or version_id not in ("", str(staged.version_id)):
                target = resource_type, logical_id, version_id, may_be_deleted
                found[target_of(target)] = None
    return [target for target in found if target not in unit.given_up]


async def _mend(store: Store, rules: Rules, unit: Unit, targets: Iterable[Target]) -> bool:
    """Stage a placeholder for each target that is missing, and say whether any is.

    What cannot be made is warned of.
    """
    assert rules.placeholder is not None
    missing = await _missing(store, targets, unit)
    for target in missing:
        key = Key(*target[:2])
        ((_, _, reference), *_) = _pointing(rules, unit, {_literal(target)})
        is_plain = key.logical_id and not target.version_id
        made = rules.placeholder(key, reference) if is_plain else None
        if made is None:
            unit.warnings += _dangling(rules, unit, [target], "warning")
            unit.given_up.add(target)
        else:
            await unit.update(made, key.logical_id)
    return bool(missing)


async def _missing(store: Store, targets: Iterable[Target], unit: Unit) -> list[Target]:
    """Return which targets there are not, as far as one can read now."""
    found = []
    for target in targets:
        stored = await unit.current(key_of(target[:2]))
        is_there = stored is not None and (target.may_be_deleted or not stored.is_deleted)
        if is_there and target.version_id:
            version = await store.vread(Key(*target[:2]), version_number(target.version_id))
            is_there = version is not None and not version.is_deleted
        if not is_there:
            found.append(target)
    return found


def _literal(target: Target) -> Literal:
    resource_type, logical_id, version_id, _ = target
    return Literal(f"{resource_type}/{logical_id}", resource_type, logical_id, version_id)


def _pointing(rules: Rules, unit: Unit, literals: set[Literal]) -> list[tuple[Key, str, Resource]]:
    """Return the staged References that say one of `literals`: whose, its FHIRPath, itself."""
    found = []
    for key, own in unit.literals.items():
        if literals.isdisjoint(own):
            continue
        for reference, path in find_references(fhirjson.loads(unit.changes[key].content)):
            text = fhirjson.dumps({"reference": reference["reference"]})
            if not literals.isdisjoint(rules.extractor.targets("", text)):
                found.append((key, path, reference))
    return found


def _dangling(rules: Rules, unit: Unit, missing: Iterable[Target], severity: str) -> list[Warned]:
    """Return an issue for each element that refers to one of the missing targets."""
    literals = {_literal(target) for target in missing}
    if not literals:
        return []
    issues = []
    for key, path, reference in _pointing(rules, unit, literals)[:_MOST_ISSUES]:
        _, dot, inner = path.partition(".")
        place = f"{unit.places.get(key, key.resource_type)}{dot}{inner}.reference"
        what = "a version of a resource" if "/_history/" in reference["reference"] else "a resource"
        text = f"refer to {what} that exists, or send it in the same transaction"
        issues.append(Warned(key, Issue("not-found", text, place, severity)))
    return issues


async def _referred(store: Store, unit: Unit, held: Iterable[Key], severity: str) -> list[Warned]:
    """Return an issue for each resource that is to be deleted and that others refer to."""
    issues = []
    for key in held:
        found = await store.referrers(key, most=_MOST_REFERRERS, without=unit.changes)
        if not found.total:
            continue
        shown = ", ".join(
            f"{one.resource_type}/{one.logical_id}"
            + ("" if one.parameter == UNNAMED else f" ({one.parameter.partition('.')[0]})")
            for one in found.first
        )
        more = f" and {rest} more" if (rest := found.total - len(found.first)) else ""
        text = f"{found.total} still refer to this {key.resource_type}: {shown}{more}"
        place = unit.places.get(key, key.resource_type)
        issues.append(Warned(key, Issue("conflict", text, place, severity)))
        if len(issues) == _MOST_ISSUES:
            break
    return issues
