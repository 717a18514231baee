"""The messages about a code, each made in one place: id, issue type, kind and words.

The ids and words are those that terminology servers and validators share.

Spec: the message catalogue of the FHIR core library, as the terminology ecosystem tests it
"""

from collections.abc import Sequence

from fhir_hub.r4.terminology.languages import Languages, Name
from fhir_hub.r4.terminology.problems import Problem

# what is said beside the verdict and is no part of its message
BESIDE = frozenset(
    (
        "CONCEPT_DEPRECATED_IN_VALUESET",
        "VALUESET_VALUE_MISMATCH_DEFAULT",
        "UNKNOWN_CODE_IN_FRAGMENT",
        "CODE_CASE_DIFFERENCE",
        "INACTIVE_DISPLAY_FOUND",
        "MSG_DRAFT",
        "MSG_DEPRECATED",
        "MSG_WITHDRAWN",
        "MSG_EXPERIMENTAL",
    )
)


def not_in_value_set(named: str, value_set: str, place: str, *, is_one_of_many: bool) -> Problem:
    """A code is not in the value set; for one of several codings that is no fault by itself."""
    return Problem(
        "information" if is_one_of_many else "error",
        "code-invalid",
        "this-code-not-in-vs" if is_one_of_many else "not-in-vs",
        "None_of_the_provided_codes_are_in_the_value_set_one",
        f"The provided code '{named}' was not found in the value set '{value_set}'",
        place,
    )


def none_in_value_set(value_set: str) -> Problem:
    """No coding of a CodeableConcept is in the value set."""
    return Problem(
        "error",
        "code-invalid",
        "not-in-vs",
        "TX_GENERAL_CC_ERROR_MESSAGE",
        f"No valid coding was found for the value set '{value_set}'",
    )


def unknown_code(code: str, system: str, version: str, place: str) -> Problem:
    """The code system has no such code."""
    of_version = f" version '{version}'" if version else ""
    return Problem(
        "error",
        "code-invalid",
        "invalid-code",
        "Unknown_Code_in_Version" if version else "Unknown_Code_in",
        f"Unknown code '{code}' in the CodeSystem '{system}'{of_version}",
        place,
    )


def unknown_code_in_fragment(code: str, system: str, version: str, place: str) -> Problem:
    """The part of the code system that is known has no such code."""
    of_version = f" version '{version}'" if version else ""
    return Problem(
        "warning",
        "code-invalid",
        "invalid-code",
        "UNKNOWN_CODE_IN_FRAGMENT",
        f"Unknown Code '{code}' in the CodeSystem '{system}'{of_version} - note that the code"
        " system is labeled as a fragment, so the code may be valid in some other fragment",
        place,
    )


def unknown_system(
    system: str, version: str, versions: Sequence[str], place: str, purpose: str = ""
) -> Problem:
    """There is no such code system here, or not this version of it."""
    purpose = purpose or "so the code cannot be validated"
    text = f"A definition for CodeSystem '{system}'"
    message_id = "UNKNOWN_CODESYSTEM"
    if version:
        text += f" version '{version}'"
        message_id += "_VERSION"
    if "expanded" in purpose:
        message_id += "_EXP"
    text += f" could not be found, {purpose}"
    if version and versions:
        text += f". Valid versions: {_or(versions)}"
    elif version:
        text += ". No versions of this code system are known"
        message_id += "_NONE"
    return Problem("error", "not-found", "not-found", message_id, text, place)


def _or(texts: Sequence[str]) -> str:
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def version_differs(
    system: str, wanted: str, stated: str | None, given: str, place: str
) -> Problem:
    """The value set means another version than the coding; `stated`: what a request changed."""
    message_id, said = "VALUESET_VALUE_MISMATCH", f"version '{wanted}'"
    if stated is not None:
        message_id += "_CHANGED"
        said += f" resulting from the version '{stated}'"
    return Problem(
        "error",
        "invalid",
        "vs-invalid",
        message_id,
        f"The code system '{system}' {said} in the ValueSet include is different to the one in"
        f" the value ('{given}')",
        place,
    )


