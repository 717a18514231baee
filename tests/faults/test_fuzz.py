"""Whatever bytes come, the answer is a sentence: never a fault of ours, never silence.

Valid examples are spoilt at random, which reaches deeper than noise does. What crashed once
stands in `FOUND`.
"""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, unquote

import httpx
import pytest
from faults.rounds import SECONDS, rounds

from fhir_hub import fhirjson
from fhir_hub.app import build
from fhir_hub.hl7v2.wire.mllp import Framer, frame
from fhir_hub.r4.xml_write import XmlWriter
from fhir_hub.rest.http import FhirApp
from fhir_hub.settings import load_settings
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs

pytestmark = pytest.mark.no_cover
ROOT = Path(__file__).parents[2]
MESSAGES = [
    path.read_bytes().replace(b"\n", b"\r")
    for path in sorted((ROOT / "examples" / "messages").glob("*.hl7"))
]
SEEDS = [
    entry["resource"]
    for entry in fhirjson.loads((ROOT / "examples" / "institutions.json").read_bytes())["entry"]
]
QUERIES = [
    "Patient?name:exact=沈&birthdate=ge1950-01-01&_sort=-birthdate,name&_count=5",
    "Observation?code=http://loinc.org|4548-4&date=gt2025&value-quantity=gt5||mg&_total=accurate",
    "Observation?patient.name=沈&_include=Observation:subject&_revinclude:iterate=Provenance:target",
    "Patient?_has:Observation:patient:code=1234&identifier:of-type=a|b|c&_elements=id,name",
    "Appointment?date=2025-03-14T08:00:00.000%2B08:00&_filter=(date ge 2025 or status eq booked)",
    "Location?near=31.2|121.5|10|km&_summary=count",
    "Observation?code-value-quantity=http://loinc.org|1$gt5.4&component-code:not=1,2\\,3",
    "MedicationRequest?code:in=http://x/ValueSet/1&_tag:below=a&authoredon:missing=true",
    'Patient?_lastUpdated=le2030&_id=a,b&_text=沈&_content="a b" or c',
]
PIECES = (
    b"", b"\x00", b"\xff\xfe", b"\xe6", b"|", b"^", b"~", b"&", b"\\", b"\r", b"\r\r", b'"', b"{",
    b"[", b"]", b"}", b"null", b"-0", b"1e999", b"9" * 400, b"\\ud800", b"\\X0D\\", b"\\.br\\",
    b"true", b"<", b">", b"&amp;", b"&x;", b"<!DOCTYPE a>", b"<![CDATA[", b"xmlns=''", b"2025-13",
    b"0001", b"$", b",", b":", b"::", b".", b"%", b"%00", b"(", b")", b" eq ", b"Patient/", b"#",
    b"\xc4\xe3", b"\xed\xa0\x80", b"_has:", b"_include", b"MSH|^~\\&|", b"PID|", b"OBX|1|NM|", b"*",
)  # fmt: skip
FOUND: dict[str, list[bytes]] = {"message": [], "json": [], "xml": [], "search": []}


def spoilt(rng: random.Random, content: bytes) -> bytes:
    """Return the content with one to four places cut, doubled, moved or written over."""
    for _ in range(rng.randint(1, 4)):
        size = len(content)
        start = rng.randrange(size + 1)
        end = min(size, start + rng.choice((0, 1, 2, 5, 20, 200)))
        other = rng.randrange(size + 1)
        new = rng.choice(
            (
                rng.choice(PIECES),
                content[other : other + rng.choice((1, 3, 10, 60))],
                content[start:end] * 2,
                rng.randbytes(rng.randint(1, 3)),
            )
        )
        content = content[:start] + new + content[end:]
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture
async def hub():
    """A hub in memory, and the faults that it logs."""
    settings = load_settings(None, {"store": "memory:", "full_text": True}, {})
    async with open_backend("memory:") as backend:
        built = build(settings, backend, Logs("error", "json"))
        await built.prepare(None)
        while await built.indexing.step():
            pass
        yield built


