"""Second opinions: what other validators say of the same resources, and why ours differs.

Spec: https://hl7.org/fhir/R4/validation.html
"""

from collections.abc import Callable

import fhirkit
import parts
import pytest
from r4.test_checks_broken import BROKEN
from r4.test_checks_valid import VALID

from fhir_hub import fhirjson
from fhir_hub.errors import FhirError
from fhir_hub.r4.checks.models import as_model
from fhir_hub.r4.checks.run import make_checks
from fhir_hub.r4.packages import built_in_profiles, load_profiles

# Why a broken sample is let through, by the code of our issue and the last step of its element.
# fhirkit-rs 0.1.0 checks structure and formats:
OF_FHIRKIT = {
    ("invariant", "*"): "it evaluates no invariant; every one is an error or warning of R4's own",
    ("code-invalid", "*"): "it does not look into the value sets of required bindings",
    ("invalid", "reference"): "datatypes.html#Reference: targets are types the element names",
    ("invalid", "type"): "references.html: type is the type of what is referred to",
    ("invalid", "div"): "narrative.html: XHTML without what runs, not empty (txt-1, txt-2)",
    ("invalid", "name[0]"): "json.html: an object is never empty",
    ("invalid", "meta"): "json.html: an object is never empty",
    ("invalid", "repeat"): "json.html: an object is never empty",
    ("invalid", "text"): "datatypes.html#string: not empty, not blanks alone",
    ("invalid", "birthDate"): "json.html: a primitive has a value or an extension",
    ("invalid", "given"): "json.html: an array is never empty",
    ("structure", "Patient"): "json.html: a key is the name of an element",
    ("structure", "value"): "the sample is a float, which no reader of ours makes",
    ("structure", "comparator"): "SimpleQuantity has no comparator",
    ("too-long", "*"): "datatypes.html#string: 1 MB; for a uri the limit is ours",
    ("value", "id"): "datatypes.html#id: 1 to 64 of A-Z a-z 0-9 - .; an element's has no blanks",
    ("value", "birthDate"): "datatypes.html#date: a day of the calendar",
    ("value", "effective"): "datatypes.html#dateTime: a day of the calendar, not 24:00",
    ("value", "language"): "datatypes.html#code: 1 MB; the limit is that of a string",
    ("value", "text"): "datatypes.html#string: of control characters only tab, CR and LF",
    ("value", "system"): "xml.html: XML carries no control characters",
    ("value", "issued"): "datatypes.html#instant: more digits than a clock has; the limit is ours",
    ("value", "value"): "datatypes.html#time: more digits than a clock has; the limit is ours",
    ("value", "contentType"): "rfc6838: a MIME type has a type and a subtype",
}


