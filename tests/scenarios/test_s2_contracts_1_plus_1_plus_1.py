"""DOMAIN 1.3, scenario S2: contracts of a resident with a centre, a district and a city hospital.

What a contract lets be seen comes with sign-in: until then no reading is restricted.
"""

import pytest
from scenario_parts import EXAMPLES, SHEN, scenario_hub

BASE = "https://fhir-hub.example"
NUMBER = "QY-310118-2025-000123"
OTHER_CENTRE = "XTCHC"
COMMUNITY = f"{BASE}/StructureDefinition/slot-pool"


@pytest.fixture(scope="module")
def hub():
    """A hub on which the resident is registered and contracted (01)."""
    with scenario_hub() as running:
        running.tell("01")
        yield running


@pytest.fixture
def contract(hub):
    return hub.one(f"CareTeam?identifier={NUMBER}")


def anew(contract, number, **more):
    kept = {k: v for k, v in contract.items() if k not in ("id", "meta", "identifier")}
    system = contract["identifier"][0]["system"]
    return kept | {"identifier": [{"system": system, "value": number}]} | more


def at_another_centre(hub, contract, number, **more):
    centre = hub.one(f"Organization?identifier={BASE}/sid/organization|{OTHER_CENTRE}")["id"]
    new = anew(contract, number, **more)
    changed = [
        one | {"member": {"reference": f"Organization/{centre}"}}
        if one["role"][0]["coding"][0]["code"] == "community"
        else one
        for one in new["participant"]
    ]
    return new | {"participant": changed}


def test_s2_the_registration_makes_the_contract(hub, contract):
    assert contract["status"] == "active"
    assert contract["period"] == {"start": "2025-03-01", "end": "2026-02-28"}
    members = {
        one["role"][0]["coding"][0]["code"]: one["member"]["reference"].split("/")[0]
        for one in contract["participant"]
    }
    assert members == {
        "community": "Organization",
        "district": "Organization",
        "municipal": "Organization",
        "family-doctor": "Practitioner",
    }
    doctor = hub.get(
        next(
            one["member"]["reference"]
            for one in contract["participant"]
            if one["role"][0]["coding"][0]["code"] == "family-doctor"
        )
    )
    assert doctor["name"][0]["text"] == "戴慧"


def test_s2_it_is_found_by_the_resident_and_by_who_takes_part(hub, contract):
    patient = contract["subject"]["reference"]
    assert hub.one(f"CareTeam?patient={patient}&status=active&category=one-plus-one-plus-one")
    hospital = hub.one(f"Organization?identifier={BASE}/sid/organization|SHTH01")["id"]
    assert hub.one(f"CareTeam?participant=Organization/{hospital}")["id"] == contract["id"]


def test_s2_a_second_contract_at_another_centre_is_refused(hub, contract):
    second = at_another_centre(hub, contract, "QY-2")

    outcome = hub.post("CareTeam", second, 422)

    assert "already contracted" in outcome["issue"][0]["diagnostics"]
    assert "已有有效签约" in outcome["issue"][0]["details"]["text"]


def test_s2_a_second_contract_by_a_message_is_refused_too(hub):
    (path,) = (EXAMPLES / "messages").glob("01_*.hl7")
    second = path.read_bytes().replace(b"QY-310118-2025-000123", b"QY-OTHER")

    answer = hub.send(second.replace(b"ZJJ20250310083015001", b"ZJJ-ANOTHER"))

    assert b"\rMSA|AE|" in answer
    assert hub.found("CareTeam?identifier=QY-OTHER") == []


def test_s2_a_contract_with_two_municipal_hospitals_is_refused(hub, contract):
    (city,) = [
        one for one in contract["participant"] if one["role"][0]["coding"][0]["code"] == "municipal"
    ]
    two = anew(contract, "QY-3", participant=[*contract["participant"], city])

    assert "not 2" in hub.post("CareTeam", two, 422)["issue"][0]["diagnostics"]


