r"""A field's value on its way out: components of subcomponents, and how they become ER7.

Everything is escaped as characters, before the message is encoded: so no byte of a GBK
ideograph is ever taken for a delimiter. A line break becomes `\.br\`; other control characters,
which would end a segment or a block, are left out.

Spec: HL7v2 chapter 2, 2.5 (delimiters), 2.7 (escape sequences)
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from fhir_hub.hl7v2.parsing.er7 import Encoding

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
# A component: its text, or the texts of its subcomponents.
Component = str | Sequence[str]
# One repetition of a field.
Written = list[Component]


def subcomponents(component: Component) -> list[str]:
    """Return the texts of a component's subcomponents."""
    return [component] if isinstance(component, str) else list(component)


def is_empty(written: Iterable[Component]) -> bool:
    """Say whether there is nothing in a value."""
    return not any(any(subcomponents(component)) for component in written)


def trimmed(written: Written) -> Written:
    """Return the value without empty components at its end."""
    last = max(
        (at for at, one in enumerate(written, start=1) if any(subcomponents(one))), default=0
    )
    return written[:last]


def escape(text: str, encoding: Encoding) -> str:
    r"""Return `text` as it may stand in a message.

    >>> escape("10^9/L", Encoding())
    '10\\S\\9/L'
    """
    if text.isalnum():
        return text
    mark = encoding.escape
    marks = {
        encoding.field: f"{mark}F{mark}",
        encoding.component: f"{mark}S{mark}",
        encoding.subcomponent: f"{mark}T{mark}",
        encoding.repetition: f"{mark}R{mark}",
        mark: f"{mark}E{mark}",
        "\n": f"{mark}.br{mark}",
    }
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        marks.get(sign, sign)
        for sign in text
        if sign in marks or sign == "\t" or unicodedata.category(sign) != "Cc"
    )


def render(written: Written, encoding: Encoding) -> str:
    """Return one repetition of a field as ER7."""
    components = []
    for component in trimmed(written):
        parts = [escape(part, encoding) for part in subcomponents(component)]
        while parts and not parts[-1]:
            parts.pop()
        components.append(encoding.subcomponent.join(parts))
    return encoding.component.join(components)


def in_ascii(text: str, encoding: Encoding) -> str:
    r"""Return a message with what ASCII lacks as `\X..\` of its bytes in UTF-8.

    >>> in_ascii("PID|1||7||沈", Encoding())
    'PID|1||7||\\XE6B288\\'
    """
    mark = encoding.escape
    return _BEYOND_ASCII.sub(lambda run: f"{mark}X{run[0].encode().hex().upper()}{mark}", text)
