"""`_text` and `_content`: words of the narrative, and of all that a resource says.

Spec: https://hl7.org/fhir/R4/search.html#content
"""

import contextlib

import httpx
import parts
import pytest


@contextlib.asynccontextmanager
async def hub(store, clock, new_id, *, full_text=True):
    """Run a FHIR side over the store, with its settings; its indexing is done when told."""
    service, indexing = parts.indexed(store, clock, new_id, full_text=full_text)
    await indexing.refresh()
    transport = httpx.ASGITransport(app=parts.fhir_app(service, []))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        yield client, indexing


def condition(number, narrative, text, note):
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{narrative}</p></div>',
        },
        "code": {"text": text},
        "subject": {"reference": "Patient/p1"},
        "note": [{"text": note}],
    }


CONDITIONS = [
    condition(1, "Bone <b>metastases</b> &amp; more", "Secondary malignancy", "see the CT scan"),
    condition(
        2, "Liver, with Metastases; 肝转移", "Secondary", "the scan of the liver: \ue000 none"
    ),
    condition(3, "空腹血糖偏高", "血糖异常", "Müller-Schmidt 复查"),
    condition(4, "", "nothing", "ＣＴ"),
]
del CONDITIONS[3]["text"]


async def put(client, resources=CONDITIONS):
    for resource in resources:
        answer = await client.put(f"Condition/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text


async def found(client, **query):
    answer = await client.get("Condition", params=query)
    assert answer.status_code == 200, answer.text
    return " ".join(entry["resource"]["id"] for entry in answer.json().get("entry", []))


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("_text", "metastases", "c1 c2"),
        ("_text", "METASTASES bone", "c1"),
        ("_text", "(bone OR liver) and metastases", "c1 c2"),
        ("_text", "bone or 肝", "c1 c2"),
        ("_text", "metastases not bone", "c2"),
        ("_text", "not metastases", "c3 c4"),
        ("_text", '"liver with"', "c2"),
        ("_text", '"with liver"', ""),
        ("_text", "metast", ""),
        ("_text", "血糖", "c3"),
        ("_text", "糖血", ""),
        ("_text", "血 偏", "c3"),
        ("_text", "bone,血糖", "c1 c3"),
        ("_text", "secondary", ""),
        ("_text", "div", ""),
        ("_content", "secondary", "c1 c2"),
        ("_content", "secondary bone", "c1"),
        ("_content", "scan", "c1 c2"),
        ("_content", '"ct scan"', "c1"),
        ("_content", '"secondary malignancy see"', ""),
        ("_content", "ct", "c1 c4"),
        ("_content", "muller", "c3"),
        ("_content", "Müller-Schmidt", "c3"),
        ("_content", "血糖异常 偏高", "c3"),
        ("_content", "p1", "c1 c2 c3 c4"),
        ("_text:missing", "true", "c4"),
        ("_text:missing", "false", "c1 c2 c3"),
        ("_filter", '_text eq "bone or 血糖" and _content eq scan', "c1"),
        ("subject._content", "沈", ""),
    ],
)
async def test_words_are_found(store, clock, name, words, expected):
    async with hub(store, clock, parts.ids()) as (client, indexing):
        await indexing.work()
        await put(client)
        assert await found(client, **{name: words}) == expected


async def test_words_follow_updates_and_deletes(store, clock):
    async with hub(store, clock, parts.ids()) as (client, indexing):
        await indexing.work()
        await put(client)
        await client.delete("Condition/c2")
        await put(client, [condition(1, "Kidney", "Secondary", "b")])
        assert await found(client, _text="metastases") == ""
        assert await found(client, _text="kidney", _total="accurate") == "c1"
        await put(client, [condition(2, "Bone", "again", "b")])
        assert await found(client, _content="bone", _sort="-_id", _count="1") == "c2"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("", "_text has no value"),
        ("-", "asks for words"),
        ("and bone", "a word is missing"),
        ("bone or", "a word is missing"),
        ("(bone", "a bracket is not closed"),
        ("bone)", "a bracket is closed"),
        ('"bone', "a quotation mark is not closed"),
        ("(" * 40 + "bone", "brackets in each other"),
        ("not " * 40 + "bone", "brackets in each other"),
        ("a " * 300, "at most 200"),
    ],
)
async def test_what_asks_for_no_words_is_refused(store, clock, words, named):
    async with hub(store, clock, parts.ids()) as (client, indexing):
        await indexing.work()
        answer = await client.get("Condition", params={"_text": words})
        assert answer.status_code == 400
        assert named in answer.json()["issue"][0]["diagnostics"]
        assert (await client.get("Condition?_text:exact=a")).status_code == 400
        assert (await client.get("Condition?_sort=_text")).status_code == 400


async def test_without_the_setting_it_is_named(client):
    for query in ("Patient?_text=a", "Patient?_content=a", "?_content=a", "Patient?_sort=_text"):
        answer = await client.get(query)
        assert answer.status_code == 400
        assert "full_text = true" in answer.json()["issue"][0]["diagnostics"]


async def test_what_was_stored_before_the_setting_is_found_once_it_is_read(store, clock):
    async with hub(store, clock, parts.ids(), full_text=False) as (client, indexing):
        await put(client)
        await indexing.work()
    async with hub(store, clock, parts.ids()) as (client, indexing):
        answer = await client.get("Condition?_text=bone")
        assert answer.status_code == 400
        assert "being built" in answer.json()["issue"][0]["diagnostics"]
        await indexing.work()
        assert await found(client, _text="metastases") == "c1 c2"
        statement = (await client.get("metadata")).json()["rest"][0]["resource"][0]
        assert {"name": "_text", "type": "string"}.items() <= next(
            one for one in statement["searchParam"] if one["name"] == "_text"
        ).items()
    async with hub(store, clock, parts.ids(), full_text=False) as (client, indexing):
        await indexing.work()
        await client.delete("Condition/c1")
        await put(client, [condition(2, "Kidney", "a", "b")])
    async with hub(store, clock, parts.ids()) as (client, indexing):
        assert (await client.get("Condition?_text=bone")).status_code == 400
        await indexing.work()
        assert await found(client, _text="metastases") == ""
        assert await found(client, _text="kidney") == "c2"
