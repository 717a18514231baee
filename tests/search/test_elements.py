"""What is known of an element changes nothing that is said of a resource: it is only said sooner.

Spec: https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import parts
import pytest
from r4.broken_elements import ELEMENTS
from r4.broken_invariants import INVARIANTS
from r4.broken_rules import RULES
from r4.broken_shortcuts import SHORTCUTS
from r4.broken_values import VALUES
from r4.samples import LOINC, observation, patient

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource
from fhir_hub.r4.checks.required import requirement
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.definitions import Structure
from fhir_hub.repository.rules import Rules
from fhir_hub.repository.unit import Unit
from fhir_hub.search.elements import Elements, Place
from fhir_hub.search.extract import Extractor
from fhir_hub.search.found import NOTHING
from fhir_hub.search.own import OwnParameter, read_row
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.memory.store import open_memory

CHECKS = parts.checks()
EXAMPLES = Path(__file__).parents[2] / "profiles" / "cn-yangtze" / "examples" / "valid"
REFERRING = {"subject": {"reference": "Patient/p1"}, "performer": [{"reference": "#p"}]}


@pytest.fixture
def extractor() -> Extractor:
    return Extractor(parts.parameters(), parts.ZONE)


def examples() -> Iterator[dict[str, Any]]:
    for path in sorted(EXAMPLES.rglob("*.json")):
        resource = fhirjson.loads(path.read_bytes())
        yield resource
        yield from (entry["resource"] for entry in resource.get("entry", ()) if "resource" in entry)


def learn(extractor: Extractor, resource: dict[str, Any]) -> tuple[Any, Any]:
    """Have a resource looked at as writes do, until it is known.

    Return what it refers to and its entries.
    """
    for _ in range(2):
        known = extractor.known(resource)
        is_right = not CHECKS.check(resource, known.unknown)
        targets, entries = extractor.read(
            resource, fhirjson.dumps(resource), known, is_right=is_right
        )
    return targets, tuple(entries)


def test_a_resource_says_the_same_however_often_its_elements_were_seen(extractor):
    known = 0
    for resource in examples():
        content = fhirjson.dumps(resource)
        whole = extractor.targets(resource["resourceType"], content), extractor.entries(resource)
        assert learn(extractor, resource) == whole
        known += len(resource) - len(extractor.known(resource).unknown.names)
        assert learn(extractor, resource) == whole

    assert known > 100


def test_a_broken_resource_is_refused_with_the_same_words_beside_known_elements(extractor):
    for resource in (*examples(), observation(), patient()):
        learn(extractor, resource)

    samples = (*ELEMENTS, *INVARIANTS, *RULES, *SHORTCUTS, *VALUES)
    for broken in (*(sample for sample, _, _ in samples), patient(**{"": {"a": 1}})):
        if isinstance(broken, dict):
            for _ in range(2):  # what was refused once is not known the second time
                unknown = extractor.known(broken).unknown
                assert CHECKS.check(broken, unknown) == CHECKS.check(broken) != []


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"meta.tag": [{"code": "t"}]}, id="an element of that name"),
        pytest.param({"meta": {"tag": {"code": "t"}}}, id="no list"),
        pytest.param({"meta": {"_tag": [{"code": "t"}]}}, id="beside"),
        pytest.param({"meta": [{"tag": [{"code": "t"}]}]}, id="a list of meta"),
        pytest.param({"tag": [{"code": "t"}]}, id="beside meta"),
        pytest.param({"status": ["final"]}, id="a text in a list"),
        pytest.param({"status": {"status": "final"}}, id="an object for a text"),
    ],
)
def test_what_is_known_in_one_place_is_not_known_in_another(extractor, other):
    learn(extractor, observation(meta={"tag": [{"code": "t"}]}))
    broken = observation(**other)

    unknown = extractor.known(broken).unknown
    assert CHECKS.check(broken, unknown) == CHECKS.check(broken) != []


def test_what_stands_in_meta_is_known_by_element(extractor):
    learn(extractor, observation(meta={"source": "urn:x", "tag": [{"code": "t"}]}))

    known = extractor.known(observation(meta={"source": "urn:x", "tag": [{"code": "u"}]}))
    assert known.unknown.in_meta == ["tag"]


def test_the_pairs_of_a_value_and_of_components_stay_what_they_were(extractor):
    parts = [{"code": LOINC, "valueQuantity": {"value": number, "unit": "kg"}} for number in (2, 3)]
    resource = observation(valueString="a", component=parts)
    for _ in range(2):
        entries = learn(extractor, resource)[1]
        own = [one for one in entries if one.parameter == "code-value-string.1"]
        inner = [one for one in entries if one.parameter == "component-code-value-quantity.1"]
        assert [(one.group, one.code) for one in own] == [(1, "a")]
        assert [(one.group, one.low) for one in inner] == [(1, 2), (2, 3)]


@pytest.mark.parametrize(
    "around",
    [
        pytest.param({"contained": [{"resourceType": "Practitioner", "id": "p"}]}, id="contained"),
        pytest.param({"_status": {"id": "s"}}, id="a primitive's extension"),
    ],
)
def test_what_is_around_an_element_may_say_what_it_means(extractor, around):
    learn(extractor, observation(**around, **REFERRING))
    alone = observation(**REFERRING)

    refused = {issue.expression for issue in CHECKS.check(alone, extractor.known(alone).unknown)}
    assert refused == {"Observation.performer[0].reference"}


@pytest.mark.parametrize(
    "resource_type", ["Bundle", "Parameters", "StructureDefinition", "Nothing"]
)
def test_of_a_type_whose_elements_look_around_nothing_is_known(extractor, resource_type):
    resource = {"resourceType": resource_type, "code": LOINC}
    for _ in range(2):
        known = extractor.known(resource)
        assert known.unknown is None
        extractor.read(resource, fhirjson.dumps(resource), known, is_right=True)


def test_what_nobody_checked_is_not_right(rules):
    unchecked, checked = rules

    def create(rules: Rules) -> None:
        Unit(open_memory()[0], rules).create(observation(category=[{"coding": "none"}]))

    for _ in range(3):
        create(unchecked)
    with pytest.raises(InvalidResource):
        create(checked)


@pytest.fixture
def rules(extractor) -> tuple[Rules, Rules]:
    """Return rules that check nothing and rules that check R4, with one memory of elements."""
    site_rules = SiteRules(parts.definitions(), {})
    require = partial(requirement, CHECKS, site_rules, parts.definitions())
    own = (extractor, parts.SetClock(), parts.ids())
    return Rules(require("off", ()), *own), Rules(require("r4", ()), *own)


def test_new_search_parameters_are_asked_of_known_elements():
    parameters = Parameters(parts.definitions())
    extractor = Extractor(parameters, parts.ZONE)
    resource = observation(referenceRange=[{"text": "usual"}])
    before = learn(extractor, resource)[1]

    definition = {
        "url": "http://a.example/usual",
        "code": "usual",
        "base": ["Observation"],
        "type": "string",
        "expression": "Observation.referenceRange.text",
    }
    parameters.set_own([OwnParameter("usual", read_row(definition), 1)], 1)

    assert {entry.parameter for entry in set(learn(extractor, resource)[1]) - set(before)} == {
        "usual"
    }


def test_what_comes_again_stays_known_and_what_comes_once_takes_no_room(extractor):
    def unknown(resource: dict[str, Any]) -> list[str]:
        return extractor.known(resource).unknown.names

    often = observation(note=[{"text": "often"}])
    learn(extractor, often)
    for number in range(3000):
        once = observation(identifier=[{"value": str(number)}])
        known = extractor.known(once)
        assert known.unknown.names == ["identifier"]
        extractor.read(once, fhirjson.dumps(once), known, is_right=True)

    assert not unknown(often)
    learn(extractor, once)
    assert not unknown(once)


def test_all_places_keep_some_thousand_and_note_not_many_more():
    elements = Elements()
    places = [elements.place(lambda *_: NOTHING, None) for _ in range(8)]

    def ask(place: Place, content: str) -> bool:
        if place.get(content) or place.before(content):
            return True
        place.keep(content, content, NOTHING)
        return False

    for place in places:
        for number in range(5000):
            ask(place, str(number % 900))
            assert elements.kept <= 2560
        known = [ask(place, str(number)) for number in range(900)]
        assert all(known)

    assert [elements.comes_again(number) for number in (1, 1)] == [False, True]
    for number in range(2, 5000):
        elements.comes_again(number)
    assert not elements.comes_again(1)


def references(structure: Structure) -> Iterator[tuple[str, bool, str]]:
    """Yield each Reference of a resource: its name, whether it is a list, a type it may be to."""
    for path, element in structure.elements.items():
        name = path.partition(".")[2].replace("[x]", "Reference")
        for one in element.types if "." not in name else ():
            if one.code == "Reference":
                yield name, element.is_list, (*one.targets, "Patient")[0]


def test_a_reference_to_what_was_never_named_says_what_one_says_that_is_read():
    extractor = Extractor(parts.parameters(), parts.ZONE, base="http://hub.example/fhir")
    seen = 0
    for resource_type in sorted(parts.definitions().resource_types):
        structure = parts.definitions().structure(resource_type)
        for name, is_list, target in references(structure):
            target = "Patient" if target == "Resource" else target
            for number in range(2):
                own = [{"reference": f"{target}/{number}{k}"} for k in range(3 if is_list else 1)]
                resource = {"resourceType": resource_type, name: own if is_list else own[0]}
                content = fhirjson.dumps(resource)
                known = extractor.known(resource)
                seen += known.unknown is not None and not known.unknown.names
                targets = extractor.targets(resource_type, content)
                whole = targets, extractor.entries(resource)
                targets, entries = extractor.read(resource, content, known, is_right=True)
                assert (targets, tuple(entries)) == whole
    assert seen > 500


TAGGED = [{"system": "urn:oid:2.16.156.10011.1.3", "code": "a/1"}]


def test_a_tag_of_a_system_that_was_right_says_what_one_says_that_is_read():
    extractor = Extractor(parts.parameters(), parts.ZONE, aliases={"urn:old": "urn:new"})
    for system in ("urn:old", "urn:x", ""):
        for number in range(3):
            tag = [{"system": system or "urn:x", "code": f"k/{number}"}]
            resource = observation(meta={"tag": tag})
            content, known = fhirjson.dumps(resource), extractor.known(resource)
            assert bool(known.unknown.in_meta) is (number == 0 and system != "")
            _, entries = extractor.read(resource, content, known, is_right=True)
            assert sorted(entries) == sorted(extractor.entries(resource))


@pytest.mark.parametrize(
    "tag",
    [
        pytest.param([TAGGED[0] | {"code": "two  blanks"}], id="two blanks"),
        pytest.param([TAGGED[0] | {"code": ""}], id="empty"),
        pytest.param([TAGGED[0] | {"code": 1}], id="no text"),
        pytest.param([TAGGED[0] | {"system": ""}], id="another system"),
        pytest.param([{"system": TAGGED[0]["system"], "x": "a/1"}], id="no code"),
        pytest.param([TAGGED[0] | {"x": 1}], id="more"),
        pytest.param(TAGGED[0], id="no list"),
        pytest.param([*TAGGED, {}], id="two"),
        pytest.param([], id="none"),
    ],
)
def test_what_was_right_of_one_tag_is_asked_of_another_kind(extractor, tag):
    learn(extractor, observation(meta={"tag": TAGGED}))
    right = observation(meta={"tag": [TAGGED[0] | {"code": "b/2"}]})
    assert not extractor.known(right).unknown.in_meta

    broken = observation(meta={"tag": tag})
    unknown = extractor.known(broken).unknown
    assert CHECKS.check(broken, unknown) == CHECKS.check(broken) != []


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param("Medication/1", id="another type"),
        pytest.param("Patient/", id="no id"),
        pytest.param("Patient/a_b", id="no id of R4"),
        pytest.param(f"Patient/{'1' * 65}", id="too long"),
        pytest.param("Patient/1/2", id="more"),
        pytest.param("#p", id="contained"),
        pytest.param("patient/1", id="small"),
        pytest.param("", id="empty"),
    ],
)
def test_what_was_right_of_one_reference_is_asked_of_another_kind(extractor, reference):
    learn(extractor, observation(subject={"reference": "Patient/1"}))
    right = observation(subject={"reference": "Patient/2"})
    assert not extractor.known(right).unknown.names

    for subject in (reference, [{"reference": "Patient/2"}], {"reference": "Patient/2", "x": 1}):
        value = {"reference": subject} if isinstance(subject, str) else subject
        broken = observation(subject=value)
        unknown = extractor.known(broken).unknown
        assert CHECKS.check(broken, unknown) == CHECKS.check(broken) != []


def test_an_empty_list_of_references_stays_refused(extractor):
    learn(extractor, observation(performer=[{"reference": "Patient/1"}]))
    broken = observation(performer=[])

    assert CHECKS.check(broken, extractor.known(broken).unknown) == CHECKS.check(broken) != []


def test_a_parameter_that_reads_the_text_of_a_reference_is_asked_of_each():
    definition = {
        "url": "http://a.example/subject-text",
        "code": "subject-text",
        "base": ["Observation"],
        "type": "string",
        "expression": "Observation.subject.reference",
    }
    parameters = Parameters(parts.definitions())
    parameters.set_own([OwnParameter("1", read_row(definition), 1)], 1)
    extractor = Extractor(parameters, parts.ZONE)

    for name in ("Patient/first", "Patient/second"):
        entries = learn(extractor, observation(subject={"reference": name}))[1]
        assert [one.text for one in entries if one.parameter == "subject-text"] == [name]
