"""Second opinions: what other validators say of the same resources, and why ours differs.

Spec: https://hl7.org/fhir/R4/validation.html
"""

import carebundle
import fhirkit
import parts
import pytest
from r4.test_checks_broken import BROKEN
from r4.test_checks_valid import VALID

from fhir_hub import fhirjson
from fhir_hub.r4.checks.run import make_checks
from fhir_hub.r4.packages import built_in_profiles, load_profiles

# fhirkit-rs 0.1.0 checks structure and formats. Where it finds nothing, by the code of our issue
# and the last step of its element:
WHY = {
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
    ("value", "issued"): "datatypes.html#instant: more digits than a clock has; the limit is ours",
    ("value", "value"): "datatypes.html#time: more digits than a clock has; the limit is ours",
    ("value", "contentType"): "rfc6838: a MIME type has a type and a subtype",
}


def faults(resource: object) -> list[str]:
    """Return the errors that fhirkit finds."""
    try:
        found = fhirkit.validate(fhirjson.dumps(resource))
    except (fhirkit.ParseError, fhirkit.ValidationError) as error:
        return [str(error)]
    return [str(each) for each in found if each.severity == "error"]


def test_what_we_take_fhirkit_takes_too() -> None:
    assert {number: faults(each) for number, each in enumerate(VALID) if faults(each)} == {}


def test_every_disagreement_with_fhirkit_has_its_reason() -> None:
    met = set()
    for resource, code, expression in BROKEN:
        if isinstance(resource, dict) and not faults(resource):
            row = (code, expression.rpartition(".")[2])
            known = row if row in WHY else (code, "*")
            assert known in WHY, (code, expression)
            met.add(known)

    assert met == set(WHY)


@pytest.mark.parametrize("profile", sorted(carebundle.PROFILES))
def test_what_carebundle_makes_raises_no_false_alarm(profile: str) -> None:
    checks = make_checks(parts.definitions(), load_profiles([built_in_profiles()]))
    bundle = carebundle.to_json(carebundle.generate_bundle(profile=profile, seed=7))
    issues = checks.check_profiles(fhirjson.loads(bundle.encode()))

    # it claims profiles of the US, which are not here
    assert {(issue.severity, issue.code) for issue in issues} <= {("warning", "not-found")}
