"""A resource from XML to its JSON, by the definitions: they tell lists, numbers and booleans.

The parser is the standard library's expat. A document type is refused, so there are no entities
to expand and nothing outside to fetch. What does not fit the definitions is named with its
place; whether the values are right is for the checks, as with JSON.

Spec: https://hl7.org/fhir/R4/xml.html
"""

import re
from typing import Any
from xml.parsers import expat

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.element_names import ElementNames
from fhir_hub.r4.xml_write import NAMESPACE

Json = dict[str, Any]

_XHTML = "http://www.w3.org/1999/xhtml"
_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance "
_DEPTH = 200
_is_number = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?").fullmatch
_is_whole = re.compile(r"-?(0|[1-9][0-9]{0,17})").fullmatch
_WHOLE = ("integer", "positiveInt", "unsignedInt")


def from_xml(content: bytes, definitions: Definitions) -> Json:
    """Return the resource that the XML document `content` (UTF-8) holds.

    Raises `InvalidResource` for what is not well formed, has a document type, more than 200
    levels, or an element, attribute or text that R4 does not have there.
    """
    return _Reading(content, definitions).resource()


class _Frame:
    """An element that is open: its value so far and, of a primitive, its id and extensions."""

    __slots__ = ("inside", "key", "lists", "more", "path", "type", "value")

    def __init__(self, key: str, path: str, inside: str, fhir_type: str) -> None:
        self.key, self.path, self.inside, self.type = key, path, inside, fhir_type
        self.value: Any = None
        self.more: Json = {}
        self.lists: dict[str, list[tuple[Any, Json]]] = {}


class _Reading:
    """One document as far as it has been read."""

    def __init__(self, content: bytes, definitions: Definitions) -> None:
        self._content, self._definitions = content, definitions
        self._names = ElementNames(definitions)
        self._frames: list[_Frame] = []
        self._done: Json | None = None
        self._narrative_at, self._narrative_depth = 0, 0
        self._parser = parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_doctype

    def resource(self) -> Json:
        try:
            self._content.decode()
            self._parser.Parse(self._content, True)
        except expat.ExpatError as error:
            where = f"line {error.lineno}, column {error.offset}"
            reason = expat.ErrorString(error.code)
            raise InvalidResource(f"not XML: {reason}, {where}") from None
        except UnicodeDecodeError:
            raise InvalidResource("not XML in UTF-8") from None
        assert self._done is not None
        return self._done

    def _refuse_doctype(self, *_: Any) -> None:
        raise InvalidResource("a document type (DOCTYPE) is not allowed in FHIR's XML")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._narrative_depth:
            self._narrative_depth += 1
            return
        if len(self._frames) >= _DEPTH:
            raise InvalidResource("XML is nested too deeply")
        namespace, _, tag = name.rpartition(" ")
        frame = self._open(namespace, tag)
        self._frames.append(frame)
        if frame.type == "xhtml":
            self._narrative_at, self._narrative_depth = self._parser.CurrentByteIndex, 1
            return
        for attribute, text in attributes.items():
            self._attribute(frame, attribute, text)

    def _open(self, namespace: str, tag: str) -> _Frame:
        parent = self._frames[-1] if self._frames else None
        if parent is None or parent.type == "Resource":
            if namespace != NAMESPACE or tag not in self._definitions.resource_types:
                place = parent.path if parent else ""
                message = f"give a resource type of R4 in the namespace {NAMESPACE}"
                raise InvalidResource(message, expression=place)
            if parent is not None and parent.value is not None:
                raise InvalidResource("give one resource here", expression=parent.path)
            frame = _Frame("", parent.path if parent else tag, tag, tag)
            frame.value = {"resourceType": tag}
            return frame
        where = parent.inside or "Element"
        named = self._names.of_key(where, tag)
        wanted = _XHTML if named and named.type == "xhtml" else NAMESPACE
        is_attribute = tag == "id" and "resourceType" not in (parent.value or ())
        if (
            named is None
            or namespace != wanted
            or is_attribute
            or (where == "Extension" and tag == "url")
        ):
            raise InvalidResource(f"there is no element {tag[:60]} here", expression=parent.path)
        inside = self._names.inside(named.element, named.type)
        frame = _Frame(tag, f"{parent.path}.{tag}", inside, named.type)
        if inside:
            frame.value = {}
        if named.element.is_list:
            parent.lists.setdefault(tag, [])
        return frame

    def _attribute(self, frame: _Frame, name: str, text: str) -> None:
        if name.startswith(_SCHEMA) and "resourceType" in (frame.value or ()):
            return  # where a schema lies says nothing about the resource
        if frame.inside:
            is_url = name == "url" and frame.inside == "Extension"
            if not (is_url or (name == "id" and "resourceType" not in frame.value)):
                message = f"there is no attribute {name[:60]} here"
                raise InvalidResource(message, expression=frame.path)
            frame.value[name] = text
        elif name == "value" and frame.type != "Resource":
            frame.value = _typed(text, frame.type)
        elif name == "id" and frame.type != "Resource":
            frame.more["id"] = text
        else:
            raise InvalidResource(f"there is no attribute {name[:60]} here", expression=frame.path)

    def _characters(self, text: str) -> None:
        if not self._narrative_depth and text.strip():
            place = self._frames[-1].path if self._frames else ""
            raise InvalidResource("give no text between elements: use value", expression=place)

    def _end(self, name: str) -> None:
        if self._narrative_depth:
            self._narrative_depth -= 1
            if self._narrative_depth:
                return
        frame = self._frames.pop()
        if frame.type == "xhtml":
            frame.value = self._narrative(frame)
        owner = frame.value if frame.inside else frame.more
        for key, items in frame.lists.items():
            values, extras = [value for value, _ in items], [more for _, more in items]
            if any(value is not None for value in values):
                owner[key] = values
            else:
                owner.pop(key, None)
            if any(extras):
                owner[f"_{key}"] = [more or None for more in extras]
        if not self._frames:
            self._done = frame.value
        elif frame.key == "":
            self._frames[-1].value = frame.value
        else:
            self._attach(self._frames[-1], frame)

    def _attach(self, parent: _Frame, frame: _Frame) -> None:
        if frame.value is None and not frame.more:
            raise InvalidResource("give the element a value", expression=frame.path)
        if frame.key in parent.lists:
            parent.lists[frame.key].append((frame.value, frame.more))
            # the key keeps the place of its first value
            (parent.value if parent.inside else parent.more).setdefault(frame.key, None)
            return
        owner = parent.value if parent.inside else parent.more
        if frame.key in owner or f"_{frame.key}" in owner:
            raise InvalidResource("the element stands twice", expression=frame.path)
        if frame.value is not None:
            owner[frame.key] = frame.value
        if frame.more:
            owner[f"_{frame.key}"] = frame.more

    def _narrative(self, frame: _Frame) -> str:
        """Return the `div` as it stands in the document."""
        end = self._content.index(b">", self._parser.CurrentByteIndex) + 1
        text = self._content[self._narrative_at : end].decode()
        if not text.startswith("<div") or _XHTML not in text.partition(">")[0]:
            message = f'write <div xmlns="{_XHTML}">, without a prefix'
            raise InvalidResource(message, expression=frame.path)
        return text


def _typed(text: str, fhir_type: str) -> Any:
    """Return the value as JSON has it; what is no number stays text, for the checks to refuse."""
    if fhir_type == "boolean" and text in ("true", "false"):
        return text == "true"
    if fhir_type in _WHOLE and _is_whole(text):
        return int(text)
    if fhir_type == "decimal" and _is_number(text):
        return fhirjson.loads(text.encode())
    return text
