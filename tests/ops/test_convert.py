"""`POST /hl7v2/$convert`: what a message would make, told over HTTP and not stored."""

import base64
import gzip
from pathlib import Path

import pytest
import pytest_asyncio

MESSAGES = Path(__file__).parents[2] / "examples" / "messages"
FIRST = (MESSAGES / "01_ADT_A04_chc_register.hl7").read_bytes()
URL = "/hl7v2/$convert"
ER7 = {"content-type": "x-application/hl7-v2+er7"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(start):
    async with start(mllp_max_message_bytes=1 << 20) as hub:
        yield hub


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(hub):
    async with hub.client() as client:
        yield client


def part(parameter, name):
    return next(one for one in parameter["part"] if one["name"] == name)


async def test_a_message_is_converted_and_nothing_is_stored(hub, client):
    answer = await client.post(URL, content=FIRST, headers=ER7)

    bundle = answer.json()
    assert (answer.status_code, bundle["type"]) == (200, "transaction")
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    patient = bundle["entry"][0]["resource"]
    assert patient["name"][0]["text"] == "沈桂芳"
    assert (await hub.hub.backend.store.status()).resources == {}
    assert await hub.hub.backend.journal.recent() == []


async def test_it_is_what_the_hub_stores_or_the_tables_give(client):
    stored = (await client.post(URL, content=FIRST, headers=ER7)).json()
    in_full = (await client.post(f"{URL}?tables=true", content=FIRST, headers=ER7)).json()

    assert len(in_full["entry"]) > len(stored["entry"])


async def test_what_no_map_reads_is_kept_though_the_message_does_not_say_when_it_was_sent(client):
    text = "MSH|^~\\&|HIS|SHTH01|||||ADT^A08|C1|P|2.4\rPID|1||T1||沈^桂芳\rZZZ|1|x\r"
    answer = (await client.post(f"{URL}?report=true", content=text.encode(), headers=ER7)).json()

    report = answer["parameter"][1]
    fields = [one["part"] for one in report["part"] if one["name"] == "fields"]
    kept = [[one["valueString"] for one in field if "valueString" in one] for field in fields]
    to = "Provenance.extension[0].valueString"
    assert ["ZZZ-2", "preserved", to, "no map for this segment"] in kept


@pytest.mark.parametrize(
    ("name", "kind"),
    [("wire/10_ORU_R01_nat_wujiang.gb18030.hl7", "text/plain"), ("10_ORU_R01_nat_wujiang.hl7", "")],
)
async def test_any_character_set_is_read(client, name, kind):
    headers = {"content-type": kind} if kind else {}
    answer = await client.post(URL, content=(MESSAGES / name).read_bytes(), headers=headers)

    assert "王䶮" in answer.text


async def test_a_compressed_message_is_read(client):
    headers = {**ER7, "content-encoding": "gzip"}
    answer = await client.post(URL, content=gzip.compress(FIRST), headers=headers)
    assert answer.json() == (await client.post(URL, content=FIRST, headers=ER7)).json()
    answer = await client.post(URL, content=b"x", headers=headers)
    assert answer.status_code == 400


async def test_the_media_types_character_set_is_believed(client):
    message = "MSH|^~\\&|A|B|||2024||ADT^A08|1|P|2.4\rPID|1||7||丁^一\r".encode("big5")
    headers = {"content-type": "text/plain; charset=big5"}

    assert "丁一" in (await client.post(URL, content=message, headers=headers)).text


async def test_report_gives_parameters_of_bundle_and_report(client):
    answer = (await client.post(f"{URL}?report=true", content=FIRST, headers=ER7)).json()

    bundle, report = answer["parameter"]
    assert (answer["resourceType"], bundle["name"], report["name"]) == (
        "Parameters",
        "bundle",
        "report",
    )
    assert bundle["resource"]["type"] == "transaction"
    counts = part(report, "counts")
    fields = [one for one in report["part"] if one["name"] == "fields"]
    assert sum(one["valueInteger"] for one in counts["part"]) == len(fields)


async def test_the_report_can_be_text(client):
    answer = (await client.post(f"{URL}?report=text", content=FIRST, headers=ER7)).json()

    assert "mapped 已映射" in answer["parameter"][1]["valueString"]


@pytest.mark.parametrize("form", ["valueString", "valueBase64Binary", "resource"])
async def test_the_message_may_come_in_parameters(client, form):
    coded = base64.b64encode(FIRST).decode()
    value = {
        "valueString": FIRST.decode(),
        "valueBase64Binary": coded,
        "resource": {"resourceType": "Binary", "contentType": "text/plain", "data": coded},
    }[form]
    rows = [{"name": "message", form: value}, {"name": "report", "valueBoolean": True}]
    body = {"resourceType": "Parameters", "parameter": rows}

    answer = (await client.post(URL, json=body)).json()

    assert answer["parameter"][0]["resource"]["entry"]


async def test_several_messages_give_a_collection(client):
    answer = await client.post(f"{URL}?report=true", content=FIRST * 2, headers=ER7)

    bundle, report = answer.json()["parameter"]
    assert bundle["resource"]["type"] == "collection"
    assert [one["name"] for one in report["part"]] == ["messages", "messages"]


async def test_one_that_cannot_be_converted_leaves_the_others_of_a_batch(client):
    bad = b"MSH|^~\\&|A|B|C|D|2024||ADT^A08|1|P|2.4\r"
    answer = await client.post(f"{URL}?report=true", content=FIRST + bad + FIRST, headers=ER7)

    bundle, report = answer.json()["parameter"]
    made = [one["resource"] for one in bundle["resource"]["entry"]]
    assert [one["resourceType"] for one in made] == ["Bundle", "OperationOutcome", "Bundle"]
    assert made[1]["issue"][0]["expression"] == ["PID"]
    assert [one["part"][0]["name"] for one in report["part"]] == ["message", "refused", "message"]
    assert (await client.post(URL, content=bad * 2, headers=ER7)).status_code == 400


TWICE = (
    b'{"resourceType": "Parameters", "parameter": [{"name": "message", "valueString": "MSH",'
    b' "valueBase64Binary": "TVNI"}]}'
)
PARAMETERS = b'{"resourceType": "Parameters", "parameter": [{"name": "sender"}]}'
JSON = {"content-type": "application/fhir+json"}


@pytest.mark.parametrize(
    ("query", "content", "headers", "status", "told"),
    [
        ("", b"hello", ER7, 400, "no MSH segment"),
        ("", b"", ER7, 400, "no MSH segment"),
        ("", b"MSH|^~\\&|A|B|C|D|2024||XXX^X01|1|P|2.4\r", ER7, 400, '"MSH-9"'),
        ("", b"MSH|^~\\&|A|B|C|D|2024||ADT^A08|1|P|2.4\r", ER7, 400, '"PID"'),
        ("", FIRST.replace("沈".encode(), b"\xff\xff\xff"), ER7, 400, '"PID-5"'),
        ("?report=yes", FIRST, ER7, 400, "false, true, text"),
        ("?reports=true", FIRST, ER7, 400, "did you mean report?"),
        ("?report=true&report=true", FIRST, ER7, 400, "once"),
        ("?sender=nobody", FIRST, ER7, 400, "internet-hospital"),
        ("", FIRST, {"content-type": "image/png"}, 415, "the body is"),
        ("", b"{", JSON, 400, "JSON"),
        ("", b"[]", JSON, 400, "no Parameters"),
        ("", PARAMETERS, JSON, 400, "one `message`"),
        ("", PARAMETERS.replace(b"sender", b"message"), JSON, 400, "valueBase64Binary"),
        ("", b"MSH|^~\\&|\r" * 1000 + FIRST, ER7, 400, '"MSH-9"'),
        ("", TWICE, JSON, 400, "`message` is a"),
        ("", FIRST + b"NTE|1||" + b"x" * (1 << 20), ER7, 413, "1048576 bytes"),
        ("", b"x" * (3 << 20), ER7, 413, "1048576 bytes"),
        ("", FIRST + b"NTE|1\r" * 50_000, ER7, 413, "50000 segments and repetitions"),
    ],
)
async def test_what_cannot_be_converted_gets_an_outcome(
    client, query, content, headers, status, told
):
    answer = await client.post(URL + query, content=content, headers=headers)

    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert told in answer.text


async def test_a_message_of_the_journal_is_converted_again_and_nothing_is_stored(start):
    async with start() as hub, hub.client() as client:
        await hub.send(FIRST)
        await again(hub, client)


async def again(hub, client):
    before = await hub.hub.backend.store.status()
    answer = (await client.post(f"{URL}?journal=1&report=true")).json()

    assert answer["parameter"][0]["resource"]["entry"][0]["resource"]["name"][0]["text"] == "沈桂芳"
    assert await hub.hub.backend.store.status() == before
    for query, status, told in (("2", 404, "no message"), ("x", 400, "the number")):
        answer = await client.post(f"{URL}?journal={query}")
        assert (answer.status_code, told in answer.text) == (status, True)
    both = await client.post(f"{URL}?journal=1", content=FIRST, headers=ER7)
    assert (both.status_code, "not both" in both.text) == (400, True)


async def test_openapi_describes_it(client):
    operation = (await client.get("/openapi.json")).json()["paths"][URL]["post"]

    assert [one["name"] for one in operation["parameters"]] == [
        "sender",
        "report",
        "tables",
        "journal",
    ]
    assert "x-application/hl7-v2+er7" in operation["requestBody"]["content"]