# fhir.resources R4B builds Python objects, and takes what can be made into one:
OF_MODELS = {
    ("invariant", "*"): "it evaluates no invariant",
    ("code-invalid", "*"): "it knows the value sets of bindings as comments only",
    ("too-long", "*"): "datatypes.html#string: 1 MB; for a uri the limit is ours",
    ("invalid", "reference"): "datatypes.html#Reference: targets, and the form of an address",
    ("invalid", "type"): "references.html: type is the type of what is referred to",
    ("invalid", "div"): "narrative.html: well-formed XHTML in one div of its namespace",
    ("invalid", "name"): "json.html: an array is never empty",
    ("invalid", "given"): "json.html: an array is never empty",
    ("invalid", "given[1]"): "json.html: null in both arrays says nothing",
    ("invalid", "name[0]"): "json.html: an object is never empty",
    ("invalid", "meta"): "json.html: an object is never empty",
    ("invalid", "repeat"): "json.html: an object is never empty",
    ("invalid", "text"): "datatypes.html#string: not blanks alone",
    ("invalid", "system"): "json.html: a text is never empty",
    (
        "invalid",
        "resourceType",
    ): "it takes abstract types, datatypes, and a contained one of no type",
    ("structure", "resourceType"): "json.html: only a resource has it",
    ("structure", "Patient"): "json.html: fhir_comments were dropped before R4",
    ("structure", "active"): "json.html: true, not the text and not 1",
    ("structure", "multipleBirth"): "json.html: a number, not true",
    ("structure", "birthDate"): "json.html: null stands in arrays only",
    ("structure", "name"): "json.html: null stands in arrays only",
    ("structure", "given"): "json.html: both arrays are there, of one length",
    ("structure", "given[1]"): "json.html: null only where the other array says something",
    ("structure", "value"): "json.html: a decimal is a number; a choice has one type",
    ("structure", "comparator"): "SimpleQuantity has no comparator",
    ("structure", "rest"): "json.html: null stands in arrays only",
    ("value", "text"): "datatypes.html#string: of control characters only tab, CR and LF",
    ("value", "multipleBirth"): "datatypes.html#integer: no point",
    ("value", "id"): "datatypes.html#id: 1 to 64 of A-Z a-z 0-9 - .; an element's has no blanks",
    ("value", "language"): "datatypes.html#code: 1 MB; the limit is that of a string",
    ("value", "issued"): "datatypes.html#instant: more digits than a clock has; the limit is ours",
    ("value", "value"): "datatypes.html#time: more digits than a clock has; the limit is ours",
    ("value", "system"): "datatypes.html#uri: no blanks",
    ("value", "data"): "datatypes.html#base64Binary: base64, not empty",
    ("value", "contentType"): "rfc6838: a MIME type has a type and a subtype",
}
# It has no place for the extension of a choice of primitive type where the value itself is absent.
REFUSED_BY_MODELS = {18}


def faults_of_fhirkit(resource: object) -> list[str]:
    """Return the errors that fhirkit finds."""
    try:
        found = fhirkit.validate(fhirjson.dumps(resource))
    except (fhirkit.ParseError, fhirkit.ValidationError) as error:
        return [str(error)]
    return [str(each) for each in found if each.severity == "error"]


def faults_of_models(resource: dict[str, object]) -> list[str]:
    """Return the errors that the classes of fhir.resources find."""
    try:
        as_model(resource)
    except FhirError as error:
        return [issue.diagnostics for issue in error.issues]
    return []


Faults = Callable[[dict[str, object]], list[str]]


@pytest.mark.parametrize(
    ("faults", "refused"),
    [
        pytest.param(faults_of_fhirkit, set(), id="fhirkit"),
        pytest.param(faults_of_models, REFUSED_BY_MODELS, id="fhir.resources"),
    ],
)
def test_what_we_take_others_take_too(faults: Faults, refused: set[int]) -> None:
    assert {number for number, each in enumerate(VALID) if faults(each)} == refused


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        pytest.param(faults_of_fhirkit, OF_FHIRKIT, id="fhirkit"),
        pytest.param(faults_of_models, OF_MODELS, id="fhir.resources"),
    ],
)
def test_every_disagreement_has_its_reason(faults: Faults, why: dict[tuple[str, str], str]) -> None:
    met = set()
    for resource, code, expression in BROKEN:
        if isinstance(resource, dict) and not faults(resource):
            row = (code, expression.rpartition(".")[2])
            known = row if row in why else (code, "*")
            assert known in why, (code, expression)
            met.add(known)

    assert met == set(why)


def test_what_carebundle_makes_raises_no_false_alarm() -> None:
    import carebundle  # its classes take a second, which each worker would pay to collect the tests

    checks = make_checks(parts.definitions(), load_profiles([built_in_profiles()]))
    for profile in sorted(carebundle.PROFILES):
        bundle = carebundle.to_json(carebundle.generate_bundle(profile=profile, seed=7))
        issues = checks.check_profiles(fhirjson.loads(bundle.encode()))

        # it claims profiles of the US, which are not here
        found = {(issue.severity, issue.code) for issue in issues}
        assert found <= {("warning", "not-found")}, profile
