"""Whom every message names again is not looked up and laid over each time, and still is as told.

Spec: DESIGN 3
"""

import parts
import pytest
from apply_parts import conversion, converted, identifier, observation, patient, url

from fhir_hub import fhirjson
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.search.plan import EVERYTHING, Query

STAFF = "https://fhir-hub.example/sid/SHTH01/practitioner"


def practitioner(number):
    return {"resourceType": "Practitioner", "identifier": [identifier(number, STAFF)]}


def convert(message, received, zone):
    """A result of a man and of doctor D1; a number that begins with B names D2 too, F a woman."""
    number = message.header.value(10)
    names = ("D1", "D2") if number.startswith("B") else ("D1",)
    return conversion(
        patient(identifier("T1"), gender="female" if number.startswith("F") else "male"),
        observation(number, performer=[{"reference": url("D1")}]),
        *(converted(practitioner(n), (STAFF, n), name=n, mode="create") for n in names),
    )


@pytest.fixture
def send(backend, repository, clock):
    ids = repository.new_id
    receiver = Receiver(
        repository,
        backend.journal,
        convert,
        parameters=parts.parameters(),
        channel=Channel("mllp-1", parts.ZONE),
        clock=clock,
        new_id=ids,
    )

    async def run(control_id):
        message = f"MSH|^~\\&|LIS|SHTH01|HUB|QPRHP|20250314||ORU^R01|{control_id}|P|2.4\r"
        answer = await receiver.receive(message.encode())
        assert read_answer(answer)[:2] == (control_id, "AA")

    return run


async def doctors(store):
    """Return whom each result names, by the result's number, and the ids of all doctors."""
    page = await store.search(Query(("Observation",), EVERYTHING, count=100))
    results = [fhirjson.loads(one.content) for one in page.matches]
    page = await store.search(Query(("Practitioner",), EVERYTHING, count=100))
    named = {
        one["identifier"][0]["value"]: one["performer"][0]["reference"].partition("/")[2]
        for one in results
    }
    return named, {one.logical_id for one in page.matches}


async def test_messages_that_name_the_same_doctor_refer_to_one_record(send, store):
    for control_id in ("C1", "C2", "C3"):
        await send(control_id)

    named, there = await doctors(store)

    assert len(there) == 1
    assert set(named.values()) == there


async def test_a_doctor_whose_record_got_another_number_is_not_referred_to_any_more(
    send, store, repository
):
    await send("C1")
    await send("C2")
    named, (first,) = await doctors(store)
    await repository.commit(lambda unit: unit.update(practitioner("D9"), first))

    await send("C3")
    await send("C4")

    named, there = await doctors(store)
    (second,) = there - {first}
    assert named == {"C1": first, "C2": first, "C3": second, "C4": second}


async def test_a_number_that_two_doctors_exchanged_leads_to_who_has_it_now(send, store, repository):
    await send("B1")
    await send("B2")
    named, both = await doctors(store)
    first = named["B1"]
    (second,) = both - {first}

    async def exchange(unit):
        await unit.update(practitioner("D2"), first)
        await unit.update(practitioner("D1"), second)

    await repository.commit(exchange)

    await send("B3")

    named, there = await doctors(store)
    assert named == {"B1": first, "B2": first, "B3": second}
    assert there == both


async def test_a_patient_told_as_before_stays_and_told_as_once_before_that_is_changed(send, store):
    versions = []
    for control_id in ("F1", "F2", "F3", "C1", "C2", "F4", "F5"):
        await send(control_id)
        page = await store.search(Query(("Patient",), EVERYTHING, count=2))
        (told,) = page.matches
        versions.append((told.version_id, fhirjson.loads(told.content)["gender"]))

    assert versions == [(1, "female")] * 3 + [(2, "male")] * 2 + [(3, "female")] * 2
