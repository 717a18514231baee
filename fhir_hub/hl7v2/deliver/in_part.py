"""What the messages to a partner cannot say, for the log.

That an element has no field is the same in each message: it is named once while a process
delivers. What was cut off of a value that has one is named each time.

Spec: DESIGN 5, promise 5
"""

import re

from fhir_hub.hl7v2.emit.emit import Emitted

_PLACE = re.compile(r"\[\d+\]")  # in a list


class InPart:
    """The elements of one partner's messages that were named."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def reason(self, emitted: Emitted) -> str:
        """Return what to say of a message, `""` if nothing is new; nothing of a patient."""
        elements = dict.fromkeys(_PLACE.sub("[]", one) for one in emitted.left_out)
        new = [one for one in elements if one not in self._named]
        self._named.update(new)
        untold = [f"no field for {', '.join(new)}"] if new else []
        return "; ".join([*emitted.issues, *untold])
