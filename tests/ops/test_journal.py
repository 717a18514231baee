"""`/ops/messages`: the journal over HTTP, and `fhir-hub replay --hub` through it."""

import asyncio
import re
import sys
import urllib.request
from pathlib import Path

import pytest
from whole.running import Mllp

from fhir_hub.cli import journal
from fhir_hub.hl7v2.journal.course import received
from fhir_hub.store.base import Finish
from fhir_hub.store.journal import Received

EXAMPLES = Path(__file__).parents[2] / "examples"
FIRST = (EXAMPLES / "messages" / "01_ADT_A04_chc_register.hl7").read_bytes()
OTHER = (EXAMPLES / "messages" / "10_ORU_R01_nat_wujiang.hl7").read_bytes()
MERGE = (EXAMPLES / "messages" / "03_ADT_A40_tertiary_merge.hl7").read_bytes()
WITHOUT = MERGE.replace(b"T0099001^^^SHTH01^PI", b"")


@pytest.fixture
async def hub(start):
    async with start() as hub:
        await hub.send(FIRST)
        await hub.send(WITHOUT)
        yield hub


@pytest.fixture
async def client(hub):
    async with hub.client() as client:
        yield client


async def test_messages_are_listed_in_pages_and_by_filter(client):
    first = (await client.get("/ops/messages", params={"count": 1})).json()
    assert [(one["number"], one["state"]) for one in first["messages"]] == [(2, "failed")]
    rest = await client.get("/ops/messages", params={"count": 1, "beyond": first["beyond"]})
    assert [one["number"] for one in rest.json()["messages"]] == [1]
    assert "beyond" not in rest.json()
    (patient,) = [one for one in rest.json()["messages"][0]["links"] if one.startswith("Patient/")]
    for asked, numbers in (
        ({"state": "failed,dead"}, [2]),
        ({"sender": "ZJJCHC", "type": "A04"}, [1]),
        ({"links": patient}, [1]),
        ({"channel": "mllp"}, [2, 1]),
        ({"channel": "mlp"}, []),
        ({"text": "沈^桂芬"}, [2]),
        ({"since": "2020-01-01", "until": "2021"}, []),
    ):
        found = await client.get("/ops/messages", params=asked)
        assert [one["number"] for one in found.json()["messages"]] == numbers, asked
        assert "桂" not in found.text
        assert ("did you mean mllp" in found.text) == (asked == {"channel": "mlp"})


async def test_what_cannot_be_asked_is_refused(client):
    for path, status, told in (
        ("?stat=failed", 400, "did you mean state"),
        ("?state=lost", 400, "state: one of"),
        ("?count=0x", 400, "count: write a number"),
        ("?number=-1", 400, "number: write a number"),
        ("?links=Patient", 400, "links: write"),
        ("?since=yesterday", 400, "since: not a date"),
        ("/x", 400, "number: write a number"),
        ("/1?whole=true", 400, "unmasked"),
        ("/1?unmasked=yes", 400, "true or false"),
        ("/99", 404, "no message has the number 99"),
    ):
        answer = await client.get(f"/ops/messages{path}")
        assert answer.status_code == status, path
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert told in answer.json()["issue"][0]["diagnostics"], path


async def test_a_text_is_masked_unless_asked_for_which_is_logged(client, hub):
    masked = (await client.get("/ops/messages/1")).json()
    whole = (await client.get("/ops/messages/1?unmasked=true")).json()

    assert "桂芳" not in masked["text"]
    assert "桂芳" in whole["text"]
    assert masked["text"].count("|") == whole["text"].count("|")
    assert '"event": "message_shown"' in hub.logged.getvalue()


async def test_of_a_message_that_waits_is_shown_for_which_of_its_patient(client, hub):
    for number, raw in enumerate((FIRST, OTHER, FIRST)):
        sender = ("CHIS", "ZJJCHC", f"W{number}")
        message = Received("mllp", "|".join(sender), "d", 1, raw, "ADT^A04", *sender)
        await hub.hub.backend.journal.keep(message)
    shown = [(await client.get(f"/ops/messages/{number}")).json() for number in (3, 4, 5)]

    assert [one.get("waitsFor") for one in shown] == [None, None, [3]]
    (told,) = re.findall(r"^fhir_hub_journal_pending_seconds (.*)$", await figures(client), re.M)
    assert float(told) > 1e9  # since 1970

    ended = await client.post("/ops/messages/3/$ignore", headers={"from": "li"})
    assert (ended.json()["state"], ended.json()["reason"]["en"]) == ("ignored", "Ended by hand")
    assert '"event": "message_ignored"' in hub.logged.getvalue()
    assert "waitsFor" not in (await client.get("/ops/messages/5")).json()
    for number in (4, 5):
        await client.post(f"/ops/messages/{number}/$ignore")
    assert "fhir_hub_journal_pending_seconds 0.0" in await figures(client)


async def figures(client) -> str:
    return (await client.get("/metrics")).text


