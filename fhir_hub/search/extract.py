"""Resource to index entries: everything that its search parameters say of it.

What a type's parameters look at is put together when the first resource of that type comes;
after that an extraction is one walk.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import tzinfo
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.r4.fhirpath import Filter, Path, select
from fhir_hub.r4.references import ENVELOPES, Literal, OwnReferences
from fhir_hub.search.contained import within_entries
from fhir_hub.search.context import Context
from fhir_hub.search.elements import WHOLE, Elements, Found, Known, stands_alone
from fhir_hub.search.entry import UNNAMED, Entry
from fhir_hub.search.full_text import text_entries
from fhir_hub.search.kinds.composite import Collect, add_pairs
from fhir_hub.search.kinds.table import KINDS
from fhir_hub.search.parameters import Pair, Parameter, Parameters
from fhir_hub.search.plan import URL
from fhir_hub.search.walk import Node, collector

Resource = dict[str, Any]

Derive = Callable[[Resource], Sequence[Entry]]

_NO_ALIASES: Mapping[str, str] = MappingProxyType({})
_NOTHING_DERIVED: Mapping[str, Derive] = MappingProxyType({})
# a store answers these from its own columns
_OWN = ("_id", "_lastUpdated")


class _Pairs(NamedTuple):
    """Where a composite's pairs are, their parts, and the keys of which a resource needs one."""

    path: Path
    parts: tuple[Collect, ...]
    needs: frozenset[str]


class _Composite(NamedTuple):
    """One composite, and the keys of which a resource needs one to have a pair."""

    pairs: tuple[_Pairs, ...]
    needs: frozenset[str]

    def add(self, resource: Resource, out: list[Entry]) -> None:
        first = 1
        for path, parts, needs in self.pairs:
            if resource.keys().isdisjoint(needs):
                continue
            items = select(path, resource, resource)
            add_pairs(parts, items, resource, first, out)
            first += len(items)


