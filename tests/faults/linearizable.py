"""Is a history of a register one that could have been done one after the other?

Wing and Gong: take any call that no other one ended before it began, see whether its answer is
right in the state now, and go on with the rest; states seen before are not tried again. Of a
call without an answer nobody knows whether it was done: it may be taken, at any time after its
begin, or left out.

Spec: Wing, Gong, "Testing and Verifying Concurrent Objects" (1993)
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

FOREVER = float("inf")


class Call(NamedTuple):
    """A call of a client: what, when it began and ended, and what it saw.

    A register holds (version, value); it is (0, "") before it is created. `create` makes version
    1, `write` the next one whatever there is, `swap` the one after `version`, else it is refused:
    then `is_done` is False. `read` saw `version` and `value`. Without an end it is unknown.
    """

    kind: Literal["create", "write", "swap", "read"]
    begin: float
    end: float
    value: str = ""
    version: int = 0
    is_done: bool = True


State = tuple[int, str]


def step(state: State, call: Call) -> State | None:
    """Return the state after a call, None if its answer is wrong in this state."""
    version, value = state
    match call.kind:
        case "read":
            return state if (version, value) == (call.version, call.value) else None
        case "create":
            if call.is_done:
                return (1, call.value) if version == 0 else None
            return state if version else None
        case "swap":
            if call.is_done:
                return (version + 1, call.value) if version == call.version else None
            return state if version != call.version else None
        case "write":
            return (version + 1, call.value)


def is_linearizable(calls: Sequence[Call]) -> bool:
    """Say whether there is an order of the calls that explains every answer."""
    ordered = sorted(calls, key=lambda call: call.begin)
    everything = (1 << len(ordered)) - 1
    known = sum(1 << place for place, call in enumerate(ordered) if call.end < FOREVER)
    seen = set()
    stack: list[tuple[int, State]] = [(0, (0, ""))]
    while stack:
        done, state = stack.pop()
        if done & known == known:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        left = everything & ~done
        first_end = min(call.end for place, call in enumerate(ordered) if left >> place & 1)
        for place, call in enumerate(ordered):
            if call.begin > first_end:
                break
            if left >> place & 1:
                after = step(state, call)
                if after is not None:
                    stack.append((done | 1 << place, after))
    return False