async def test_messages_are_done_again_corrected_and_let_rest(client, hub):
    async def post(path: str, **options) -> tuple[int, dict]:
        answer = await client.post(f"/ops/messages/{path}", **options)
        return answer.status_code, answer.json()

    _, dry = await post("$replay", json={"dry_run": True})
    assert [one["number"] for one in dry["messages"]] == [2]
    _, replayed = await post("$replay", json={"number": [1, 2], "who": "li"})
    assert [(one["number"], one["was"], one["state"]) for one in replayed["messages"]] == [
        (1, "done", "done"),
        (2, "failed", "failed"),
    ]
    assert replayed["messages"][0]["refused"] == "the message is done"
    assert replayed["messages"][1]["attempts"] == 2
    assert '"who": "li 127.0.0.1"' in hub.logged.getvalue()

    status, known = await post("2/$correct", content=FIRST)
    assert (status, known["issue"][0]["diagnostics"]) == (
        409,
        "this text came before, as message 1, which is done: it does not take the place of"
        " message 2",
    )
    assert (await client.get("/ops/messages/2")).json()["state"] == "failed"
    assert (await post("2/$ignore"))[1]["state"] == "ignored"
    status, corrected = await post("2/$correct", content=MERGE)
    assert (status, corrected["number"], corrected["state"]) == (200, 3, "done")
    status, refused = await post("2/$correct", content=MERGE)
    assert (status, refused["issue"][0]["diagnostics"]) == (409, "the message is replaced by 3")
    assert (await post("3/$ignore"))[0] == 409
    assert (await post("2/$correct"))[0] == 400
    assert (await post("9/$correct", content=MERGE))[0] == 404
    for body, wrong in (
        (b"[]", 400),
        (b"{", 400),
        (b'{"again": "perhaps"}', 400),
        (b'{"states": "failed"}', 400),
        (b'{"again": true}', 400),
        (b'{"number": []}', 400),  # a list that came out empty is not every message
        (b'{"type": [[]]}', 400),
        (b'{"sender": null}', 400),
        (b'{"sender": {}}', 400),
        (b'{"number": "%s"}' % b",".join(b"%d" % n for n in range(30_001)), 400),
        (b" " * (1 << 20) + b"{}", 413),
    ):
        assert (await post("$replay", content=body))[0] == wrong, body[:40]
    assert (await client.get("/ops/messages/2")).json()["attempts"] == 2
    _, twice = await post("$replay", json={"dry_run": True, "state": ["done"] * 40_000})
    assert [one["number"] for one in twice["messages"]] == [1, 3]
    assert b"\rMSA|AA|" in await hub.send(WITHOUT)  # the sender's own text, once more


async def test_a_dead_message_that_was_sent_again_and_is_done_is_let_rest(client, hub):
    receiver, journal = hub.hub.receiver, hub.hub.backend.journal
    message = received(receiver.reading.read(OTHER, receiver.reading.channel), OTHER, 1)
    number = (await journal.keep(message)).entered.number
    await journal.finish(Finish(number, "dead", b"MSH|", "Unavailable: full", (), 1, 1, ""))
    assert b"\rMSA|AA|" in await hub.send(OTHER)

    answer = await client.post("/ops/messages/$replay", json={"state": "dead", "who": "li"})
    (told,) = answer.json()["messages"]
    assert (told["number"], told["was"], told["state"]) == (number, "dead", "ignored")
    assert told["refused"] == "the same message is done under another number"
    assert (await client.get("/ops/messages?state=dead")).json()["messages"] == []


async def test_the_command_line_does_messages_again_through_the_hub(hub, monkeypatch, capsys):
    from fhir_hub.cli import main

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["fhir-hub", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert await asyncio.to_thread(run, "replay", "--hub", hub.addresses.fhir) == 1
    out = capsys.readouterr().out
    assert "failed → failed" in out
    assert out.splitlines()[-1] == "1 message: 0 done, 1 not"
    assert await asyncio.to_thread(run, "messages", "ignore", "2", "--hub", hub.home) == 0
    assert await asyncio.to_thread(run, "messages", "ignore", "1", "--hub", hub.home) == 1
    assert "409 the message is done / 版本冲突" in capsys.readouterr().err
    assert journal.who() in hub.logged.getvalue()


async def test_what_comes_while_a_selection_is_done_again_is_not_done_again(
    hub, monkeypatch, capsys
):
    from fhir_hub.cli import main, replay

    ask, coming = urllib.request.urlopen, iter(range(10))

    def after_another(*request, **options):
        for number in coming:
            with Mllp(hub.addresses.mllp) as mllp:
                assert b"MSA|AA" in mllp.send(FIRST.replace(b"ZJJ20250310", b"N%d" % number))
            break
        return ask(*request, **options)

    def run() -> None:
        with pytest.raises(SystemExit):
            main()

    monkeypatch.setattr(replay, "_PAGE", 1)
    monkeypatch.setattr(urllib.request, "urlopen", after_another)
    arguments = ["fhir-hub", "replay", "--again", "--since", "2000", "--hub", hub.addresses.fhir]
    monkeypatch.setattr(sys, "argv", arguments)
    await asyncio.to_thread(run)
    # the first of them came before it began
    assert capsys.readouterr().out.splitlines()[-1] == "3 messages: 2 done, 1 not"
