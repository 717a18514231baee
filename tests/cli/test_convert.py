"""`fhir-hub convert` as a script uses it."""

import json
import shutil

import pytest

JUNK = bytes(range(256)) * 8


def test_a_message_is_printed_as_its_transaction_bundle(run, first):
    ended = run("convert", first)

    bundle = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    patient = bundle["entry"][0]["resource"]
    assert patient["name"][0]["text"] == "沈桂芳"
    assert "沈桂芳" in ended.out  # as it is, not escaped


def test_the_same_message_gives_the_same_bytes(run, first):
    assert run("convert", first).out == run("convert", first).out


def test_report_adds_what_became_of_every_field(run, first):
    ended = run("convert", first, "--report")

    printed = json.loads(ended.out)
    assert list(printed) == ["bundle", "report"]
    assert printed["bundle"] == json.loads(run("convert", first).out)
    states = {field["state"] for field in printed["report"]["fields"]}
    assert states <= {"mapped", "preserved", "dropped"}
    assert printed["report"]["message"]["controlId"] == "ZJJ20250310083015001"


def test_the_report_is_printed_for_people(run, first, tmp_path):
    ended = run("convert", "--report=text", first)

    assert ended.code == 0
    first_lines = ended.out.splitlines()[:3]
    assert first_lines[0] == "ADT^A04 ADT_A01 2.4 ZJJ20250310083015001 (CHIS@ZJJCHC)"
    assert first_lines[1] == "senders' files / 发送方配置: zjjchc"
    assert first_lines[2].startswith("mapped 已")
    assert "沈" not in ended.out
    (tmp_path / "in").mkdir()
    shutil.copy(first, tmp_path / "in" / "m.hl7")
    run("convert", "--dir", "--report=text", tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "m.report.txt").read_text("utf-8") == ended.out


def test_another_form_of_report_is_refused(run, first):
    ended = run("convert", "--report=pdf", first)

    assert (ended.code, ended.out) == (2, "")
    assert "json" in ended.err


def test_a_file_of_several_messages_gives_a_collection_of_their_bundles(run, first, tmp_path):
    file = tmp_path / "two.hl7"
    file.write_bytes(first.read_bytes() * 2)

    printed = json.loads(run("convert", file, "--report").out)
    assert printed["bundle"]["type"] == "collection"
    types = [entry["resource"]["type"] for entry in printed["bundle"]["entry"]]
    assert types == ["transaction", "transaction"]
    assert len(printed["report"]["messages"]) == 2


def test_a_batch_whose_count_is_wrong_is_converted_and_told(run, first, tmp_path):
    file = tmp_path / "batch.hl7"
    file.write_bytes(b"BHS|^~\\&\r" + first.read_bytes() * 2 + b"BTS|3\r")

    ended = run("convert", file, "--report")

    printed = json.loads(ended.out)
    assert (ended.code, len(printed["bundle"]["entry"])) == (0, 2)
    assert printed["report"]["batch"]["faults"][0]["location"] == "BTS-1"
    assert "BTS-1 says 3, but 2 messages came / BTS-1 为 3，实收 2 条消息" in ended.err


@pytest.mark.parametrize(("count", "faults"), [("0", []), ("1", ["BTS-1"])])
def test_a_batch_of_no_message_is_an_empty_collection(run, tmp_path, count, faults):
    file = tmp_path / "night.hl7"
    file.write_text(f"FHS|^~\\&\rBHS|^~\\&\rBTS|{count}\rFTS|1\r")
    printed = json.loads(run("convert", file, "--report").out)

    assert printed["bundle"] == {"resourceType": "Bundle", "type": "collection"}
    told = printed["report"].get("batch", {}).get("faults", [])
    assert [one["location"] for one in told] == faults


def test_one_bad_message_of_a_batch_is_told_and_the_others_are_printed(run, first, tmp_path):
    (tmp_path / "in").mkdir()
    file = tmp_path / "in" / "batch.hl7"
    bad = b"MSH|^~\\&|A|B|C|D|2024||ADT^A08|1|P|2.4\r"
    file.write_bytes(first.read_bytes() + bad + first.read_bytes())

    ended = run("convert", file)
    made = [one["resource"]["resourceType"] for one in json.loads(ended.out)["entry"]]
    assert (ended.code, made) == (1, ["Bundle", "OperationOutcome", "Bundle"])
    assert f"{file}: message 2 / 第 2 条消息: the message has no PID segment" in ended.err
    assert "! refused 无法转换: the message has no PID" in run("convert", "--report=text", file).out
    told = run("convert", "--dir", "--report", tmp_path / "in", tmp_path / "out")
    assert (told.code, told.out) == (1, "1 file: 0 converted, 1 failed\n")
    report = json.loads((tmp_path / "out" / "batch.report.json").read_bytes())
    assert [next(iter(one)) for one in report["messages"]] == ["message", "refused", "message"]


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"{}", JUNK, b"MSH", b"MSH|", b"MSH|^~\\&|A|B|C|D|2024||XXX^X01|1|P|2.4\r"],
)
def test_what_is_no_message_gets_one_line_and_exit_code_1(run, tmp_path, content):
    file = tmp_path / "bad.hl7"
    file.write_bytes(content)

    ended = run("convert", file)

    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith(f"fhir-hub: {file}: ")


