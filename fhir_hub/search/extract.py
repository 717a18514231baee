"""Resource to index entries: everything that its search parameters say of it.

What a type's parameters look at is put together when the first resource of that type comes;
after that an extraction is one walk.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import tzinfo
from itertools import chain
from types import MappingProxyType
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.r4.fhirpath import Filter, Path, Step
from fhir_hub.r4.references import ENVELOPES, Literal, OwnReferences
from fhir_hub.search.contained import within_entries
from fhir_hub.search.context import Context
from fhir_hub.search.elements import Elements
from fhir_hub.search.entry import UNNAMED, Entry
from fhir_hub.search.found import Entries, Part
from fhir_hub.search.full_text import text_entries
from fhir_hub.search.kinds.composite import Collect, add_other, other_name
from fhir_hub.search.kinds.table import KINDS
from fhir_hub.search.pairs import Add, Composites, put_together
from fhir_hub.search.parameter import Parameter
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import URL
from fhir_hub.search.shapes import META, WHOLE, Derive, Known, TypePlan, known_of, read_new
from fhir_hub.search.walk import Node, collector

Resource = dict[str, Any]

_NO_ALIASES: Mapping[str, str] = MappingProxyType({})
_NOTHING_DERIVED: Mapping[str, Derive] = MappingProxyType({})
# a store answers these from its own columns
_OWN = ("_id", "_lastUpdated")
_PLAIN, _PLAIN_TAG, _TAG = ("reference", "Reference"), ("token", "Coding"), (META, "tag")


class Extractor:
    """Makes the entries of resources, each type's way when it first comes.

    A date without an offset is read in `zone`, a reference that starts with `base` is stored as
    a relative one, a system in `aliases` as the one that it stands for. `derived` says for some
    types what else the hub itself finds them by, such as the keys of the same person.
    """

    def __init__(
        self,
        parameters: Parameters,
        zone: tzinfo,
        *,
        base: str = "",
        aliases: Mapping[str, str] = _NO_ALIASES,
        derived: Mapping[str, Derive] = _NOTHING_DERIVED,
    ) -> None:
        self._parameters = parameters
        self._derived = derived
        self._context = Context(zone, aliases, base)
        self._generation = parameters.generation
        self._own = OwnReferences(base)
        self._elements = Elements()
        self._plans: dict[str, TypePlan] = {}
        self._references: dict[tuple[str, str], Callable[[Resource], list[Entry]]] = {}

    def targets(self, resource_type: str, content: bytes) -> list[Literal]:
        """Return what the resource in `content` (compact JSON) refers to on this server.

        Each reference once, wherever it stands. A Bundle or Parameters holds resources that
        refer to each other: they refer to nothing.
        """
        return [] if resource_type in ENVELOPES else self._own.find(content)

    def known(self, resource: Resource) -> Known:
        """Return what is known of the elements of a resource before it is looked at."""
        shape = self._plan_of(resource).shape_of(resource)
        return WHOLE if shape is None else known_of(shape, resource)

    def read(
        self, resource: Resource, content: bytes, known: Known, *, is_right: bool
    ) -> tuple[list[Literal], Iterable[Entry]]:
        """Return what a resource, which is `content`, refers to here, and its entries.

        `known` is what was known of it; what was not is kept if it `is_right` by R4.
        """
        shape = known.shape
        if shape is None:
            targets = self.targets(resource["resourceType"], content)
            return targets, self.entries(resource, targets)
        out: list[Part] = []
        targets = []
        parts: dict[str, Sequence[Part]] = {}
        is_named = True
        for part, literals, of_composites, names_all in read_new(known, resource, is_right):
            if part:
                out.append(part)
            if literals:
                targets += literals
                is_named = is_named and names_all
            if of_composites:
                name, added = of_composites
                parts[name] = added
        if shape.ready:
            put_together(shape.ready, parts, resource, out)
        if len(targets) > 1:
            targets = list(dict.fromkeys(targets))
        full_text = self._parameters.full_text
        if shape.says_more or full_text:
            plan, more = self._plan_of(resource), list(chain.from_iterable(out))
            plan.root.visit_around(resource, resource, more)
            self._add_rest(plan, resource, () if is_named else targets, more)
            return targets, tuple(dict.fromkeys(more))
        if not is_named and (unnamed := _unnamed(targets, chain.from_iterable(out))):
            out.append(Part(unnamed))
        if shape.may_repeat:
            return targets, tuple(dict.fromkeys(chain.from_iterable(out)))
        return targets, Entries(out)

    def entries(
        self, resource: Resource, targets: Collection[Literal] | None = None
    ) -> tuple[Entry, ...]:
        """Return what a resource says under every parameter of its type, each entry once.

        What it refers to (`targets` if that is known) and no parameter finds gets an entry too.
        Raises `InvalidResource` for a date that is none; anything else that is not as the
        definitions say is passed over, because the checks have named it before.
        """
        plan = self._plan_of(resource)
        out: list[Entry] = []
        plan.root.visit(resource, resource, out)
        if targets is None:
            name = resource.get("resourceType")
            targets = self.targets(name if isinstance(name, str) else "", fhirjson.dumps(resource))
        return self._finished(plan, resource, targets, out)

    def _finished(
        self, plan: TypePlan, resource: Resource, targets: Collection[Literal], out: list[Entry]
    ) -> tuple[Entry, ...]:
        """Return the entries of a resource's elements and what is about more than one of them."""
        plan.composites.add(resource, out)
        inside: list[Entry] = []
        if "contained" in resource:
            inside = within_entries(resource, out, self._said)
        self._add_rest(plan, resource, targets, out)
        return tuple(dict.fromkeys([*out, *inside]) if inside else dict.fromkeys(out))

    def _add_rest(
        self, plan: TypePlan, resource: Resource, targets: Collection[Literal], out: list[Entry]
    ) -> None:
        """Add what the hub itself finds a resource by, and those targets that nothing names."""
        if plan.derive is not None:
            out += plan.derive(resource)
        if self._parameters.full_text:
            out += text_entries(resource)
        if targets:
            out += _unnamed(targets, out)

    def _said(self, resource: Resource) -> list[Entry]:
        """Return what a contained resource says under the parameters of its type."""
        plan = self._plan_of(resource)
        out: list[Entry] = []
        plan.root.visit(resource, resource, out)
        plan.inner.add(resource, out)
        return out

    def references(
        self, resource: Resource, parameter: str, *, with_versions: bool = False
    ) -> list[str]:
        """Return where a resource points under a parameter (`*`: under any), each address once.

        An address is `Type/id`, or absolute, then with `|` and the version if there is one; so
        is the first `with_versions`. A parameter that the type does not have is empty.
        """
        if self._generation != self._parameters.generation:
            self._forget()
        resource_type = str(resource.get("resourceType"))
        find = self._references.get((resource_type, parameter))
        if find is None:
            find = self._finder(resource_type, parameter)
            self._references[resource_type, parameter] = find
        shown = _versioned if with_versions else _address
        return list(dict.fromkeys(map(shown, find(resource))))

    def has_url(self, resource_type: str) -> bool:
        """Return whether resources of a type may have a url, by which canonicals name them."""
        return URL in self._known(resource_type)

    def _forget(self) -> None:
        """Look at the parameters again: those of the site's own have changed."""
        self._generation = self._parameters.generation
        self._plans.clear()
        self._references.clear()
        self._elements = Elements()

    def _plan_of(self, resource: Resource) -> TypePlan:
        """Return what to extract from a resource, by the parameters that there are now."""
        if self._generation != self._parameters.generation:
            self._forget()
        name = resource.get("resourceType")
        resource_type = name if isinstance(name, str) else ""
        plan = self._plans.get(resource_type)
        if plan is None:
            plan = self._plans[resource_type] = self._plan(resource_type)
        return plan

    def _plan(self, resource_type: str) -> TypePlan:
        root, composites, inner = Node(), Composites(), Composites()
        places: dict[str, dict[str, bool]] = {}
        for parameter in self._known(resource_type).values():
            if not parameter.is_stored or parameter.code in _OWN:
                continue
            if parameter.pairs:
                inner.insert(parameter.pairs, self._adder)
                if (elsewhere := parameter.elsewhere[0]) is None:
                    composites.insert(parameter.pairs, self._adder)
                for path in elsewhere.others if elsewhere else ():
                    root.insert(path.steps, add_other(parameter.code, path.type))
                    places.setdefault(_place(path.steps), {})[other_name(parameter.code)] = False
                continue
            for path in parameter.paths:
                add = KINDS[parameter.kind].adder(parameter.code, path.type, self._context)  # type: ignore[index]  # a composite has pairs
                steps = _unrestricted(path).steps
                root.insert(steps, add)
                at = places.setdefault(_place(steps), {})
                kind = (parameter.kind, path.type)
                is_plain = len(steps) == 1 and kind == _PLAIN
                is_plain = is_plain or (steps == _TAG and kind == _PLAIN_TAG)
                at[parameter.code] = is_plain and at.get(parameter.code, True)
        derive = self._derived.get(resource_type)
        definitions, paths = self._parameters.definitions, (root, composites, inner, places)
        return TypePlan(resource_type, definitions, paths, derive, self._own, self._elements)

    def _known(self, resource_type: str) -> Mapping[str, Parameter]:
        if resource_type not in self._parameters.definitions.resource_types:
            return {}
        return self._parameters.indexed(resource_type)

    def _adder(self, part: Parameter, path: Path) -> Add:
        """Return what adds the entries of a parameter for the values that a path leads to."""
        return KINDS[part.kind].adder(part.index, path.type, self._context)  # type: ignore[index]  # no composite in a composite

    def _collector(self, part: Parameter) -> Collect:
        return collector([(path, self._adder(part, path)) for path in part.paths])

    def _finder(self, resource_type: str, name: str) -> Callable[[Resource], list[Entry]]:
        known = self._known(resource_type)
        wanted = known.values() if name == "*" else [known[name]] if name in known else []
        collects = [self._collector(p) for p in wanted if p.kind == "reference"]

        def find(resource: Resource) -> list[Entry]:
            out: list[Entry] = []
            for collect in collects:
                collect(resource, resource, 0, out)
            return [entry for entry in out if entry.kind == "reference" and entry.code]

        return find


def _unnamed(targets: Iterable[Literal], entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries of those targets that no parameter finds."""
    named = {entry[2] for entry in entries if entry[1] == "reference"}
    return [
        Entry(UNNAMED, "reference", target.address, target.version_id)
        for target in targets
        if target.address not in named
    ]


def _versioned(entry: Entry) -> str:
    return f"{entry.code}|{entry.system}" if entry.system else entry.code


def _address(entry: Entry) -> str:
    is_versioned = entry.system and ":" in entry.code
    return f"{entry.code}|{entry.system}" if is_versioned else entry.code


def _place(steps: Sequence[Step]) -> str:
    """Return the element that a path begins with; of one in `meta` also its name there."""
    names = [step if isinstance(step, str) else "" for step in steps[:2]] or [""]
    return ".".join(names) if names[0] == META else names[0]


def _unrestricted(path: Path) -> Path:
    """Return the path to all references, of which a restricted parameter asks for one type."""
    steps = tuple(s for s in path.steps if not (isinstance(s, Filter) and s.resolves_to))
    return path if len(steps) == len(path.steps) else Path(steps, path.type, path.place)
