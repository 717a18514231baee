"""`fhir-hub codes`: what has no standard code is listed, found in messages, and mapped by a table.

Spec: docs/senders.md
"""

import asyncio
import json

import pytest

from fhir_hub.app import build
from fhir_hub.settings import load_settings
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs

LOCAL = "https://fhir-hub.example/CodeSystem/TEST01/local"
MESSAGE = (
    "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||ORU^R01|C{0}|P|2.4\rPID|1||T1||沈^桂芳\r"
    "OBR|1||F{0}^XIS|2345-7^Glucose^LN\rOBX|1|NM|{1}^钠^L||140|mmol/L|||||F\r"
)
TABLE = "code,display,target,name,equivalence\nNA1,钠,2951-2,Sodium,\nNOTE,备注,,,\n"


@pytest.fixture(params=["sqlite", "mongo"])
def store(request, tmp_path):
    """A store that has taken three messages with local codes."""
    is_file = request.param == "sqlite"
    store = f"sqlite:{tmp_path}/hub.sqlite" if is_file else request.getfixturevalue("mongo_url")

    async def make():
        async with open_backend(store) as backend:
            hub = build(load_settings(None, {"store": store}, {}), backend, Logs("error"))
            for number, code in enumerate(("K1", "NA1", "NA1"), start=1):
                await hub.receiver.receive(MESSAGE.format(number, code).encode())
            await hub.codes.flush()

    asyncio.run(make())
    return store


def test_codes_are_listed_found_and_mapped_by_a_table(run, store, tmp_path):
    listed = run("codes", "list", "--store", store)
    assert listed.out.splitlines() == [
        f"2  XIS@TEST01  OBX-3  {LOCAL}|NA1  钠",
        f"1  XIS@TEST01  OBX-3  {LOCAL}|K1  钠",
        "2 codes",
    ]
    for sender in ("XIS@TEST01", "XIS|TEST01"):  # as `codes` lists it, and as `messages` does
        assert run("codes", "messages", sender, "NA1", "--store", store).out == "2 3\n"
        his = run("codes", "list", "--sender", sender, "--store", store)
        assert his.out == listed.out
    for arguments, told in (
        (("messages", "XIS@TEST01", "NA2"), "has a code NA2; did you mean NA1?"),
        (("messages", "XIS", "NA1"), "; did you mean XIS@TEST01?"),
        (("list", "--sender", "nobody"), "; there are codes of XIS@TEST01 / 该发送方没有此类编码"),
    ):
        none = run("codes", *arguments, "--store", store)
        assert (none.code, told in none.err) == (int(arguments[0] == "messages"), True), none.err
    assert run("replay", "--again", "--store", store).code == 1  # and so not all of them

    table, out = tmp_path / "lab.csv", tmp_path / "maps" / "conceptmaps" / "lab.json"
    table.write_bytes(TABLE.encode("gb18030"))
    options = ("--facility", "TEST01", "--target", "http://loinc.org", "--out", out)
    assert run("codes", "import", table, *options).out == f"{out}: 2 codes mapped\n"
    config = tmp_path / "hub.toml"
    config.write_text(f"mappings_folder = {json.dumps(str(tmp_path / 'maps'))}\n")
    out.unlink()  # with the hub's settings it knows the place itself
    told = run("codes", "import", table, *options[:4], "--config", config)
    assert told.out == f"{out}: 2 codes mapped\n"
    left = run("codes", "list", "--store", store, "--config", config)
    assert left.out.splitlines()[1:] == ["1 code"]

    again = run("replay", "--again", "2", "3", "--store", store, "--config", config)
    assert again.out.splitlines()[-1] == "2 messages: 2 done, 0 not"

    message = tmp_path / "one.hl7"
    message.write_text(MESSAGE.format(4, "NA1"), "utf-8", newline="")
    bundle = json.loads(run("convert", message, "--config", config).out)
    codings = [
        [coding["code"] for coding in entry["resource"]["code"]["coding"]]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Observation"
    ]
    assert codings == [["NA1", "2951-2"]]


def test_what_only_reads_goes_on_while_a_map_of_the_site_is_wrong(run, store, tmp_path):
    (tmp_path / "maps" / "senders").mkdir(parents=True)
    (tmp_path / "maps" / "senders" / "x.toml").write_text("source = 1\n")
    config = tmp_path / "hub.toml"
    config.write_text(
        f'mappings_folder = {json.dumps(str(tmp_path / "maps"))}\n[sources.x]\nvalidation = "off"\n'
    )
    at = ("--store", store, "--config", config)

    for arguments, shown in (
        (("codes", "list"), "2  XIS@TEST01  OBX-3  "),
        (("codes", "messages", "XIS@TEST01", "NA1"), "2 3\n"),
        (("messages", "show", "1"), "state        done\n"),
    ):
        ended = run(*arguments, *at)
        assert (ended.code, shown in ended.out) == (0, True), ended
        assert "senders/x.toml" in ended.err
        assert "without the site's maps / 以下结果未使用本地映射" in ended.err
    again = run("replay", "--again", "1", *at)
    assert (again.code, again.out) == (1, "")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("code,name\nNA1,x\n", "there is no column target"),
        ("code,target\n,2951-2\n", "line 2: no code"),
        (
            "code,target,equivalence\nNA1,2951-2,same\n",
            "line 2: equivalence is one of equal, equivalent, subsumes, unmatched, wider / equi",
        ),
        ('code,target\nNA1,"2951-2\n', "unexpected end of data"),
        ("code,target\n", "there is no code in it"),
    ],
)
def test_a_table_with_a_mistake_is_refused_with_its_line(run, tmp_path, table, told):
    file = tmp_path / "lab.csv"
    file.write_text(table, "utf-8")
    options = ("--facility", "TEST01", "--target", "http://loinc.org", "--out", tmp_path / "x.json")

    ended = run("codes", "import", file, *options)
    assert (ended.code, told in ended.err) == (1, True)


def test_a_table_needs_to_know_whose_codes_they_are(run, tmp_path):
    file = tmp_path / "lab.csv"
    file.write_text(TABLE, "utf-8")

    ended = run("codes", "import", file, "--target", "http://loinc.org", "--out", "x.json")
    assert (ended.code, "--facility or --system" in ended.err) == (2, True)
    ended = run("codes", "import", file, "--facility", "X", "--target", "http://loinc.org")
    assert (ended.code, "give --out, or --config" in ended.err) == (2, True)
    named = ("--facility", "TEST01", "--target", "loinc", "--out", "x.json")
    ended = run("codes", "import", file, *named)
    assert (ended.code, "--target: write a system's address" in ended.err) == (2, True)


def test_without_a_database_there_are_no_codes(run, tmp_path):
    assert run("codes", "list", "--store", f"sqlite:{tmp_path}/none.sqlite").code == 1
