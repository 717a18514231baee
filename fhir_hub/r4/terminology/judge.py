"""One coding judged: its system and version, its code, its membership, its display.

Spec: https://hl7.org/fhir/R4/valueset-operation-validate-code.html
"""

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from fhir_hub.r4.terminology import messages
from fhir_hub.r4.terminology.canonical import matches, order
from fhir_hub.r4.terminology.compose import Composed, Composer
from fhir_hub.r4.terminology.concepts import DEPRECATED, CodeSystem, Concept, Facts
from fhir_hub.r4.terminology.display import check_display
from fhir_hub.r4.terminology.languages import Languages, best, names
from fhir_hub.r4.terminology.parts import Part
from fhir_hub.r4.terminology.problems import Problem
from fhir_hub.r4.terminology.supplements import supplemented
from fhir_hub.r4.terminology.versions import Chosen

Form = Literal["code", "coding", "codeableConcept"]

_is_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S").match
_PARTIAL = ("fragment", "example")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: codings in one of three forms, and how strictly they are judged."""

    form: Form
    codings: tuple[Facts, ...]
    concept: Facts | None = None
    languages: Languages = field(default_factory=Languages)
    is_lenient_display: bool = False
    with_abstract: bool = True
    active_only: bool = False
    membership_only: bool = False

    def place(self, index: int, name: str = "") -> str:
        """Return where the element `name` of a coding stands in what was sent."""
        if self.form == "code":
            return name or "code"
        root = "Coding" if self.form == "coding" else f"CodeableConcept.coding[{index}]"
        return f"{root}.{name}" if name else root


@dataclass(slots=True)
class Judged:
    """What was found out about one coding; `caused_by` is a version that is not known."""

    system: str
    code: str
    index: int
    concept: Concept | None = None
    version: str = ""
    display: str = ""
    is_member: bool | None = None
    problems: list[Problem] = field(default_factory=list)
    unknown_system: str = ""
    caused_by: str = ""

    @property
    def is_good(self) -> bool:
        """Say whether nothing is wrong with it."""
        return not any(problem.severity == "error" for problem in self.problems)


class Judge:
    """Judges the codings of one question, against a value set or (None) their systems alone."""

    def __init__(self, asked: Asked, value_set: Composed | None, composer: Composer) -> None:
        self._asked, self._value_set, self._composer = asked, value_set, composer
        self._catalogue = composer.catalogue

    def judge(self, index: int) -> Judged:
        """Return what is to be said of the coding at `index`."""
        coding = self._asked.codings[index]
        judged = Judged(str(coding.get("system", "")), str(coding.get("code", "")), index)
        if not judged.system:
            self._without_system(judged, coding)
            return judged
        self._about_system(judged)
        version = str(coding.get("version", ""))
        part = self._part(judged, version)
        system = self._system(judged, part, version)
        if system is not None:
            self._about_code(judged, system)
        self._about_membership(judged, coding, system)
        if judged.concept is not None:
            self._about_concept(judged, coding, part, system)
        return judged

    def infer_system(self, code: str) -> list[str]:
        """Return the systems of the value set by which it has the code."""
        assert self._value_set is not None
        urls = dict.fromkeys(part.url for part in self._value_set.parts() if part.url)
        return [url for url in urls if self._value_set.contains(url, code)]

    @property
    def value_set_name(self) -> str:
        """How messages call the value set."""
        named = str(self._value_set.canonical) if self._value_set else ""
        return named or "(unidentified)"

    def _place(self, judged: Judged, name: str = "") -> str:
        return self._asked.place(judged.index, name)

    def _without_system(self, judged: Judged, coding: Facts) -> None:
        judged.is_member = False
        judged.problems.append(messages.no_system(self._place(judged)))
        if self._value_set is not None:
            judged.problems.append(self._not_a_member(judged, coding))

    def _about_system(self, judged: Judged) -> None:
        place = self._place(judged, "system")
        if not _is_absolute(judged.system):
            judged.problems.append(messages.system_is_relative(place))
        elif self._catalogue.value_set(judged.system):
            judged.problems.append(messages.system_is_value_set(judged.system, place))

    def _part(self, judged: Judged, given: str) -> Part | None:
        """Return the include that the coding falls under: one that has it, else of its system."""
        if self._value_set is None:
            return None
        parts = [part for part in self._value_set.parts() if part.url == judged.system]
        having = [part for part in parts if part.contains(judged.system, judged.code)]
        of_version = [part for part in parts if given and part.version == given]
        found = of_version or having or parts
        return max(found, key=lambda part: order(part.version), default=None)

    def _system(self, judged: Judged, part: Part | None, given: str) -> CodeSystem | None:
        """Return the code system of the version that counts, saying what is wrong with it."""
        url = judged.system
        chosen = part.chosen if part else self._composer.rules.choose(url, "")
        versions = self._catalogue.system(url).versions
        if not versions:
            self._unknown_system(judged, given, is_drawn_on=part is not None)
            return None
        used = self._wanted(judged, chosen, given, versions)
        found = self._catalogue.system(url, used).system
        if found is None:
            return None
        if found.header.content == "supplement":
            place = self._place(judged, "system")
            judged.problems.append(messages.system_is_supplement(found.header.canonical, place))
            judged.caused_by = url
            return None
        judged.version = found.header.version
        self._about_check(judged)
        wanted = self._composer.rules.supplements
        if self._value_set is not None:
            wanted = self._composer.supplements_of(self._value_set.facts)
        return supplemented(found, wanted, self._catalogue)

    def _unknown_system(self, judged: Judged, given: str, *, is_drawn_on: bool) -> None:
        if any(one.message_id == "Terminology_TX_System_ValueSet2" for one in judged.problems):
            return
        place = self._place(judged, "system")
        judged.problems.append(messages.unknown_system(judged.system, given, (), place))
        if is_drawn_on:
            judged.caused_by = judged.system
        else:
            judged.unknown_system = judged.system

    def _wanted(self, judged: Judged, chosen: Chosen, given: str, versions: tuple[str, ...]) -> str:
        """Return the version to use of those that are known; empty: the newest."""
        url, known = judged.system, self._known(chosen.wanted, versions)
        if given and not self._known(given, versions):
            self._unknown_version(judged, given, versions)
        if given and not chosen.wanted:
            if self._known(given, versions):
                return given
            newest = self._catalogue.system(url).system
            if newest is not None:
                place = self._place(judged, "version")
                used = newest.header.version
                judged.problems.append(messages.version_is_not_default(url, used, given, place))
            return ""
        if given and matches(chosen.wanted, given) and self._known(given, versions):
            return given
        if given and known != given:
            place = self._place(judged, "version")
            stated = chosen.stated if chosen.is_changed else None
            shown = chosen.wanted
            judged.problems.append(messages.version_differs(url, shown, stated, given, place))
        if chosen.wanted and not known:
            self._unknown_version(judged, chosen.wanted, versions)
            return (
                given if self._known(given, versions) else self._composer.rules.check.get(url, "")
            )
        return chosen.wanted

    @staticmethod
    def _known(wanted: str, versions: tuple[str, ...]) -> str:
        """Return a known version that is wanted, empty if there is none."""
        fitting = [one for one in versions if wanted and matches(wanted, one)]
        return fitting[-1] if fitting else ""

    def _unknown_version(self, judged: Judged, version: str, versions: tuple[str, ...]) -> None:
        place = self._place(judged, "system")
        judged.problems.append(messages.unknown_system(judged.system, version, versions, place))
        judged.caused_by = f"{judged.system}|{version}"

    def _about_check(self, judged: Judged) -> None:
        demanded = self._composer.rules.check.get(judged.system)
        if demanded and not matches(demanded, judged.version):
            place = self._place(judged, "version")
            judged.problems.append(
                messages.version_not_allowed(judged.system, judged.version, demanded, place)
            )

    def _about_code(self, judged: Judged, system: CodeSystem) -> None:
        judged.concept = system.find(judged.code)
        place = self._place(judged, "code")
        if judged.concept is None:
            make = messages.unknown_code
            if system.header.content in _PARTIAL:
                make = messages.unknown_code_in_fragment
            if not self._asked.membership_only:
                judged.problems.append(make(judged.code, judged.system, judged.version, place))
        elif judged.concept.code != judged.code:
            canonical = system.header.canonical
            correct = judged.concept.code
            judged.problems.append(messages.other_case(judged.code, correct, canonical, place))

    def _about_membership(self, judged: Judged, coding: Facts, system: CodeSystem | None) -> None:
        if self._value_set is None:
            judged.is_member = True
            return
        value_set = self._value_set
        if system is not None:
            value_set = value_set.by(judged.system, system)
        judged.is_member = value_set.contains(judged.system, judged.code)
        concept = judged.concept
        place = self._place(judged, "code")
        active_only = self._asked.active_only or not self._value_set.with_inactive
        if concept is not None and concept.is_inactive and active_only:
            judged.is_member = False
            judged.problems.append(messages.not_active(judged.code, place))
        if concept is not None and concept.is_abstract and not self._asked.with_abstract:
            judged.is_member = False
            named = f"{judged.system}#{judged.code}"
            judged.problems.append(messages.abstract(named, place))
        if concept is None and system is not None and judged.is_member is None:
            # a fragment does not have it: that may be right, and is said
            judged.is_member = system.header.content in _PARTIAL
        if judged.is_member is False:
            judged.problems.append(self._not_a_member(judged, coding))

    def _not_a_member(self, judged: Judged, coding: Facts) -> Problem:
        version, display = coding.get("version"), coding.get("display")
        named = f"{judged.system}|{version}" if version else judged.system
        named += f"#{judged.code}" + (f" ('{display}')" if display else "")
        return messages.not_in_value_set(
            named,
            self.value_set_name,
            self._place(judged, "code"),
            is_one_of_many=self._asked.form == "codeableConcept",
        )

    def _about_concept(
        self, judged: Judged, coding: Facts, part: Part | None, system: CodeSystem | None
    ) -> None:
        assert judged.concept is not None
        assert system is not None
        concept, languages = judged.concept, self._languages()
        row = part.row(concept.code) if part else {}
        all_names = list(names(concept, system.header.language, row))
        if shown := best(all_names, replace(languages, is_strict=False)):
            judged.display = shown.value
        named = f"{judged.system}#{judged.code}"
        place = self._place(judged, "display")
        given = coding.get("display")
        if isinstance(given, str) and given and not self._asked.membership_only:
            is_lenient = self._asked.is_lenient_display
            if wrong := check_display(
                given, named, concept, all_names, languages, place, is_lenient=is_lenient
            ):
                judged.problems.append(wrong)
        if concept.is_inactive:
            at = self._place(judged)
            judged.problems.append(messages.inactive(concept.code, concept.status, at))
        elif concept.status == "deprecated":
            at = self._place(judged, "code")
            judged.problems.append(messages.deprecated(concept.code, at))
        if any(one.get("url") == DEPRECATED for one in row.get("extension", ())):
            at = self._place(judged, "code")
            judged.problems.append(
                messages.deprecated_in_value_set(
                    concept.code, judged.system, self.value_set_name, at
                )
            )

    def _languages(self) -> Languages:
        return self._asked.languages