def test_a_folder_is_converted_file_by_file_and_a_bad_one_stops_nothing(run, first, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "a" / "b").mkdir(parents=True)
    shutil.copy(first, source / "a" / "b" / "good.one.hl7")
    (source / "bad.hl7").write_bytes(JUNK)
    (source / "folder.hl7").mkdir()
    (source / "other.txt").write_text("MSH|")

    ended = run("convert", "--dir", source, target)

    assert ended.code == 1
    assert ended.out == "2 files: 1 converted, 1 failed\n"
    assert ended.err.startswith(f"fhir-hub: {source / 'bad.hl7'}: ")
    assert [path.relative_to(target).as_posix() for path in target.rglob("*.*")] == [
        "a/b/good.one.json"
    ]
    bundle = json.loads((target / "a" / "b" / "good.one.json").read_bytes())
    assert bundle == json.loads(run("convert", first).out)


def test_a_folder_without_a_bad_one_ends_with_0_and_has_reports_if_asked(run, first, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(first, tmp_path / "in" / "m.hl7")

    ended = run("convert", "--dir", tmp_path / "in", tmp_path / "out", "--report")

    assert (ended.code, ended.out) == (0, "1 file: 1 converted, 0 failed\n")
    report = json.loads((tmp_path / "out" / "m.report.json").read_bytes())
    assert report["counts"]["mapped"] > 10


def test_a_folder_that_cannot_be_written_is_told_for_each_file(run, first, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(first, tmp_path / "in" / "m.hl7")
    (tmp_path / "out").write_text("a file, no folder")

    ended = run("convert", "--dir", tmp_path / "in", tmp_path / "out")

    assert (ended.code, ended.out) == (1, "1 file: 0 converted, 1 failed\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["convert", "none.hl7"], "no such file"),
        (["convert", "."], "--dir"),
        (["convert", "--dir", "."], "two folders"),
        (["convert", "--dir", "none", "out"], "none: no such folder / 没有该目录"),
        (["convert"], "Missing argument"),
    ],
)
def test_wrong_usage_gets_exit_code_2(run, monkeypatch, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)

    ended = run(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_an_unknown_sender_is_refused_and_the_known_are_named(run, first):
    ended = run("convert", first, "--sender", "NOBODY")

    assert ended.code == 2
    assert "--sender: no file for this sender; there are: " in ended.err


def test_a_senders_file_of_the_sites_own_holds(run, first, tmp_path):
    maps = tmp_path / "maps" / "senders"
    maps.mkdir(parents=True)
    (maps / "LAB.toml").write_text('source = "the sender"\n[settings]\nzone = "-03:00"\n')
    config = tmp_path / "hub.toml"
    config.write_text(f'mappings_folder = "{tmp_path / "maps"}"\n')

    ended = run("convert", first, "--sender", "LAB", "--config", config)

    assert "2025-03-10T08:30:10-03:00" in ended.out, ended.err


@pytest.mark.parametrize("text", ["prot = 1", 'mappings_folder = "nowhere"'])
def test_settings_or_maps_that_are_no_good_are_told(run, first, tmp_path, text):
    config = tmp_path / "hub.toml"
    config.write_text(text)

    ended = run("convert", first, "--config", config)

    assert ended.code == (2 if "prot" in text else 1)
    assert "no setting" in ended.err or "no such folder" in ended.err


def test_the_report_says_what_r4_forbids_in_what_a_map_makes(run, first, tmp_path):
    maps = tmp_path / "maps" / "senders"
    maps.mkdir(parents=True)
    (maps / "LAB.toml").write_text(
        'source = "a mistake"\n[[field]]\nmap = "PID-Patient"\n'
        'to = "maritalStatus.text"\nvalue = ""\n'
    )
    config = tmp_path / "hub.toml"
    config.write_text(f'mappings_folder = "{tmp_path / "maps"}"\n')

    ended = run("convert", first, "--sender", "LAB", "--config", config, "--report")

    (issue,) = json.loads(ended.out)["report"]["invalid"]
    assert (ended.code, issue["code"]) == (0, "invalid")
    assert issue["expression"][0].endswith(".maritalStatus.text")


ORGANIZATION = """[organization]
name = "青浦区卫生健康信息中心"
identifier = [{ system = "https://fhir-hub.example/sid/uscc", value = "12310118DEM0000149" }]
"""


def organizations(printed):
    """Return the Organizations of a Bundle by name: what is asked before it is made."""
    return {
        entry["resource"].get("name"): entry["request"].get("ifNoneExist")
        for entry in json.loads(printed)["entry"]
        if entry["resource"]["resourceType"] == "Organization"
    }


def test_a_config_says_which_organization_makes_fhir_of_messages(run, first, tmp_path):
    config = tmp_path / "hub.toml"
    config.write_text(ORGANIZATION, "utf-8")

    named = organizations(run("convert", "--config", config, first).out)
    unnamed = organizations(run("convert", first).out)

    assert "fhir-hub" in unnamed
    assert unnamed.keys() - named.keys() == {"fhir-hub"}
    asked = "identifier=https://fhir-hub.example/sid/uscc|12310118DEM0000149"
    assert named["青浦区卫生健康信息中心"] == asked


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("name", "nmae"), "organization.nmae: there is no such key; did you mean name?"),
        (("system", "systm"), "identifier.0.systm: there is no such key; did you mean system?"),
        (("0149", "0148"), "identifier[0].value: the check character of the unified social credit"),
        (("https:", "https "), "organization.identifier.0.system: string should match"),
        ((ORGANIZATION[15:], ""), "organization: say its name or an identifier"),
    ],
)
def test_an_organization_that_cannot_be_is_refused(run, first, tmp_path, wrong, told):
    config = tmp_path / "hub.toml"
    config.write_text(ORGANIZATION.replace(*wrong), "utf-8")

    ended = run("convert", "--config", config, first)

    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
