"""Mapping tasks of a running hub: counted, listed, mapped, and what they stood in done again.

Spec: docs/senders.md
"""

import json

import pytest

LOCAL = "https://fhir-hub.example/CodeSystem/TEST01/local"
MAP = {
    "resourceType": "ConceptMap",
    "id": "test01",
    "status": "active",
    "group": [
        {
            "source": LOCAL,
            "target": "http://loinc.org",
            "element": [
                {
                    "code": "NA1",
                    "target": [
                        {"code": "2951-2", "display": "Sodium", "equivalence": "equivalent"}
                    ],
                },
                {"code": "NOTE", "target": [{"equivalence": "unmatched"}]},
            ],
        }
    ],
}


def oru(number, *codes):
    lines = [
        f"MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||ORU^R01^ORU_R01|C{number}|P|2.4",
        "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F",
        f"OBR|1||F{number}^XIS|2345-7^Glucose^LN|||20250314081000||||||||||||||||||F",
    ]
    lines += [f"OBX|{at}|NM|{code}^钠^L||140|mmol/L|||||F" for at, code in enumerate(codes, 1)]
    return "\r".join(lines).encode() + b"\r"


@pytest.fixture
async def hub(start, tmp_path):
    async with start(store=f"sqlite:{tmp_path}/hub.sqlite", mappings_watch_s=0) as running:
        yield running


async def tasks(hub, **asked):
    async with hub.client() as client:
        answer = await client.get("/ops/codes", params=asked)
    return {one["code"]: one["times"] for one in answer.json()["codes"]}


async def results(hub, code="NA1"):
    async with hub.client() as client:
        found = await client.get("/fhir/Observation", params={"code": f"{LOCAL}|{code}"})
    return [one["resource"] for one in found.json().get("entry", ())]


async def test_the_version_of_the_maps_tells_the_stored_conceptmaps(hub, tmp_path):
    async def read_by(number):
        await hub.send(oru(number, "NA1"))
        (newest,) = await hub.hub.backend.journal.recent(count=1)
        async with hub.client() as client:
            assert (await client.get("/ops/maps")).json()["version"] == newest.maps
        return newest.maps

    async def put(resource, status):
        async with hub.client() as client:
            answer = await client.put("/fhir/ConceptMap/test01", json=resource)
            assert answer.status_code == status

    files = await read_by(1)
    assert "+" not in files
    await put(MAP, 201)
    first = await read_by(2)
    assert first.startswith(f"{files}+")
    await put(MAP | {"title": "another name, the same codes"}, 200)
    assert await read_by(3) == first
    await put(MAP | {"status": "retired"}, 200)
    assert await read_by(4) == files
    changed = json.loads(json.dumps(MAP).replace("2951-2", "2947-0"))
    await put(changed, 200)
    assert (await read_by(5)) not in (first, files)
    assert await tasks(hub, mapped="true") == {"NA1": 2}  # counted once a message


async def test_a_code_that_no_map_knows_is_kept_counted_and_mapped_later(hub, tmp_path):
    await hub.send(oru(1, "NA1", "NOTE"))
    await hub.send(oru(2, "NA1"))
    await hub.send(oru(3, "CL1"))

    assert list((await tasks(hub)).items()) == [("NA1", 2), ("CL1", 1), ("NOTE", 1)]
    assert await tasks(hub, sender="nobody@X") == {}
    before = await results(hub)
    assert [one["code"]["coding"] for one in before] == [
        [{"system": LOCAL, "code": "NA1", "display": "钠"}]
    ] * 2

    async with hub.client() as client:
        assert (await client.put("/fhir/ConceptMap/test01", json=MAP)).status_code == 201
        numbers = (
            await client.get(
                "/ops/codes/messages",
                params={"sender": "XIS@TEST01", "system": LOCAL, "code": "NA1"},
            )
        ).json()["numbers"]
    assert await tasks(hub) == {"CL1": 1}
    assert set(await tasks(hub, mapped="true")) == {"NA1", "CL1", "NOTE"}

    assert numbers == [1, 2]
    for number in numbers:
        await hub.hub.receiver.again(number, though_done=True)
    after = await results(hub)
    assert [one["id"] for one in after] == [one["id"] for one in before]
    assert [one["meta"]["versionId"] for one in after] == ["2", "2"]
    assert after[0]["code"]["coding"] == [
        {"system": LOCAL, "code": "NA1", "display": "钠", "userSelected": True},
        {"system": "http://loinc.org", "code": "2951-2", "display": "Sodium"},
    ]
    assert len(await results(hub, "NOTE")) == 1
    assert (tmp_path / "hub.codes").exists()


async def test_a_map_that_is_changed_or_withdrawn_holds_at_once(hub):
    async with hub.client() as client:
        await client.put("/fhir/ConceptMap/test01", json=MAP)
        await hub.send(oru(1, "NA1"))
        await client.put("/fhir/ConceptMap/test01", json=MAP | {"status": "retired"})
        await hub.send(oru(2, "NA1"))

    codings = [len(one["code"]["coding"]) for one in await results(hub)]
    assert sorted(codings) == [1, 2]
    assert await tasks(hub) == {"NA1": 1}


