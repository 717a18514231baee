"""The plan of a search: what a store runs, and the only thing that it needs to understand.

Query text becomes a request, the request a plan, and each store compiles the plan to its own
query. `predicate.py` says what a plan means, one resource at a time; a store must agree.

`_id`, `_lastUpdated` and `_type` are parameters like any other here (a token's code, a date), but
no entry is stored for them: a store answers them from its own columns.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fhir_hub.search.entry import Kind

URL, VERSION = "url", "version"  # the parameters of what a canonical names
_FEW_TESTS = 16  # of one parameter: more are gathered
Bound = Literal["low", "high"]
Operator = Literal["<", "<=", ">", ">=", "="]


@dataclass(frozen=True, slots=True)
class Is:
    """A token, reference or uri: equal `code` and/or `system`; None is "any", "" is "none"."""

    code: str | None = None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Among:
    """A token with one of many codes, of the `system` as in `Is`: a value set, a hierarchy.

    However many they are, a store binds them as one value.
    """

    codes: frozenset[str]
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A string or uri by its text.

    `starts`, `ends` and `contains` compare the normalised `code`, `exact` the `text` as
    written, `below` a uri that is or starts with `value`, `above` a uri that `value` is or starts
    with. `version` finds a canonical with the url and the version of `value` (`url|1.2`), or with
    one that goes on behind a dot. Of words, `words` finds those of `value`, one after the other.
    """

    value: str
    mode: Literal["starts", "ends", "contains", "exact", "below", "above", "version", "words"] = (
        "starts"
    )


@dataclass(frozen=True, slots=True)
class Compare:
    """One bound of the entry against a number; an unbounded `low` is -inf, `high` +inf."""

    bound: Bound
    operator: Operator
    value: float


@dataclass(frozen=True, slots=True)
class Range:
    """A date, number or quantity: any of the alternatives, each with all of its comparisons.

    For a quantity also the unit: `system` and `code` as in `Is`; a `unit` matches the code or
    the unit as written.
    """

    any_of: tuple[tuple[Compare, ...], ...]
    system: str | None = None
    code: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Measure(Range):
    """A range of the canonical numbers of quantities: of entries of the kind `measure`."""


@dataclass(frozen=True, slots=True)
class Near:
    """A position (`low` its latitude, `high` its longitude) near another, all in degrees.

    `half_chord` is the square of half the longest chord to it, on a sphere of radius 1;
    `degrees` the angle of that chord, which no latitude can be further away.
    """

    latitude: float
    longitude: float
    half_chord: float
    degrees: float


@dataclass(frozen=True, slots=True)
class Except:
    """An entry that passes none of `tests`."""

    tests: tuple["Test", ...]


Test = Is | Among | Text | Range | Near | Except

# references to what a resource contains, and to what has an identifier alone: no address to sort by
NOWHERE: tuple[Test, ...] = (Is(""), Text("#"))


def kind_of(test: Test, kind: Kind) -> Kind:
    """Return the kind of the entries that a test of a parameter of `kind` looks at."""
    return "measure" if isinstance(test, Measure) else kind


def gathered(tests: tuple[Test, ...]) -> tuple[Test, ...]:
    """Return tests that find the same: many codes of one system are one test of many.

    To a store each test is a range of an index; the codes of one test are bound as one value.
    """
    if len(tests) <= _FEW_TESTS:
        return tests
    codes: dict[str | None, set[str]] = {}
    others = list[Test]()
    for test in tests:
        if type(test) is Is and test.code is not None:
            codes.setdefault(test.system, set()).add(test.code)
        else:
            others.append(test)
    return (*others, *(Among(frozenset(some), system) for system, some in codes.items()))


@dataclass(frozen=True, slots=True)
class Has:
    """Some entry under `parameter` passes one of `tests`; no tests: there is some entry."""

    parameter: str
    kind: Kind
    tests: tuple[Test, ...] = ()


