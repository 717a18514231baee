"""`fhir-hub messages` and `fhir-hub replay`: look after what the journal holds."""

import asyncio
import json
import shutil
from pathlib import Path

import mongo_server
import pytest

from fhir_hub.app import build
from fhir_hub.clock import microseconds, now
from fhir_hub.settings import load_settings
from fhir_hub.store.base import Finish
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs

MESSAGES = Path(__file__).parents[2] / "examples" / "messages"
FIRST = MESSAGES / "01_ADT_A04_chc_register.hl7"
LAB = MESSAGES / "08_ORU_R01_lab_tertiary.hl7"
MERGE = MESSAGES / "03_ADT_A40_tertiary_merge.hl7"
WITHOUT = MERGE.read_bytes().replace(b"T0099001^^^SHTH01^PI", b"")


def make(url: str) -> None:
    """Make a journal of four: 1 and 2 are done, 3 failed for good, 4 as the disk was full."""

    async def work() -> None:
        async with open_backend(url) as backend:
            hub = build(load_settings(None, {"store": url}, {}), backend, Logs("error", "json"))
            for raw in (FIRST.read_bytes(), LAB.read_bytes(), WITHOUT):
                await hub.receiver.receive(raw)
            other = LAB.read_bytes().replace(b"-000781|P", b"-000782|P")
            sender = ("LIS", "SHTH01", "LIS20250314-000782")
            came = microseconds(now())
            message = Received("mllp", "|".join(sender), "d", came, other, "ORU^R01", *sender)
            kept = await backend.journal.keep(message)
            dead = Finish(kept.entered.number, "dead", b"AE", "Unavailable: no disk", finished=1)
            await backend.journal.finish(dead)

    asyncio.run(work())


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("journal") / "hub.sqlite"
    make(f"sqlite:{path}")
    return path


@pytest.fixture(params=mongo_server.KINDS)
def store(request, tmp_path):
    if request.param == "mongo":
        url = request.getfixturevalue("mongo_url")
        make(url)
        return url
    template, path = request.getfixturevalue("template"), tmp_path / "hub.sqlite"
    shutil.copy(template, path)
    return f"sqlite:{path}"


def test_messages_are_listed_without_patient_data(run, store):
    ended = run("messages", "--store", store, "--json")

    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [(row["number"], row["state"]) for row in rows] == [
        (4, "dead"),
        (3, "failed"),
        (2, "done"),
        (1, "done"),
    ]
    assert rows[3]["type"] == "ADT^A04"
    assert rows[3]["facility"] == "ZJJCHC"
    assert rows[1]["reason"]["zh"] == "HL7v2 消息无效"
    assert rows[1]["reason"]["field"] == "MRG-1"
    assert rows[2]["links"][0].startswith("Patient/")
    assert "桂芳" not in ended.out


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (("--state", "failed,dead", "--count", "1"), ["4"]),
        (("--text", "桂芬"), ["3"]),
    ],
)
def test_messages_are_listed_by(run, store, options, numbers):
    ended = run("messages", *options, "--store", store)
    assert [line.split()[0] for line in ended.out.splitlines()] == numbers
    assert ("--beyond 4" in ended.err) == ("--count" in options)


def test_of_a_word_that_no_message_has_the_nearest_or_all_are_told(run, store):
    none = "none of the newest 4 messages has"
    for options, numbers, told in (
        (("--sender", "LIS|SHTH01"), ["2", "4"], ""),
        (("--sender", "LIS@SHTH01"), ["2", "4"], ""),
        (("--sender", "LSI"), [], f"{none} 'LSI'; did you mean LIS?"),
        (("--sender", "LISS|SHTH01"), [], f"sender: {none} 'LISS|SHTH01'; did you mean LIS|SHTH01"),
        (("--sender", "LISS|SHTH01"), [], "? / 最近 4 条消息中没有该发送方"),
        (("--sender", "nobody"), [], "; there are LIS|SHTH01, EMPI|SHTH01, "),
        (("--sender", "LIS|ZJJCHC"), [], f"{none} 'LIS|ZJJCHC'"),
        (("--type", "xyz"), [], f"type: {none} 'xyz'; there are ORU^R01"),
        (("--channel", "mlp"), [], f"channel: {none} 'mlp'; did you mean mllp?"),
        (("--sender", "LIS", "--state", "failed"), [], "没有同时符合这些条件的消息"),
        (("--control-id", "none"), [], "no message is so / 没有符合条件的消息"),
    ):
        ended = run("messages", *options, "--store", store)
        found = sorted(line.split()[0] for line in ended.out.splitlines())
        assert (ended.code, found) == (0, numbers), options
        assert told in ended.err, options
    ended = run("replay", "--dry-run", "--again", "--sender", "nobody", "--store", store)
    assert (ended.out, none in ended.err) == ("0 messages would be done again\n", True)


