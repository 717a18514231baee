"""What is wrong with a code, in the words that terminology servers share.

Validators read these issues: the kind (`tx-issue-type`) tells them apart, the id names the
message, and the text is the same wherever it is asked. So the wording is not ours to choose.

Spec: https://hl7.org/fhir/R4/valueset-operation-validate-code.html and the terminology
ecosystem's https://hl7.org/fhir/tools/CodeSystem/tx-issue-type
"""

from dataclasses import dataclass
from typing import Any, Self

from fhir_hub.errors import FhirError, Issue

KINDS = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"
_MESSAGE_ID = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"


@dataclass(frozen=True, slots=True)
class Problem:
    """One issue: its severity, the issue type of R4, the kind, the message's id and text."""

    severity: str
    code: str
    kind: str
    message_id: str
    text: str
    expression: str = ""

    def row(self) -> dict[str, Any]:
        """Return it as an issue of an OperationOutcome."""
        details: dict[str, Any] = {"text": self.text}
        if self.kind:
            details = {"coding": [{"system": KINDS, "code": self.kind}]} | details
        shown: dict[str, Any] = {
            "extension": [{"url": _MESSAGE_ID, "valueString": self.message_id}],
            "severity": self.severity,
            "code": self.code,
            "details": details,
        }
        if self.expression:
            shown |= {"location": [self.expression], "expression": [self.expression]}
        return shown


class Unanswerable(FhirError):
    """A terminology question that cannot be answered: what is asked about is faulty."""

    status, code, title = 422, "invalid", ("Cannot be answered", "无法回答")

    def __init__(
        self,
        diagnostics: str,
        *issues: Issue,
        expression: str = "",
        problem: Problem | None = None,
    ) -> None:
        super().__init__(diagnostics, *issues, expression=expression)
        self.problem = problem
        self.rows = (problem.row(),) if problem else ()

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Return the error that shows `problem`."""
        issue = Issue(problem.code, problem.text, problem.expression, problem.severity)
        return cls(problem.text, issue, problem=problem)


class UnknownTerminology(Unanswerable):
    """A value set, code system, concept map or supplement that is not known here."""

    status, code, title = 404, "not-found", ("Not known here", "本服务器没有该术语资源")


class TooCostly(Unanswerable):
    """An expansion that would be larger than the server makes."""

    status, code, title = 422, "too-costly", ("Too large to expand", "展开结果过大")


def unknown_value_set(canonical: str) -> UnknownTerminology:
    """Return the error for a value set that is not here."""
    return UnknownTerminology.of(
        Problem(
            "error",
            "not-found",
            "not-found",
            "Unable_to_resolve_value_Set_",
            f"A definition for the value Set '{canonical}' could not be found",
        )
    )


def unknown_supplement(canonical: str) -> UnknownTerminology:
    """Return the error for a supplement that is not here."""
    return UnknownTerminology.of(
        Problem(
            "error",
            "not-found",
            "not-found",
            "VALUESET_SUPPLEMENT_MISSING",
            f"Required supplement not found: {canonical}",
        )
    )


def circular(canonical: str, through: str) -> Unanswerable:
    """Return the error for a value set that draws on itself."""
    return Unanswerable.of(
        Problem(
            "error",
            "processing",
            "vs-invalid",
            "VALUESET_CIRCULAR_REFERENCE",
            f"Cyclic reference detected when including {canonical} via [{through}]",
        )
    )


def too_costly(canonical: str, most: int) -> TooCostly:
    """Return the error for an expansion of more than `most` codes."""
    return TooCostly.of(
        Problem(
            "error",
            "too-costly",
            "",
            "VALUESET_TOO_COSTLY",
            f"The value set '{canonical}' has more than {most} codes, the most that are expanded;"
            " ask for a page of it by count and offset, or for a part by filter",
        )
    )


def broken_filter(text: str, expression: str, message_id: str) -> Unanswerable:
    """Return the error for a filter that means nothing."""
    return Unanswerable.of(Problem("error", "invalid", "vs-invalid", message_id, text, expression))