def test_s2_a_family_signs_together_or_not_at_all(hub, contract):
    family = [
        hub.post("Patient", {"resourceType": "Patient", "name": [{"text": name}]})["id"]
        for name in ("周大", "周二", "周三")
    ]
    entries = [
        {
            "resource": anew(contract, f"QY-F{n}", subject={"reference": f"Patient/{one}"}),
            "request": {"method": "POST", "url": "CareTeam"},
        }
        for n, one in enumerate(family)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    contracted = anew(contract, "QY-F9")  # of the resident who has one
    broken = bundle | {"entry": [*entries, entries[0] | {"resource": contracted}]}

    hub.post("", broken, 422)
    assert hub.found("CareTeam?identifier=QY-F0,QY-F1,QY-F2") == []
    hub.post("", bundle, 200)
    assert len(hub.found("CareTeam?identifier=QY-F0,QY-F1,QY-F2&status=active")) == 3


def registered(number, contract, period="20250301|20260228", event="A04"):
    """Return a message that registers 冯一 under a number, with a contract."""
    code = f"FY{number}{contract}{event}{period[:8]}"
    parts = "ZJJCHC^朱家角|QPDCH^青浦|SHTH01^市级|D10023^戴慧"
    return "\r".join(
        [
            f"MSH|^~\\&|CHIS|ZJJCHC|FHIRHUB|QPRHP|20250310090000||ADT^{event}|{code}|P|2.4",
            f"EVN|{event}|20250310090000",
            f"PID|1||{number}^^^ZJJCHC^PI||冯^一||19600101|F",
            "PV1|1|O",
            f"ZQY|1|{contract}|1^生效|{period}|{parts}",
            "",
        ]
    ).encode()


def merged(event, survivor, prior):
    behind = f"MRG|{prior}^^^ZJJCHC^PI" if event == "A40" else f"PID|2||{prior}^^^ZJJCHC^PI||冯^一"
    return "\r".join(
        [
            "MSH|^~\\&|CHIS|ZJJCHC|FHIRHUB|QPRHP|20250312090000||"
            f"ADT^{event}|{event}{survivor}{prior}|P|2.4",
            f"EVN|{event}|20250312090000",
            f"PID|1||{survivor}^^^ZJJCHC^PI||冯^一||19600101|F",
            behind,
            "",
        ]
    ).encode()


def test_s2_of_two_contracts_that_a_merge_brings_together_the_survivors_holds(hub):
    hub.tell(registered("M1", "QY-M1"), registered("M2", "QY-M2"))
    before = {one: hub.one(f"CareTeam?identifier={one}") for one in ("QY-M1", "QY-M2")}
    team = {"reference": f"CareTeam/{before['QY-M1']['id']}"}
    prior = before["QY-M1"]["subject"]
    episode, consent = (
        hub.post(
            "EpisodeOfCare",
            {
                "resourceType": "EpisodeOfCare",
                "status": "active",
                "patient": prior,
                "team": [team],
                "period": {"start": "2025-03-01"},
            },
        ),
        hub.post(
            "Consent",
            {
                "resourceType": "Consent",
                "status": "active",
                "scope": {"text": "1+1+1"},
                "category": [{"text": "1+1+1"}],
                "policyRule": {"text": "1+1+1"},
                "patient": prior,
                "provision": {"actor": [{"role": {"text": "team"}, "reference": team}]},
            },
        ),
    )

    hub.tell(merged("A40", "M2", "M1"))

    held, ended = (hub.one(f"CareTeam?identifier={one}") for one in ("QY-M2", "QY-M1"))
    assert (held["status"], held["period"]) == ("active", before["QY-M2"]["period"])
    assert (ended["status"], ended["period"]["end"]) == ("inactive", "2025-03-12")
    assert f"CareTeam/{held['id']}" in ended["note"][0]["text"]
    assert ended["subject"] == held["subject"]
    assert hub.get(f"EpisodeOfCare/{episode['id']}")["status"] == "finished"
    assert hub.get(f"Consent/{consent['id']}")["status"] == "inactive"

    # what its centre tells again is no second contract, and no reason to refuse the visit
    hub.tell(registered("M1", "QY-M1", event="A08"))
    assert hub.one("CareTeam?identifier=QY-M1")["status"] == "inactive"

    hub.tell(merged("A37", "M2", "M1"))

    parted = {one: hub.one(f"CareTeam?identifier={one}") for one in before}
    for number, one in before.items():
        told = {name: part for name, part in parted[number].items() if name != "meta"}
        assert told == {name: part for name, part in one.items() if name != "meta"}
    for one in (episode, consent):
        again = hub.get(f"{one['resourceType']}/{one['id']}")
        assert {**again, "meta": 0} == {**one, "meta": 0}


def test_s2_a_contract_that_a_merge_brings_goes_on_until_the_survivors_begins(hub):
    hub.tell(registered("N1", "QY-N1"), registered("N2", "QY-N2", "20251001|20260930"))
    prior, survivor = (hub.one(f"CareTeam?identifier=QY-N{one}")["subject"] for one in (1, 2))
    named = [
        {"name": "source-patient", "valueReference": prior},
        {"name": "target-patient", "valueReference": survivor},
    ]

    answer = hub.post("Patient/$merge", {"resourceType": "Parameters", "parameter": named}, 200)

    told = answer["parameter"][0]["resource"]["issue"]
    assert [one["severity"] for one in told] == ["information", "warning"]
    first = hub.one("CareTeam?identifier=QY-N1")
    assert (first["status"], first["period"]["end"]) == ("active", "2025-09-30")
    assert hub.one("CareTeam?identifier=QY-N2")["status"] == "active"
    hub.post("Patient/$unmerge", {"resourceType": "Parameters", "parameter": named[:1]}, 200)
    assert hub.one("CareTeam?identifier=QY-N1")["period"]["end"] == "2026-02-28"


def test_s2_merged_back_the_contract_of_the_record_in_use_holds_again(hub):
    hub.tell(registered("K1", "QY-K1"), registered("K2", "QY-K2"))

    def states():
        return [hub.one(f"CareTeam?identifier=QY-K{one}")["status"] for one in (1, 2)]

    hub.tell(merged("A40", "K2", "K1"))
    assert states() == ["inactive", "active"]
    hub.tell(merged("A40", "K1", "K2"))
    assert states() == ["active", "inactive"]
    hub.tell(merged("A37", "K1", "K2"))
    assert states() == ["active", "active"]


def test_s2_a_contract_that_its_centre_ends_while_merged_is_not_back_after(hub):
    hub.tell(registered("L1", "QY-L1"), registered("L2", "QY-L2"), merged("A40", "L2", "L1"))
    over = registered("L1", "QY-L1", "20250301|20250311", "A08")
    hub.tell(over.replace("1^生效".encode(), "2^终止".encode()), merged("A37", "L2", "L1"))

    ended = hub.one("CareTeam?identifier=QY-L1")
    assert (ended["status"], ended["period"]["end"]) == ("inactive", "2025-03-11")
    assert hub.one("CareTeam?identifier=QY-L2")["status"] == "active"


def test_s2_a_contract_passes_to_another_centre_and_the_old_one_ends_the_day_before(hub):
    resident = hub.post("Patient", {"resourceType": "Patient", "name": [{"text": "吴一"}]})["id"]
    signed = hub.one(f"CareTeam?identifier={NUMBER}")
    first = hub.post(
        "CareTeam", anew(signed, "QY-T1", subject={"reference": f"Patient/{resident}"})
    )
    period = {"start": "2025-09-01", "end": "2026-08-31"}
    new = at_another_centre(hub, first, "QY-T2", period=period)

    made = hub.post(f"CareTeam/{first['id']}/$transfer", new)

    ended = hub.get(f"CareTeam/{first['id']}")
    assert (ended["status"], ended["period"]["end"]) == ("active", "2025-08-31")
    assert made["period"]["start"] == "2025-09-01"


def community_slot(hub, start):
    schedule = hub.post(
        "Schedule",
        {"resourceType": "Schedule", "actor": [{"reference": hub_location(hub)}]},
    )
    pool = {"coding": [{"system": f"{BASE}/CodeSystem/slot-pool", "code": "COMMUNITY"}]}
    return hub.post(
        "Slot",
        {
            "resourceType": "Slot",
            "extension": [{"url": COMMUNITY, "valueCodeableConcept": pool}],
            "schedule": {"reference": f"Schedule/{schedule['id']}"},
            "status": "free",
            "start": f"{start}T09:30:00+08:00",
            "end": f"{start}T09:45:00+08:00",
        },
    )


def hub_location(hub):
    return f"Location/{hub.found('Location')[0]['id']}"


def test_s2_what_belongs_to_the_contract_ends_with_it(hub, contract):
    patient = hub.one(f"Patient?identifier={SHEN}")["id"]
    programme = hub.post(
        "EpisodeOfCare",
        {
            "resourceType": "EpisodeOfCare",
            "status": "active",
            "patient": {"reference": f"Patient/{patient}"},
            "period": {"start": "2025-03-01"},
            "team": [{"reference": f"CareTeam/{contract['id']}"}],
        },
    )
    hub.tell("13")
    first = hub.one(f"ServiceRequest?patient=Patient/{patient}&category=referral")
    kept = {k: v for k, v in first.items() if k not in ("id", "meta", "identifier")}
    later = hub.post("ServiceRequest", kept)["id"]

    def book(day):
        slot = community_slot(hub, day)
        return {
            "resourceType": "Appointment",
            "status": "booked",
            "basedOn": [{"reference": f"ServiceRequest/{later}"}],
            "start": slot["start"],
            "end": slot["end"],
            "slot": [{"reference": f"Slot/{slot['id']}"}],
            "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
        }

    hub.pass_time("2026-02-28T20:00+08:00")
    hub.post("Appointment", book("2026-03-10"))
    hub.pass_time("2026-03-01T00:05+08:00")

    assert hub.get(f"CareTeam/{contract['id']}")["status"] == "inactive"
    ended = hub.get(f"EpisodeOfCare/{programme['id']}")
    assert (ended["status"], ended["period"]["end"]) == ("finished", "2026-02-28")
    assert hub.post("Appointment", book("2026-03-11"), 403)["issue"][0]["code"] == "business-rule"
