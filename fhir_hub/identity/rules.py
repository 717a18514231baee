"""Which identifiers of China can be right: one rule a system, asked by the checks of `profiles`.

An alias of a system has the rule of the system. A number that its sender marks as not to be relied
on (`use` temp or old) is kept with a warning: a feed reports what a clerk typed, and a number that
is known to be wrong says more than none. Nothing of the number itself is told.

Spec: GB 11643-1999; GB 32100-2015; GB 11714-1997; WS 218-2002; DOMAIN 3.1, 3.2
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.identity import institution_code, resident_id, systems, uscc
from fhir_hub.r4.checks.site_rules import IdentifierRule

Json = Mapping[str, Any]
_PEOPLE = ("Patient", "Person", "Practitioner", "RelatedPerson")
_UNSURE = ("temp", "old")
_REASONS = MappingProxyType(
    {
        "length": ("a resident ID has 18 characters, an old one 15", "身份证号应为18位或15位"),
        "characters": ("a resident ID is 17 digits and a digit or X", "身份证号含有非法字符"),
        "filler": ("this is no person's number: leave it out", "请勿填写占位号码"),
        "province": ("no province has this number", "身份证号省份代码不存在"),
        "birth-date": ("the birth date in the number is none", "身份证号中的出生日期无效"),
        "check-character": ("the check character is wrong: read it again", "身份证号校验码错误"),
    }
)
_CONTRADICTIONS = MappingProxyType(
    {
        "birthDate": ("the resident ID says another birth date", "出生日期与身份证号不一致"),
        "gender": ("the resident ID says another sex", "性别与身份证号不一致"),
    }
)


def check_resident_id(identifier: Json, resource: Json | None) -> list[Issue]:
    """Return why a resident ID cannot be right, and what it says otherwise than its resource.

    A province that never was is a warning: numbers are older than every list of them.
    """
    if not _text(identifier):
        return []
    number = resident_id.examine(_text(identifier))
    if not number.is_valid:
        issues = []
        for reason in number.reasons:
            is_warning = reason == "province" or identifier.get("use") in _UNSURE
            severity = "warning" if is_warning else "error"
            english, chinese = _REASONS[reason]
            issues.append(Issue("value", english, ".value", severity, chinese))
        return issues
    if resource is None or resource.get("resourceType") not in _PEOPLE:
        return []
    denied = resident_id.contradictions(
        number, str(resource.get("birthDate", "")), str(resource.get("gender", ""))
    )
    return [
        Issue("business-rule", english, name, "warning", chinese)
        for name in denied
        for english, chinese in [_CONTRADICTIONS[name]]
    ]


def check_uscc(identifier: Json, resource: Json | None) -> list[Issue]:
    """Return why a unified social credit code cannot be right."""
    if not _text(identifier) or uscc.is_valid(_text(identifier)):
        return []
    english = "the check character of the unified social credit code is wrong"
    return [Issue("value", english, ".value", _severity(identifier), "统一社会信用代码校验错误")]


def check_institution_code(identifier: Json, resource: Json | None) -> list[Issue]:
    """Return why an institution code cannot be right."""
    reason = institution_code.fault(_text(identifier)) if _text(identifier) else ""
    if not reason:
        return []
    return [Issue("value", reason, ".value", _severity(identifier), "机构代码格式或校验错误")]


def _text(identifier: Json) -> str:
    return str(identifier.get("value", ""))


def _severity(identifier: Json) -> str:
    return "warning" if identifier.get("use") in _UNSURE else "error"


def _with_aliases(rules: Mapping[str, IdentifierRule]) -> Mapping[str, IdentifierRule]:
    named = {alias: rule for system, rule in rules.items() for alias in systems.aliases(system)}
    return MappingProxyType(named)


IDENTIFIER_RULES = _with_aliases(
    {
        systems.RESIDENT_ID: check_resident_id,
        systems.USCC: check_uscc,
        systems.INSTITUTION_CODE: check_institution_code,
    }
)
