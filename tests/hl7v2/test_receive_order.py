"""What is about one patient is done in the order in which it came, all else at once.

Spec: issue D, "parallel across patients, ordered per patient, merges as barriers"
"""

import asyncio
import marshal
import random
import resource

import parts
import pytest
from apply_parts import conversion, identifier, observation, patient, replaced

from fhir_hub.hl7v2.ack import read_header
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.order import patient_numbers
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.search.plan import EVERYTHING, Query
from fhir_hub.store import forward
from fhir_hub.store.open import open_backend
from fhir_hub.workers.keeping import Keeping

LARGE = 300  # resources: written in a thread, and what comes meanwhile is faster


def convert(message, received, zone):
    """PID-3 is a Patient, MRG-1 the one it replaces, OBX-1 how many Observations there are."""
    number = message.header.value(10)
    person = patient(identifier(message.first("PID").value(3)))
    merged = message.first("MRG")
    others = [replaced(identifier(merged.value(1)))] if merged else []
    results = message.first("OBX")
    count = int(results.value(1)) if results else 0
    return conversion(person, *others, *(observation(f"{number}-{n}") for n in range(count)))


def receiver_of(backend, clock, journal=None):
    ids = parts.ids()
    return Receiver(
        parts.repository(backend.store, clock, ids),
        journal or backend.journal,
        convert,
        parameters=parts.parameters(),
        channel=Channel("mllp-1", parts.ZONE),
        clock=clock,
        new_id=ids,
    )


def message(control_id: str, number: str, results: int = 1, prior: str = "") -> bytes:
    lines = [f"MSH|^~\\&|LIS|SHTH01|HUB|X|20250314||ADT^A40|{control_id}|P|2.4"]
    lines += [f"PID|1||{number}", *([f"MRG|{prior}"] if prior else []), f"OBX|{results}"]
    return "\r".join(lines).encode() + b"\r"


async def order(backend) -> list[str]:
    """Return the control ids of the messages in the order in which their results were stored."""
    page = await backend.store.history("Observation", count=10_000)
    made = sorted((one.sequence, one.content) for one in page.matches if one.version_id == 1)
    found = [content.split(b'"value":"')[1].split(b"-")[0].decode() for _, content in made]
    return list(dict.fromkeys(found))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:{tmp_path / 'hub.sqlite'}"


async def test_messages_about_one_patient_wait_for_each_other(url, clock):
    async with open_backend(url) as backend:
        receiver = receiver_of(backend, clock)
        await asyncio.gather(
            receiver.receive(message("C1", "T1", LARGE)),
            receiver.receive(message("C2", "T1")),
            receiver.receive(message("C3", "T2")),
            receiver.receive(message("C4", "T1")),
        )
        done = await order(backend)

    assert [one for one in done if one != "C3"] == ["C1", "C2", "C4"]
    assert "C3" in done  # that nobody waits for another's is shown in channels/test_routes.py


async def test_a_merge_waits_for_what_came_before_and_holds_what_comes_after(url, clock):
    async with open_backend(url) as backend:
        receiver = receiver_of(backend, clock)
        answers = await asyncio.gather(
            receiver.receive(message("C1", "OLD", LARGE)),
            receiver.receive(message("C2", "NEW")),
            receiver.receive(message("C3", "NEW", prior="OLD")),
            receiver.receive(message("C4", "OLD")),
            receiver.receive(message("C5", "NEW")),
            receiver.receive(message("C6", "OTHER")),
        )
        done = await order(backend)
        page = await backend.store.search(Query(("Observation",), EVERYTHING, count=1000))
        subjects = {one.content.split(b'"subject":')[1][:60] for one in page.matches}

    assert [read_answer(answer).ack_code for answer in answers] == ["AA"] * 6
    assert [one for one in done if one not in ("C2", "C6")] == ["C1", "C3", "C4", "C5"]
    assert done.index("C2") < done.index("C3")
    assert len(subjects) == 2  # the survivor and the other one: all of OLD was led on


