"""Every error that a client may see, and the one place that shows it.

An error is raised where the fault is found, with the element's FHIRPath, and caught only at
the edges: `outcome` makes the OperationOutcome for REST and for bundle entries, `ack_for` the
acknowledgment for HL7v2. So both sides tell the same story of the same fault.

Spec: https://hl7.org/fhir/R4/operationoutcome.html and HL7v2 table 0357.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem: an issue type of R4, what to do about it, and the element's FHIRPath.

    `chinese` is what to do in Chinese; empty where the error's title has to do.
    """

    code: str
    diagnostics: str
    expression: str = ""
    severity: str = "error"
    chinese: str = ""


class Ack(NamedTuple):
    """MSA-1, ERR-3 (table 0357), ERR-2 (`PID-3` as written by us, or empty), and the text."""

    ack_code: str
    error_code: str
    location: str
    text: str


class FhirError(Exception):
    """An error that a client may see. `status` and `code` are its class's.

    `rows` are its issues as they must be shown, for one whose wording others define.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"
    title: ClassVar[tuple[str, str]] = ("Internal error", "内部错误")
    ack: ClassVar[tuple[str, str]] = ("AE", "207")
    rows: tuple[dict[str, Any], ...] = ()

    def __init__(self, diagnostics: str, *issues: Issue, expression: str = "") -> None:
        super().__init__(diagnostics)
        self.issues = issues or (Issue(self.code, diagnostics, expression),)


class InvalidResource(FhirError):
    """The content breaks a rule of R4 or of a profile that it claims."""

    status, code, title = 400, "invalid", ("Invalid content", "内容不符合规范")


class InvalidMessage(FhirError):
    """An HL7v2 message that cannot be taken; `error_code` is of table 0357, `location` a field."""

    status, code, title = 400, "structure", ("Invalid HL7v2 message", "HL7v2 消息无效")

    def __init__(
        self, diagnostics: str, *, error_code: str = "100", location: str = "", ack_code: str = "AE"
    ) -> None:
        super().__init__(diagnostics, expression=location)
        self.ack_code, self.error_code, self.location = ack_code, error_code, location


class UnknownParameter(FhirError):
    """A parameter, modifier or prefix that the server does not know; names the nearest ones."""

    status, code = 400, "not-supported"
    title = ("Unknown parameter", "未知的检索参数")


class InvalidParameter(FhirError):
    """A known parameter whose value cannot be read."""

    status, code, title = 400, "value", ("Invalid parameter value", "检索参数的值无效")


class NotAllowed(FhirError):
    """The principal may not do this."""

    status, code, title = 403, "forbidden", ("Not allowed", "没有权限")
    ack = ("AR", "207")


class NotFound(FhirError):
    """No such resource, version or route."""

    status, code, title = 404, "not-found", ("Not found", "找不到")
    ack = ("AE", "204")


class MethodNotAllowed(FhirError):
    """The address is right, the HTTP method is not; `methods` are those that it takes."""

    status, code, title = 405, "not-supported", ("Method not allowed", "不支持该方法")

    def __init__(
        self, diagnostics: str, methods: Sequence[str] = (), *, expression: str = ""
    ) -> None:
        super().__init__(diagnostics, expression=expression)
        self.methods = tuple(methods)


class NotAcceptable(FhirError):
    """The client asks for a format that the server does not speak."""

    status, code, title = 406, "not-supported", ("Format not available", "不支持该返回格式")


class VersionConflict(FhirError):
    """Somebody else wrote the resource meanwhile."""

    status, code, title = 409, "conflict", ("Conflict", "版本冲突")
    ack = ("AE", "206")


class Contended(VersionConflict):
    """Too many others wrote the same resources at once: trying again may help."""


class NotInThisState(FhirError):
    """The state of a record does not allow this; the text names what it allows."""

    status, code, title = (
        409,
        "business-rule",
        ("Not allowed in this state", "当前状态不允许该操作"),
    )
    ack = ("AE", "207")


class StillReferred(FhirError):
    """A deletion would leave references that point to nothing; the issues say whose."""

    status, code, title = 409, "conflict", ("Still referred to", "仍被其他资源引用")
    ack = ("AE", "207")


class DanglingReference(FhirError):
    """References point to what does not exist or is deleted; the issues say which."""

    status, code, title = 422, "not-found", ("Reference to nothing", "引用的资源不存在")
    ack = ("AE", "204")


class RuleBroken(FhirError):
    """Well formed, and against a rule of the exchange; the issues say what is to be done."""

    status, code, title = 422, "business-rule", ("Against a rule", "违反业务规则")
    ack = ("AE", "207")


class Duplicate(FhirError):
    """Another record has the number of this one, and says something else."""

    status, code, title = 409, "duplicate", ("Number already used", "编号已被使用")
    ack = ("AE", "205")


class PreconditionRequired(FhirError):
    """A write of such a record must say on which version it builds: `If-Match`."""

    status, code = 428, "required"
    title = ("If-Match is needed", "请提供 If-Match 版本")
    ack = ("AE", "206")


class Gone(FhirError):
    """The resource was deleted."""

    status, code, title = 410, "deleted", ("Deleted", "已删除")
    ack = ("AE", "204")


class PreconditionFailed(FhirError):
    """`If-Match` is stale, or a conditional interaction found more than one match."""

    status, code, title = 412, "conflict", ("Precondition failed", "前提条件不满足")
    ack = ("AE", "206")


class TooLarge(FhirError):
    """The body or the message is over the limit of the settings."""

    status, code, title = 413, "too-long", ("Too large", "内容过大")


class UnsupportedMediaType(FhirError):
    """The body is in a format that the server does not speak."""

    status, code, title = 415, "not-supported", ("Format not supported", "不支持该内容格式")


class NotSupported(FhirError):
    """Well formed, and nothing that this server does."""

    status, code, title = 422, "not-supported", ("Not supported", "不支持")
    ack = ("AR", "200")


class CannotApply(FhirError):
    """A patch is well formed and does not fit the resource: a path finds nothing, a test fails."""

    status, code = 422, "processing"
    title = ("The patch does not fit the resource", "补丁不适用于该资源")


class Unavailable(FhirError):
    """The server cannot do it now (shutting down, store not reachable); try again."""

    status, code, title = 503, "transient", ("Try again later", "请稍后重试")
    ack = ("AE", "207")


class Interrupted(FhirError):
    """A process begins to do a message alone: if it ends meanwhile, this is what is known."""

    title = ("Interrupted", "处理曾中断")


class Deadly(FhirError):
    """A message that ended the processes that did it, one after the other."""

    title = (
        "The hub ended each time it did this message",
        "每次处理该消息,平台进程都会终止",
    )
    ack = ("AE", "207")


class Stopped(FhirError):
    """A message that somebody ended by hand before it was done."""

    title = ("Ended by hand", "已由人工终止")
    ack = ("AE", "207")


class OutOfTime(Unavailable):
    """It was tried for as long as its sender waits: trying on is the sender's."""