@pytest.fixture
async def client(hub):
    def observe(exchange) -> None:
        assert exchange.status != 500, exchange.error

    app = FhirApp(hub.service, observe, "/fhir")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as opened:
        yield opened


async def require_sentence(client, method: str, path: str, **given) -> None:
    """Ask; the answer is a success or an OperationOutcome that is no fault of ours."""
    answer = await client.request(method, path, **given)
    assert answer.status_code < 500 or answer.status_code == 501, (path, given, answer.text)
    if answer.status_code >= 400:
        issue = answer.json()["issue"][0]
        assert issue["severity"] in ("error", "fatal"), given
        assert issue["diagnostics"], given


async def test_every_message_is_answered_by_an_acknowledgment(hub):
    rng = random.Random(1)
    tried = list(FOUND["message"])
    faults = []
    hub.receiver._log = hub.receiver.processing.log = lambda event, **fields: faults.append(
        (event, fields.get("fault"))
    )
    for _ in rounds(30):
        tried += [spoilt(rng, rng.choice(MESSAGES)) for _ in range(5)]
        for message in tried:
            answer = await hub.receiver.receive(message)
            # in the letters of the sender, of two or four bytes perhaps
            answer = answer.lstrip(b"\xff\xfe\0").replace(b"\0", b"")
            assert answer.startswith(b"MSH"), message
            assert b"\rMSA|" in answer, message
            assert [one for one in faults if one[0] == "message_fault"] == [], message
        tried.clear()


async def test_frames_in_any_pieces_give_the_same_blocks():
    rng = random.Random(2)
    for _ in rounds(60):
        stream = spoilt(rng, b"".join(frame(rng.choice(MESSAGES)[:300]) for _ in range(3)))
        stream = stream.replace(b"|", rng.choice((b"|", b"\x0b", b"\x1c", b"\x1c\r", b"\r")))
        whole, pieces = Framer(200), Framer(200)
        expected, found, place = whole.feed(stream), [], 0
        while place < len(stream):
            step = rng.choice((1, 2, 3, 50))
            found += pieces.feed(stream[place : place + step])
            place += step
        assert (found, pieces.junk) == (expected, whole.junk), stream


@pytest.mark.parametrize("form", ["json", "xml"])
async def test_every_body_is_stored_or_refused_with_a_reason(client, hub, form):
    rng = random.Random(3)
    kind = {"content-type": f"application/fhir+{form}"}
    wrap = fhirjson.dumps if form == "json" else XmlWriter(hub.service.definitions).write
    tried = [(SEEDS[0]["resourceType"], body) for body in FOUND[form]]
    for _ in rounds(25):
        for _ in range(4):
            seed = rng.choice(SEEDS)
            tried.append((seed["resourceType"], spoilt(rng, wrap(seed))))
        for resource_type, body in tried:
            await require_sentence(client, "POST", resource_type, content=body, headers=kind)
            await require_sentence(
                client, "POST", f"{resource_type}/$validate", content=body, headers=kind
            )
        tried.clear()


async def test_every_search_is_answered_or_refused_with_a_reason(client):
    rng = random.Random(4)
    for seed in SEEDS[:5]:
        await client.post(seed["resourceType"], json=seed)
    tried = list(FOUND["search"])
    for _ in rounds(40):
        for _ in range(5):
            query = unquote(rng.choice(QUERIES)).encode()
            path, _, rest = query.partition(b"?")
            tried.append(path + b"?" + spoilt(rng, rest))
        for query in tried:
            path, _, rest = query.partition(b"?")
            url = f"{path.decode()}?{quote(rest, safe='=&')}"
            await require_sentence(client, "GET", url)
        tried.clear()


@pytest.mark.parametrize("target", ["er7", "mllp", "json", "xml", "search"])
def test_fuzzing_guided_by_coverage_finds_nothing(target):
    if not SECONDS or importlib.util.find_spec("atheris") is None:
        pytest.skip("for make test-faults, where `pip install atheris` was done")
    script = ROOT / "tools" / "fuzz.py"
    command = [sys.executable, str(script), target, str(int(SECONDS))]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS * 3 + 600)
    assert done.returncode == 0, done.stderr[-3000:].decode("utf-8", "replace")