async def test_a_stored_map_holds_though_the_same_maps_are_read_again(hub):
    async with hub.client() as client:
        await client.put("/fhir/ConceptMap/test01", json=MAP)
    await hub.send(oru(1, "NA1"))
    await hub.hub.reloading.look(is_asked=True)
    await hub.send(oru(2, "NA1"))

    assert [len(one["code"]["coding"]) for one in await results(hub)] == [2, 2]


async def test_of_an_unknown_code_there_are_no_messages(hub):
    async with hub.client() as client:
        asked = {"sender": "XIS@TEST01", "system": LOCAL, "code": "NONE"}
        assert (await client.get("/ops/codes/messages", params=asked)).status_code == 404


async def test_a_code_is_found_without_its_system_and_bad_questions_are_told(hub):
    await hub.send(oru(1, "NA1"))
    async with hub.client() as client:
        asked = {"sender": "XIS@TEST01", "code": "NA1"}
        found = await client.get("/ops/codes/messages", params=asked)
        assert found.json() == {"numbers": [1]}
        for path, told in (
            ("/ops/codes/messages?sender=XIS@TEST01", "code: say which"),
            ("/ops/codes/messages?sender=X&code=NA1&sytem=x", "system"),
            ("/ops/codes?count=many", "count: write a number"),
            ("/ops/codes?mapped=perhaps", "mapped: true or false"),
        ):
            answer = await client.get(path)
            assert answer.status_code == 400
            assert told in answer.json()["issue"][0]["diagnostics"]


async def test_a_message_is_counted_once_however_often_it_is_read(hub):
    first, second = oru(1, "NA1"), oru(1, "NA1").replace(b"|C1|", b"|C2|")
    await hub.send(second)
    await hub.send(second)  # a duplicate
    await hub.send(first.replace(b"20250315101500", b"20250315081500"))  # late: both are read
    await hub.hub.receiver.again(1, though_done=True)
    assert await tasks(hub) == {"NA1": 2}

    async with hub.client() as client:
        await client.put("/fhir/ConceptMap/test01", json=MAP)
        assert await tasks(hub) == {}
        await client.put("/fhir/ConceptMap/test01", json=MAP | {"status": "retired"})
    await hub.hub.receiver.again(1, though_done=True)
    assert await tasks(hub) == {"NA1": 2}


async def test_a_code_of_several_fields_is_one_task_and_each_of_its_messages_is_found(hub):
    await hub.send(oru(1, "NA1"))
    await hub.send(oru(2, "CL1").replace(b"2345-7^Glucose^LN", "NA1^钠^L".encode()))
    await hub.send(oru(3, "CL1").replace(b"|P|2.4", b"|P|2.4|||NA1"))
    async with hub.client() as client:
        codes = (await client.get("/ops/codes")).json()["codes"]
        asked = {"sender": "XIS@TEST01", "code": "NA1"}
        numbers = (await client.get("/ops/codes/messages", params=asked)).json()["numbers"]

    assert {one["code"]: one["field"] for one in codes} == {"NA1": "OBX-3 OBR-4", "CL1": "OBX-3"}
    assert numbers == [1, 2]


async def test_a_map_to_no_system_says_nothing(hub):
    nowhere = json.loads(json.dumps(MAP).replace('"target": "http://loinc.org", ', ""))
    async with hub.client() as client:
        assert (await client.put("/fhir/ConceptMap/test01", json=nowhere)).status_code == 201
    await hub.send(oru(1, "NA1"))

    assert await tasks(hub) == {"NA1": 1}
    assert [len(one["code"]["coding"]) for one in await results(hub)] == [1]


async def test_of_two_maps_of_one_code_the_one_that_was_written_last_counts(start, tmp_path):
    other = json.loads(json.dumps(MAP).replace("2951-2", "2947-0").replace('"test01"', '"a"'))
    store = f"sqlite:{tmp_path}/hub.sqlite"
    async with start(store=store) as hub:
        async with hub.client() as client:
            for name, one in (("a", other), ("test01", MAP), ("a", other | {"title": "again"})):
                await client.put(f"/fhir/ConceptMap/{name}", json=one)
        await hub.send(oru(1, "NA1"))
        first = await results(hub)
        (before,) = await hub.hub.backend.journal.recent(count=1)
    async with start(store=store) as hub:  # another process reads them in another order
        await hub.send(oru(2, "NA1"))
        (after,) = await hub.hub.backend.journal.recent(count=1)
        both = await results(hub)

    assert [one["code"]["coding"][1]["code"] for one in (*first, *both)] == ["2947-0"] * 3
    assert after.maps == before.maps


@pytest.mark.parametrize("codec", ["big5", "utf-8"])
async def test_a_code_in_chinese_is_found_in_what_a_sender_writes_as_his_file_says(
    start, tmp_path, codec
):
    (tmp_path / "senders").mkdir()
    said = 'source = "here"\nversion = "1"\nmatch = { "MSH-4" = "TEST01" }\n[settings]\n'
    (tmp_path / "senders" / "test01.toml").write_text(f'{said}charset = "{codec}"\n')
    async with start(mappings_folder=tmp_path) as hub:
        raw = oru(1, "鈉值").decode().replace("钠", "鈉").replace("沈^桂芳", "沈^桂")
        await hub.send(raw.encode(codec))
        async with hub.client() as client:
            asked = {"sender": "XIS@TEST01", "code": "鈉值"}
            answer = await client.get("/ops/codes/messages", params=asked)
    assert answer.json() == {"numbers": [1]}
