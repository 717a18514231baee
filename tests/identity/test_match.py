"""Who a Patient is: decided by numbers, never by a name.

Spec: DOMAIN 0.12 and 3.1; https://hl7.org/fhir/R4/patient.html#merge
"""

import pytest

from fhir_hub.errors import VersionConflict, outcome
from fhir_hub.identity import doubles, match, systems
from fhir_hub.search.plan import Has, Is, Or

_SHEN, _LU, _WRONG = "310229195304129989", "310229194811059976", "310229195304129988"
_LOCAL = systems.patient_number("SHTH01")
_OTHER_LOCAL = systems.patient_number("ZJJCHC")
_HL7_CHINA = "urn:oid:2.16.840.1.113883.2.23.1.19.1"


def patient(logical_id="", *identifiers, **rest):
    found = {
        "resourceType": "Patient",
        "identifier": [
            dict(zip(("system", "value", "use"), one, strict=False)) for one in identifiers
        ],
    }
    return found | ({"id": logical_id} if logical_id else {}) | rest


def resident(number=_SHEN, system=systems.RESIDENT_ID):
    return (system, number)


def test_the_resident_id_finds_the_patient_under_any_system_that_means_it():
    stored = patient("p1", resident(system=_HL7_CHINA))

    decision = match.decide(patient("", resident()), [stored])

    assert decision.patient is stored
    assert decision.by == (systems.RESIDENT_ID, _SHEN)


def test_the_senders_own_number_finds_the_patient():
    stored = patient("p1", (_LOCAL, "T1"), resident())

    assert match.decide(patient("", (_LOCAL, "T1")), [stored]).patient is stored
    assert match.decide(patient("", (_OTHER_LOCAL, "T1")), [stored]).patient is None


def test_a_name_alone_finds_nobody():
    name = [{"text": "沈桂芳"}]
    stored = patient("p1", (_LOCAL, "T1"), name=name)

    assert match.decide(patient("", name=name), [stored]) == match.Decision()


def test_the_resident_id_wins_over_the_local_number_and_the_other_record_is_told():
    by_card, by_number = patient("p1", resident()), patient("p2", (_LOCAL, "T1"))

    decision = match.decide(patient("", (_LOCAL, "T1"), resident()), [by_number, by_card])

    assert decision.patient is by_card
    assert decision.others == ("p2",)


@pytest.mark.parametrize("stored_card", [resident(_LU), resident(_LU, _HL7_CHINA)])
def test_a_local_number_of_somebody_with_another_resident_id_is_an_error(stored_card):
    incoming = patient("", (_LOCAL, "T1"), resident())
    stored = [patient("p2", (_LOCAL, "T1"), stored_card), patient("p1", resident())]

    for candidates in (stored, stored[:1], stored[::-1]):
        with pytest.raises(VersionConflict) as caught:
            match.decide(incoming, candidates)

        assert str(caught.value) == match.DIFFERENT_PERSONS
        assert _SHEN not in str(outcome(caught.value))
        assert _LU not in str(outcome(caught.value))


def test_two_numbers_that_lead_to_two_known_persons_are_an_error():
    card = (systems.HEALTH_CARD, "H1")
    stored = [patient("p1", card, resident()), patient("p2", (_LOCAL, "T1"), resident(_LU))]

    with pytest.raises(VersionConflict):
        match.decide(patient("", card, (_LOCAL, "T1")), stored)


def test_a_resident_id_that_cannot_be_right_matches_nobody_and_contradicts_nobody():
    wrong = patient("p1", resident(_WRONG))
    assert match.decide(patient("", resident(_WRONG)), [wrong]).patient is None

    stored = patient("p2", (_LOCAL, "T1"), resident())
    assert match.decide(patient("", (_LOCAL, "T1"), resident(_WRONG)), [stored]).patient is stored


@pytest.mark.parametrize("use", ["temp", "old"])
def test_temporary_and_old_numbers_match_nobody(use):
    stored = patient("p1", (_LOCAL, "T1"))

    assert match.decide(patient("", (_LOCAL, "T1", use)), [stored]).patient is None
    assert match.decide(patient("", (_LOCAL, "T1")), [patient("p1", (_LOCAL, "T1", use))]) == (
        match.Decision()
    )


def test_the_number_of_a_visit_matches_nobody():
    visit = {"system": _LOCAL, "value": "V1", "type": {"coding": [{"code": "VN"}]}}

    assert match.numbers([visit, visit | {"type": {"coding": "x"}}, visit | {"type": "x"}]) == (
        (_LOCAL, "V1"),
    )


