"""Token: a code and its system, compared as they are.

A `code` element has no system of its own; the one of its binding is understood where the query
is read (`gender=http://hl7.org/fhir/administrative-gender|male`), so the index need not repeat
it. A phone number is also kept by its digits, without the country's prefix and leading zeros.

Spec: https://hl7.org/fhir/R4/search.html#token
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.search.context import Context, Terms
from fhir_hub.search.entry import Entry, entry_of, is_part_name
from fhir_hub.search.kinds import string
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.values import split, unescape
from fhir_hub.search.plan import Among, Is, Test, Text

TEXT, OF_TYPE = "text", "of-type"

Add = Callable[[Any, int, list[Entry]], None]
Aliases = Mapping[str, str]

_NUMBER_SIGNS = str.maketrans("", "", " -().+\t\u00a0\u3000\uff08\uff09\uff0d\uff0b")
_EXTENDED = re.compile(r"(0\d{9,11})-\d{1,6}", re.ASCII)  # an extension of a switchboard (转8012)
_SHORTEST = 5


def adder(parameter: str, fhir_type: str, context: Context) -> Add:
    """Return what adds the entries of one value of the type."""
    return TYPES[fhir_type](parameter, context.aliases)


def _concept(parameter: str, aliases: Aliases) -> Add:
    add_coding, add_text = _coding(parameter, aliases), _text(parameter)

    def add(value: Any, group: int, out: list[Entry]) -> None:
        codings = value.get("coding") if type(value) is dict else None
        if type(codings) is list:
            for coding in codings:
                add_coding(coding, group, out)
        elif type(value) is dict:
            # there is a concept, as text: not `:missing`, and no code that a query could name
            out.append(entry_of((parameter, "token", "", "", None, None, "", group)))
        if type(value) is dict and "text" in value:
            add_text(value["text"], out)

    return add


def _text(parameter: str) -> Callable[[Any, list[Entry]], None]:
    """Return what adds the text beside a code, for `:text`; a part of a composite has none."""
    name, is_part = f"{parameter}:{TEXT}", is_part_name(parameter)

    def add(text: Any, out: list[Entry]) -> None:
        if type(text) is str and not is_part:
            code = string.normalise(text)
            if code:
                out.append(entry_of((name, "string", code, "", None, None, text, 0)))

    return add


def _coding(parameter: str, aliases: Aliases) -> Add:
    add_text = _text(parameter)

    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is not dict:
            return
        code, system = value.get("code", ""), value.get("system", "")
        if code or system:
            system = aliases.get(system, system)
            out.append(entry_of((parameter, "token", code, system, None, None, "", group)))
        if "display" in value:
            add_text(value["display"], out)

    return add


def _identifier(parameter: str, aliases: Aliases) -> Add:
    add_text, is_part = _text(parameter), is_part_name(parameter)
    typed = f"{parameter}:{OF_TYPE}"

    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is not dict:
            return
        code, system = value.get("value", ""), value.get("system", "")
        if code or system:
            system = aliases.get(system, system)
            out.append(entry_of((parameter, "token", code, system, None, None, "", group)))
        kind = value.get("type")
        if type(kind) is not dict or is_part:
            return
        add_text(kind.get("text"), out)
        codings = kind.get("coding")
        for coding in codings if type(codings) is list and code else ():
            if type(coding) is dict:
                both = f"{coding.get('code', '')}|{code}"
                out.append(Entry(typed, "token", both, coding.get("system", "")))

    return add


def _contact(parameter: str, _: Aliases) -> Add:
    def add(value: Any, group: int, out: list[Entry]) -> None:
        written = value.get("value") if type(value) is dict else None
        if type(written) is str:
            out.append(entry_of((parameter, "token", written, "", None, None, "", group)))
            number = telephone(written)
            if number and number != written:
                out.append(entry_of((parameter, "token", number, "", None, None, "", group)))
            if extended := _EXTENDED.fullmatch(written):
                number = telephone(extended[1])
                out.append(entry_of((parameter, "token", number, "", None, None, "", group)))

    return add


def _boolean(parameter: str, _: Aliases) -> Add:
    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is bool:
            code = "true" if value else "false"
            out.append(entry_of((parameter, "token", code, "", None, None, "", group)))

    return add


def _code(parameter: str, _: Aliases) -> Add:
    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is str:
            out.append(entry_of((parameter, "token", value, "", None, None, "", group)))

    return add


def _string(parameter: str, aliases: Aliases) -> Add:
    """Return what adds a text, and its small letters: R4 compares these whatever their case."""
    add_code = _code(parameter, aliases)

    def add(value: Any, group: int, out: list[Entry]) -> None:
        add_code(value, group, out)
        if type(value) is str and (small := value.lower()) != value:
            add_code(small, group, out)

    return add


TYPES: Mapping[str, Callable[[str, Aliases], Add]] = {
    "CodeableConcept": _concept,
    "Coding": _coding,
    "Identifier": _identifier,
    "ContactPoint": _contact,
    "boolean": _boolean,
    "string": _string,
    **dict.fromkeys(("code", "id", "uri"), _code),
}


def telephone(text: str) -> str:
    """Return the digits of a telephone number that tell it from others; empty if it is none.

    >>> telephone("+86 138-0013-8000"), telephone("(021) 6598 0000"), telephone("a@b.example")
    ('13800138000', '2165980000', '')
    """
    digits = text.translate(_NUMBER_SIGNS)
    if not digits.isdecimal() or len(digits) < _SHORTEST:
        return ""
    digits = digits.lstrip("0")
    # 86 and an area code or a mobile number: at least 12 digits, more than any without the prefix
    if digits.startswith("86") and len(digits) > 11:
        digits = digits[2:].lstrip("0")
    return digits


def equals(text: str, meaning: Meaning) -> tuple[Test, ...]:
    """Return what `code`, `system|code`, `|code` or `system|` asks.

    Raises `InvalidResource` for more parts, and for a code that no value can be: of a boolean, or
    of an element with a required binding.

    Spec: https://hl7.org/fhir/R4/search.html#token
    """
    parts = [unescape(part) for part in split(text, "|")]
    if meaning.is_boolean and parts[-1] not in ("true", "false"):
        raise InvalidResource("a value is true or false")
    if meaning.check is not None and parts[-1]:
        meaning.check(parts[-1])
    if len(parts) == 1:
        other = telephone(parts[0]) if meaning.is_contact else ""
        if meaning.is_text:
            other = parts[0].lower()
        return (Is(parts[0]), Is(other)) if other and other != parts[0] else (Is(parts[0]),)
    if len(parts) > 2 or parts == ["", ""]:
        raise InvalidResource("a token is written code, system|code, |code or system|")
    aliases = meaning.context.aliases
    system, code = aliases.get(parts[0], parts[0]), parts[1]
    tests: tuple[Test, ...] = (Is(code or None, system),)
    if system in meaning.implied:
        tests = (*tests, Is(code or None, ""))
    return tests


def of_type(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `:of-type` asks: the system and code of an identifier's type, and its value.

    Raises `InvalidResource` unless all three are there.

    Spec: https://hl7.org/fhir/R4/search.html#token
    """
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise InvalidResource("of-type is written system|code|value")
    return (Is(f"{parts[1]}|{parts[2]}", parts[0]),)