def version_is_not_default(system: str, used: str, given: str, place: str) -> Problem:
    """The value set leaves the version open, and the one of the coding is not known."""
    return Problem(
        "warning",
        "invalid",
        "vs-invalid",
        "VALUESET_VALUE_MISMATCH_DEFAULT",
        f"The code system '{system}' version '{used}' for the versionless include in the ValueSet"
        f" include is different to the one in the value ('{given}')",
        place,
    )


def version_not_allowed(system: str, used: str, wanted: str, place: str) -> Problem:
    """The version that was taken is not the one that the request demands."""
    return Problem(
        "error",
        "exception",
        "version-error",
        "VALUESET_VERSION_CHECK",
        f"The version '{used}' is not allowed for system '{system}': required to be '{wanted}' by"
        " a version-check parameter",
        place,
    )


def cannot_infer(code: str, value_set: str, systems: Sequence[str], place: str) -> Problem:
    """A code without system is of no system of the value set, or of several."""
    text = (
        f"The System URI could not be determined for the code '{code}' in the ValueSet"
        f" '{value_set}'"
    )
    if systems:
        listed = ", ".join(systems)
        text += f": value set expansion has multiple matches: [{listed}]"
    message_id = (
        "Unable_to_resolve_system__value_set_has_multiple_matches"
        if systems
        else "UNABLE_TO_INFER_CODESYSTEM"
    )
    return Problem("error", "not-found", "cannot-infer", message_id, text, place)


def no_system(place: str) -> Problem:
    """A Coding without a system."""
    return Problem(
        "warning",
        "invalid",
        "invalid-data",
        "Coding_has_no_system__cannot_validate",
        "Coding has no system. A code with no system has no defined meaning, and it cannot be"
        " validated. A system should be provided",
        place,
    )


def system_is_relative(place: str) -> Problem:
    """A system that is no absolute address."""
    return Problem(
        "error",
        "invalid",
        "invalid-data",
        "Terminology_TX_System_Relative",
        f"{place} must be an absolute reference, not a local reference",
        place,
    )


def system_is_value_set(system: str, place: str) -> Problem:
    """A system that is the address of a value set."""
    return Problem(
        "error",
        "invalid",
        "invalid-data",
        "Terminology_TX_System_ValueSet2",
        f"The Coding references a value set, not a code system ('{system}')",
        place,
    )


def system_is_supplement(canonical: str, place: str) -> Problem:
    """A system that is a supplement of another."""
    return Problem(
        "error",
        "invalid",
        "invalid-data",
        "CODESYSTEM_CS_NO_SUPPLEMENT",
        f"CodeSystem {canonical} is a supplement, so can't be used as a value in Coding.system",
        place,
    )


def wrong_display(
    given: str,
    named: str,
    valid: Sequence[Name],
    languages: Languages,
    place: str,
    *,
    is_lenient: bool,
    by_space: bool,
) -> Problem:
    """The display is none of those that the code has."""
    choices = [f"'{n.value}' ({n.language})" if n.language else f"'{n.value}'" for n in valid]
    many = f"one of {len(choices)} choices: " if len(choices) > 1 else ""
    wrong = "Wrong whitespace in Display Name" if by_space else "Wrong Display Name"
    return Problem(
        "warning" if is_lenient else "error",
        "invalid",
        "invalid-display",
        f"Display_Name_{'WS_' if by_space else ''}for__should_be_one_of__instead_of",
        f"{wrong} '{given}' for {named}. Valid display is {many}{_or(choices)}"
        f" (for the language(s) '{languages.text or '--'}')",
        place,
    )