def test_a_message_is_shown_masked_whole_as_bytes_and_as_fhir(run, store):
    def show(*options: str) -> str:
        ended = run("messages", "show", "3", *options, "--store", store)
        assert ended.code == 0, ended.err
        return ended.out

    shown = show()
    assert "HL7v2 消息无效: no prior patient number to merge / 缺少被合并的患者号码 MRG-1" in shown
    assert "MSH|^~\\&|EMPI|SHTH01|FHIRHUB" in shown
    assert "|*^**^^^^^*^*||" in shown
    assert "310229195304129989" not in shown
    assert "沈^桂芬" in show("--unmasked")
    assert show("--raw").encode() == WITHOUT
    told = run("messages", "show", "2", "--report", "--store", store)
    assert told.out.startswith("ORU^R01 ORU_R01 2.4 LIS20250314-000781 (LIS@SHTH01)\n")
    assert "沈" not in told.out
    ended = run("messages", "show", "1", "--fhir", "--store", store)
    types = {one["resource"]["resourceType"] for one in json.loads(ended.out)["entry"]}
    assert "Patient" in types


def test_what_failed_is_done_again_and_what_fails_again_says_so(run, store):
    listed = run("replay", "--dry-run", "--store", store)
    assert listed.out.splitlines()[-1] == "2 messages would be done again"

    missing = run("replay", "3", "99", "--store", store)
    assert (missing.code, missing.out) == (1, "")
    assert "no message has the number 99" in missing.err

    ended = run("replay", "--store", store)
    assert ended.code == 1
    assert ended.out.splitlines()[-1] == "2 messages: 1 done, 1 not"
    assert "dead → done" in ended.out
    assert "no prior patient number" in ended.out
    assert "messages_replayed" in ended.err
    assert "who" in ended.err


def test_a_corrected_text_is_done_in_the_stead_of_the_old_one(run, store):
    ended = run("messages", "edit", "3", "--file", MERGE, "--store", store)

    assert ended.code == 0, ended.err
    assert ended.out.split()[0] == "5"
    shown = run("messages", "show", "3", "--store", store).out
    assert "replacedBy   5" in shown
    refused = run("replay", "3", "--with", MERGE, "--store", store)
    assert (refused.code, "版本冲突" in refused.err) == (1, True)


def test_done_messages_are_done_again_only_if_asked_and_make_nothing_twice(run, store):
    async def versions() -> list[tuple[str, int]]:
        async with open_backend(store) as backend:
            page = await backend.store.history(count=1000)
            return [(one.logical_id, one.version_id) for one in page.matches]

    before = asyncio.run(versions())
    refused = run("replay", "1", "2", "--store", store)
    assert refused.out.splitlines()[-1] == "2 messages: 0 done, 2 not"
    assert "with --again / 已完成的消息需加 --again" in refused.err
    ended = run("replay", "1", "2", "--again", "--store", store)
    assert ended.out.splitlines()[-1] == "2 messages: 2 done, 0 not"

    assert {one for one, _ in asyncio.run(versions())} == {one for one, _ in before}


def test_a_message_may_rest_and_old_ones_are_removed(run, store, monkeypatch):
    assert run("messages", "ignore", "3", "--store", store).code == 0
    assert run("messages", "ignore", "1", "--store", store).code == 1
    monkeypatch.setenv("FHIR_HUB_JOURNAL_DAYS", "1")
    ended = run("messages", "prune", "--store", store)
    assert ended.out == "0 messages emptied, 0 forgotten\n"

    async def empty() -> None:
        async with open_backend(store) as backend:
            await backend.journal.prune({"done": microseconds(now()) + 1}, 0)

    asyncio.run(empty())
    shown = run("messages", "show", "1", "--raw", "--store", store)
    assert (shown.code, shown.out, "not kept any more" in shown.err) == (1, "", True)


@pytest.mark.parametrize("command", ["messages", "replay"])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--state", "lost"), "--state: one of received"),
        (("--state", "faild"), "; did you mean failed? / "),
        (("--since", "2025", "--until", "2024"), "--until: no message came before it"),
        (("--links", "Patient"), "--links: write"),
        (("--links", "Pateint/1"), "no resource type of R4; did you mean Patient?"),
        (("--since", "yesterday"), "--since: not a date"),
    ],
)
def test_a_selection_that_cannot_be_read_is_wrong_usage(run, store, command, arguments, told):
    ended = run(command, *arguments, "--store", store)

    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_a_number_that_no_message_has_is_told(run, store):
    ended = run("messages", "show", "99", "--store", store)

    assert ended.code == 1
    assert "no message has the number 99" in ended.err


def test_wrong_usage_ends_with_2_and_a_missing_file_with_1(run, tmp_path):
    empty = tmp_path / "empty.hl7"
    empty.write_text("\n")
    assert run("replay", "--with", FIRST).code == 2
    assert run("messages", "edit", "1", "--file", empty).code == 2
    assert run("replay", "--hub", "127.0.0.1").code == 2
    nobody = run("replay", "--hub", "http://127.0.0.1:1")
    assert (nobody.code, nobody.out) == (1, "")
    assert "http://127.0.0.1:1: the hub does not answer (Connection refused)" in nobody.err
    assert run("messages", "--store", f"sqlite:{tmp_path / 'none'}").code == 1
