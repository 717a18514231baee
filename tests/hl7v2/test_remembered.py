"""What is remembered of texts from outside is small, however long they are.

What was worked out of a name, a code or an address once is kept for the next time, a bounded
number of them. A sender who writes megabytes there must not have the hub keep them.
"""

import functools
import gc
from collections.abc import Iterator
from typing import Any

import parts
import pytest
from conversion_parts import lines, mappings

from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.receive import Receiver

LONG = "Qz" * 5_001
_CACHE = type(functools.lru_cache(len))
PATCH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "delete"},
                {"name": "path", "valueString": f"Patient.name.where(text.matches('{LONG}'))"},
            ],
        }
    ],
}


@pytest.fixture
def store_url(tmp_path):
    return f"sqlite:{tmp_path}/hub.sqlite"  # what is in a file is not in memory


def kept() -> Iterator[str]:
    """Yield what keeps a text of this test, after the test has let go of all."""
    gc.collect()
    for one in gc.get_objects():
        if type(one) is dict and any(map(is_long, one)):
            yield f"a dict of {[str(key)[:40] for key in one][:5]}"
        elif is_ours(one) and any(map(is_long, gc.get_referents(one))):
            yield f"{one.__module__} {one.__qualname__}"


def is_ours(one: Any) -> bool:
    return type(one) is _CACHE and one.__module__.startswith("fhir_hub")


def is_long(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(is_long, value))
    start = LONG[:99] if isinstance(value, str) else LONG[:99].encode()
    return isinstance(value, str | bytes) and len(value) >= len(LONG) and start in value


def message(number: int, *, at: int = 0, kind: str = "ORU^R01", text: str = LONG) -> bytes:
    """A result; `at` is the field of MSH that ends with a long text, 0: all other segments' do."""
    header = f"MSH|^~\\&|LIS|SHTH01|HUB|QPRHP|20250314||{kind}|{number}|P|2.4||||||UTF-8".split("|")
    rest = [
        f"PID|1||T{number}^^^SHTH01||沈^桂芳||19530412|F|||路1号^^上海^^^^H^{text}",
        f"PV1|1|O|{text}^1|||D{text}^李",
        f"ORC|RE|{text}|F{number}",
        f"OBR|1|P{text}|F{number}|K{text}^钾|||20250314080000",
        f"OBX|1|NM|K{text}^钾^{text}||5.4|mmol{text}|3-5|H|||F|||20250314080000",
    ]
    if at:
        header[at - 1] += text
        rest = [one.replace(text, "") for one in rest]
    return lines("|".join(header), *rest).encode()


async def test_no_long_text_from_outside_is_remembered(client, backend, repository, clock):
    receiver = Receiver(
        repository,
        backend.journal,
        lambda message, received, zone: convert(message, mappings(), received=received),
        parameters=parts.parameters(),
        channel=Channel("mllp-1", parts.ZONE),
        clock=clock,
        new_id=repository.new_id,
        settings_of=mappings().settings,
    )
    for number, at in enumerate((0, 3, 4, 5, 6, 9, 12, 18, 0), 1):
        await receiver.receive(message(number, at=at))
    for number, kind in enumerate((f"{LONG}^A01", f"ADT^{LONG}", f"ADT^A01^{LONG}", LONG), 20):
        await receiver.receive(message(number, kind=kind, text=""))
    patient = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": f"urn:{LONG}", "value": LONG}],
        "name": [{"text": LONG}],
        "address": [{"district": LONG, "line": ["路1号"]}],
        "telecom": [{"system": "phone", "value": LONG}],
    }
    assert (await client.put("Patient/p", json=patient)).status_code == 201
    assert (await client.patch("Patient/p", json=PATCH)).status_code in (200, 400, 422)
    profiled = {**patient, "meta": {"profile": [f"http://a.example/{LONG}"]}}
    assert (await client.put("Patient/p", json=profiled)).status_code == 200
    quantity = {"value": 1, "system": "http://unitsofmeasure.org", "code": LONG}
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": LONG}}
    await client.post("Observation", json={**observation, "valueQuantity": quantity})
    await client.get("Patient", params={"name": LONG, "birthdate": LONG})
    del patient, profiled, quantity, observation

    assert [*kept()] == []
