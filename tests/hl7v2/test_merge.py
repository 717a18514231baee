"""What a message says, laid over what is stored.

Spec: HL7v2 chapter 2, 2.5.3; DOMAIN 0.12
"""

from copy import deepcopy

import pytest
from apply_parts import GUIFANG, LOCAL, RESIDENT, converted, identifier

from fhir_hub.hl7v2.storing.merge import merge, unite
from fhir_hub.identity.names import REPRESENTATION

DAY = "2025-03-14"
STORED = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "1", "lastUpdated": "2025-03-10T00:00:00Z", "tag": [{"code": "a"}]},
    "identifier": [identifier(GUIFANG, RESIDENT), identifier("T1")],
    "active": True,
    "name": [
        {
            "extension": [{"url": REPRESENTATION, "valueCode": "IDE"}],
            "use": "official",
            "text": "沈桂芳",
            "family": "沈",
            "given": ["桂芳"],
        },
        {"use": "official", "text": "Shen Guifang", "family": "Shen", "given": ["Guifang"]},
    ],
    "telecom": [{"system": "phone", "value": "13000000001", "use": "mobile"}],
    "gender": "female",
    "birthDate": "1953-04-12",
    "address": [{"use": "home", "text": "示范路100弄8号501室", "city": "上海市"}],
    "contact": [{"name": {"text": "沈晓明"}, "relationship": [{"text": "CHD"}]}],
    "generalPractitioner": [{"reference": "Practitioner/d1"}],
}


def merged(element_values=None, stored=None, nulls=(), removes=None, kind="Patient", day=DAY):
    before = STORED if stored is None else stored
    message = converted(
        {"resourceType": kind, **(element_values or {})}, nulls=nulls, removes=removes
    )
    kept = deepcopy((before, message.resource))
    result = merge(before, message, day)
    assert (before, message.resource) == kept  # a merge changes neither
    return result


def test_what_the_message_does_not_mention_stays():
    assert merged() == STORED


def test_scalars_are_the_messages():
    result = merged({"birthDate": "1953-04-13", "gender": "male", "active": False})

    assert (result["birthDate"], result["gender"], result["active"]) == (
        "1953-04-13",
        "male",
        False,
    )


def test_an_unknown_gender_does_not_replace_a_known_one():
    assert merged({"gender": "unknown"})["gender"] == "female"
    assert merged({"gender": "unknown"}, {"resourceType": "Patient"})["gender"] == "unknown"


def test_a_new_value_is_free_of_the_old_ones_extensions():
    stored = {**STORED, "_birthDate": {"extension": [{"url": "x", "valueString": "y"}]}}

    assert "_birthDate" not in merged({"birthDate": "1953-04-13"}, stored)
    assert merged({"_birthDate": {"id": "n"}}, stored)["birthDate"] == "1953-04-12"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"deceasedBoolean": False}, {"deceasedDateTime": "2025-03-01"}),
        ({"deceasedDateTime": "2025-03-01"}, {"deceasedBoolean": False}),
        ({"multipleBirthBoolean": True}, {"multipleBirthInteger": 2}),
    ],
)
def test_of_a_choice_only_the_new_type_stays(old, new):
    assert merged(new, {**STORED, **old}) == {**STORED, **new}


def test_identifiers_are_united_and_their_aliases_are_one():
    alias = {"system": "urn:oid:2.16.840.1.113883.2.23.1.19.1", "value": GUIFANG, "use": "official"}
    result = merged({"identifier": [identifier("Z9"), alias]})

    assert [one["value"] for one in result["identifier"]] == [GUIFANG, "T1", "Z9"]
    assert result["identifier"][0]["use"] == "official"


def test_the_same_value_of_another_authority_is_another_number():
    other = identifier("T1", "https://fhir-hub.example/sid/ZJJCHC/patient-id")

    assert len(merged({"identifier": [other]})["identifier"]) == 3


def test_a_name_replaces_the_one_of_its_use_and_script():
    result = merged({"name": [{"use": "official", "text": "沈桂芬"}]})

    assert result["name"] == [{"use": "official", "text": "沈桂芬"}, STORED["name"][1]]


