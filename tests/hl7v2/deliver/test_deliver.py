"""Messages of changes, delivered to a partner on a real socket, who may misbehave."""

import ssl

import deliver_parts
import pytest
import trustme
from deliver_parts import Peer, deliveries, numbers, partner, patient, put

from fhir_hub.hl7v2.deliver.outbox import dead_messages, progresses, try_again
from fhir_hub.hl7v2.wire.sender import control_id
from fhir_hub.settings import InvalidSettings


async def test_changes_are_told_in_their_order(client, delivering, peer):
    async with delivering(his=partner(peer)):
        await put(client, *(patient(number) for number in range(8)))
        await peer.messages(8)

    assert numbers(peer) == [f"T{number}" for number in range(8)]
    assert len(peer.received) == 8
    assert len({control_id(raw) for raw in peer.received}) == 8


async def test_what_was_stored_before_a_partner_was_set_up_is_not_told(client, delivering, peer):
    await put(client, patient(1))

    async with delivering(his=partner(peer)):
        await put(client, patient(2))
        await peer.messages(1)

    assert numbers(peer) == ["T2"]


@pytest.mark.parametrize("kind", ["silent", "close", "noise", "wrong"])
async def test_without_the_right_acknowledgment_the_same_bytes_go_again(
    client, delivering, peer, kind, waited
):
    peer.answers = [kind, kind]

    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        if kind in ("silent", "wrong"):
            for count in (1, 2):
                await peer.until(lambda peer, count=count: len(peer.received) == count)
                waited(61)
        await peer.messages(2)

    assert len(peer.received) == 4
    assert peer.received[0] == peer.received[1] == peer.received[2]
    assert numbers(peer) == ["T1", "T2"]


async def test_a_partner_who_ends_the_connection_after_each_answer_is_not_silent(
    client, delivering, peer, metrics
):
    peer.answers = ["once"] * 5

    async with delivering(his=partner(peer, failures=1, pause_s=60, max_pause_s=60)):
        await put(client, *(patient(number) for number in range(5)))
        await peer.messages(5)

    assert numbers(peer) == [f"T{number}" for number in range(5)]
    told = metrics.registry.get_sample_value
    silent = {"partner": "his", "outcome": "no-answer"}
    assert told("fhir_hub_outbound_messages_total", silent) is None


async def test_a_refusal_that_names_no_message_is_of_the_one_on_its_way(
    client, delivering, peer, store
):
    peer.answers = ["nameless AE", "nameless AR", "AA"]

    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        await peer.messages(2)
        (dead,) = await dead_messages(store)

    assert (dead.address, dead.ack_code) == ("Patient/p1", "AR")
    assert len(peer.received) == 3


async def test_a_late_answer_to_another_message_is_passed_over(client, delivering, peer):
    peer.answers = ["late", "late"]

    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        await peer.messages(2)

    assert len(peer.received) == 2


async def test_all_allergies_of_a_person_are_told(client, delivering, peer):
    active = {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"}
    allergies = [
        {
            "resourceType": "AllergyIntolerance",
            "id": f"a{number}",
            "clinicalStatus": {"coding": [active | {"code": "active"}]},
            "patient": {"reference": "Patient/p1"},
            "code": {"text": f"花粉{number}"},
        }
        for number in range(25)
    ]
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in (patient(1), *allergies)
    ]

    async with delivering(his=partner(peer)):
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await client.post("", json=bundle)
        assert answer.status_code == 200, answer.text
        (message,) = await peer.messages(1)

    assert message.count("\rAL1|") == 25


async def test_ae_is_tried_again_and_given_up_after_some_attempts(
    client, delivering, peer, store, metrics
):
    peer.answers = ["AE", "AE", "AA", "AE", "AE", "AE"]

    async with delivering(his=partner(peer, attempts=3)):
        await put(client, patient(1), patient(2), patient(3))
        await peer.messages(3)

    assert len(peer.received) == 7
    assert numbers(peer) == ["T1", "T2", "T3"]
    (dead,) = await dead_messages(store)
    assert (dead.partner, dead.event, dead.address) == ("his", "ADT^A31", "Patient/p2")
    assert (dead.ack_code, dead.error_code) == ("AE", "207")
    told = metrics.registry.get_sample_value
    assert told("fhir_hub_outbound_messages_total", {"partner": "his", "outcome": "dead"}) == 1
    assert told("fhir_hub_outbound_messages_total", {"partner": "his", "outcome": "again"}) == 4


