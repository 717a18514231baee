"""CWE, CE, CNE, CF, IS and ID as CodeableConcept, Coding and code, alone or through a table.

Every coding of the value is kept, each with the system that its name says; a table's answer
stands before them. A Chinese ICD-10 code gets the WHO code that it refines beside it, so that
a search for E11.9 finds E11.900.

Spec: https://hl7.org/fhir/R4/datatypes.html#CodeableConcept; HL7v2 chapter 2A, CWE
"""

from typing import Any

from fhir_hub.hl7v2.datatypes import coding_systems
from fhir_hub.hl7v2.datatypes.context import Coded, Context, Table, unknown_code
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part, reader_of
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity.names import has_han

_FLAGS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
LEFT_OUT = "unmapped-code"  # the issue of a code that R4 has no room for
_HL7 = ("HL70", "HL7-0")
# Of each triple: where code, text, system's name, version and OID stand in a CWE.
_TRIPLES = ((1, 2, 3, 7, 14), (4, 5, 6, 8, 17), (10, 11, 12, 13, 20))


def codings(value: Value, context: Context) -> list[dict[str, Any]]:
    """Return every coding of a value, in order."""
    value = _coded(value)
    said = reader_of(value)
    found: list[dict[str, Any]] = []
    for code_at, text_at, system_at, version_at, oid_at in _TRIPLES:
        code = one_line(part(value, code_at))
        if not code:
            continue
        name = part(value, system_at)
        system = coding_systems.system_of(
            name, context.home or context.facility, part(value, oid_at)
        )
        version = part(value, version_at)
        if system == coding_systems.ICD_10 and coding_systems.is_chinese_icd_10(code):
            system = coding_systems.ICD_10_CN
        elif (edition := coding_systems.chinese_edition(name, code)) is not None:
            system, version = coding_systems.ICD_10_CN, version or edition
        coding = {
            "system": system,
            "version": version,
            "code": code,
            "display": said(value, text_at),
        }
        found.append({name: text for name, text in coding.items() if text})
        if system == coding_systems.ICD_10_CN:
            found += _of_who(code)
    return _with_meanings(found, context) if context.meaning is not unknown_code else found


def _of_who(code: str) -> list[dict[str, Any]]:
    """Return what a Chinese ICD-10 code refines; both of a disease with its manifestation."""
    codes = map(coding_systems.who_icd_10, coding_systems.dagger_and_asterisk(code))
    return [{"system": coding_systems.ICD_10, "code": who} for who in codes if who]


def _with_meanings(found: list[dict[str, Any]], context: Context) -> list[dict[str, Any]]:
    """Return codings with the standard ones of those that a map knows behind them.

    What the sender wrote stays first, marked as what was chosen.
    """
    added: list[dict[str, Any]] = []
    for one in found:
        meant = context.meaning(one["system"], one["code"])
        if meant:
            one["userSelected"] = True
            added += [dict(coding) for coding in meant if coding not in added]
    held = {(one["system"], one["code"]) for one in found}
    return found + [one for one in added if (one.get("system"), one["code"]) not in held]


def ask_meaning(found: list[dict[str, Any]], context: Context) -> None:
    """Take note of a code that is only the sender's own, unless a map says that it has no other."""
    if not found or not all(coding_systems.is_own(one["system"]) for one in found):
        return
    first = found[0]
    if context.meaning(first["system"], first["code"]) is None:
        context.unmapped(first["system"], first["code"], first.get("display", ""))


def _coded(value: Value) -> Value:
    """Return the CWE itself: SPS and the like hold it in their first component."""
    first = value.component(1)
    return first if len(first.components) > 1 and not part(value, 2) else value


def text_of(value: Value) -> str:
    """Return what the sender calls it: original text, else the first text that there is."""
    value = _coded(value)
    code = part(value, 1)
    said = reader_of(value)
    return (
        said(value, 9)
        or said(value, 2)
        or said(value, 5)
        or said(value, 11)
        or ("" if code.isascii() else code)
    )


