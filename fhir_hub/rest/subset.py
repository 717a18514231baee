"""Parts of a resource: `_summary` and `_elements`, marked SUBSETTED so that nobody stores them.

Mandatory elements stay in whatever is asked for, so that what is answered is still valid.

Spec: https://hl7.org/fhir/R4/search.html#summary and #elements
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter
from fhir_hub.nearest import did_you_mean
from fhir_hub.r4.definitions import Definitions, Element
from fhir_hub.rest.message import FhirRequest

SUMMARIES = ("true", "text", "data", "count", "false")
_TAG = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
_ALWAYS = ("resourceType", "id", "meta")


@dataclass(frozen=True, slots=True)
class Subset:
    """What to keep: `summary` is `true`, `text` or `data`; or the top `elements` named."""

    definitions: Definitions
    summary: str = ""
    elements: tuple[str, ...] = ()

    def apply(self, content: bytes) -> bytes:
        """Return the resource in `content` with only what is asked for."""
        resource = fhirjson.loads(content)
        return fhirjson.dumps(self.reduce(resource))

    def reduce(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of `resource` with only what is asked for, tagged."""
        structure = self.definitions.structure(resource["resourceType"])
        assert structure is not None
        reduced = _reduce(resource, structure.name, structure.elements, self._keeps())
        meta = resource.get("meta", {})
        tags = [tag for tag in meta.get("tag", []) if tag.get("code") != "SUBSETTED"]
        reduced["meta"] = {**meta, "tag": [*tags, _TAG]}
        return {name: reduced[name] for name in [*_ALWAYS, *reduced] if name in reduced}

    @staticmethod
    def _elements_of(path: str, element: Element) -> set[str]:
        """Return the names that ask for an element: of a choice `value` and `valueQuantity`."""
        return {path.split(".")[1], element.path.split(".")[1].removesuffix("[x]")}

    def _keeps(self) -> Callable[[str, Element], bool]:
        if self.elements:
            return lambda path, element: (
                path.count(".") > 1
                or not self._elements_of(path, element).isdisjoint(self.elements)
                or element.min > 0
            )
        if self.summary == "data":
            return lambda path, element: path.count(".") > 1 or not path.endswith(".text")
        if self.summary == "text":
            return lambda path, element: (
                path.count(".") > 1 or path.endswith(".text") or element.min > 0
            )
        return lambda path, element: element.summary or element.min > 0


def _reduce(
    node: dict[str, Any],
    path: str,
    elements: Mapping[str, Element],
    keeps: Callable[[str, Element], bool],
) -> dict[str, Any]:
    reduced: dict[str, Any] = {}
    for name, value in node.items():
        plain = name.removeprefix("_")
        where = f"{path}.{plain}"
        element = elements.get(where) or _choice(plain, path, elements)
        is_own = name in _ALWAYS and "." not in path
        if is_own or element is None:  # inside a datatype all or nothing was decided above
            reduced[name] = value
        elif keeps(where, element):
            reduced[name] = _deeper(value, where, elements, keeps)
    return reduced


def _deeper(
    value: Any,
    path: str,
    elements: Mapping[str, Element],
    keeps: Callable[[str, Element], bool],
) -> Any:
    if isinstance(value, list):
        return [_deeper(item, path, elements, keeps) for item in value]
    if isinstance(value, dict) and "resourceType" not in value:
        return _reduce(value, path, elements, keeps)
    return value


def _choice(name: str, path: str, elements: Mapping[str, Element]) -> Element | None:
    """Return the choice element (`value[x]`) that `name` (`valueQuantity`) is a form of."""
    for place, letter in enumerate(name):
        if letter.isupper() and (element := elements.get(f"{path}.{name[:place]}[x]")):
            return element
    return None


def parse_subset(
    request: FhirRequest, definitions: Definitions, resource_type: str = "", also: str = ""
) -> Subset | None:
    """Return what `_summary` and `_elements` of a read ask for, None for all of it.

    The type is the address's unless another is given; `also` is a parameter that the address
    takes beside them. Raises `UnknownParameter` for any other parameter, `InvalidParameter` for
    other values, and for an element that the type does not have.
    """
    request.require_no_query(("_summary", "_elements", *filter(None, [also])))
    asked = dict(request.query)
    if len(asked) < len(request.query):
        raise InvalidParameter("each parameter of a read stands once")
    if asked.get("_summary") == "count":
        raise InvalidParameter("_summary=count counts what a search or a history finds")
    names = listed(asked.get("_elements", ""))
    if names:
        _require_elements(resource_type or request.path[0], names, definitions)
    return subset(asked.get("_summary", ""), names, definitions)


def listed(elements: str) -> tuple[str, ...]:
    """Return the names in the value of `_elements`."""
    return tuple(name.strip() for name in elements.split(",") if name.strip())


def _require_elements(resource_type: str, names: Iterable[str], definitions: Definitions) -> None:
    structure = definitions.structure(resource_type)
    assert structure is not None
    known = {path.split(".")[1] for path in structure.elements if path.count(".") == 1}
    plain = {name.removesuffix("[x]") for name in known}
    for name in names:
        if name not in plain and not _choice(name, resource_type, structure.elements):
            near = did_you_mean(name, plain)
            raise InvalidParameter(f"{resource_type} has no element {name[:60]!r}{near}")


def subset(summary: str, elements: tuple[str, ...], definitions: Definitions) -> Subset | None:
    """Return the subset that a search or a read asks for, None for whole resources."""
    if summary and summary not in SUMMARIES:
        near = did_you_mean(summary, SUMMARIES)
        raise InvalidParameter(f"_summary is one of {', '.join(SUMMARIES)}{near}")
    if elements:
        return Subset(definitions, elements=elements)
    return Subset(definitions, summary) if summary in ("true", "text", "data") else None
