"""References: what the text of one says, and where they stand in a resource.

A literal reference is relative (`Patient/1`), absolute, a `urn:`, or `#id` of a contained
resource; the first two may name a version. One that begins with the server's own base says the
same as the relative one.

Spec: https://hl7.org/fhir/R4/references.html#literal
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

ID = r"[A-Za-z0-9\-.]{1,64}"
_has_form = re.compile(ID).fullmatch
# the one resource among R4's own examples whose id is longer than R4 allows
_ERRATUM = "questionnaireresponse-extensions-QuestionnaireResponse-item-subject"
_VERSION = rf"(?:/_history/({ID}))?"
_local = re.compile(rf"([A-Z][A-Za-z]{{0,63}})/({ID}){_VERSION}").fullmatch
_remote = re.compile(rf"(https?://\S+?/([A-Z][A-Za-z]{{0,63}})/{ID}){_VERSION}").fullmatch

_SHORT = 200  # what is longer is not kept, so that what is kept is small

# They tell what happened to a resource: they outlive it, and hold nobody from deleting it.
RECORDS = ("AuditEvent", "Provenance")
# What is inside them refers to what is inside them.
ENVELOPES = ("Bundle", "Parameters")


def is_id(text: str) -> bool:
    """Return whether `text` can be a logical id: 1 to 64 letters, digits, `-` and `.`.

    Spec: https://hl7.org/fhir/R4/datatypes.html#id
    """
    return _has_form(text) is not None or text == _ERRATUM


class Literal(NamedTuple):
    """A reference's parts. `address` is without a version: `Type/id`, a URL, a urn, or `#id`.

    `resource_type` and `logical_id` are empty where the text does not tell; the logical id also
    if the resource is on another server.
    """

    address: str
    resource_type: str = ""
    logical_id: str = ""
    version_id: str = ""


# `Literal` of all its parts, without a call of Python's own
_literal_of: Callable[[tuple[str, str, str, str]], Literal] = partial(tuple.__new__, Literal)


def parse_reference(text: str, base: str = "") -> Literal:
    """Return the parts of the literal reference `text`; never raises.

    >>> parse_reference("https://hub.example/fhir/Patient/1/_history/2", "https://hub.example/fhir")
    Literal(address='Patient/1', resource_type='Patient', logical_id='1', version_id='2')
    >>> parse_reference("urn:oid:1.2.3").address
    'urn:oid:1.2.3'
    """
    return (_parsed if len(text) < _SHORT else _parsed.__wrapped__)(text, base)


# a message or a Bundle refers to the same few things again and again
@lru_cache(maxsize=4096)
def _parsed(text: str, base: str) -> Literal:
    if base and text.startswith(base):
        rest = text[len(base) :]
        if base.endswith("/") or rest.startswith("/"):
            text = rest.removeprefix("/")
    if match := _local(text):
        resource_type, logical_id, version_id = match.groups("")
        address = f"{resource_type}/{logical_id}"
        return _literal_of((address, resource_type, logical_id, version_id))
    if match := _remote(text):
        address, resource_type, version_id = match.groups("")
        return Literal(address, resource_type, "", version_id)
    return Literal(text)


def plain_reference(text: str) -> Literal | None:
    """Return the parts of a reference that says `Type/id` and no more, None for any other.

    >>> plain_reference("Patient/1").logical_id, plain_reference("Patient/1/_history/2")
    ('1', None)
    """
    return _plain(text) if len(text) < _SHORT else None


@lru_cache(maxsize=4096)
def _plain(text: str) -> Literal | None:
    if (match := _local(text)) is None or match[3]:
        return None
    return _literal_of((text, match[1], match[2], ""))


class OwnReferences:
    """Finds in a resource's JSON what it refers to on this server, whose base is `base`.

    It reads the text: in JSON a quote inside a string is escaped, so `"reference":"` is a key.
    """

    def __init__(self, base: str = "") -> None:
        own = f"(?:{re.escape(base.rstrip('/'))}/)?" if base else ""
        literal = rf'"reference":"{own}([A-Z][A-Za-z]{{0,63}})(?:/({ID}){_VERSION}"|\?)'
        self._all = re.compile(literal).findall

    def find(self, content: bytes) -> list[Literal]:
        """Return each reference of the compact JSON `content` once.

        One by criteria (`Patient?identifier=…`), which only a transaction resolves, comes without
        a logical id: it leads nowhere.

        >>> OwnReferences().find(b'{"subject":{"reference":"Patient/1"},"x":"reference"}')
        [Literal(address='Patient/1', resource_type='Patient', logical_id='1', version_id='')]
        """
        if b'"reference":"' not in content:
            return []
        found = self._all(content.decode())
        if len(found) > 1:
            found = list(dict.fromkeys(found))
        return [_literal_of((f"{name}/{own}", name, own, at)) for name, own, at in found]


def find_references(resource: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every Reference that holds a literal, and its FHIRPath; contained resources too.

    What is yielded is the object itself, so that its `reference` can be rewritten in place.

    >>> [p for _, p in find_references({"resourceType": "X", "a": [{"reference": "Patient/1"}]})]
    ['X.a[0]']
    """
    root = resource.get("resourceType")
    stack: list[tuple[Any, str]] = [(resource, root if isinstance(root, str) else "Resource")]
    while stack:
        value, path = stack.pop()
        if type(value) is dict:
            if type(value.get("reference")) is str:
                yield value, path
            for name, inner in value.items():
                if type(inner) is dict or type(inner) is list:
                    stack.append((inner, f"{path}.{name}"))
        else:
            for number, inner in enumerate(value):
                if type(inner) is dict or type(inner) is list:
                    stack.append((inner, f"{path}[{number}]"))
