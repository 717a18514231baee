"""One condition of a query to a plan: `subject:Patient.name:contains=沈` and all its kin.

A name is a parameter with a modifier, a chain of them (`subject.name`), or a reverse chain
(`_has:Observation:patient:code`), whose last step is again a name. What a modifier does is
in the table of the parameter's kind.

Spec: https://hl7.org/fhir/R4/search.html#chaining, #has and #modifiers
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from math import prod
from typing import NamedTuple, ParamSpec

from fhir_hub.errors import FhirError, InvalidParameter, InvalidResource, UnknownParameter
from fhir_hub.nearest import nearest
from fhir_hub.r4.references import is_id
from fhir_hub.search.absence import missing
from fhir_hub.search.advice import no_modifier, no_type
from fhir_hub.search.asked_codes import AskedCodes
from fhir_hub.search.contained import contained_plans
from fhir_hub.search.context import Context
from fhir_hub.search.entry import Kind
from fhir_hub.search.full_text import words_plan
from fhir_hub.search.kinds import composite, uri
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.table import KINDS
from fhir_hub.search.kinds.values import split, unescape
from fhir_hub.search.parameter import Parameter
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import (
    URL,
    VERSION,
    And,
    Has,
    Is,
    LinkedBy,
    Links,
    Not,
    Or,
    Plan,
    Test,
    any_of,
    gathered,
    some,
)
from fhir_hub.search.pointing import forms_of, narrowed, typed

P = ParamSpec("P")
HAS = "_has"
LIST = "_list"
_HAS_FORM = f"{HAS}:Type:reference:parameter=value"
_DEEPEST = 8
MOST_VALUES = 4000  # a store binds a few SQL variables for each, and has 32,766
_SHORT, _MOST_READ = 200, 2000  # conditions that are kept, and how long one may be
_FEW = 5  # types that an error names; of more it says how many
_MOST_LINKS = 1000  # types that all chains of a query may lead through


_PLAIN = uri.MODIFIERS[""]


class _TooWide(InvalidParameter):
    """More than a store should be asked; another type at the end of a chain is no remedy."""


class Ask(NamedTuple):
    """What is asked at the end of a name: `read` returns it for the parameter and its modifier.

    `text` is the value as it is written.
    """

    text: str
    read: Callable[[Parameter, str], Plan]


class Conditions:
    """Reads conditions in one context. `others` are names that may be meant too, for advice.

    `tests` counts what the values of all of them ask; `codes` are those that others ask with them.
    """

    def __init__(
        self,
        parameters: Parameters,
        context: Context,
        others: Sequence[str] = (),
        codes: AskedCodes | None = None,
    ) -> None:
        self._parameters, self._context, self._others = parameters, context, others
        self._left, self._codes = _MOST_LINKS, codes or AskedCodes()
        self.tests = 0

    def plan(self, resource_type: str, name: str, text: str, depth: int = 0) -> Plan:
        """Return what `name=text` asks of a resource of the type (`Resource`: of any).

        Raises `UnknownParameter` with the nearest valid names, `InvalidParameter`.
        """
        plain = self._parameters.of(resource_type).get(name)
        if plain is not None and text and name != LIST:  # no chain, no modifier: what most ask
            return _named(plain.code, self.condition, plain, "", text)

        def read(parameter: Parameter, modifier: str) -> Plan:
            return self.condition(parameter, modifier, text)

        return self.named(resource_type, name, Ask(text, read), depth)

    def named(self, resource_type: str, name: str, ask: Ask, depth: int = 0) -> Plan:
        """Return what is asked of a resource of the type under a name, chains and all."""
        if depth > _DEEPEST:
            raise _TooWide(f"a chain has at most {_DEEPEST} links")
        if name == LIST:
            return self._list(ask.text)
        if name.startswith(f"{LIST}:"):
            raise UnknownParameter(f"{LIST} has no modifiers")
        if name == HAS:
            raise UnknownParameter(f"{HAS} is written {_HAS_FORM}")
        if name.startswith(f"{HAS}:"):
            return self._reverse_chain(resource_type, name, ask, depth)
        head, dot, rest = name.partition(".")
        if dot:
            known = rest.partition(".")[0].partition(":")[0]
            return self.through(
                resource_type, head, known, lambda target: self.named(target, rest, ask, depth + 1)
            )
        code, colon, modifier = head.partition(":")
        parameter = self.parameter(resource_type, code)
        if colon and not modifier:
            raise UnknownParameter(f"{code}: a modifier must follow the colon")
        if not ask.text:
            raise InvalidParameter(f"{code} has no value")
        return _named(code, ask.read, parameter, modifier)

    def _list(self, text: str) -> Plan:
        """Return what is in one of the Lists that the logical ids in `text` name.

        Spec: https://hl7.org/fhir/R4/search.html#list
        """
        ids = [one.removeprefix("List/") for one in _values(text)] if text else []
        if not ids or not all(map(is_id, ids)):
            raise InvalidParameter(
                f"{LIST} is the logical id of a List; functional ones are not kept"
            )
        lists = Has("_id", "token", gathered(tuple(Is(one) for one in ids)))
        self._count(len(ids))
        item = self.parameter("List", "item")
        return any_of(LinkedBy("List", index, lists) for index in item.indexes)

    def parameter(self, resource_type: str, code: str) -> Parameter:
        """Return the parameter of the type; raises `UnknownParameter` with the nearest ones."""
        found = self._parameters.of(resource_type).get(code)
        if found is not None:
            return found
        reason = self._parameters.refused(resource_type, code)
        if reason:
            raise UnknownParameter(f"{code} is not supported: {reason}")
        near = self._parameters.nearest(resource_type, code, self._others)
        where = "all types" if resource_type == "Resource" else resource_type
        raise UnknownParameter(
            f"{where}: no parameter {code[:60]!r}; "
            + (f"did you mean {', '.join(near)}?" if near else f"there are {self._some(where)}")
        )

    def _some(self, resource_type: str) -> str:
        codes = self._parameters.of(resource_type if resource_type != "all types" else "Resource")
        return ", ".join(code for code in codes)

    def condition(self, parameter: Parameter, modifier: str, text: str) -> Plan:
        """Return what a parameter with a modifier asks by `text`.

        Raises `InvalidResource` for no such value, `UnknownParameter` for no such modifier.
        """
        is_open = parameter.codes is not None and self._codes.is_of_several
        if modifier or is_open or len(text) > _SHORT:
            return self._condition(parameter, modifier, text)
        # what most clients ask: the same few codes and days, read once
        context, read = self._context, self._parameters.read
        key = (id(parameter), text, context.base)
        known = read.get(key)
        if known is not None:
            of, aliases, zone, plan, tests = known
            if of is parameter and aliases is context.aliases and zone is context.zone:
                self._count(tests)
                return plan
        before = self.tests
        plan = self._condition(parameter, modifier, text)
        if len(read) >= _MOST_READ:
            read.clear()
        read[key] = parameter, context.aliases, context.zone, plan, self.tests - before
        return plan

    def _condition(self, parameter: Parameter, modifier: str, text: str) -> Plan:
        if modifier == "missing":
            return missing(parameter, text)
        if parameter.kind == "composite" or parameter.kind == "text":
            if modifier:
                raise UnknownParameter(no_modifier(modifier, ("missing",)))
            if parameter.kind == "text":
                return self._words(parameter, text)
            return any_of(self._pairs(parameter, value) for value in _values(text))
        if parameter.kind == "uri" and parameter.code == URL and "|" in text and not modifier:
            return any_of(self._named_so(parameter, value) for value in _values(text))
        rules = KINDS[parameter.kind]
        if parameter.kind == "reference" and modifier in self._types():
            parameter, modifier = narrowed(parameter, modifier), ""
        row = rules.modifiers.get(modifier)
        if row is None or not _is_for(row, parameter):
            known = [
                name for name, one in rules.modifiers.items() if name and _is_for(one, parameter)
            ]
            targets = parameter.targets if parameter.kind == "reference" else ()
            raise UnknownParameter(no_modifier(modifier, known, targets))
        meaning = self.meaning(parameter)
        tests = [test for value in _values(text) for test in row.read(value, meaning)]
        plan = self.tested(parameter, tests, row)
        return Not(plan) if row.is_negated else plan

    def _named_so(self, parameter: Parameter, text: str) -> Plan:
        """Return what asks for the url, and for the version that stands behind it if one does.

        Spec: https://hl7.org/fhir/R4/search.html#uri
        """
        url, *version = split(text, "|")
        whole = self.tested(parameter, (Is(unescape(text)),), _PLAIN)
        if not version:
            return whole
        plan = self.tested(parameter, (Is(unescape(url)),), _PLAIN)
        said = Has(VERSION, "token", (Is(unescape("|".join(version))),))
        return Or((And((plan, said)), whole))

    def tested(self, parameter: Parameter, tests: Sequence[Test], row: Modifier) -> Plan:
        """Return what asks for an entry that passes one of `tests`, under the row's part."""
        self._count(len(tests))
        kind: Kind = row.kind if row.part else parameter.kind  # type: ignore[assignment]  # no composite comes here
        return some([f"{i}:{row.part}" if row.part else i for i in parameter.indexes], kind, tests)

    def meaning(self, parameter: Parameter) -> Meaning:
        """Return what the meaning of the parameter's values depends on."""
        types = {path.type for path in parameter.paths}
        is_boolean = types == {"boolean"}
        known = parameter.targets, parameter.implied, parameter.is_contact, is_boolean
        is_text = "string" in types
        check = None if parameter.codes is None else partial(self._codes.check, parameter)
        return Meaning(self._context, *known, parameter.is_mime, is_text, check)

    def _words(self, parameter: Parameter, text: str) -> Plan:
        values = _values(text)
        self._count(len(values))
        return any_of(words_plan(parameter.code, value) for value in values)

    def _pairs(self, parameter: Parameter, text: str) -> Plan:
        parts = parameter.pairs[0].parts
        values = composite.parts_of(text, len(parts))
        kinds: list[Kind] = []
        tests: list[tuple[Test, ...]] = []
        for part, value in zip(parts, values, strict=True):
            kind: Kind = part.kind  # type: ignore[assignment]  # no composite in a composite
            kinds.append(kind)
            tests.append(KINDS[kind].modifiers[""].read(value, self.meaning(part)))
        self._count(len(tests) * prod(map(len, tests)))
        return any_of(
            composite.pair(index, elsewhere, kinds, tests)
            for index, elsewhere in zip(parameter.indexes, parameter.elsewhere, strict=True)
        )

    def through(
        self, resource_type: str, head: str, code: str, plan_of: Callable[[str], Plan]
    ) -> Plan:
        """Return what asks for a reference to a resource that meets `plan_of(its type)`.

        `head` is the reference, with a type after a colon if it is to be of one; `code` the next
        name of the chain.
        """
        first, _, modifier = head.partition(":")
        parameter = typed(self.parameter(resource_type, first), modifier, self._types())
        forms = forms_of(parameter)
        # R4 search.html#chaining: of all types that it may refer to, those with the parameter
        targets = [
            target
            for target in parameter.targets
            if (code in (HAS, LIST) or code in self._parameters.of(target))
            and (False in forms or URL in self._parameters.of(target))
        ]
        self._left -= len(targets)
        if self._left < 0:
            raise _TooWide("a chain leads through too many types: write reference:Type.")
        if not targets and len(parameter.targets) > 1:
            self._refuse_chain(parameter.targets, code)
        plans: dict[Plan, list[str]] = {}
        problem: FhirError | None = None
        with self._codes.of_several() if len(targets) > 1 else nullcontext():
            for target in targets or parameter.targets[:1]:
                try:
                    plans.setdefault(plan_of(target), []).append(target)
                except _TooWide:
                    raise
                except (UnknownParameter, InvalidParameter) as error:
                    problem = problem or error
        if not plans and problem:
            raise problem
        links = [
            Links(index, tuple(types), plan, is_canonical)
            for is_canonical in forms
            for index in parameter.indexes
            for plan, types in plans.items()
        ]
        return any_of((*links, *contained_plans(parameter.indexes, plans)))

    def _refuse_chain(self, targets: Sequence[str], code: str) -> None:
        """Raise `UnknownParameter` if none of the types has the code, with the nearest codes."""
        known: dict[str, list[str]] = {}
        for target in targets:
            if code in self._parameters.of(target) or self._parameters.refused(target, code):
                self.parameter(target, code)
                return
            for one in self._parameters.of(target):
                known.setdefault(one, []).append(target)
        near = [
            f"{one} of {', '.join(known[one])}" if len(known[one]) <= _FEW else one
            for one in nearest(code, known, likeness=0.5)
        ]
        types = ", ".join(targets) if len(targets) <= _FEW else f"{len(targets)} types"
        hint = f"did you mean {' or '.join(near)}?" if near else "ask one type: reference:Type.name"
        raise UnknownParameter(f"{types} have no parameter {code[:60]!r}; {hint}")

    def _reverse_chain(self, resource_type: str, name: str, ask: Ask, depth: int) -> Plan:
        parts = name.split(":", 3)
        if len(parts) < 4 or not all(parts):
            raise InvalidParameter(f"{HAS} is written {_HAS_FORM}")
        _, source, code, rest = parts
        if source not in self._types():
            raise UnknownParameter(no_type(HAS, source, self._types()))
        parameter = self.parameter(source, code)
        if parameter.kind != "reference":
            raise UnknownParameter(f"{HAS}: {source}.{code} is no reference parameter")
        if resource_type != "Resource" and resource_type not in parameter.targets:
            raise UnknownParameter(f"{HAS}: {source}.{code} does not refer to {resource_type}")
        plan = self.named(source, rest, ask, depth + 1)
        return any_of(
            LinkedBy(source, index, plan, is_canonical)
            for is_canonical in forms_of(parameter)
            for index in parameter.indexes
        )

    def _count(self, tests: int) -> None:
        self.tests += tests
        if self.tests > MOST_VALUES:
            raise _TooWide(
                f"more than {MOST_VALUES} values; of an id without a type, all types count"
            )

    def _types(self) -> frozenset[str]:
        return self._parameters.definitions.resource_types


def _named(code: str, read: Callable[P, Plan], *given: P.args, **named: P.kwargs) -> Plan:
    """Return what `read` returns; an error of its says which parameter it is about."""
    try:
        return read(*given, **named)
    except InvalidResource as error:
        raise InvalidParameter(f"{code}: {error}") from None
    except UnknownParameter as error:
        raise UnknownParameter(f"{code}: {error}") from None


def _is_for(row: Modifier, parameter: Parameter) -> bool:
    """Say whether a modifier is for the types that the parameter's values have."""
    return not row.types or any(path.type in row.types for path in parameter.paths)


def _values(text: str) -> list[str]:
    values = split(text, ",")
    if len(values) > MOST_VALUES:
        raise InvalidResource(f"more than {MOST_VALUES} values")
    if not all(values):
        raise InvalidResource("a value between commas is empty")
    return values
