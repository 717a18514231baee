"""A message of very many things is applied in as many steps as it has things, and no more.

Function calls are counted, because they are the same on every machine.
"""

import asyncio
import sys
from functools import partial

import parts
import pytest
from apply_parts import conversion, converted, identifier, patient, url

from fhir_hub.hl7v2.meaning.retold import Nothing
from fhir_hub.hl7v2.storing.apply import apply, telling_of

DOCUMENTS = "urn:documents"


class Enough(Exception):
    """Nothing is to be written."""


def documents(count):
    """Return documents, each of which may be one that another replaces."""
    for n in range(count):
        resource = {
            "resourceType": "DocumentReference",
            "identifier": [{"system": DOCUMENTS, "value": f"D{n}"}],
            "status": "current",
            "content": [{"attachment": {"title": "report"}}],
        }
        yield converted(resource, (DOCUMENTS, f"D{n}"), name=f"d{n}")


def relatives(count):
    """Return relatives, of whom a snapshot may lack some."""
    yield patient(identifier("T1"))
    for n in range(count):
        resource = {"resourceType": "RelatedPerson", "patient": {"reference": url("patient")}}
        yield converted(resource, name=f"r{n}")._replace(segment="NK1")


def patients(count):
    for n in range(count):
        yield patient(identifier(f"T{n}"), name=f"p{n}")


def orders(count):
    """Return orders that results name by one number, each of another code."""
    yield patient(identifier("T1"))
    for n in range(count):
        resource = {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": url("patient")},
            "code": {"text": f"X{n}"},
        }
        made = converted(resource, ("urn:parts", f"P/X{n}"), name=f"o{n}")
        yield made._replace(mode="create", earlier=(("urn:orders", "P"),))


def diagnosis(code, *match):
    resource = {
        "resourceType": "Condition",
        "identifier": [{"system": "urn:diagnoses", "value": "D"}],
        "subject": {"reference": url("patient")},
        "code": {"text": code},
    }
    return converted(resource, *match, name=code)


def diagnoses(count):
    """Return diagnoses of one number, each of another code."""
    yield patient(identifier("T1"))
    for n in range(count):
        made = diagnosis(f"X{n}", ("urn:parts", f"D/X{n}"))
        yield made._replace(earlier=(("urn:diagnoses", "D"),))


async def steps(repository, things):
    """Return how many functions are called to apply a message of such things."""
    message, count = conversion(*things), 0
    telling = telling_of(message, "2025-03-14", parts.parameters(), Nothing())

    def counted(frame, event, argument):
        nonlocal count
        count += event == "call"

    async def work(unit):
        sys.setprofile(counted)
        try:
            await applied(unit)
        finally:
            sys.setprofile(None)
        raise Enough  # what it costs to write is the store's

    applied = partial(
        apply,
        conversion=message,
        telling=telling,
        new_id=repository.new_id,
        parameters=parts.parameters(),
    )
    with pytest.raises(Enough):
        await repository.commit(work)
    return count


@pytest.mark.parametrize("made", [documents, relatives, patients, orders])
async def test_twice_as_many_things_take_twice_as_many_steps(repository, made):
    await steps(repository, made(2))  # what is remembered of parameters and shapes

    assert await steps(repository, made(160)) < 2.2 * await steps(repository, made(80))


async def test_very_many_diagnoses_of_a_number_that_one_had_before_take_as_many_steps(
    repository, take
):
    await take(patient(identifier("T1")), diagnosis("Y", ("urn:diagnoses", "D")))
    await steps(repository, diagnoses(2))

    assert await steps(repository, diagnoses(160)) < 2.2 * await steps(repository, diagnoses(80))


async def test_others_go_on_while_the_patients_of_a_message_are_looked_for(repository):
    """These are fewer than what used to be done at one go, and take far longer than 10 ms."""
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    going_on = asyncio.create_task(others())
    await asyncio.sleep(0)
    before = turns
    named = (
        one._replace(
            resource=one.resource | {"name": [{"text": f"沈{n}"}], "birthDate": "1953-04-12"}
        )
        for n, one in enumerate(patients(90))
    )
    await steps(repository, named)
    going_on.cancel()

    assert turns - before > 3


def booking(count):
    """Return an appointment of so many places, of none of which the message says the state."""
    places = [f"Location/L{n}" for n in range(count)]
    resource = {
        "resourceType": "Appointment",
        "identifier": [{"system": "urn:bookings", "value": f"B{count}"}],
        "status": "proposed",
        "participant": [{"actor": {"reference": one}, "status": "accepted"} for one in places],
    }
    made = converted(resource, ("urn:bookings", f"B{count}"))
    yield made._replace(unsaid=tuple(f"participant[{one}].status" for one in places))


async def test_very_many_who_take_part_again_take_as_many_steps(repository, take):
    counted = []
    for count in (2, 80, 160):
        await take(*booking(count))
        counted.append(await steps(repository, booking(count)))

    assert counted[2] < 2.2 * counted[1]
