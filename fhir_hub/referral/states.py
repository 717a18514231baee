"""The states of a referral and what leads from one to the next: one table.

A referral's Task has a `status` of R4 and a `businessStatus`: of BSeR (harmonised with IHE 360X)
and four of our own, for what Chinese practice adds. `STEPS` is every transition with who may do
it and what it needs; whatever is no row is refused, with the events that are allowed.

Spec: https://hl7.org/fhir/R4/task.html#statemachine; DOMAIN 2.4, 2.5
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from fhir_hub.referral.reading import at, codings

BSER = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
LOCAL = "https://fhir-hub.example/CodeSystem/referral-business-status"
PROFILE = "https://fhir-hub.example/StructureDefinition/cn-referral-task"

Actor = Literal["requester", "owner", "either", "hub"]
Need = Literal[
    "reason", "question", "outcome", "complete referral", "another owner", "nothing done"
]


class State(NamedTuple):
    """A state: its name, `Task.status`, and `Task.businessStatus` (system, code, text)."""

    name: str
    status: str
    system: str = ""
    code: str = ""
    text: str = ""

    @property
    def business_status(self) -> dict[str, Any] | None:
        """Return the state as a CodeableConcept, None for one that has no business status."""
        if not self.code:
            return None
        return {"coding": [{"system": self.system, "code": self.code}], "text": self.text}


class Step(NamedTuple):
    """An event: who may do it, from which states, to which, and what it needs."""

    event: str
    actor: Actor
    sources: tuple[str, ...]
    target: str
    needs: tuple[Need, ...] = ()


NONE = ""  # the state of a Task that is not there yet

STATES = {
    state.name: state
    for state in (
        State("draft", "draft"),
        State("audit", "draft", LOCAL, "cn-audit", "待审核"),
        State("requested", "requested", BSER, "2.0", "已提交，待接收"),
        State("received", "received", BSER, "2.0", "已送达，待接收"),
        State("info-requested", "received", LOCAL, "cn-info-requested", "退回补充"),
        State("accepted", "accepted", BSER, "3.0", "已接收"),
        State("under way", "in-progress", BSER, "5.1", "已预约或就诊中"),
        State("scheduled", "in-progress", BSER, "5.1.1", "已预约"),
        State("unattended", "in-progress", BSER, "5.1.2", "未到"),
        State("appointment cancelled", "in-progress", BSER, "5.1.3", "预约已取消"),
        State("seen", "in-progress", BSER, "5.1.4", "就诊已完成"),
        State("arrived", "in-progress", LOCAL, "cn-arrived", "已到诊"),
        State("cancellation requested", "in-progress", BSER, "5.2", "请求取消"),
        State("rejected", "rejected", BSER, "4.0", "已拒绝"),
        State("cancelled", "cancelled", BSER, "6.0", "已取消"),
        State("expired", "cancelled", LOCAL, "cn-expired", "已过期"),
        State("completed", "completed", BSER, "7.0", "已完成"),
        State("entered in error", "entered-in-error"),
    )
}
TERMINAL = frozenset(("rejected", "cancelled", "expired", "completed", "entered in error"))
OPEN = frozenset(STATES) - TERMINAL
BOOKED = ("under way", "scheduled", "unattended", "appointment cancelled", "seen", "arrived")
_WAITING = ("requested", "received")
ALIVE = ("accepted", *BOOKED)

STEPS = (
    Step("draft", "requester", (NONE,), "draft"),
    Step("submit-for-audit", "requester", (NONE, "draft"), "audit"),
    Step("return-from-audit", "requester", ("audit",), "draft"),
    Step("submit", "requester", (NONE, "draft", "audit"), "requested", ("complete referral",)),
    Step("deliver", "hub", ("requested",), "received"),
    Step("accept", "owner", (*_WAITING, "info-requested"), "accepted"),
    Step("decline", "owner", (*_WAITING, "info-requested", *ALIVE), "rejected", ("reason",)),
    Step("return", "owner", _WAITING, "info-requested", ("question",)),
    Step("supplement", "requester", ("info-requested",), "received"),
    Step(
        "transfer",
        "either",
        (*_WAITING, "info-requested", "accepted"),
        "requested",
        ("reason", "another owner", "complete referral"),
    ),
    Step("begin", "owner", ("accepted",), "under way"),
    Step(
        "book",
        "either",
        (*_WAITING, "accepted", "under way", "unattended", "appointment cancelled", "seen"),
        "scheduled",
    ),
    Step(
        "cancel-appointment",
        "owner",
        ("accepted", "under way", "scheduled", "unattended", "seen"),
        "appointment cancelled",
    ),
    Step("no-show", "owner", (*_WAITING, "accepted", "scheduled", "under way"), "unattended"),
    Step("arrive", "owner", ("accepted", "under way", "scheduled", "unattended"), "arrived"),
    Step("visit", "owner", ("accepted", "under way", "scheduled", "arrived"), "seen"),
    Step("outcome", "owner", (*ALIVE, "cancellation requested"), "completed", ("outcome",)),
    Step(
        "cancel",
        "requester",
        ("draft", "audit", *_WAITING, "info-requested"),
        "cancelled",
        ("reason",),
    ),
    Step("request-cancellation", "requester", ALIVE, "cancellation requested", ("reason",)),
    Step("confirm-cancellation", "owner", ("cancellation requested",), "cancelled"),
    *(Step("refuse-cancellation", "owner", ("cancellation requested",), back) for back in ALIVE),
    Step("expire", "hub", (*_WAITING, "info-requested", "accepted"), "expired"),
    Step(
        "enter-in-error",
        "requester",
        tuple(sorted(OPEN - {"arrived", "seen"})),
        "entered in error",
        ("nothing done",),
    ),
)

_TABLE = {(source, step.target): step for step in STEPS for source in step.sources}
_BY_CODE = {
    (state.status, state.system, state.code): state for state in STATES.values() if state.code
}
_OF_STATUS = {
    "draft": "draft",
    "requested": "requested",
    "received": "received",
    "accepted": "accepted",
    "in-progress": "under way",
    "rejected": "rejected",
    "cancelled": "cancelled",
    "completed": "completed",
    "entered-in-error": "entered in error",
}
_OF_CODE = {
    (state.system, state.code): state
    for state in reversed(STATES.values())  # of the two of 2.0 the first
    if state.code
}


def step(source: str, target: str) -> Step | None:
    """Return the row that leads from one state to another, None if there is none."""
    return _TABLE.get((source, target))


def allowed(source: str) -> tuple[str, ...]:
    """Return the events that a state allows, in the order of the table."""
    return tuple(dict.fromkeys(row.event for row in STEPS if source in row.sources))


def business_code(task: Mapping[str, Any]) -> tuple[str, str]:
    """Return system and code of a Task's business status that is a referral's, else two empty."""
    found = (key for key in codings(task.get("businessStatus")) if key in _OF_CODE)
    return next(found, ("", ""))


def is_referral(task: Mapping[str, Any]) -> bool:
    """Say whether a Task is the state of a referral: by its profile or its business status."""
    return PROFILE in (at(task, "meta", "profile") or ()) or business_code(task) != ("", "")


def state_of(task: Mapping[str, Any]) -> State | None:
    """Return the state of a referral's Task, None if its two statuses do not go together."""
    status = str(task.get("status", ""))
    system, code = business_code(task)
    if not code or status == "entered-in-error":
        return STATES.get(_OF_STATUS.get(status, ""))
    return _BY_CODE.get((status, system, code))


def state_meant(before: Mapping[str, Any] | None, task: Mapping[str, Any]) -> State | None:
    """Return the state that a client means who may have changed one of the two statuses alone.

    None if both are given and do not go together.
    """
    status, code = str(task.get("status", "")), business_code(task)
    old_status = "" if before is None else before.get("status", "")
    old_code = ("", "") if before is None else business_code(before)
    if code == ("", "") or (status != old_status and code == old_code):
        found = _BY_CODE.get((status, *code))  # requested to received: both are 2.0
        return found or STATES.get(_OF_STATUS.get(status, ""))
    if status == old_status and code != old_code and (status, *code) not in _BY_CODE:
        return _OF_CODE.get(code)
    return _BY_CODE.get((status, *code))