class Closing(Unavailable):
    """The store is closed: trying again will not help."""


class Fault(Exception):
    """Another process of the hub failed; the text is what its error was, and where."""


def outcome(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the OperationOutcome that show `error`.

    An error that is not a `FhirError` is a fault of ours: status 500 and no detail,
    because the detail may hold patient data. The log has it, under the request id.

    Spec: https://hl7.org/fhir/R4/operationoutcome.html
    """
    known = _known(error)
    if known.rows:
        return known.status, {"resourceType": "OperationOutcome", "issue": list(known.rows)}
    return known.status, outcome_of(known.issues, known.title)


def outcome_of(issues: Iterable[Issue], title: tuple[str, str] = ("", "")) -> dict[str, Any]:
    """Return the OperationOutcome of `issues`; each says what to do in English and in Chinese.

    An issue that has no Chinese of its own has the `title`, if there is one.
    """
    shown = []
    for each in issues:
        texts = (each.diagnostics, each.chinese) if each.chinese else title
        row: dict[str, Any] = {"severity": each.severity, "code": each.code}
        if all(texts):
            row["details"] = {"text": " / ".join(texts)}
        row["diagnostics"] = each.diagnostics
        if each.expression:
            row["expression"] = [each.expression]
        shown.append(row)
    return {"resourceType": "OperationOutcome", "issue": shown}


def told(error: FhirError) -> str:
    """Return what is wrong in one line: the text, and what its issue says of it in Chinese."""
    chinese = error.issues[0].chinese
    return f"{error} / {chinese}" if chinese else str(error)


def ack_for(error: Exception) -> Ack:
    """Return what the acknowledgment says of `error`: AE or AR, the code of table 0357, the field.

    Spec: HL7v2 chapter 2, MSA-1 and ERR-3.
    """
    known = _known(error)
    english, chinese = known.title
    text = f"{english} / {chinese}: {told(known)}"
    if isinstance(known, InvalidMessage):
        return Ack(known.ack_code, known.error_code, known.location, text)
    return Ack(*known.ack, "", text)


def _known(error: Exception) -> FhirError:
    return (
        error if isinstance(error, FhirError) else FhirError("internal error; see the server log")
    )
