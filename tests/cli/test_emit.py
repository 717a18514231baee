"""`fhir-hub emit` as a script uses it."""

import json
from pathlib import Path

import pytest

REFERRAL = Path(__file__).parents[2] / "examples" / "outbound" / "referral.json"


def test_a_bundle_is_printed_as_its_message(run):
    ended = run("emit", REFERRAL, "--control-id", "R1", "--facility", "SHTH01", "--check")

    lines = ended.out.replace("\r\n", "\n").replace("\r", "\n").splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert [line[:3] for line in lines] == ["MSH", "RF1", "PRD", "PRD", "PID", "NTE"]
    assert lines[0].split("|")[8:12] == ["REF^I12^REF_I12", "R1", "P", "2.4"]


def test_what_has_no_field_is_said(run, tmp_path):
    file = tmp_path / "patient.json"
    file.write_text(
        json.dumps({"resourceType": "Patient", "photo": [{"url": "https://a.example"}]})
    )

    ended = run("emit", file)

    assert ended.code == 0
    assert "no field for: Patient.photo" in ended.err


@pytest.mark.parametrize(
    ("content", "options", "code", "said"),
    [
        ("{", (), 1, "not JSON"),
        ("[]", (), 1, "no FHIR resource"),
        ('{"resourceType": "Patient"}', ("--event", "ADT^A99"), 1, "no message ADT^A99"),
        ('{"resourceType": "Patient"}', ("--sender", "nobody"), 2, "there are: "),
        (None, (), 2, "no such file"),
    ],
)
def test_what_cannot_be_done_is_said(run, tmp_path, content, options, code, said):
    file = tmp_path / "given.json"
    if content is not None:
        file.write_text(content)

    ended = run("emit", file, *options)

    assert ended.code == code
    assert said in ended.err