async def test_ar_is_given_up_at_once_and_sent_anew_when_somebody_says_so(
    client, delivering, peer, store
):
    peer.answers = ["AR", "AA", "AR"]

    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        await peer.messages(2)
        (dead,) = await dead_messages(store)
        await try_again(store, dead)
        await peer.messages(3)
        await put(client, patient(3))
        await peer.messages(4)
        (dead,) = await dead_messages(store)
        await try_again(store, dead)
        await put(client, patient(4))
        await peer.messages(6)

    sent = [control_id(raw) for raw in peer.received]
    assert sent[2] == f"{sent[0]}-R1"
    assert f"{sent[0]}-R2" in sent
    assert await dead_messages(store) == []


async def test_what_a_message_cannot_say_stands_in_the_log(client, delivering, peer, logged):
    async with delivering(his=partner(peer, charset="8859/1")):
        await put(client, patient(1, name=[{"text": "Zoë 李"}]), patient(2, name=[{"text": "Zoë"}]))
        photo = [{"url": "http://photo.example"}]
        await put(client, patient(3, photo=photo), patient(4, photo=photo))
        await peer.until(lambda peer: len(peer.distinct) == 4)

    first, second, *_ = (raw.decode("latin-1") for raw in peer.distinct)
    assert "Zoë ?" in first
    assert "Zoë" in second
    fields, of_photo = (told for event, told in logged if event == "message_in_part")
    reason = "the receiver's character set lacks some characters; they became ?"
    assert fields == {
        "partner": "his",
        "control_id": control_id(peer.distinct[0]),
        "reason": reason,
    }
    # the same of each message: once
    assert of_photo["reason"] == "no field for Patient.photo"


async def test_how_much_waits_is_told_of_the_partner_who_hangs_and_no_other_waits_for_him(
    client, delivering, peer, metrics
):
    peer.answers = ["silent"]
    other = Peer()
    await other.start()
    async with delivering(his=partner(peer), lis=partner(other)) as running:
        await put(client, patient(1))
        await peer.messages(1)
        await put(client, *(patient(number) for number in range(2, 6)))
        await other.messages(5)
        await running.look()
        waiting = metrics.registry.get_sample_value
        assert waiting("fhir_hub_outbound_waiting", {"partner": "his"}) == 5
        assert waiting("fhir_hub_outbound_silent_seconds", {"partner": "his"}) == 0
    await other.stop()
    assert numbers(peer) == ["T1"]


async def test_after_an_end_in_between_the_same_bytes_go_again_and_then_the_rest(
    client, delivering, peer, store
):
    peer.answers = ["silent"]
    async with delivering(his=partner(peer)):
        await put(client, patient(1), patient(2))
        await peer.messages(1)
    assert (await progresses(store))["his"].pending is not None

    async with delivering(his=partner(peer)):
        await peer.messages(2)

    assert peer.received[0] == peer.received[1]
    assert numbers(peer) == ["T1", "T2"]


def told_by(facility: str, application: str) -> dict:
    """Return a transaction of a Patient whom that sender told of."""
    system = f"https://fhir-hub.example/sid/{facility}/application"
    provenance = {
        "resourceType": "Provenance",
        "recorded": "2025-03-15T10:00:00+08:00",
        "target": [{"reference": "Patient/p1"}],
        "agent": [{"who": {"identifier": {"system": system, "value": application}}}],
    }
    entries = [
        {"resource": patient(1), "request": {"method": "PUT", "url": "Patient/p1"}},
        {"resource": provenance, "request": {"method": "POST", "url": "Provenance"}},
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def test_what_came_from_a_partner_is_not_sent_back_to_him(client, delivering, peer):
    other = Peer()
    await other.start()
    bundle = told_by("SHTH01", "HIS")
    his = partner(peer, facility="SHTH01", application="HIS")
    theirs = partner(other, facility="SHTH01", application="LIS")

    async with delivering(his=his, theirs=theirs):
        answer = await client.post("", json=bundle)
        assert answer.status_code == 200, answer.text
        await other.messages(1)
        await put(client, patient(2))
        await peer.messages(1)
    await other.stop()

    assert (numbers(peer), numbers(other)[0]) == (["T2"], "T1")


async def test_what_a_hub_passed_on_of_another_facility_is_not_sent_back_to_it(
    client, delivering, peer
):
    bundle = told_by("ZJJCHC", "HUBB")
    his = partner(peer, facility="SHTH01", application="HUBB", is_hub=True)

    async with delivering(his=his):
        assert (await client.post("", json=bundle)).status_code == 200
        await put(client, patient(2))
        await peer.messages(1)

    assert numbers(peer) == ["T2"]


async def test_only_what_meets_the_condition_is_told(client, delivering, peer):
    his = partner(peer, sends={"Patient": "gender=female"})

    async with delivering(his=his):
        await put(client, patient(1, gender="male"), patient(2, gender="female"))
        await peer.messages(1)

    assert numbers(peer) == ["T2"]


async def test_what_another_message_does_not_tell_of_is_told_itself(client, delivering, peer):
    act = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    visit = {"resourceType": "Encounter", "id": "e1", "status": "in-progress", "class": act}
    visit |= {"subject": {"reference": "Patient/p1"}}
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in (patient(1), visit)
    ]
    his = partner(peer, sends={"Patient": "", "Encounter": "class=IMP"})

    async with delivering(his=his):
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await client.post("", json=bundle)
        assert answer.status_code == 200, answer.text
        await peer.messages(1)

    assert (peer.events, numbers(peer)) == (["ADT^A31"], ["T1"])


