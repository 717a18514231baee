"""What follows from a resource's type and the names of its elements, of which there are few sets.

With it a resource is looked at element by element: what is known of some is taken as it is, only
the others are read. Where an element may mean another thing in one resource than in the next, the
resource is looked at as a whole: one that contains others (`#id` leads into it) or is an envelope
of others, one with `_name` beside a name or with a name that R4 does not have, and a type whose
elements have rules about the resource around them.

Spec: https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.r4.checks.issues import Unknown
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.element_names import ElementNames
from fhir_hub.r4.references import ENVELOPES, Literal, OwnReferences
from fhir_hub.search.elements import LARGE, Content, Elements, Get, Place
from fhir_hub.search.entry import Entry
from fhir_hub.search.found import NOTHING, Found, found_of, once
from fhir_hub.search.pairs import Add, Composites, Ready
from fhir_hub.search.plain_codings import PlainCodings
from fhir_hub.search.plain_references import PlainReferences
from fhir_hub.search.walk import Node

Resource = dict[str, Any]
Derive = Callable[[Resource], Sequence[Entry]]
New = tuple[int, Place, Any, Content | None]

META, _TAG = "meta", "tag"
# the hub writes them into each resource
_SET, _SET_IN_META = ("resourceType", "id", META), ("id", "versionId", "lastUpdated")
# the second is no object, and yet may be a reference
_AROUND_IT = ("contained", "reference")
_AROUND = ("%resource", "%rootResource", "%context")
_MOST_SHAPES = 500  # names of elements of one type, as resources have them


class Shape(NamedTuple):
    """The places of a resource's elements, and what to put together of what these say.

    `meta` has the places in its `meta`, None if it has none. `may_repeat`: two of the elements may
    have the same entry. Not `has_id`: it comes without one. `says_more`: it has entries by what it
    is as a whole.
    """

    elements: tuple[tuple[str, Place, Get, PlainReferences | None], ...]
    meta: Mapping[str, Place] | None
    has_id: bool
    ready: tuple[Ready, ...]
    may_repeat: bool
    says_more: bool


class Known(NamedTuple):
    """What is known of the elements of one resource before any is read.

    `said` has what each says, in order; of those that are `new` nothing yet: their numbers there,
    their places, values and contents. `unknown` names all that is not known to be right. Without a
    `shape` the resource is looked at as a whole.
    """

    said: list[Found]
    new: Sequence[New]
    unknown: Unknown | None
    shape: Shape | None


WHOLE = Known([], (), None, None)
_NOTHING_UNKNOWN = Unknown(())
# as `Found` of all its values
_unknown_of: Callable[[tuple[list[str], list[str]]], Unknown] = partial(tuple.__new__, Unknown)
_known_of: Callable[[tuple[list[Found], Sequence[New], Unknown, Shape]], Known] = partial(
    tuple.__new__, Known
)


class TypePlan:
    """What to extract from one type, and what is known of its elements.

    `places` has, by the name of an element, the parameters that look at it, and of each whether
    the reference there alone is what it looks at.
    """

    def __init__(
        self,
        resource_type: str,
        definitions: Definitions,
        paths: tuple[Node, Composites, Composites, Mapping[str, Mapping[str, bool]]],
        derive: Derive | None,
        own: OwnReferences,
        elements: Elements,
    ) -> None:
        self.root, self.composites, self.inner, self._at = paths
        self.derive = derive
        self._type, self._own, self._elements = resource_type, own, elements
        self._names = ElementNames(definitions)
        self._shapes: dict[tuple[str, ...], Shape | None] = {}
        self._places: dict[str, Place | None] = {}
        self._meta: dict[str, Place] = {}
        self._is_by_element = _stands_alone(resource_type, definitions) and self._is_apart()
        if self._is_by_element:
            self._meta = self._in_meta(definitions)

    def shape_of(self, resource: Resource) -> Shape | None:
        """Return what follows from the names of a resource's elements, None if nothing does."""
        names = tuple(resource)
        shape = self._shapes.get(names)
        if shape is None and names not in self._shapes:
            shape = self._shape(names) if self._is_by_element else None
            if shape is not None:
                if len(self._shapes) >= _MOST_SHAPES:
                    self._shapes.clear()
                self._shapes[names] = shape
        return shape

    def _shape(self, names: Sequence[str]) -> Shape | None:
        elements = []
        for name in names:
            if name in _SET:
                continue
            place = None if name in _AROUND_IT else self._place(name)
            if place is None:
                return None
            plain = place.plain if isinstance(place.plain, PlainReferences) else None
            elements.append((name, place, place.get, plain))
        ready = self.composites.ready(names)
        there = (*names, "id", META)
        said = [
            code
            for name, codes in self._at.items()
            if name.partition(".")[0] in there or not name
            for code in codes
        ]
        is_plain = len(said) == len(set(said)) and self.derive is None
        is_single = all(
            not one.others and all(len(part) == 1 for part in one.by_element) for one in ready
        )
        meta = self._meta if META in names else None
        may_repeat = not (is_plain and is_single)
        says_more = self.root.looks_at_whole() or self.derive is not None
        return Shape(tuple(elements), meta, "id" in names, ready, may_repeat, says_more)

    def _place(self, name: str) -> Place | None:
        """Return the place of a name, None if R4 has no such element."""
        if name not in self._places:
            named = self._names.of_key(self._type, name)
            if named is None:
                return None
            adds, at = self.composites.adds.get(name, ()), self._at.get(name, {})
            is_plain = named.type == "Reference" and not named.element.invariants
            is_plain = is_plain and not adds and all(at.values())
            look = partial(_look, name, self.root.children.get(name), adds, self._own)
            plain = PlainReferences(tuple(at)) if is_plain else None
            self._places[name] = self._elements.place(look, plain)
        return self._places[name]

    def _in_meta(self, definitions: Definitions) -> dict[str, Place]:
        """Return the places in `meta` of what its sender writes there."""
        structure = definitions.structure("Meta")
        assert structure is not None
        found = {}
        for path in structure.elements:
            name = path.partition(".")[2]
            if name and name not in _SET_IN_META:
                look = partial(_look, name, self._nodes_in_meta().get(name), (), self._own)
                at = self._at.get(f"{META}.{name}", {})
                plain = PlainCodings(tuple(at)) if name == _TAG and all(at.values()) else None
                found[name] = self._elements.place(look, plain)
        return found

    def _nodes_in_meta(self) -> Mapping[str, Node]:
        node = self.root.children.get(META)
        return node.children if node is not None else {}

    def _is_apart(self) -> bool:
        """Say whether each element can be looked at by itself, and none is one that the hub sets.

        Of these only `meta` is looked at, by the elements in it.
        """
        root, meta = self.root, self.root.children.get(META)
        looked = (*root.children, *self.composites.adds)
        is_set = "resourceType" in looked or "id" in looked or META in self.composites.adds
        is_set = is_set or any(name in self._nodes_in_meta() for name in _SET_IN_META)
        return not is_set and not root.looks_around() and (meta is None or meta.is_plain())