def no_display_in_language(
    given: str, named: str, default: str, languages: Languages, place: str, *, is_valid: bool
) -> Problem:
    """There is no display in the language; the one given is, or is not, the default one."""
    if is_valid:
        return Problem(
            "information",
            "invalid",
            "invalid-display",
            "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK",
            f"There are no valid display names found for the code {named} for language(s)"
            f" '{languages.text}'. The display is '{given}' which is a valid display for the"
            " default language",
            place,
        )
    return Problem(
        "error",
        "invalid",
        "invalid-display",
        "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR",
        f"Wrong Display Name '{given}' for {named}. There are no valid display names found for"
        f" language(s) '{languages.text}'. Default display is '{default}'",
        place,
    )


def inactive(code: str, status: str, place: str) -> Problem:
    """The concept is not to be used any more."""
    shown = "inactive" if status in ("", "inactive") else f"{status} and inactive"
    return Problem(
        "warning",
        "business-rule",
        "code-comment",
        "INACTIVE_CONCEPT_FOUND",
        f"The concept '{code}' has a status of {shown} and its use should be reviewed",
        place,
    )


def not_active(code: str, place: str) -> Problem:
    """An inactive concept where only active ones will do."""
    return Problem(
        "error",
        "business-rule",
        "code-rule",
        "STATUS_CODE_WARNING_CODE",
        f"The concept '{code}' is valid but is not active",
        place,
    )


def deprecated(code: str, place: str) -> Problem:
    """The concept is deprecated."""
    return Problem(
        "warning",
        "business-rule",
        "code-comment",
        "DEPRECATED_CONCEPT_FOUND",
        f"The concept '{code}' is deprecated and its use should be reviewed",
        place,
    )


def deprecated_in_value_set(code: str, system: str, value_set: str, place: str) -> Problem:
    """The value set itself marks the concept as deprecated."""
    return Problem(
        "warning",
        "business-rule",
        "code-comment",
        "CONCEPT_DEPRECATED_IN_VALUESET",
        f"The presence of the concept '{code}' in the system '{system}' in the value set"
        f" {value_set} is marked with a status of deprecated and its use should be reviewed",
        place,
    )


def inactive_display(
    given: str, code: str, status: str, valid: Sequence[str], place: str
) -> Problem:
    """The display was one once."""
    listed = ", ".join(f'"{one}"' for one in valid)
    return Problem(
        "warning",
        "invalid",
        "display-comment",
        "INACTIVE_DISPLAY_FOUND",
        f"'{given}' is no longer considered a correct display for code '{code}' (status ="
        f" {status}). The correct display is one of {listed}.",
        place,
    )


def abstract(named: str, place: str) -> Problem:
    """An abstract concept where one is not allowed."""
    return Problem(
        "error",
        "business-rule",
        "code-rule",
        "ABSTRACT_CODE_NOT_ALLOWED",
        f"Code '{named}' is abstract, and not allowed in this context",
        place,
    )


def other_case(code: str, correct: str, system: str, place: str) -> Problem:
    """The code is written in another case than the code system writes it."""
    return Problem(
        "information",
        "business-rule",
        "code-rule",
        "CODE_CASE_DIFFERENCE",
        f"The code '{code}' differs from the correct code '{correct}' by case. Although the code"
        f" system '{system}' is case insensitive, implementers are strongly encouraged to use the"
        " correct case anyway",
        place,
    )


def reference_to(status: str, kind: str, canonical: str) -> Problem:
    """What is drawn on is a draft, experimental, deprecated or withdrawn."""
    return Problem(
        "information",
        "business-rule",
        "status-check",
        f"MSG_{status.upper()}",
        f"Reference to {status} {kind} {canonical}",
    )


def grammar_cannot_be_listed(system: str, value_set: str) -> Problem:
    """A code system that is a grammar, and so cannot be expanded."""
    return Problem(
        "error",
        "too-costly",
        "",
        "VALUESET_TOO_COSTLY_GRAMMAR",
        f"The value set '{value_set}' cannot be expanded: '{system}' is a grammar, whose codes"
        " cannot be listed; ask $validate-code",
    )