class _Plan(NamedTuple):
    """What to extract from one type; whether each of its elements can be looked at alone."""

    root: Node
    composites: tuple[_Composite, ...]
    derive: Derive | None
    is_by_element: bool

    def add_pairs(self, resource: Resource, out: list[Entry]) -> None:
        """Add what the composites have; most of them a resource lacks."""
        keys = resource.keys()
        for composite in self.composites:
            if not keys.isdisjoint(composite.needs):
                composite.add(resource, out)


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
        self._plans: dict[str, _Plan] = {}
        self._references: dict[tuple[str, str], Callable[[Resource], list[Entry]]] = {}

    def targets(self, resource_type: str, content: bytes) -> list[Literal]:
        """Return what the resource in `content` (compact JSON) refers to on this server.

        Each reference once, wherever it stands. A Bundle or Parameters holds resources that
        refer to each other: they refer to nothing.
        """
        return [] if resource_type in ENVELOPES else self._own.find(content)

    def known(self, resource: Resource) -> Known:
        """Return what is known of the elements of a resource before it is looked at."""
        plan = self._plan_of(resource)
        if not plan.is_by_element:
            return WHOLE
        return self._elements.known(resource["resourceType"], resource)

    def read(
        self, resource: Resource, content: bytes, known: Known, *, is_right: bool
    ) -> tuple[list[Literal], tuple[Entry, ...]]:
        """Return what a resource, which is `content`, refers to here, and its entries.

        `known` is what was known of it; what was not is kept if it `is_right` by R4.
        """
        if not known.is_by_element:
            targets = self.targets(resource["resourceType"], content)
            return targets, self.entries(resource, targets)
        plan = self._plan_of(resource)
        children, known_of, new = plan.root.children, known.found, known.new
        out: list[Entry] = []
        targets = []
        for name, value in resource.items():
            if name in known_of:
                entries, literals = known_of[name]
                out += entries
                if literals:
                    targets += literals
                continue
            first = len(out)
            if name in children:
                children[name].visit_value(value, resource, out)
            if name in new:
                key = new[name]
                literals = self._own.find(key[2])
                targets += literals
                if is_right:
                    self._elements.keep(key, Found(out[first:], literals))
            elif type(value) is dict:
                targets += self._own.find(fhirjson.dumps(value))
        plan.root.visit_around(resource, resource, out)
        targets = list(dict.fromkeys(targets))
        return targets, self._finished(plan, resource, targets, out)

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
        self, plan: _Plan, resource: Resource, targets: Collection[Literal], out: list[Entry]
    ) -> tuple[Entry, ...]:
        """Return the entries of a resource's elements and what is about more than one of them."""
        plan.add_pairs(resource, out)
        inside: list[Entry] = []
        if "contained" in resource:
            inside = within_entries(resource, out, self._said)
        if plan.derive is not None:
            out += plan.derive(resource)
        if self._parameters.full_text:
            out += text_entries(resource)
        if targets:
            known = {entry.code for entry in out if entry.kind == "reference"}
            out += [
                Entry(UNNAMED, "reference", target.address, target.version_id)
                for target in targets
                if target.address not in known
            ]
        return tuple(dict.fromkeys([*out, *inside]) if inside else dict.fromkeys(out))

    def _said(self, resource: Resource) -> list[Entry]:
        """Return what a resource says under the parameters of its type."""
        plan = self._plan_of(resource)
        out: list[Entry] = []
        plan.root.visit(resource, resource, out)
        plan.add_pairs(resource, out)
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
        self._elements.forget()

    def _plan_of(self, resource: Resource) -> _Plan:
        """Return what to extract from a resource, by the parameters that there are now."""
        if self._generation != self._parameters.generation:
            self._forget()
        name = resource.get("resourceType")
        resource_type = name if isinstance(name, str) else ""
        plan = self._plans.get(resource_type)
        if plan is None:
            plan = self._plans[resource_type] = self._plan(resource_type)
        return plan

    def _plan(self, resource_type: str) -> _Plan:
        root, composites = Node(), []
        for parameter in self._known(resource_type).values():
            if not parameter.is_stored or parameter.code in _OWN:
                continue
            if parameter.pairs:
                composites.append(self._composite(parameter))
                continue
            for path in parameter.paths:
                add = KINDS[parameter.kind].adder(parameter.code, path.type, self._context)  # type: ignore[index]  # a composite has pairs
                root.insert(_unrestricted(path).steps, add)
        definitions = self._parameters.definitions
        is_by_element = stands_alone(resource_type, definitions) and not root.looks_around()
        derive = self._derived.get(resource_type)
        return _Plan(root, tuple(composites), derive, is_by_element)

    def _known(self, resource_type: str) -> Mapping[str, Parameter]:
        if resource_type not in self._parameters.definitions.resource_types:
            return {}
        return self._parameters.indexed(resource_type)

    def _composite(self, parameter: Parameter) -> _Composite:
        pairs = tuple(
            _Pairs(pair.path, tuple(map(self._collector, pair.parts)), _needs(pair))
            for pair in parameter.pairs
        )
        return _Composite(pairs, frozenset().union(*(pair.needs for pair in pairs)))

    def _collector(self, part: Parameter) -> Collect:
        adder = KINDS[part.kind].adder  # type: ignore[index]  # no composite in a composite
        return collector(
            [(path, adder(part.index, path.type, self._context)) for path in part.paths]
        )

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


def _versioned(entry: Entry) -> str:
    return f"{entry.code}|{entry.system}" if entry.system else entry.code


def _address(entry: Entry) -> str:
    is_versioned = entry.system and ":" in entry.code
    return f"{entry.code}|{entry.system}" if is_versioned else entry.code


def _needs(pair: Pair) -> frozenset[str]:
    paths = [pair.path] if pair.path.steps else pair.parts[-1].paths
    return frozenset(step for path in paths for step in path.steps[:1] if isinstance(step, str))


def _unrestricted(path: Path) -> Path:
    """Return the path to all references, of which a restricted parameter asks for one type."""
    steps = tuple(s for s in path.steps if not (isinstance(s, Filter) and s.resolves_to))
    return path if len(steps) == len(path.steps) else Path(steps, path.type, path.place)