async def test_order_holds_over_two_worker_processes(url, clock):
    """Two workers' journals on one that writes, as `workers/supervisor.py` joins them."""
    async with open_backend(url) as backend:

        async def ask(kind, value):
            sent = marshal.loads(marshal.dumps(value))
            return marshal.loads(marshal.dumps(await forward.answer(backend, kind, sent)))

        workers = [receiver_of(forward.forwarding(backend, ask), clock) for _ in range(2)]
        chance = random.Random(5)
        numbers = [f"T{chance.randrange(3)}" for _ in range(30)]
        sizes = [chance.choice((1, 1, LARGE)) if n < 6 else 1 for n in range(30)]
        await asyncio.gather(
            *(
                workers[n % 2].receive(message(f"C{n}", number, sizes[n]))
                for n, number in enumerate(numbers)
            )
        )
        done = [int(one[1:]) for one in await order(backend)]

    for who in set(numbers):
        own = [n for n in done if numbers[n] == who]
        assert own == sorted(own)
        assert len(own) == numbers.count(who)


async def test_order_holds_over_two_worker_processes_on_a_full_disk(tmp_path, clock):
    waiting, before = set(), resource.getrlimit(resource.RLIMIT_FSIZE)

    async def pause(seconds):
        await asyncio.sleep(0)
        if len(waiting) == 8:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    async with open_backend(f"sqlite:{tmp_path}/hub.sqlite") as backend:
        keeping = Keeping(backend, Patience(120, pause))

        async def ask(kind, value):
            if kind != "keep":
                return await forward.answer(backend, kind, value)
            received, is_early = value
            if not is_early:  # it could not be written, and comes again
                waiting.add(received)
            return await keeping.answer(value)

        workers = [receiver_of(forward.forwarding(backend, ask), clock) for _ in range(2)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            came = [workers[n % 2].receive(message(f"C{n}", "T1")) for n in range(8)]
            answers = await asyncio.gather(*came)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        assert {read_answer(answer).ack_code for answer in answers} == {"AA"}
        assert await order(backend) == [f"C{n}" for n in range(8)]


class Crash(BaseException):
    """The power goes."""


class Broken:
    """A journal that loses power at the end of a message."""

    def __init__(self, journal):
        self._journal = journal

    def __getattr__(self, name):
        return getattr(self._journal, name)

    async def finish(self, finish):
        raise Crash


async def test_other_content_is_not_applied_though_the_hub_dies_before_it_refuses(url, clock):
    async with open_backend(url) as backend:
        await receiver_of(backend, clock).receive(message("C1", "T1"))
        with pytest.raises(Crash):
            await receiver_of(backend, clock, Broken(backend.journal)).receive(message("C1", "T2"))

    async with open_backend(url) as backend:
        assert await receiver_of(backend, clock).replay() == 0
        states = [one.state for one in await backend.journal.recent()]
        assert states == ["quarantined", "done"]
        assert (await backend.store.status()).resources == {"Patient": 1, "Observation": 1}


async def test_what_a_message_is_stands_in_the_journal(backend, clock):
    await receiver_of(backend, clock).receive(message("C1", "T1"))

    (entered,) = await backend.journal.recent()
    said = entered.message
    assert (said.message_type, said.application, said.facility) == ("ADT^A40", "LIS", "SHTH01")
    assert (said.control_id, said.direction) == ("C1", "in")
    assert (entered.attempts, entered.size_bytes) == (1, len(said.raw))
    assert entered.finished >= said.received


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (
            "PID|1|A^^^X|b~C^^^Y&Z~|D||||||||||||||x|310229195304129989",
            "A B C D 310229195304129989",
        ),
        ("\nPID|1||7\r\nMRG|8^^^X~9|||10\n  PID|1||11", "7 8 9 10 11"),
        ('PID|1||""^^^X~ &s^y|', ""),
        ("NK1|1||7\rOBX|1|ST|PID|7", ""),
        ("PID", ""),
        (f"PID|1||{'7' * 65}~{'7' * 66}", "7" * 64),
    ],
)
def test_the_numbers_that_order_a_message_are_those_of_its_patients(text, numbers):
    text = f"MSH|^~\\&|LIS\r{text}"
    assert patient_numbers(text, read_header(text)) == tuple(numbers.split())


def test_numbers_are_read_in_the_sender_s_own_delimiters():
    text = "MSH*%$/@*LIS\rPID*1**7%x$8@9%y"
    assert patient_numbers(text, read_header(text)) == ("7", "8")
    assert patient_numbers("PID|1||7~8", read_header("MSH|^|LIS")) == ("7~8",)
