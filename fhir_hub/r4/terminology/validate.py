"""Is a code, a Coding or a CodeableConcept good, and in a value set; and if not, why not.

Each coding is judged alone. A CodeableConcept is in the value set if one of its codings is,
and good if none of them is wrong.

Spec: https://hl7.org/fhir/R4/valueset-operation-validate-code.html
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fhir_hub.r4.terminology import messages
from fhir_hub.r4.terminology.compose import Composed, Composer
from fhir_hub.r4.terminology.concepts import Facts, standing_of
from fhir_hub.r4.terminology.judge import Asked, Judge, Judged
from fhir_hub.r4.terminology.problems import Problem, UnknownTerminology


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: `chosen` is the coding that it speaks of, if one does."""

    is_valid: bool
    problems: tuple[Problem, ...]
    chosen: Judged | None
    unknown_systems: tuple[str, ...] = ()
    caused_by: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """What the problems say, as one text; empty if there is nothing to say."""
        said = {
            problem.text
            for problem in self.problems
            if problem.message_id not in messages.BESIDE and problem.kind != "this-code-not-in-vs"
        }
        return "; ".join(sorted(said))


def validate(asked: Asked, value_set: Facts | None, composer: Composer) -> Verdict:
    """Return whether what is asked is good, and in the value set if there is one.

    Raises `Unanswerable` if the value set itself is faulty.
    """
    try:
        composed = composer.of(value_set) if value_set is not None else None
    except UnknownTerminology as error:
        return _without_value_set(asked, composer, error)
    judge = Judge(asked, composed, composer)
    judged = [judge.judge(index) for index in range(len(asked.codings))]
    problems = [problem for one in judged for problem in one.problems]
    is_member = composed is None or any(one.is_member for one in judged)
    is_known = all(one.is_member is False for one in judged)
    if asked.form == "codeableConcept" and composed is not None and not is_member and is_known:
        problems.insert(0, messages.none_in_value_set(judge.value_set_name))
    problems += _notes(composed, judged, composer)
    is_valid = is_member and not any(problem.severity == "error" for problem in problems)
    return Verdict(
        is_valid,
        tuple(problems),
        _chosen(judged, asked),
        tuple(dict.fromkeys(one.unknown_system for one in judged if one.unknown_system)),
        tuple(dict.fromkeys(one.caused_by for one in judged if one.caused_by)),
    )


def infer(asked: Asked, value_set: Facts, composer: Composer) -> tuple[Asked, Verdict | None]:
    """Return the question with the system that its code must be of; else the verdict why not."""
    judge = Judge(asked, composer.of(value_set), composer)
    (coding,) = asked.codings
    code = str(coding.get("code", ""))
    systems = judge.infer_system(code)
    if len(systems) == 1:
        return replace(asked, codings=({**coding, "system": systems[0]},)), None
    name, place = judge.value_set_name, asked.place(0, "code")
    problems = (
        messages.not_in_value_set(f"#{code}", name, place, is_one_of_many=False),
        messages.cannot_infer(code, name, systems, place),
    )
    return asked, Verdict(False, problems, Judged("", code, 0))


def _without_value_set(asked: Asked, composer: Composer, error: UnknownTerminology) -> Verdict:
    """Return the verdict where a value set that is imported is not known."""
    if error.problem is None or error.problem.message_id == "VALUESET_SUPPLEMENT_MISSING":
        raise error
    chosen = validate(asked, None, composer).chosen
    if asked.form == "codeableConcept":
        chosen = None
    return Verdict(False, (error.problem,), chosen)


def _chosen(judged: list[Judged], asked: Asked) -> Judged | None:
    """Return the coding that the answer speaks of."""
    if asked.form != "codeableConcept":
        return judged[0] if judged else None
    members = [one for one in judged if one.is_member and one.concept]
    good = [one for one in members if one.is_good]
    return next(iter([*good, *members]), None)


def _notes(
    composed: Composed | None, judged: list[Judged], composer: Composer
) -> Iterator[Problem]:
    """Yield what should be known of the value set and the systems that were drawn on."""
    if composed is not None:
        for one in (composed, *composed.imported()):
            yield from _note("ValueSet", one.facts)
    for url, version in dict.fromkeys((one.system, one.version) for one in judged if one.concept):
        system = composer.catalogue.system(url, version).system
        if system is not None:
            yield from _note("CodeSystem", system.header.facts)


def _note(kind: str, facts: Facts) -> Iterator[Problem]:
    url, version = str(facts.get("url", "")), str(facts.get("version", ""))
    canonical = f"{url}|{version}" if version else url
    for status in standing_of(facts):
        yield messages.reference_to(status, kind, canonical)
