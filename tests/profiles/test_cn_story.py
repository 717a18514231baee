"""What the hub makes of HL7v2 messages keeps the profile of its kind, and so do the institutions.

The exceptions say less than their profile asks, because the message does. They are listed here,
so that there are no others.
"""

import pytest
from conversion_parts import MESSAGES, story
from profiles.cn_parts import PROFILES, ROOT, read

OF_TYPE = {
    "Appointment": "cn-appointment",
    "CareTeam": "cn-contract",
    "Consent": "cn-consent",
    "Organization": "cn-organization",
    "Patient": "cn-patient",
    "Practitioner": "cn-practitioner",
    "PractitionerRole": "cn-practitioner-role",
    "Schedule": "cn-schedule",
    "Slot": "cn-slot",
}
NAT = ("94500-6", "94559-2", "94533-7")
EXCEPTIONS = {
    ("03", "Patient.gender"),  # the record that a merge retires: MRG has a number and a name
    ("13", "Observation.code.coding"),  # in a referral letter, with the sender's own code
    ("13", "Organization.name"),  # of PRD, by number only
    ("16", "Practitioner.name"),  # of ORC, by number only
}


def profile_of(resource) -> str:
    """Return the profile of what a resource is, `""` if the package has none."""
    codes = {code for _, code in codings(resource)}
    match resource["resourceType"]:
        case "Observation" if codes.intersection(NAT):
            return "cn-nucleic-acid-test"
        case "Observation" if "vital-signs" in codes:
            return "cn-vital-signs"
        case "Observation":
            return "cn-laboratory-result" if "laboratory" in codes else ""
        case "MedicationRequest" if "LONG" in codes:
            return "cn-long-prescription"
        case "MedicationRequest" if "EXT" in codes:
            return "cn-extended-prescription"
        case "MedicationRequest":
            return "cn-normal-prescription"
        case "Task":
            return "cn-referral-task" if "fulfill" in codes else ""
        case "ServiceRequest":
            return "cn-referral" if "referral" in codes else ""
    return OF_TYPE.get(resource["resourceType"], "")


def codings(value):
    if isinstance(value, dict):
        if "system" in value and "code" in value:
            yield value["system"], value["code"]
        for each in value.values():
            yield from codings(each)
    elif isinstance(value, list):
        for each in value:
            yield from codings(each)


@pytest.fixture(scope="module")
def held(check):
    """Return message, profile and issues of every resource that the messages make."""
    found = []
    for number in sorted(path.name[:2] for path in MESSAGES.glob("*.hl7")):
        for one in story(number).resources:
            if profile := profile_of(one.resource):
                found.append((number, profile, check(one.resource, [PROFILES + profile])))
    return found


def test_what_messages_become_keeps_the_profile_of_its_kind(held):
    errors = {
        (number, issue.expression)
        for number, _, issues in held
        for issue in issues
        if issue.severity == "error"
    }

    assert errors == EXCEPTIONS


def test_messages_make_something_of_nearly_every_profile(held):
    made = {profile for _, profile, _ in held}

    assert len(held) > 100
    assert len(made) > 13


def test_the_institutions_of_the_examples_keep_their_profile(check):
    entries = read(ROOT / "examples" / "institutions.json")["entry"]
    resources = [one["resource"] for one in entries if profile_of(one["resource"])]

    assert len(resources) > 7
    for resource in resources:
        issues = check(resource, [PROFILES + profile_of(resource)])
        assert [one for one in issues if one.severity == "error"] == []
