"""A search modifier as a row of a table: how it reads a value, and what it asks of the answer.

Each parameter type has its table, `MODIFIERS`, with `""` for no modifier; the type's readers
stand beside it. `:missing` and a reference's `:Type` mean the same everywhere and have no row.

Spec: https://hl7.org/fhir/R4/search.html#modifiers
"""

from collections.abc import Callable
from typing import NamedTuple

from fhir_hub.search.context import Context
from fhir_hub.search.entry import Kind
from fhir_hub.search.plan import Test


class Meaning(NamedTuple):
    """What a value's meaning depends on, besides its text.

    `targets` are the types that a reference may point at, `implied` the systems that a code
    need not name; `is_contact` says that the parameter's values are contact points, `is_boolean`
    that they are true or false, `is_mime` that they are MIME types, `is_text` that they are texts,
    which are compared whatever their case. `check` raises `InvalidResource` for a code that none of
    them can be; None if any may be.
    """

    context: Context
    targets: tuple[str, ...] = ()
    implied: tuple[str, ...] = ()
    is_contact: bool = False
    is_boolean: bool = False
    is_mime: bool = False
    is_text: bool = False
    check: Callable[[str], None] | None = None


Reader = Callable[[str, Meaning], tuple[Test, ...]]


class Modifier(NamedTuple):
    """`read` returns tests of which one must pass; raises `InvalidResource` for no such value.

    With `is_negated` none may pass. `part` names entries that stand under `parameter:part`, of
    the kind `kind`. `types` are the FHIR types that the modifier is for; none: all.
    """

    read: Reader
    is_negated: bool = False
    part: str = ""
    kind: Kind = "token"
    types: tuple[str, ...] = ()
