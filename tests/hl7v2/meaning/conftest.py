"""A receiver over each store, and messages written short: what they mean for what is stored."""

import itertools
from datetime import UTC, datetime

import parts
import pytest
from conversion_parts import mappings
from meaning_parts import person, plain, result

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.receive import Channel, Receiver
from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.search.plan import EVERYTHING, Query


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, event: str, **fields: object) -> None:
        fields.pop("number", None)
        self.lines.append(" ".join([event, *(f"{k}={v}" for k, v in fields.items())]))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def clock():
    standing = parts.SetClock()
    standing.moment = datetime(2026, 1, 1, tzinfo=UTC)
    return standing


@pytest.fixture
def trusted():
    """The facilities whose word counts more; a test may name some."""
    return []


@pytest.fixture
def chosen():
    """The maps in force; a test may put others at the end."""
    return [mappings()]


@pytest.fixture
def receiver(backend, repository, clock, log, trusted, chosen):
    return Receiver(
        repository,
        backend.journal,
        lambda m, at, zone: convert(m, chosen[-1], received=at, zone=zone, trusted=trusted),
        parameters=parts.parameters(),
        channel=Channel("mllp-1", parts.ZONE),
        clock=clock,
        new_id=repository.new_id,
        log=log,
    )


@pytest.fixture
def say(receiver):
    """Deliver a message: its event, the time of it (`HHMM` of 14 March), its segments.

    In place of the time it may have two, EVN-2 and MSH-7.
    """
    numbers = itertools.count(1)

    async def run(event, at, *segments, by="HIS|SHTH01", ack="AA", encoding="utf-8"):
        kind, _, trigger = event.partition("^")
        recorded, sent = (at, at) if isinstance(at, str) else at
        recorded, sent = (one if len(one) > 4 else f"20250314{one}00" for one in (recorded, sent))
        header = f"MSH|^~\\&|{by}|HUB|QPRHP|{sent}||{event}|C{next(numbers)}|P|2.5"
        events = [f"EVN|{trigger}|{recorded}"] if kind == "ADT" else []
        raw = "\r".join([header, *events, *segments, ""]).encode(encoding)
        answer = read_answer(await receiver.receive(raw))
        assert answer.ack_code == ack, (answer, raw)
        return answer

    return run


@pytest.fixture
def every(store):
    """Return all current resources of a type, oldest first."""

    async def run(resource_type):
        page = await store.search(Query((resource_type,), EVERYTHING, count=1000))
        return [fhirjson.loads(stored.content) for stored in page.matches]

    return run


@pytest.fixture
def only(every):
    async def run(resource_type):
        (found,) = await every(resource_type)
        return found

    return run


TOLD = (
    *("Encounter", "AllergyIntolerance", "Coverage", "RelatedPerson"),
    *("Appointment", "MedicationRequest"),
)


@pytest.fixture
def records(every):
    """Return what is stored of each patient, by her number, which stands for her address too."""

    async def run():
        known = {
            f'"{kind}/{one["id"]}"': f'"{kind} {one["identifier"][0]["value"]}"'
            for kind in ("Practitioner", "Location", "Organization")
            for one in await every(kind)
        }
        found = {}
        patients = await every("Patient")
        others = [one for kind in TOLD for one in await every(kind)]
        for patient in patients:
            number = patient["identifier"][0]["value"]
            address = f'"Patient/{patient["id"]}"'
            told = [one for one in others if address in fhirjson.dumps(one).decode()]
            text = fhirjson.dumps(plain([patient, *told])).decode()
            for old, new in (*known.items(), (address, '""'), (number, ""), (f"V{number[1:]}", "")):
                text = text.replace(old, new)
            found[number] = plain(fhirjson.loads(text.encode()))
        return found

    return run


@pytest.fixture
def look(every):
    """Return number → (active, link types), and result's order → patient's number."""

    async def run():
        patients = await every("Patient")
        numbers = {f"Patient/{one['id']}": one["identifier"][0]["value"] for one in patients}
        states = {
            one["identifier"][0]["value"]: (
                one["active"],
                [f"{link['type']} {numbers[link['other']['reference']]}" for link in one["link"]]
                if "link" in one
                else [],
            )
            for one in patients
        }
        reports = {
            one["identifier"][0]["value"]: numbers[one["subject"]["reference"]]
            for one in await every("DiagnosticReport")
        }
        return states, reports

    return run


@pytest.fixture
async def two(say):
    for number in ("T1", "T2"):
        await say("ADT^A04", "0800", person(number))
        await say("ORU^R01", "0900", person(number), *result(f"F{number}"))