def test_the_same_name_with_less_detail_changes_nothing():
    assert merged({"name": [{"use": "official", "text": "沈桂芳"}]}) == STORED
    assert merged({"name": [{"text": "沈桂芳"}]}) == STORED


def test_a_name_of_another_use_is_added():
    maiden = {"use": "maiden", "text": "张桂芳"}

    assert merged({"name": [maiden]})["name"] == [*STORED["name"], maiden]


def test_two_names_of_one_use_are_both_kept():
    both = [{"use": "official", "text": "李珅"}, {"use": "official", "text": "孙玘"}]

    result = merged({"name": both})
    assert result["name"] == [*both, STORED["name"][1]]
    assert merged({"name": both}, result) == result


@pytest.mark.parametrize("text", ["沈桂?", "沈□芳", "沈\ufffd芳", "沈？芳"])
def test_a_damaged_name_never_replaces_a_good_one(text):
    assert merged({"name": [{"use": "official", "text": text}]}) == STORED
    damaged = {"resourceType": "Patient", "name": [{"text": "沈?芳"}]}
    assert merged({"name": [{"text": text}]}, damaged)["name"] == [{"text": text}]


def test_a_new_address_comes_first_and_the_old_one_is_ended():
    new = {"use": "home", "text": "示范路200号302室"}

    result = merged({"address": [new]})
    assert result["address"] == [new, {**STORED["address"][0], "period": {"end": DAY}}]
    assert merged({"address": [new]}, result, day="2025-04-01") == result


def test_an_address_that_comes_back_is_no_longer_ended():
    moved = merged({"address": [{"use": "home", "text": "示范路200号302室"}]})

    back = merged({"address": STORED["address"]}, moved, day="2025-05-01")["address"]
    assert [one["text"] for one in back if "period" not in one] == ["示范路100弄8号501室"]
    assert [one["period"]["end"] for one in back if "period" in one] == ["2025-05-01"]


def test_the_same_address_written_with_other_blanks_is_the_same():
    assert (
        len(merged({"address": [{"use": "home", "text": "示范路 100弄８号501室"}]})["address"]) == 1
    )


def test_addresses_without_a_text_are_compared_by_their_parts():
    stored = {"resourceType": "Patient", "address": [{"line": ["a"], "city": "b", "use": "work"}]}

    assert len(merged({"address": [{"city": "b", "line": ["a"]}]}, stored)["address"]) == 1
    assert len(merged({"address": [{"city": "b", "line": ["c"]}]}, stored)["address"]) == 2


def test_an_end_is_never_before_its_start():
    stored = {**STORED, "address": [{"text": "a", "period": {"start": "2025-06-01"}}]}

    old = merged({"address": [{"text": "b"}]}, stored)["address"][1]
    assert old["period"] == {"start": "2025-06-01", "end": "2025-06-01"}


def test_a_phone_of_the_same_use_is_ended_and_still_there():
    new = {"system": "phone", "value": "13000000099", "use": "mobile"}

    result = merged({"telecom": [new]})["telecom"]
    assert result == [new, {**STORED["telecom"][0], "period": {"end": DAY}}]


def test_a_phone_of_another_use_is_added():
    work = {"system": "phone", "value": "02159720000", "use": "work"}

    assert merged({"telecom": [work]})["telecom"] == [work, *STORED["telecom"]]


def test_a_contact_is_replaced_by_name_and_others_stay():
    grown = {"name": {"text": "沈晓明"}, "telecom": [{"value": "1"}]}
    second = {"relationship": [{"coding": [{"code": "SPO"}]}]}

    assert merged({"contact": [grown, second]})["contact"] == [grown, second]


def test_the_practitioner_is_the_one_last_named():
    other = [{"reference": "Practitioner/d2"}]

    assert merged({"generalPractitioner": other})["generalPractitioner"] == other


def test_extensions_are_replaced_by_url_and_languages_by_code():
    stored = {
        "resourceType": "Patient",
        "extension": [{"url": "a", "valueString": "1"}, {"url": "b", "valueString": "1"}],
        "communication": [{"language": {"coding": [{"code": "zh"}]}}],
    }
    spoken = [{"language": {"coding": [{"code": "zh"}]}, "preferred": True}]

    result = merged(
        {"extension": [{"url": "b", "valueString": "2"}], "communication": spoken}, stored
    )
    assert [one["valueString"] for one in result["extension"]] == ["1", "2"]
    assert result["communication"] == spoken


