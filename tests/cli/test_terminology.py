"""`fhir-hub terminology`, as a person runs it."""

import pytest
from typer.testing import CliRunner

from fhir_hub.cli import app

TABLE = "code,name\nA00,Cholera\nA00.0,Classical cholera\n"


@pytest.fixture
def run(tmp_path):
    """Run a command on the terminology of a folder; return its exit code and what it prints."""
    (tmp_path / "hub.toml").write_text(f'store = "sqlite:{tmp_path / "hub.sqlite"}"\n')

    def run(*words):
        config = ("--config", str(tmp_path / "hub.toml"))
        done = CliRunner().invoke(app, ["terminology", *map(str, words), *config])
        return done.exit_code, done.output

    return run


def test_a_table_is_imported_listed_and_removed(run, tmp_path):
    (tmp_path / "icd.csv").write_text(TABLE)

    code, said = run("import", tmp_path / "icd.csv", "--version", "2019")
    assert (code, said) == (0, "CodeSystem http://hl7.org/fhir/sid/icd-10|2019: 2 concepts\n")
    code, said = run("list")
    assert code == 0
    assert said.startswith("CodeSystem\thttp://hl7.org/fhir/sid/icd-10|2019\t2\t")
    assert (tmp_path / "terminology.sqlite").is_file()
    assert run("remove", "http://hl7.org/fhir/sid/icd-10")[0] == 0
    assert run("list") == (0, "nothing is imported / 尚未导入术语\n")
    assert run("remove", "http://hl7.org/fhir/sid/icd-10")[0] == 1


def test_what_cannot_be_read_is_said_in_one_line(run, tmp_path):
    (tmp_path / "icd.csv").write_text("a,b\n1,2\n")

    code, said = run("import", tmp_path / "icd.csv")
    assert code == 1
    assert "no column like code" in said
    assert "a, b" in said


def test_a_store_in_memory_has_no_file_beside_it(tmp_path):
    (tmp_path / "hub.toml").write_text('store = "memory:"\n')
    done = CliRunner().invoke(app, ["terminology", "list", "--config", str(tmp_path / "hub.toml")])

    assert done.exit_code == 2
    assert "--terminology-store" in done.output


def test_a_folder_of_resources_is_imported_into_a_named_file(run, tmp_path):
    (tmp_path / "fhir").mkdir()
    (tmp_path / "fhir" / "a.json").write_text(
        '{"resourceType": "ValueSet", "url": "urn:example:v", "version": "2"}'
    )
    named = ("--terminology-store", tmp_path / "named.sqlite")

    assert run("import", tmp_path / "fhir", *named) == (0, "ValueSet urn:example:v|2\n")
    assert run("list", *named)[1].startswith("ValueSet\turn:example:v|2\t")
    assert run("list") == (0, "nothing is imported / 尚未导入术语\n")
    assert run("remove", "urn:example:v|1", *named)[0] == 1
    assert run("remove", "urn:example:v|2", *named) == (0, "1 version removed\n")


def test_links_to_codes_that_are_not_there_are_counted(run, tmp_path):
    (tmp_path / "own.csv").write_text("code,name,up\na,Alpha,\nb,Beta,none\n")
    words = ("import", tmp_path / "own.csv", "--url", "urn:example:own", "--parent-column", "up")

    code, said = run(*words)
    assert code == 0
    assert said.splitlines() == [
        "CodeSystem urn:example:own: 2 concepts",
        "1 links or names of codes that are not there were left out",
    ]


@pytest.mark.parametrize("words", [("list",), ("remove", "urn:a")])
def test_a_file_that_is_no_terminology_is_said_in_one_line(run, tmp_path, words):
    (tmp_path / "other.sqlite").write_bytes(b"no database at all" * 100)

    code, said = run(*words, "--terminology-store", tmp_path / "other.sqlite")
    assert code == 1
    assert "other.sqlite" in said
    assert len(said.splitlines()) == 1


def test_settings_that_are_wrong_are_refused(tmp_path):
    (tmp_path / "hub.toml").write_text("strore = 1\n")
    done = CliRunner().invoke(app, ["terminology", "list", "--config", str(tmp_path / "hub.toml")])

    assert done.exit_code == 2
    assert "strore" in done.output
