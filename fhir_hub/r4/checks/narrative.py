"""Narrative: XHTML that a browser may show, without anything that runs.

The text is parsed, not searched for bad words, because what a pattern misses is what an attacker
writes. Only the elements that R4 names are let through; no event attributes, no addresses that
run, no document type (so no entities but XML's five).

Spec: https://hl7.org/fhir/R4/narrative.html
"""

import re
from typing import Any
from xml.parsers import expat

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NONE, Issues, Scope, wrong_kind

_XHTML = "http://www.w3.org/1999/xhtml"
_ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd dfn"
        " div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li map ol p pre q samp small span strong sub"
        " sup table tbody td tfoot th thead tr tt ul var",
    )
)
_ADDRESSES = frozenset(("href", "src", "cite", "longdesc", "usemap"))
_RUNNING = ("javascript:", "vbscript:", "data:")


class _Refused(Exception):
    """The narrative holds what it must not; the text says what to do."""


class _Reader:
    """The state of one parse: whether anything visible was met, and that the root is right."""

    def __init__(self) -> None:
        self.is_visible = False
        self._is_root = True

    def read(self, text: str) -> None:
        """Parse `text`; raises `_Refused` or `expat.ExpatError`."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._characters
        parser.Parse(text, True)

    def _instruction(self, *_: object) -> None:
        raise _Refused("take processing instructions out of the narrative")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, tag = name.rpartition(" ")
        if namespace != _XHTML:
            raise _Refused(f'put every element of the narrative in xmlns="{_XHTML}"')
        if self._is_root and tag != "div":
            raise _Refused("begin the narrative with <div>")
        self._is_root = False
        if tag not in _ELEMENTS:
            raise _Refused("use only the elements that R4 allows: no scripts, forms, frames, links")
        self.is_visible = self.is_visible or tag == "img"
        for attribute, value in attributes.items():
            _check_attribute(tag, attribute.lower(), value)

    def _characters(self, text: str) -> None:
        self.is_visible = self.is_visible or not text.isspace()


def _check_attribute(tag: str, attribute: str, value: str) -> None:
    if attribute.startswith("on"):
        raise _Refused("take event attributes out of the narrative")
    if attribute in _ADDRESSES:
        address = "".join(c for c in value if c > " ").lower()
        if address.startswith(_RUNNING) and not (
            tag == "img" and attribute == "src" and address.startswith("data:image/")
        ):
            raise _Refused("take addresses that run scripts out of the narrative")


def narrative(value: Any, scope: Scope) -> Issues:
    """Return the issues of `Narrative.div`: not XHTML, not safe (txt-1), or empty (txt-2)."""
    if type(value) is not str:
        return wrong_kind("a string", value)
    if not value.startswith("<div"):  # so no document type either: it would come before
        return [Issue("invalid", "begin the narrative with <div")]
    reader = _Reader()
    try:
        reader.read(value)
    except _Refused as error:
        return [Issue("invariant", f"{error} (txt-1)")]
    except (expat.ExpatError, ValueError):
        advice = "write the narrative as well-formed XHTML, without named entities such as &nbsp;"
        return [Issue("invalid", advice)]
    if not reader.is_visible:
        return [Issue("invariant", "put some text in the narrative (txt-2)")]
    return NONE