def test_one_number_held_by_several_leads_to_the_one_whose_resident_id_is_known():
    known, unknown = patient("p1", (_LOCAL, "T1"), resident()), patient("p2", (_LOCAL, "T1"))
    decision = match.decide(patient("", (_LOCAL, "T1")), [unknown, known])
    assert (decision.patient, decision.others) == (known, ("p2",))

    with pytest.raises(VersionConflict, match="held by 2 patients"):
        match.decide(patient("", (_LOCAL, "T1")), [unknown, unknown | {"id": "p3"}])


def test_a_patient_merged_away_leads_to_the_survivor():
    survivor = patient("p1", resident())
    between = patient("p2", (_LOCAL, "T2"), link=_replaced_by("Patient/p1"))
    merged = patient("p3", (_LOCAL, "T3"), link=_replaced_by("http://a/fhir/Patient/p2/_history/1"))

    decision = match.decide(patient("", (_LOCAL, "T3")), [merged], [between, survivor])

    assert (decision.patient, decision.merged) == (survivor, ("p3",))


def test_a_survivor_that_was_not_read_leaves_the_merged_record():
    merged = patient("p3", (_LOCAL, "T3"), link=_replaced_by("Patient/p1"))

    assert match.decide(patient("", (_LOCAL, "T3")), [merged]).patient is merged
    assert match.survivor_id(merged) == "p1"


def test_links_in_a_circle_end():
    one = patient("p1", (_LOCAL, "T1"), link=_replaced_by("Patient/p2"))
    other = patient("p2", link=_replaced_by("Patient/p1"))

    assert match.decide(patient("", (_LOCAL, "T1")), [one], [other]).patient in (one, other)


@pytest.mark.parametrize("link", [[], "x", [{"type": "replaces"}], [3], [{"type": "replaced-by"}]])
def test_a_patient_without_successor_has_none(link):
    assert match.survivor_id(patient("p1", link=link)) == ""


@pytest.mark.parametrize("identifier", [[], "x", [3], [{}], [{"system": 3, "value": "x"}]])
def test_identifiers_of_any_shape_are_read(identifier):
    broken = {"resourceType": "Patient", "identifier": identifier}

    assert match.decide(broken, [patient("p1", resident()), broken]) == match.Decision()


def test_numbers_come_strongest_first_and_once():
    found = match.numbers(
        patient(
            "", (_LOCAL, "T1"), (systems.HEALTH_CARD, "H1"), resident(system=_HL7_CHINA), resident()
        )["identifier"]
    )

    assert found == (
        (systems.RESIDENT_ID, _SHEN),
        (systems.HEALTH_CARD, "H1"),
        (_LOCAL, "T1"),
    )


def test_the_plan_asks_for_each_number_under_every_system_that_means_it():
    plan = match.plan_of([match.Number(systems.RESIDENT_ID, _SHEN), match.Number(_LOCAL, "T1")])

    assert isinstance(plan, Has)
    assert (plan.parameter, plan.kind) == ("identifier", "token")
    assert Is(_SHEN, _HL7_CHINA) in plan.tests
    assert Is("T1", _LOCAL) in plan.tests
    assert match.plan_of([]) == Or()


def test_two_records_may_be_one_person_unless_their_resident_ids_differ():
    assert match.same_person(patient("", resident()), patient("", (_LOCAL, "T1")))
    assert match.same_person(patient("", resident()), patient("", resident(system=_HL7_CHINA)))
    assert not match.same_person(patient("", resident()), patient("", resident(_LU)))


def test_identifiers_are_the_same_under_systems_that_mean_the_same():
    one = {"system": _HL7_CHINA, "value": _SHEN}

    assert match.same_number(one, {"system": systems.RESIDENT_ID, "value": _SHEN})
    assert not match.same_number(one, {"system": systems.HEALTH_CARD, "value": _SHEN})
    assert not match.same_number(one, {"system": systems.RESIDENT_ID, "value": _LU})


def _replaced_by(reference):
    return [{"type": "replaced-by", "other": {"reference": reference}}]


class Asked:
    """Patients of whom nobody is found; remembers what was asked."""

    def __init__(self):
        self.plans, self.crowded = [], {}

    def scored(self, traits):
        return {}

    async def few(self, plan, most):
        self.plans.append(plan)
        return []

    async def read(self, logical_id):
        return None


async def test_who_has_neither_number_nor_name_is_not_looked_for():
    asked = Asked()
    assert await doubles.find({"resourceType": "Patient", "active": True}, asked) == []
    assert asked.plans == []
