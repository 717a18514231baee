"""A batch in the middle of which the power goes: what was done is done, the rest is done once.

Spec: HL7v2 chapter 2, 2.10.3; DESIGN 5 (exactly one)
"""

from datetime import UTC

import parts
import pytest
from apply_parts import conversion, identifier, patient
from conversion_parts import mappings

from fhir_hub.hl7v2.answers.answers import Answers
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.wire.batches import MESSAGE, parts_of
from fhir_hub.hl7v2.wire.mllp import Block


class Crash(BaseException):
    """The power goes."""


def message(number):
    return f"MSH|^~\\&|HIS|SHTH01|||2025||ADT^A08|{number}|P|2.4\rPID|1||N{number}\r".encode()


BATCH = b"BHS|^~\\&|HIS|SHTH01|||2025||||B1\r" + b"".join(map(message, range(4))) + b"BTS|4\r"


@pytest.mark.parametrize("broken", range(4))
async def test_the_batch_sent_again_does_each_message_once(backend, clock, all_of, broken):
    is_crashing = True
    ids = parts.ids()

    def convert(read, *rest):
        if is_crashing and read.header.value(10) == str(broken):
            raise Crash
        return conversion(patient(identifier(read.first("PID").value(3))))

    def hub():
        receiver = Receiver(
            parts.repository(backend.store, clock, ids),
            backend.journal,
            convert,
            parameters=parts.parameters(),
            channel=Channel("mllp", parts.ZONE),
            clock=clock,
            new_id=ids,
        )
        return receiver, Answers(
            receiver, backend.store, backend.journal, parts.parameters(), mappings(), UTC
        )

    receiver, answers = hub()
    with pytest.raises(Crash):
        await answers.take(Block(BATCH))
    await receiver.close()
    await backend.store.write(())  # what was kept before is durable with this
    is_crashing = False
    receiver, again = hub()
    assert 1 <= await receiver.replay() <= 4  # several are under way at once
    answer = await again.take(Block(BATCH))

    acks = [part.raw.split(b"\r")[1] for part in parts_of(answer) if part.kind == MESSAGE]
    assert acks == [b"MSA|AA|%d" % number for number in range(4)]
    numbers = [one["identifier"][0]["value"] for one in await all_of("Patient")]
    assert sorted(numbers) == [f"N{number}" for number in range(4)]
