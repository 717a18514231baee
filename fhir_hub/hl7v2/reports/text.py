"""A report for people: a line a field, in English and Chinese, without a value of the message.

Spec: DESIGN 5 (nothing lost from a message)
"""

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any
from unicodedata import east_asian_width

from fhir_hub.hl7v2.quirks import CHINESE as QUIRKS
from fhir_hub.hl7v2.reports.reasons import CHINESE

Json = dict[str, Any]
_STATES = MappingProxyType(
    {"mapped": "mapped 已映射", "preserved": "preserved 已保留", "dropped": "dropped 已丢弃"}
)
_NOT_MADE = re.compile(r"(\w+) without (\S+) was not made")


def as_text(report: Json) -> str:
    """Return the report as lines of text, a paragraph a message."""
    messages = report.get("messages", [report])
    told = ["\n".join(_lines(one)) for one in messages]
    if faults := report.get("batch", {}).get("faults"):
        told.append("\n".join(f"! batch 批次: {one['text']} / {one['chinese']}" for one in faults))
    return "\n\n".join(told) + "\n"


def _lines(report: Json) -> Iterator[str]:
    if refused := report.get("refused"):
        yield from (f"! refused 无法转换: {one['diagnostics']}" for one in refused)
        return
    message, counts = report["message"], report["counts"]
    sender = "@".join(filter(None, (message.get("application"), message.get("facility"))))
    about = (message["type"], message["structure"], message["version"], message["controlId"])
    yield " ".join(filter(None, (*about, f"({sender})" if sender else "")))
    if senders := report.get("senders"):
        yield f"senders' files / 发送方配置: {', '.join(senders)}"
    yield " · ".join(f"{shown} {counts[state]}" for state, shown in _STATES.items())
    fields = report["fields"]
    widest = max((len(_place(one)) for one in fields), default=0)
    for one in fields:
        state = _STATES[one["state"]]
        told = " · ".join(
            filter(None, (", ".join(one.get("to", ())), _both(one.get("reason", ""))))
        )
        yield f"  {_place(one):{widest}}  {state}{' ' * (17 - _columns(state))}{told}"
    if left := report.get("left_out"):
        much = f"{left['segments']} segments 段, {left['fields']} fields 字段"
        yield f"  ! left out 未列出: {much} ({', '.join(left['where'])}): {_both(left['reason'])}"
    for one in report.get("issues", ()):
        name = f"{one['code']} {QUIRKS.get(one['code'], '')}".rstrip()
        yield f"  ! {name}: {one['text']} ({', '.join(one.get('paths', ())) or '-'})"
    for one in report.get("invalid", ()):
        yield f"  ! invalid 不合规范: {', '.join(one.get('expression', ()))} {one['diagnostics']}"


def _place(one: Json) -> str:
    return f"{one['segment']:>3} {one['path']}"


def _both(reason: str) -> str:
    if match := _NOT_MADE.fullmatch(reason):
        return f"{reason} / {match[1]} 缺少 {match[2]}, 未生成"
    return f"{reason} / {CHINESE[reason]}" if reason in CHINESE else reason


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