def known_of(shape: Shape, resource: Resource) -> Known:
    """Return what is known of the elements of a resource of this shape."""
    said: list[Found] = []
    new: list[New] = []
    names = ["id"] if shape.has_id else []
    in_meta: list[str] = []
    dumps, say = fhirjson.dumps, said.append
    content: Content | None
    if shape.meta is not None:
        if type(meta := resource[META]) is not dict:
            return WHOLE
        for name, value in meta.items():
            if (place := shape.meta.get(name)) is None:
                if name not in _SET_IN_META:
                    return WHOLE
                in_meta.append(name)
                continue
            if (plain := place.plain) is not None and (found := plain.found(value)) is not None:
                say(found)
                continue
            found = place.get(content := value if type(value) is str else dumps(value))
            if found is None and (found := place.before(content)) is None:
                in_meta.append(name)
                new.append((len(said), place, value, content))
                say(NOTHING)
            elif found is not NOTHING:
                say(found)
        if in_meta or not meta:
            names.append(META)
    for name, place, get, plain in shape.elements:
        value = resource[name]
        if plain and (found := plain.said if value is plain.last else plain.found(value)):
            say(found)
            continue
        kind = type(value)
        if kind is str:
            found = get(content := value)
        elif kind is dict or kind is list or kind is bool:
            content = dumps(value)
            found = get(content) if len(content) <= LARGE else None
        else:
            content = found = None
        if found is None and (found := place.before(content)) is None:
            names.append(name)
            new.append((len(said), place, value, content))
            say(NOTHING)
        elif found is not NOTHING:
            say(found)
    unknown = _unknown_of((names, in_meta)) if names else _NOTHING_UNKNOWN
    return _known_of((said, new, unknown, shape))


def read_new(known: Known, resource: Resource, is_right: bool) -> list[Found]:
    """Return what all elements of a resource say; what `is_right` by R4 will be known."""
    said = known.said
    for number, place, value, content in known.new:
        said[number] = found = place.look(value, resource, content)
        if is_right and content is not None:
            place.keep(content, value, found)
    return said


def _look(
    name: str,
    node: Node | None,
    adds: Sequence[Add],
    own: OwnReferences,
    value: Any,
    resource: Resource,
    content: Content | None,
) -> Found:
    """Return what an element says of which nothing is known."""
    entries: list[Entry] = []
    if node is not None:
        node.visit_value(value, resource, entries)
    added = []
    for add in adds:
        part: list[Entry] = []
        for item in value if type(value) is list else (value,):
            add(item, 1, part)
        added.append(once(part))
    parts = (name, tuple(added)) if added else ()
    literals: Sequence[Literal] = ()
    if type(content) is bytes and (literals := own.find(content)):
        named = {entry[2] for entry in entries if entry[1] == "reference"}
        is_named = named.issuperset([literal[0] for literal in literals])
        return found_of((once(entries), literals, parts, is_named))
    if not entries and not parts:
        return NOTHING
    return found_of((once(entries), literals, parts, True))


def _stands_alone(resource_type: str, definitions: Definitions) -> bool:
    """Say whether what R4 asks of an element of a type is about that element alone."""
    structure = definitions.structure(resource_type)
    if structure is None or resource_type in ENVELOPES:
        return False
    return not any(
        name in invariant.expression
        for path, element in structure.elements.items()
        if "." in path
        for invariant in element.invariants
        for name in _AROUND
    )
