"""A resource from its JSON to XML: the same elements in the definitions' order.

XML says in an attribute what JSON says as a value, and keeps a primitive's extensions in the
element where JSON has them beside it (`_birthDate`). Numbers keep their digits, the narrative
is written as it is.

Spec: https://hl7.org/fhir/R4/xml.html
"""

import html.entities
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_hub.errors import NotAcceptable
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.element_names import ElementNames

Json = Mapping[str, Any]

NAMESPACE = "http://hl7.org/fhir"
_unwritable = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]").search
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    | {sign: f"&#{ord(sign)};" for sign in "\t\n\r"}
)
_named_entity = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_tag = re.compile(r"(<[^?!][^>]*>)")
_OF_XML = ("amp", "lt", "gt", "quot", "apos")


class _Key(NamedTuple):
    """What a JSON key stands for: its place among its fellows, whether primitive, what is in it."""

    order: int
    is_primitive: bool
    inside: str
    type: str


class XmlWriter:
    """Writes resources; what it learns of a type it keeps."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._names = ElementNames(definitions)
        self._keys: dict[tuple[str, str], _Key] = {}

    def write(self, resource: Json) -> bytes:
        """Return the resource as XML in UTF-8, on one line.

        Raises `NotAcceptable` for a text with a character that XML cannot hold.
        """
        out = ['<?xml version="1.0" encoding="UTF-8"?>']
        self._resource(resource, f' xmlns="{NAMESPACE}"', out)
        return "".join(out).encode()

    def _resource(self, resource: Json, namespace: str, out: list[str]) -> None:
        name = resource["resourceType"]
        out.append(f"<{name}{namespace}>")
        self._children(resource, name, ("resourceType",), out)
        out.append(f"</{name}>")

    def _children(
        self, value: Json, where: str, attributes: tuple[str, ...], out: list[str]
    ) -> None:
        names = dict.fromkeys(name.removeprefix("_") for name in value if name not in attributes)
        known = [(self._key(where, name), name) for name in names]
        for key, name in sorted(known, key=lambda pair: pair[0].order):
            plain, more = value.get(name), value.get(f"_{name}")
            if isinstance(plain, list) or isinstance(more, list):
                values, extras = plain or [], more or []
                for number in range(max(len(values), len(extras))):
                    one = values[number] if number < len(values) else None
                    extra = extras[number] if number < len(extras) else None
                    self._element(name, key, one, extra, out)
            else:
                self._element(name, key, plain, more, out)

    def _element(self, name: str, key: _Key, value: Any, more: Any, out: list[str]) -> None:
        if key.type == "xhtml":
            out.append(_narrative(value))
        elif key.is_primitive:
            self._primitive(name, value, more, out)
        elif isinstance(value, dict) and key.type == "Resource":
            out.append(f"<{name}>")
            self._resource(value, "", out)
            out.append(f"</{name}>")
        elif isinstance(value, dict):
            attributes = ("id", "url") if key.inside == "Extension" else ("id",)
            self._open(name, value, attributes, out)
            self._children(value, key.inside, attributes, out)
            out.append(f"</{name}>")

    def _primitive(self, name: str, value: Any, more: Any, out: list[str]) -> None:
        extra: Json = more if isinstance(more, dict) else {}
        shown = {"id": extra["id"]} if "id" in extra else {}
        if value is not None:
            shown["value"] = _text(value)
        self._open(name, shown, ("id", "value"), out)
        if "extension" in extra:
            self._children(extra, "Element", ("id",), out)
            out.append(f"</{name}>")
        else:
            out[-1] = f"{out[-1][:-1]}/>"

    def _open(self, name: str, value: Json, attributes: tuple[str, ...], out: list[str]) -> None:
        shown = "".join(f' {a}="{_escaped(str(value[a]))}"' for a in attributes if a in value)
        out.append(f"<{name}{shown}>")

    def _key(self, where: str, name: str) -> _Key:
        key = self._keys.get((where, name))
        if key is None:
            key = self._keys[where, name] = self._learn(where, name)
        return key

    def _learn(self, where: str, name: str) -> _Key:
        named = self._names.of_key(where, name)
        assert named is not None, f"{where} has no {name}"
        structure = self._definitions.structure(where.partition(".")[0])
        assert structure is not None
        order = list(structure.elements).index(named.element.path)
        inside = self._names.inside(named.element, named.type)
        is_primitive = not inside and named.type != "Resource"
        return _Key(order, is_primitive, inside, named.type)


def indented(content: bytes) -> bytes:
    """Return XML of ours with two blanks a level; the narrative stays as it is."""
    parts = _tag.split(content.decode())
    lines, depth, narrative = [parts[0]], 0, 0
    for tag, text in zip(parts[1::2], parts[2::2], strict=True):
        if tag.startswith("<div") and not tag.endswith("/>"):
            narrative += 1
        if narrative > 1 or (narrative and not tag.startswith("<div")):
            lines[-1] += tag + text
            narrative -= tag == "</div>"
            continue
        depth -= tag.startswith("</")
        lines.append(f"{'  ' * depth}{tag}{text}")
        depth += not (tag.startswith("</") or tag.endswith("/>") or narrative)
    return "\n".join(lines).encode()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | Decimal | str) else ""


def _escaped(text: str) -> str:
    if _unwritable(text):
        raise NotAcceptable("the resource holds a character that XML cannot carry; ask for JSON")
    return text.translate(_ESCAPES)


def _narrative(div: Any) -> str:
    """Return the `div` as it stands; entities that only HTML knows become numbers."""

    def numbered(match: re.Match[str]) -> str:
        point = html.entities.name2codepoint.get(match[1])
        return match[0] if match[1] in _OF_XML or point is None else f"&#{point};"

    if not isinstance(div, str) or _unwritable(div):
        raise NotAcceptable("the narrative holds what XML cannot carry; ask for JSON")
    return _named_entity.sub(numbered, div)
