"""The table of parameter types: which FHIR types each reads, how it indexes, its modifiers.

Spec: https://hl7.org/fhir/R4/search.html#ptypes
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from fhir_hub.search.context import Context
from fhir_hub.search.entry import Entry, Kind
from fhir_hub.search.kinds import date, number, position, quantity, reference, string, token, uri
from fhir_hub.search.kinds.modifier import Modifier

Add = Callable[[Any, int, list[Entry]], None]


class Rules(NamedTuple):
    """One parameter type. `adder(parameter, FHIR type, context)` returns what adds the entries."""

    types: Collection[str]
    adder: Callable[[str, str, Context], Add]
    modifiers: Mapping[str, Modifier]


KINDS: Mapping[Kind, Rules] = {
    "token": Rules(token.TYPES, token.adder, token.MODIFIERS),
    "string": Rules(string.TYPES, string.adder, string.MODIFIERS),
    "date": Rules(date.TYPES, date.adder, date.MODIFIERS),
    "number": Rules(number.TYPES, number.adder, number.MODIFIERS),
    "quantity": Rules(quantity.TYPES, quantity.adder, quantity.MODIFIERS),
    "reference": Rules(reference.TYPES, reference.adder, reference.MODIFIERS),
    "special": Rules(position.TYPES, position.adder, position.MODIFIERS),
    "uri": Rules(uri.TYPES, uri.adder, uri.MODIFIERS),
}
