"""What a search parameter is, and which of them share what they store.

Many parameters look at the same place: `Observation.patient` is `Observation.subject` where that
is a Patient, `combo-code` is `code` or `component-code`. Such a parameter stores nothing; its
`indexes` name those that do, which saves a third of an Observation's rows. Nor does a composite
whose parts stand in the resource itself, each once: who has the code and the value has the pair.

Spec: https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from fhir_hub.r4.fhirpath import Filter, Path, Position, Step
from fhir_hub.search.entry import Kind


class Elsewhere(NamedTuple):
    """The parameters by which a resource says each part of a composite, so that it has no rows.

    `others` lead to what stands under one of `names` and is no part: the resource that has such a
    value has no pair.
    """

    names: tuple[str, ...]
    others: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of one resource type.

    `indexes` are the names that its entries stand under; it stores them itself if `is_stored`.
    `paths` lead to its values; a composite has `pairs` instead. `targets` are the types that a
    reference may point at; with `is_restricted` the index holds others too. `implied` are the
    systems that a code need not name, `codes` all that its values may be, None where any may be.
    `elsewhere` has, for each of a composite's `indexes`, where
    the parts stand if not there; what is contained has its pairs there all the same.
    """

    code: str
    kind: Kind | Literal["composite"]
    paths: tuple[Path, ...]
    indexes: tuple[str, ...] = ()
    is_stored: bool = True
    expression: str = ""
    targets: tuple[str, ...] = ()
    is_restricted: bool = False
    implied: tuple[str, ...] = ()
    codes: frozenset[str] | None = None
    pairs: tuple["Pair", ...] = ()
    elsewhere: tuple[Elsewhere | None, ...] = (None,)

    @property
    def index(self) -> str:
        """The first of `indexes`; all of them, if it is one that can be sorted by."""
        return self.indexes[0]

    @property
    def is_contact(self) -> bool:
        """Whether its values are contact points."""
        return any(path.type == "ContactPoint" for path in self.paths)

    @property
    def is_mime(self) -> bool:
        """Whether its values are MIME types, which have a hierarchy without a code system."""
        bindings = (path.element.binding for path in self.paths if path.element)
        return any(binding is not None and binding.value_set == _MIME for binding in bindings)


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a composite's values stand together, and the parts as parameters from there."""

    path: Path
    parts: tuple[Parameter, ...]


_MIME = "http://hl7.org/fhir/ValueSet/mimetypes"
_Stored = list[tuple[frozenset[object], Parameter]]


def resolves(step: Step) -> bool:
    """Say whether a step keeps the references to one type."""
    return isinstance(step, Filter) and bool(step.resolves_to)


def shared(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Return the parameters with their `indexes`: each place is stored once."""
    done: list[Parameter] = []
    stored: _Stored = []
    order = sorted(parameters, key=lambda p: (len(p.paths or p.pairs), p.is_restricted, p.code))
    for parameter in order:
        key = _key(parameter)
        covered: set[object] = set()
        indexes: list[str] = []
        for other_key, other in sorted(stored, key=lambda pair: -len(pair[0])):
            if other.kind == parameter.kind and other_key <= key and not other_key <= covered:
                covered |= other_key
                indexes.append(other.code)
        if covered == key:
            done.append(replace(parameter, indexes=tuple(sorted(indexes)), is_stored=False))
        else:
            done.append(replace(parameter, indexes=(parameter.code,)))
            stored.append((key, done[-1]))
    elsewhere = {one.code: _elsewhere(one, stored) for _, one in stored if one.pairs}
    return [
        replace(one, elsewhere=tuple(elsewhere[index] for index in one.indexes))
        if one.pairs
        else one
        for one in done
    ]


def _elsewhere(parameter: Parameter, stored: _Stored) -> Elsewhere | None:
    """Return where the parts of a composite stand, if having them all is to have its pair."""
    pair, *more = parameter.pairs
    if more or pair.path.steps or pair.path.from_root:
        return None
    names: list[str] = []
    others: list[Path] = []
    for part in pair.parts:
        found = next(
            (
                (plain.code, beside)
                for key, plain in sorted(stored, key=lambda pair: len(pair[0]))
                if plain.kind == part.kind
                and not part.is_restricted
                and key >= _key(part)
                and (beside := _beside(plain, part)) is not None
            ),
            None,
        )
        if found is None:
            return None
        names.append(found[0])
        others += found[1]
    return Elsewhere(tuple(names), tuple(others))


def _beside(plain: Parameter, part: Parameter) -> list[Path] | None:
    """Return where else than a composite's part a parameter looks, which has all of its places.

    None if a resource may have a value there and the part.
    """
    places = {_place(path) for path in part.paths}
    beside = [path for path in plain.paths if _place(path) not in places]
    # the types of one choice, of which a resource has one
    choices = {_choice(path) for path in (*beside, *part.paths)}
    return beside if not beside or (len(choices) == 1 and "" not in choices) else None


def _choice(path: Path) -> str:
    """Return the choice that a path leads to, empty if to something else or to several values."""
    is_element = len(path.steps) == 1 and isinstance(path.steps[0], str) and not path.from_root
    element = path.element if is_element else None
    is_choice = element is not None and element.path.endswith("[x]") and not element.is_list
    return element.path if is_choice and element is not None else ""


def _key(parameter: Parameter) -> frozenset[object]:
    """Return what tells whether two parameters of one kind look at the same places."""
    if not parameter.pairs:
        return frozenset(_place(path) for path in parameter.paths)
    return frozenset((_place(p.path), *(_key(part) for part in p.parts)) for p in parameter.pairs)


def _place(path: Path) -> tuple[object, ...]:
    steps = tuple(
        step if isinstance(step, str) else step[0] if isinstance(step, Position) else step.text
        for step in path.steps
        if not resolves(step)
    )
    return (path.type, path.from_root, *steps)