def codeable_concept(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the CodeableConcept with all codings of a value."""
    found = codings(value, context)
    ask_meaning(found, context)
    return compact({"coding": found, "text": text_of(value)})


def ethnic_group(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Coding of an ethnic group of China that stands for a race (PID-10).

    It does where GB 3304 is named, where its name is Chinese, or by its number in a message of
    China: `BL` alone may be a code of another country's list.
    """
    coded = look_up(value, context.table("EthnicGroup"))
    if coded is None:
        return None
    is_named = has_han(part(value, 1) + part(value, 2) + part(value, 5))
    is_number = part(value, 1).isdigit() and context.country.upper() in ("CHN", "CN", "156")
    is_listed = is_number or any(one["system"] == coded.system for one in codings(value, context))
    return coded.coding() if is_named or is_listed else None


def race(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the CodeableConcept of a race, which an ethnic group of China is none."""
    if ethnic_group(value, context) is not None:
        return None
    return table_codeable_concept(value, context, context.table("Race"))


def ethnicity(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the CodeableConcept of what is no ethnic group that the table lists."""
    if look_up(value, context.table("EthnicGroup")) is not None:
        return None
    if part(value, 2):  # with a name it may be of a country's own list (NHS: H is Indian)
        return codeable_concept(value, context)
    return table_codeable_concept(value, context, context.table("Ethnicity"))


def coding(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the first Coding of a value; one with only a text has only a display."""
    found = codings(value, context)
    return found[0] if found else compact({"display": text_of(value)})


def code(value: Value, context: Context) -> str | None:
    """Return the code as it stands."""
    return one_line(part(value, 1)) or None


def code_text(value: Value, context: Context) -> str | None:
    """Return the value's text: original text, display, else the code."""
    return text_of(value) or part(value, 1) or part(value, 4) or None


def all_text(value: Value, context: Context) -> str | None:
    """Return all that a value says, its components one after the other (CWE[Annotation])."""
    texts = (one_line(part(value, at)) for at in range(1, len(value.components) + 1))
    return ", ".join(text for text in texts if text) or None


def look_up(value: Value, table: Table) -> Coded | None:
    """Return what a table says of a value: the first part that it lists, else its default.

    An open table takes a bare code that it does not list as one of its system, another the codes
    that it names beside. Of a code of an HL7 table its name says no other, unless it is Chinese:
    HL7 has none, so the code is not from there. A Chinese word in the place of the code counts if
    the name beside it has it too: `自费^全自费`, but not `无^青霉素`.
    """
    value = _coded(value)
    is_hl7 = part(value, 3).startswith(_HL7)
    name = part(value, 2)
    if name and not name.isascii() and not is_hl7 and table.knows(name):
        return _by_name(table, name, part(value, 1))
    word = part(value, 1)
    is_other = not word.isascii() and not name.isascii() and word not in name
    for component in (4, 2, 5, 9) if is_other else (1, 4, 2, 5, 9):
        text = part(value, component)
        is_told = component in (1, 4) or not is_hl7 or not text.isascii()
        if text and is_told and table.knows(text):
            return table.get(text)
    if table.is_open or table.others:
        bare = one_line(part(value, 1)) if not part(value, 3) else ""
        if bare and (code := table.taken(bare, part(value, 2))):
            return Coded(code, part(value, 2), table.system)
    return table.default if value else None


def _by_name(table: Table, name: str, code: str) -> Coded | None:
    """Return what a Chinese name means, or its code if that says the same more exactly.

    `IH^皮下注射` is subcutaneous: a hospital's code may be one of HL7's for another.
    """
    named, coded = table.get(name), table.get(code) if table.knows(code) else None
    is_finer = named and coded and coded.code in table.finer.get(named.code, ())
    return coded if is_finer else named


def _looked_up(value: Value, context: Context, table: Table) -> Coded | None:
    """Return what a table says of a value; of a strict sender its code must be HL7's."""
    if context.is_strict and (code := part(_coded(value))) and not table.is_standard(code):
        context.issue("foreign-code", f"a code is not one that HL7 has for {table.name}")
    return look_up(value, table)


def _mapped(value: Value, context: Context, table: Table) -> Coded | None:
    """Return what a ConceptMap says of a sender's own code that a table does not list.

    It counts where it leads to a code that the table gives, or to one of HL7's that the table
    lists: what R4 does not have there is never put. A code that no map knows becomes a task.
    """
    found = codings(value, context)
    given = {row.code for row in table.rows.values()}
    for one in found:
        is_known = coding_systems.is_own(one["system"])
        for meant in context.meaning(one["system"], one["code"]) or () if is_known else ():
            system, code = meant["system"], meant["code"]
            if system == table.system and code in given:
                return Coded(code, meant.get("display", ""), system)
            if system.startswith(coding_systems.V2) and table.knows(code):
                return table.get(code)
    if table.default is None or not table.is_standard(part(_coded(value))):
        ask_meaning(found, context)
    return None


def table_code(value: Value, context: Context, table: Table) -> str | None:
    """Return the code that a table has for a value; `None` with an issue where it has none."""
    coded = _looked_up(value, context, table)
    if coded is table.default:
        coded = _mapped(value, context, table) or coded
    if coded is None and (part(value, 1) or part(value, 2)):
        context.issue(LEFT_OUT, f"table {table.name} does not know a code; it was left out")
    return coded.code if coded else None


def table_coding(value: Value, context: Context, table: Table) -> dict[str, Any] | None:
    """Return the Coding that a table has, else the sender's own unless no other may be."""
    coded = _looked_up(value, context, table) or _mapped(value, context, table)
    if coded is None and table.is_closed:
        return None
    return _coding_of(coded, value, context) if coded else coding(value, context)


def _coding_of(coded: Coded, value: Value, context: Context) -> dict[str, Any]:
    """Return a table's Coding; by the standard's tables a flag that stays gets no display.

    It has that of the sender, unless this is of another code system or the code once more.
    """
    if context.by_table and coded.system == _FLAGS and coded.code == part(value, 1):
        said, system = part(value, 2), part(value, 3)
        if said == coded.code:
            return coded.coding()
        if not said or not system or system in ("HL70078", "HL7-0078"):
            return compact({"system": coded.system, "code": coded.code, "display": said}) or {}
    return coded.coding()


def table_codeable_concept(value: Value, context: Context, table: Table) -> dict[str, Any] | None:
    """Return the CodeableConcept of a table's coding and the sender's own behind it.

    A row's `also` holds further codings (the Chinese one next to the international). Of the
    sender's own, a bare code that the table translates is dropped: it says the same, or it becomes
    what the table has for it. Where the standard's tables are followed every coding of CWE stays.
    """
    coded = _looked_up(value, context, table)
    if table.is_closed and coded is table.default:
        coded = _mapped(value, context, table) or coded
    if coded is None and table.is_closed:
        context.issue(LEFT_OUT, f"table {table.name} does not know a code; it was left out")
        return None
    if coded is None:
        return codeable_concept(value, context)
    found = [_coding_of(coded, value, context), *coded.properties.get("also", ())]
    listed = {(one.get("system"), one.get("code")) for one in found}
    for own in codings(value, context):
        if _is_spelled_otherwise(own, coded, table):
            found[0] = {**own, **found[0]}
            continue
        told: list[dict[str, Any]] = [own]
        if table.knows(own["code"]) and _is_bare(own["system"], context):
            meant = _translated(own, table)
            is_kept = context.by_table and "display" in own
            told = [*([meant] if meant else ()), *(told if is_kept else ())]
        for one in told:
            if (key := (one["system"], one["code"])) not in listed:
                listed.add(key)
                found.append(one)
    return compact({"coding": found, "text": text_of(value) or _called(found)})


def _is_spelled_otherwise(own: dict[str, Any], coded: Coded, table: Table) -> bool:
    """Say whether a coding is the table's own answer in other letters (`ZH` for `zh`)."""
    if own["system"] != coded.system or own["code"] == coded.code:
        return False
    meant = table.get(own["code"]) if table.knows(own["code"]) else None
    return meant is not None and meant.code == coded.code


def _translated(own: dict[str, Any], table: Table) -> dict[str, Any] | None:
    """Return the Coding that a table has for one of several codes of a value."""
    coded = table.get(own["code"])
    return coded.coding() if coded and coded.system else None


def _is_bare(system: str, context: Context) -> bool:
    # a code of a v2 table, or without a system, says nothing that the table's answer does not
    home = context.home or context.facility
    return system.startswith(coding_systems.V2) or system == coding_systems.local(home)


def _called(found: list[dict[str, Any]]) -> str:
    """Return what codings are called, in Chinese where one has such a display."""
    displays = [one["display"] for one in found if "display" in one]
    return next((text for text in displays if has_han(text)), displays[0] if displays else "")