async def test_a_partner_over_tls_sees_the_hubs_certificate(client, delivering, tmp_path):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    files = {"tls_ca": tmp_path / "ca.pem", "tls_certificate": tmp_path / "hub.pem"}
    authority.cert_pem.write_to_path(files["tls_ca"])
    own = authority.issue_cert("hub.example").private_key_and_cert_chain_pem
    own.write_to_path(files["tls_certificate"])
    peer = Peer()
    await peer.start(context)
    address = f"mllps://127.0.0.1:{peer.port}"

    async with delivering(his=partner(peer, address=address, **files)):
        await put(client, patient(1))
        await peer.messages(1)
    await peer.stop()

    assert numbers(peer) == ["T1"]


async def test_enhanced_mode_asks_for_a_commit_acknowledgment_and_takes_it(
    client, delivering, peer
):
    peer.answers = ["CA", "CE", "CA", "CR"]

    async with delivering(his=partner(peer, ack_mode="enhanced")):
        await put(client, patient(1), patient(2), patient(3), patient(4))
        await peer.messages(4)

    assert len(peer.received) == 5
    assert peer.received[0].decode().split("|")[14:16] == ["AL", "NE"]


async def test_a_change_of_which_no_message_can_be_made_stops_nobody(
    client, delivering, peer, store
):
    link = {"type": "replaces", "other": {"type": "Patient", "identifier": {"value": "T9"}}}

    async with delivering(his=partner(peer)):
        await put(client, patient(1, link=[link]), patient(2))
        await peer.messages(1)

    assert numbers(peer) == ["T2"]
    (dead,) = await dead_messages(store)
    assert (dead.address, dead.ack_code) == ("Patient/p1", "not-made")


async def test_a_commit_of_more_than_a_page_is_told_of_in_order(client, delivering, peer):
    places = [{"resourceType": "Organization", "id": f"o{n}", "name": "x"} for n in range(230)]
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in (patient(1), *places, patient(2))
    ]

    async with delivering(his=partner(peer)):
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await client.post("", json=bundle)
        assert answer.status_code == 200, answer.text
        await put(client, patient(3))
        await peer.messages(3)

    assert numbers(peer) == ["T1", "T2", "T3"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sender": "nobody"}, "partners.his.sender: no such file"),
        ({"charset": "utf-9"}, "partners.his.charset"),
        ({"sends": {"Task": ""}}, "partners.his.facility"),
        ({"is_hub": True}, "partners.his.application"),
        ({"sends": {"Patient": "gendre=male"}}, "partners.his.sends.Patient"),
        (
            {"address": "mllps://a.example:1", "tls_ca": "/none"},
            "partners.his.tls_ca: there is no file /none",
        ),
        (
            {"address": "mllps://a.example:1", "tls_ca": __file__},
            "partners.his.tls_ca: cannot be used: ",
        ),
        ({"tls_ca": __file__}, "partners.his.address: tls_ca: for mllps:// only"),
    ],
)
def test_a_partner_to_whom_nothing_could_be_delivered_stops_the_start(
    store, metrics, peer, given, said
):
    with pytest.raises(InvalidSettings, match=said):
        deliveries(store, metrics, his=partner(peer, **given))


def test_a_partners_address_is_checked():
    with pytest.raises(ValueError, match="mllp://HOST:PORT"):
        deliver_parts.PartnerSettings(address="http://a:1", sends={})
