"""Narrative: a section as a table in XHTML, its words in Chinese and English.

Spec: https://hl7.org/fhir/R4/narrative.html
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from xml.sax.saxutils import escape

from fhir_hub.documents.wording import Row

_XHTML = "http://www.w3.org/1999/xhtml"
_HEADS = ("项目 / Item", "内容 / Detail", "时间 / When", "机构 / Institution")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def table(rows: Sequence[Row], notes: Iterable[str] = ()) -> dict[str, Any]:
    """Return the Narrative of these rows, with the notes below them."""
    head = "".join(f"<th>{one}</th>" for one in _HEADS)
    body = "".join(
        "<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    shown = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    return narrative(shown + "".join(f"<p>{text(note)}</p>" for note in notes))


def narrative(inner: str) -> dict[str, Any]:
    """Return a generated Narrative around XHTML that is safe already."""
    return {"status": "generated", "div": f'<div xmlns="{_XHTML}">{inner}</div>'}


def text(value: str) -> str:
    """Return a text as XHTML holds it, without the characters that XML has no place for."""
    return escape(_NOT_XML.sub("�", value)).replace("\r", "").replace("\n", "<br/>")