@dataclass(frozen=True, slots=True)
class Together:
    """Some group of the composite `parameter` passes all: `tests[i]` by `parameter.i`."""

    parameter: str
    parts: tuple[tuple[Kind, Test], ...]


@dataclass(frozen=True, slots=True)
class Links:
    """The resource refers by `parameter` to a resource of one of the types that meets `plan`.

    `is_canonical`: it names its url, and its version or none; else its address.
    """

    parameter: str
    resource_types: tuple[str, ...]
    plan: "Plan"
    is_canonical: bool = False


@dataclass(frozen=True, slots=True)
class LinkedBy:
    """A resource of `resource_type` that meets `plan` refers by `parameter` to this one.

    `is_canonical` as in `Links`.
    """

    resource_type: str
    parameter: str
    plan: "Plan"
    is_canonical: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """All of `plans`; of none: everything."""

    plans: tuple["Plan", ...] = ()


@dataclass(frozen=True, slots=True)
class Apart(And):
    """All of `plans`; of a contained resource, beside which others stand, `together` instead.

    It is a pair whose parts a resource has once, so that each may be asked for by itself.
    """

    together: "Plan" = And()


@dataclass(frozen=True, slots=True)
class Or:
    """Some of `plans`; of none: nothing."""

    plans: tuple["Plan", ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """What does not meet `plan`."""

    plan: "Plan"


Plan = And | Or | Not | Has | Together | Links | LinkedBy

EVERYTHING = And()


def any_of(plans: Iterable[Plan]) -> Plan:
    """Return what meets one of the plans."""
    found = tuple(plans)
    return found[0] if len(found) == 1 else Or(found)


def conditions_of(plan: Plan) -> Sequence[Plan]:
    """Return the plans that must all be met, an `And` within an `And` taken apart too."""
    if not isinstance(plan, And):
        return (plan,)
    for part in plan.plans:
        if isinstance(part, And):
            return [one for each in plan.plans for one in conditions_of(each)]
    return plan.plans


def some(names: Sequence[str], kind: Kind, tests: Sequence[Test]) -> Plan:
    """Return what asks for an entry under one of `names` that passes one of `tests`."""
    if len(tests) == 1 and len(names) == 1:
        return Has(names[0], kind_of(tests[0], kind), (tests[0],))
    by_kind: dict[Kind, dict[Test, None]] = {}
    for test in tests:
        by_kind.setdefault(kind_of(test, kind), {})[test] = None
    kinds = {one: gathered(tuple(asked)) for one, asked in by_kind.items()}
    return any_of(Has(n, one, asked) for n in names for one, asked in kinds.items())


@dataclass(frozen=True, slots=True)
class SortKey:
    """Order by the smallest value under `parameter` (descending: by the largest), absent last.

    A token sorts by code, a string by its normalised text, a date, number or quantity by its
    low bound (descending: its high bound), a reference or uri by its code; a reference that
    is `NOWHERE` is absent. `others` are parameters whose values count too.
    """

    parameter: str
    kind: Kind
    descending: bool = False
    others: tuple[str, ...] = ()

    @property
    def tests(self) -> tuple[Test, ...]:
        """What a value passes that counts; none: every value does."""
        return (Except(NOWHERE),) if self.kind == "reference" else ()

    @property
    def absence(self) -> Plan:
        """What has no value that counts, in parts that an index finds."""
        none = Not(Has(self.parameter, self.kind))
        if not self.tests:
            return none
        here = Has(self.parameter, self.kind, NOWHERE)
        return Or((none, And((here, Not(Has(self.parameter, self.kind, self.tests))))))


@dataclass(frozen=True, slots=True)
class Query:
    """What to find and which page of it. No `resource_types` means all types.

    Results come by `sort`, ties and no sort by the order of creation. `after` is the `cursor`
    of an earlier page. `count` 0 asks for the total alone.
    """

    resource_types: tuple[str, ...]
    plan: Plan = EVERYTHING
    sort: tuple[SortKey, ...] = ()
    count: int = 20
    after: str = ""
    with_total: bool = False