def in_value_set(text: str, meaning: Meaning) -> tuple[Test, ...]:
    """Return what `:in` asks: a code of the value set with this canonical, or of `ValueSet/id`.

    Raises `InvalidResource` for a value set that is not known or too large.

    Spec: https://hl7.org/fhir/R4/search.html#token
    """
    return _among(_terms(meaning).codes(unescape(text)), meaning)


def below(text: str, meaning: Meaning) -> tuple[Test, ...]:
    """Return what `:below` asks: the code, or one that it subsumes; of MIME types `text/xml; …`.

    Spec: https://hl7.org/fhir/R4/search.html#mimetype
    """
    if meaning.is_mime:
        code = unescape(text)
        signs = "; " if "/" in code else "/"  # `text` alone is all of its kind
        return (Is(code), *(Text(code + sign, "starts") for sign in signs))
    return _hierarchy(text, meaning, _terms(meaning).below)


def above(text: str, meaning: Meaning) -> tuple[Test, ...]:
    """Return what `:above` asks: the code, or one that subsumes it."""
    if meaning.is_mime:
        code = unescape(text)
        return tuple(map(Is, dict.fromkeys((code, code.partition(";")[0].strip()))))
    return _hierarchy(text, meaning, _terms(meaning).above)


def _terms(meaning: Meaning) -> Terms:
    if meaning.context.terms is None:
        raise InvalidResource("there is no terminology to ask here")
    return meaning.context.terms


def _hierarchy(
    text: str, meaning: Meaning, walk: Callable[[str, str], Mapping[str, frozenset[str]]]
) -> tuple[Test, ...]:
    parts = [unescape(part) for part in split(text, "|")]
    systems = [parts[0]] if len(parts) == 2 else list(meaning.implied)
    if len(parts) > 2 or not parts[-1] or not all(systems) or not systems:
        raise InvalidResource("a code in a hierarchy is written system|code")
    return tuple(test for system in systems for test in _among(walk(system, parts[-1]), meaning))


def _among(found: Mapping[str, frozenset[str]], meaning: Meaning) -> tuple[Test, ...]:
    """Return what asks for one of the codes, with its system or one that is understood."""
    aliases, tests = meaning.context.aliases, dict[Test, None]()
    for system, codes in found.items():
        tests[Among(codes, aliases.get(system, system))] = None
        if system in meaning.implied:
            tests[Among(codes, "")] = None
    return tuple(tests) or (Among(frozenset()),)


_CODED = ("CodeableConcept", "Coding", "code")

MODIFIERS: Mapping[str, Modifier] = {
    "": Modifier(equals),
    "not": Modifier(equals, is_negated=True),
    TEXT: Modifier(
        string.starts,
        part=TEXT,
        kind="string",
        types=("CodeableConcept", "Coding", "Identifier"),
    ),
    "in": Modifier(in_value_set, types=_CODED),
    "not-in": Modifier(in_value_set, is_negated=True, types=_CODED),
    "below": Modifier(below, types=_CODED),
    "above": Modifier(above, types=_CODED),
    OF_TYPE: Modifier(of_type, part=OF_TYPE, types=("Identifier",)),
}
