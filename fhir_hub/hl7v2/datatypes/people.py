"""XPN, XCN, CNN, PPN and CN as HumanName and Practitioner.

A whole Chinese name in one part is split by the table of family names, unless the sender split
it. Pinyin beside a Chinese name is a name of its own, in the alphabetic representation.

Spec: https://hl7.org/fhir/R4/datatypes.html#HumanName; HL7v2 chapter 2A, XPN; DOMAIN 3.4
"""

from typing import Any

from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.identifiers import staff
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.datatypes.times import period, period_of
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity import names

REPRESENTATIONS = {"I": "IDE", "A": "ABC", "P": "SYL"}
_CODES = {"IDE", "ABC", "SYL"}
_NAME = "http://hl7.org/fhir/StructureDefinition/humanname-"
_SURNAMES = ((2, "own-prefix"), (3, "own-name"), (4, "partner-prefix"), (5, "partner-name"))
Json = dict[str, Any]


def human_name(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the HumanName of XPN or PN; two where pinyin stands beside a Chinese name."""
    parts = value.components
    is_of_two = 1 < len(parts) < 10 and not any(parts[2:6])
    if is_of_two and names.is_han(parts[0]) and names.is_han(parts[1]):
        return _of_two(parts[0], parts[1], part(value, 7), part(value, 8), context)
    family, given = _family(value, 1, context), _given(part(value, 2))
    further = _given(part(value, 3))
    rest: Json = {
        "prefix": _list(part(value, 5)),
        "suffix": _list(part(value, 4), part(value, 6), part(value, 14)),
        "use": _use(part(value, 7), context),
    }
    rest |= _by_table(value.component(1), part(value, 11), context)
    if len(value.components) >= 10:
        rest["period"] = period_of(value.component(12), value.component(13), context) or period(
            value.component(10), context
        )
    named = _named(family, given, further, part(value, 8), rest, context)
    if named is None or len(value.components) < 15:
        return named
    called = names.repair(one_line(part(value, 15)))
    if not called:
        return named
    nickname: Json = {"use": "nickname", "given": [called]}
    return [*(named if isinstance(named, list) else [named]), nickname]


def _of_two(family: str, given: str, type_code: str, code: str, context: Context) -> Json:
    """Return the HumanName of a Chinese family and given name: there is nothing to put right."""
    name: Json = {}
    if representation := _representation(code):
        name["extension"] = _extension(representation)
    if use := _use(type_code, context):
        name["use"] = use
    return name | {"text": family + given, "family": family, "given": [given]}


def person_name(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the HumanName of the person in XCN, CNN, PPN or CN."""
    person = inner(value)
    rest: Json = {
        "prefix": _list(part(person, 6)),
        "suffix": _list(part(person, 5), part(person, 21)),
        "use": _use(part(person, 10), context),
    }
    rest |= _by_table(person.component(2), part(person, 18), context)
    if len(person.components) >= 17:
        rest["period"] = period_of(person.component(19), person.component(20), context) or period(
            person.component(17), context
        )
    family, given = _family(person, 2, context), _given(part(person, 3))
    return _named(family, given, _given(part(person, 4)), part(person, 15), rest, context)


def practitioner(value: Value, context: Context) -> Json | None:
    """Return the Practitioner resource of XCN, CNN, NDL, PPN or CN: identifier and name."""
    person = inner(value)
    name = person_name(person, context)
    parts: Json = {
        "identifier": _list(staff(person, context)),
        "name": name if isinstance(name, list) else _list(name),
        "qualification": [{"code": {"text": degree}} for degree in _list(part(person, 7))],
    }
    found = compact(parts)
    return {"resourceType": "Practitioner"} | found if found else None


def reporter(value: Value, context: Context) -> Json | None:
    """Return the Practitioner resource of NDL: the person of its first component."""
    first = value.component(1)
    return practitioner(first if len(first.components) > 1 else value, context)


def coded_practitioner(value: Value, context: Context) -> Json | None:
    """Return the Practitioner resource of a code and a whole name (`D10023^戴慧`)."""
    return practitioner(value, context)


def inner(value: Value) -> Value:
    """Return the person: NDL and an unescaped CNN hold it in their first component."""
    first = value.component(1)
    if len(first.components) > 1 and not part(value, 2):
        return first
    return value


def _named(
    family: str, given: list[str], further: list[str], code: str, rest: Json, context: Context
) -> Json | list[Json] | None:
    representation = _representation(code)
    pinyin = ""
    if family and len(given) == 1 and names.has_han(family) and names.is_latin(given[0]):
        pinyin, given = given[0], []
        context.normalised("unsplit-name", "pinyin stands where a given name belongs")
    if not given and not further and (split := names.split(family)):
        if family != split.family:
            context.normalised("unsplit-name", "a whole name stands where a family name belongs")
            family, given = split.family, [split.given]
        representation = representation or ("IDE" if pinyin else "")
    text = _text(family, given + further, representation)
    if not text:
        return None if not rest.get("prefix") else compact(rest)
    if names.is_damaged(text):
        context.issue("damaged-name", "a character of a name was lost on the way")
    extension = [*_extension(representation), *rest.get("extension", ())]
    parts = {"extension": extension, "use": rest["use"], "text": text}
    parts |= {"family": family, "given": given + further} if given or further else _alone(family)
    name = compact(parts | {key: rest.get(key) for key in ("prefix", "suffix", "period")}) or {}
    if "_family" in rest and "family" in name:
        name["_family"] = rest["_family"]
    if not pinyin:
        return name
    alphabetic = {"extension": _extension("ABC"), "use": rest["use"], "text": pinyin}
    return [name, compact(alphabetic) or {}]


def _by_table(family: Value, order: str, context: Context) -> Json:
    """Return what the standard's table has beside a name: FN.2 to FN.5, and its parts' order."""
    if not context.by_table:
        return {}
    said = [
        {"url": f"{_NAME}{name}", "valueString": text}
        for at, name in _SURNAMES
        if (text := one_line(part(family, at)))
    ]
    found: Json = {"_family": {"extension": said}} if said else {}
    if order in ("F", "G"):
        found["extension"] = [{"url": f"{_NAME}assembly-order", "valueCode": order}]
    return found


def _representation(code: str) -> str:
    return REPRESENTATIONS.get(code.upper(), code if code in _CODES else "")


def _alone(text: str) -> Json:
    # A family name alone is one only if it can be no whole name: 李, 欧阳, Smith.
    whole = names.has_han(text) and len(text) > 1 and not names.is_compound(text)
    return {} if whole else {"family": text}


def _extension(representation: str) -> list[Json]:
    return [{"url": names.REPRESENTATION, "valueCode": representation}] if representation else []


def _text(family: str, given: list[str], representation: str) -> str:
    if names.has_han(family + "".join(given)):
        return family + "".join(given)
    ordered = [family, *given] if representation == "ABC" else [*given, family]
    return " ".join(piece for piece in ordered if piece)


def _family(value: Value, component: int, context: Context) -> str:
    text = names.repair(one_line(part(value, component)))
    if text and names.is_han(text.replace(" ", "")):
        return text.replace(" ", "")
    # FN.2 is part of the name here; the standard's table has it as an extension.
    prefix = "" if context.by_table else part(value, component, 2)
    return f"{prefix} {text}" if prefix and text and not text.startswith(prefix) else text


def _given(text: str) -> list[str]:
    text = names.repair(one_line(text))
    return [text.replace(" ", "") if names.is_han(text.replace(" ", "")) else text] if text else []


def _use(type_code: str, context: Context) -> str:
    coded = context.table("NameUse").get(type_code) if type_code else None
    return coded.code if coded else ""


def _list(*parts: Any) -> list[Any]:
    return [part for part in parts if part]