def test_null_deletes_and_what_comes_with_it_is_new():
    result = merged({"telecom": [{"value": "1"}]}, nulls=("telecom", "birthDate", "address"))

    assert result["telecom"] == [{"value": "1"}]
    assert {"birthDate", "address"}.isdisjoint(result)


def test_null_of_a_choice_deletes_whatever_type_it_has():
    stored = {**STORED, "deceasedDateTime": "2025", "_deceasedDateTime": {"id": "x"}}

    assert merged(nulls=("deceasedBoolean",), stored=stored) == STORED


def test_null_never_deletes_who_somebody_is():
    assert merged(nulls=("identifier",)) == STORED


def test_labels_of_both_stay():
    result = merged({"meta": {"tag": [{"code": "a"}, {"code": "b"}], "source": "urn:x"}})

    assert result["meta"]["tag"] == [{"code": "a"}, {"code": "b"}]
    assert result["meta"]["source"] == "urn:x"


APPOINTMENT = {
    "resourceType": "Appointment",
    "id": "a1",
    "status": "booked",
    "identifier": [identifier("AP1")],
    "comment": "fasting",
    "participant": [
        {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
        {"actor": {"reference": "Practitioner/d1"}, "status": "accepted"},
        {"actor": {"reference": "Location/r1"}, "status": "accepted"},
    ],
}


def actor(reference: str, **rest):
    return {"actor": {"reference": reference}, "status": "accepted", **rest}


def test_participants_are_united_by_actor_and_those_of_action_d_taken_out():
    result = merged(
        {"participant": [actor("Practitioner/d2"), actor("Patient/p1", required="required")]},
        APPOINTMENT,
        kind="Appointment",
        removes={"participant": [actor("Practitioner/d1"), "Location/r1"]},
    )

    assert result == {
        **APPOINTMENT,
        "participant": [actor("Patient/p1", required="required"), actor("Practitioner/d2")],
    }


def test_the_last_participant_taken_out_leaves_no_empty_array():
    result = merged(
        {"status": "cancelled"},
        APPOINTMENT,
        kind="Appointment",
        removes={
            "participant": [one["actor"]["reference"] for one in APPOINTMENT["participant"]],
            "slot": ["Slot/1"],
        },
    )

    assert "participant" not in result
    assert result["status"] == "cancelled"


def test_an_encounter_keeps_its_start_when_its_end_comes():
    stored = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "statusHistory": [{"status": "planned"}],
        "period": {"start": "2025-03-10T08:30:10+08:00"},
        "participant": [{"individual": {"reference": "Practitioner/d1"}}],
        "location": [{"location": {"reference": "Location/1"}, "status": "active"}],
    }
    end = "2025-03-10T09:00:00+08:00"

    result = merged(
        {
            "status": "finished",
            "period": {"end": end},
            "location": [{"location": {"reference": "Location/1"}, "status": "completed"}],
        },
        stored,
        kind="Encounter",
        nulls=("status",),
    )
    assert result["period"] == {**stored["period"], "end": end}
    assert result["participant"] == stored["participant"]
    assert [one["status"] for one in result["location"]] == ["completed"]
    assert (result["status"], result["statusHistory"]) == ("finished", stored["statusHistory"])


def test_a_result_is_what_its_last_message_says():
    stored = {"resourceType": "Observation", "status": "preliminary", "note": [{"text": "x"}]}

    assert merged({"status": "final"}, stored, kind="Observation") == {
        "resourceType": "Observation",
        "status": "final",
    }


def test_participants_without_an_actor_are_told_apart_by_all_they_say():
    stored = {"resourceType": "Appointment", "participant": [{"status": "accepted"}]}

    for kept, count in (({"status": "accepted"}, 1), ({"status": "declined"}, 2)):
        found = merged({"participant": [kept]}, stored, kind="Appointment")["participant"]
        assert len(found) == count


def test_two_of_one_message_unite_and_the_first_comes_first():
    first, second = {"a": 1, "b": 2}, {"b": 3, "c": 4}

    assert unite(first, second) == {"a": 1, "b": 2, "c": 4}
    assert LOCAL in str(STORED)
