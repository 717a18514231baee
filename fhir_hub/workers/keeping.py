"""The messages of all workers are kept in one line: what is about one patient stays in order.

A patient's messages may come to different workers. While nothing can be written (a full disk) they
wait here, where all come together, in the order in which they came to the machine.
"""

from functools import partial
from typing import Any

from fhir_hub.hl7v2.journal.line import Line
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.store import forward
from fhir_hub.store.open import Backend


class Keeping:
    """Keeps what workers ask to be kept; `patience` is that of the senders."""

    def __init__(self, backend: Backend, patience: Patience) -> None:
        self._backend, self._patience, self._line = backend, patience, Line()

    async def answer(self, value: Any) -> Any:
        """Return the answer to the question `keep`, at once or when it is the message's turn.

        Raises `OutOfTime` when its sender has waited long enough, and what the journal raises.
        """
        place = forward.place(value)
        keep = partial(forward.answer, self._backend, "keep", value)
        return await self._line.keep(place, keep, self._patience.tries(place / 1e9))
