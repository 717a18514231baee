"""Places in a message, as the standard writes them."""

import pytest

from fhir_hub.hl7v2.parsing.path import Path, parse_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("PID-3", Path("PID", 3)),
        ("OBX-5.1", Path("OBX", 5, 1)),
        ("PID-3.4.2", Path("PID", 3, 4, 2)),
        ("ZQY-10", Path("ZQY", 10)),
        ("PV1-44", Path("PV1", 44)),
        ("AL1-3", Path("AL1", 3)),
    ],
)
def test_a_path_reads_and_writes_the_same(text, path):
    assert parse_path(text) == path
    assert str(path) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PID",
        "PID-",
        "PID-0",
        "PID3",
        "pid-3",
        "PID-3.",
        "PID-3.0",
        "PID-3.4.2.1",
        "PID-3 ",
        "PID-3\n",
        "PIDX-3",
        "1ID-3",
        "PID-٣",
    ],
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="not an HL7v2 path"):
        parse_path(text)
