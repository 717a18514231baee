"""What may be told of a person, to whom and on what ground: the one place that decides it.

Every resource that goes into a document, also one that another refers to, is asked for here. What
may not be told is left out as if it were not there: no number, no name, no reason. There is no
sign-in yet, so the ground is what is asked for (a referral's package, a summary); a policy that
knows the asker goes in front as another `May`.

Spec: DOMAIN 2.8; https://hl7.org/fhir/R4/security-labels.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from fhir_hub.documents.archive import Archive
from fhir_hub.referral.reading import at, each, has_code, key_of
from fhir_hub.repository.unit import Resource
from fhir_hub.store.base import Key

May = Callable[[Resource], bool]

RESULTS_FOR = timedelta(days=731)  # 24 months: DOMAIN 2.8, what a referral opens of results
AFTER_THE_END = timedelta(days=30)  # how long a referral opens a record after it has ended
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CLOSED = frozenset(("R", "V"))
# psychiatry, addiction, HIV and other STD, reproduction, violence, genetics, taboo
_SENSITIVE = frozenset(
    re.findall(
        r"\w+",
        "BH COGN DVD EMOTDIS MH PSY PSYTHPN ETH ETHUD OPIOIDUD SUD HIV STD SEX SDV DV DVS MST VIO"
        " GDIS SCA SICKLE SPI TBOO",
    )
)
# who, where and with what: nothing about the person
_SURROUNDINGS = frozenset(
    re.findall(
        r"\w+",
        "Organization OrganizationAffiliation Practitioner PractitionerRole Location"
        " HealthcareService Device DeviceDefinition Medication Substance Endpoint",
    )
)
_RESULTS = frozenset(("Observation", "DiagnosticReport", "ImagingStudy", "Media"))
_RECORD = frozenset(
    re.findall(
        r"\w+",
        "AllergyIntolerance BodyStructure CarePlan CareTeam ClinicalImpression Condition Consent"
        " Coverage DetectedIssue DeviceUseStatement DocumentReference Encounter EpisodeOfCare"
        " FamilyMemberHistory Flag Goal Immunization MedicationAdministration MedicationDispense"
        " MedicationRequest MedicationStatement Procedure QuestionnaireResponse RelatedPerson"
        " RiskAssessment ServiceRequest Specimen Binary",
    )
)
_SUBJECTS = ("subject", "patient", "for", "beneficiary", "individual")
_REFERRAL_CODES = ("referral", "3457005", "306206005")  # the hub's, and those of SNOMED CT
_PASSED_ON = ("hasMember", "derivedFrom", "result", "media", "imagingStudy")


@dataclass(frozen=True, slots=True)
class Ground:
    """On what ground a record is opened.

    `patients` are the ids of the one person; `named` is what is told in any case, because whoever
    referred put it into the package; `since` is from when results are told, microseconds; with
    `only_named` nothing else of the record is.
    """

    of: Literal["referral", "summary"]
    patients: frozenset[str]
    named: frozenset[Key] = frozenset()
    since: int | None = None
    only_named: bool = False


def is_restricted(resource: Resource) -> bool:
    """Say whether a resource has a label that only its author and express consent open."""
    for label in each(resource, "meta", "security"):
        codes = {_CONFIDENTIALITY: _CLOSED, _SENSITIVITY: _SENSITIVE}.get(str(label.get("system")))
        if codes is not None and str(label.get("code")) in codes:
            return True
    return False


def permission(ground: Ground, archive: Archive) -> May:
    """Return what says of each resource whether it may be told on this ground."""

    def may(resource: Resource) -> bool:
        resource_type = resource["resourceType"]
        if not _is_of(resource, ground.patients):
            return False
        if resource_type in _SURROUNDINGS:
            return not is_restricted(resource)
        if Key(resource_type, str(resource.get("id"))) in ground.named:
            return True
        if ground.only_named or is_restricted(resource):
            return False
        if resource_type in _RESULTS and ground.since is not None:
            moment = archive.moment(resource)
            return moment is None or moment >= ground.since
        return resource_type in _RECORD | _RESULTS and not is_referral_order(resource)

    return may


def referral_ground(
    patients: frozenset[str], named: frozenset[Key], task: Resource | None, now: datetime
) -> Ground:
    """Return what a referral opens to whom it is addressed: its package, and a record besides.

    The record is open until 30 days after the referral has ended; its package stays what it is.
    """
    since = int((now - RESULTS_FOR).timestamp() * 1_000_000)
    ground = Ground("referral", patients, named, since)
    ended = at(task, "status") in ("completed", "rejected", "cancelled", "entered-in-error")
    if task is None or not ended:
        return ground
    try:
        moment = datetime.fromisoformat(str(task.get("lastModified")))
    except ValueError:
        return replace(ground, only_named=True)
    is_over = moment.tzinfo is None or moment < now - AFTER_THE_END
    return replace(ground, only_named=is_over)


def told_with(resource: Resource) -> list[Key]:
    """Return what is told together with a resource that is named: a report's results."""
    found = [key_of(one) for name in _PASSED_ON for one in each(resource, name)]
    return [key for key in found if key is not None]


def _is_of(resource: Resource, patients: frozenset[str]) -> bool:
    """Say whether a resource is about nobody else."""
    if resource["resourceType"] == "Patient":
        return resource.get("id") in patients
    for name in _SUBJECTS:
        key = key_of(resource.get(name))
        if key is not None and key.resource_type == "Patient" and key.logical_id not in patients:
            return False
    return True


def is_referral_order(resource: Resource) -> bool:
    """Say whether a resource is the order of a referral: only the parties to it know it."""
    if resource["resourceType"] != "ServiceRequest":
        return False
    return any(
        has_code(one, code) for one in each(resource, "category") for code in _REFERRAL_CODES
    )
