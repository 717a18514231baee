"""What the hub tells of itself: never anything of a patient, whatever somebody logs by mistake."""

import io
import json
import logging
import os
import struct
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fhir_hub.errors import OutOfTime
from fhir_hub.telemetry import FIELDS, Figures, Logs, Metrics, place, stopwatch

SECRET = "沈桂芳"


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def faulty(value: str) -> Exception:
    try:
        raise ValueError(f"bad name {value}")
    except ValueError as error:
        return error


def test_a_line_has_its_event_its_level_its_time_and_its_fields():
    stream = io.StringIO()
    Logs(stream=stream).get_logger("hub").info("ready", mllp_port=2575)

    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {"logger": "hub", "event": "ready", "level": "info", "mllp_port": 2575}


@pytest.mark.parametrize(
    "fields",
    [
        {"patient": SECRET},
        {"resource": {"name": SECRET}},
        {"fault": faulty(SECRET)},
        {"error": faulty(SECRET)},
        {"exc_info": faulty(SECRET)},
    ],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_outside_the_vocabulary_or_the_text_of_an_error_gets_into_no_line(fields, form):
    stream = io.StringIO()
    Logs(form=form, stream=stream).get_logger("x").error("fault", **fields)

    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_what_was_left_out_of_a_line_is_named():
    stream = io.StringIO()
    Logs(stream=stream).get_logger("x").info("event", patient=SECRET, status=200, family=SECRET)

    assert lines(stream)[0]["dropped"] == "family patient"
    assert lines(stream)[0]["status"] == 200


def test_an_error_is_told_by_its_type_and_its_place():
    stream = io.StringIO()
    Logs(stream=stream).get_logger("x").error("fault", fault=faulty(SECRET))

    (line,) = lines(stream)
    assert line["fault"] == "ValueError"
    assert line["place"].startswith("test_telemetry.py:")
    assert line["place"].endswith(" faulty")


def test_a_fault_that_may_pass_says_why():
    stream = io.StringIO()
    why = "the database cannot be written now: the disk is full"
    Logs(stream=stream).get_logger("x").warning("message_not_kept", fault=OutOfTime(why))

    (line,) = lines(stream)
    assert (line["fault"], line["reason"]) == ("OutOfTime", why)


def test_a_place_in_the_hub_is_told_from_its_own_folder_innermost_first():
    from fhir_hub import fhirjson
    from fhir_hub.errors import InvalidResource

    with pytest.raises(InvalidResource) as raised:
        fhirjson.loads(b"{")

    assert place(raised.value).startswith("fhirjson.py:")
    assert " < test_telemetry.py:" in place(raised.value)


def test_a_long_value_is_cut():
    stream = io.StringIO()
    Logs(stream=stream).get_logger("x").info("event", reason="x" * 10_000)

    assert len(lines(stream)[0]["reason"]) == 300


def test_a_line_below_the_level_is_not_written():
    stream = io.StringIO()
    log = Logs("warning", stream=stream).get_logger("x")
    log.debug("a")
    log.info("b")
    log.warning("c")

    assert [line["event"] for line in lines(stream)] == ["c"]


def test_auto_writes_json_where_nobody_reads_at_a_terminal():
    stream = io.StringIO()
    Logs(form="auto", stream=stream).get_logger("x").info("event")

    assert lines(stream)[0]["event"] == "event"


def test_a_librarys_line_is_taken_over_without_its_arguments_and_its_errors_text():
    stream = io.StringIO()
    library = logging.getLogger("some.library")
    before = (library.handlers[:], library.level, library.propagate)
    with Logs(stream=stream).taking_over("some.library"):
        library.error("Task failed\nfuture: %s", SECRET, exc_info=faulty(SECRET))
        library.warning("slow %s", SECRET)
        library.critical("end")
        library.info("nothing")
    assert (library.handlers, library.level, library.propagate) == before

    found = lines(stream)
    assert [(one["event"], one["level"]) for one in found] == [
        ("Task failed", "error"),
        ("slow %s", "warning"),
        ("end", "error"),
    ]
    assert found[0]["fault"] == "ValueError"
    assert SECRET not in stream.getvalue()


def test_the_vocabulary_has_no_word_for_what_a_record_holds():
    assert not FIELDS & {"name", "identifier", "value", "content", "raw", "resource", "patient"}


@pytest.fixture
def metrics():
    return Metrics("1.2")


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text, _ = metrics.exposition(
        {"Patient": 3}, 9, 1024, {"received": 2, "dead": 1}, Figures({}, 1)
    )
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_requests_and_messages_are_counted_and_the_store_is_measured(metrics):
    metrics.observe_request("read", 200, 0.002)
    metrics.observe_request("read", 200, 0.002)
    metrics.observe_request("", 404, 0.002)
    metrics.channels.observe_message("lab", "AA", 0.01)

    found = samples(metrics)
    assert found["fhir_hub_http_requests_total", (("interaction", "read"), ("status", "200"))] == 2
    assert found["fhir_hub_http_requests_total", (("interaction", "none"), ("status", "404"))] == 1
    assert found["fhir_hub_http_request_seconds_count", (("interaction", "read"),)] == 2
    assert found["fhir_hub_mllp_messages_total", (("ack_code", "AA"),)] == 1
    assert found["fhir_hub_mllp_message_seconds_count", ()] == 1
    assert found["fhir_hub_store_resources", (("resource_type", "Patient"),)] == 3
    assert found["fhir_hub_store_sequence", ()] == 9
    assert found["fhir_hub_store_size_bytes", ()] == 1024
    assert found["fhir_hub_journal_pending", ()] == 2
    assert found["fhir_hub_mllp_connections", ()] == 1
    assert found["fhir_hub_build_info", (("version", "1.2"),)] == 1


def test_two_hubs_in_one_process_count_apart(metrics):
    metrics.channels.observe_message("lab", "AA", 0.01)

    assert ("fhir_hub_mllp_messages_total", (("ack_code", "AA"),)) not in samples(Metrics("1"))


def test_the_counts_of_several_processes_are_told_as_one_and_their_memory_apart(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    counting = (
        "from fhir_hub.telemetry import Metrics\n"
        "Metrics('1', is_shared=True).observe_request('read', 200, 0.002)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", counting], check=True)

    figures = Figures({"first": os.getpid(), "second": os.getppid()}, 1)
    text, _ = Metrics("1", is_shared=True).exposition({}, 9, 1024, {"received": 2}, figures)
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert told["fhir_hub_http_requests_total", "read", "200"] == 2
    memory = "process_resident_memory_bytes"
    assert {key[1:] for key in told if key[0] == memory} == {("first",), ("second",)}
    assert told[memory, "first"] > 0


def _writes(used: int, *behind: bytes, size: int = 1 << 16) -> bytes:
    """Return a metric file that says that so much of it is used."""
    return b"".join((struct.pack("ii", used, 0), *behind)).ljust(size, b"\0")[:size]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        _writes(0),
        _writes(8),
        _writes(200),
        _writes(200, struct.pack("i", 120), b'["half", "ha'),
        _writes(200, struct.pack("i", 500)),
        _writes(5000, struct.pack("i", 16), b"[1]".ljust(36), size=40),
    ],
    ids=["empty", "cut", "not begun", "begun", "blank", "half", "too long", "short"],
)
def test_a_process_that_begins_to_count_lets_the_counts_of_others_be_told(
    tmp_path, monkeypatch, content
):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    counting = (
        "from fhir_hub.telemetry import Metrics\n"
        "Metrics('1', is_shared=True).observe_request('read', 200, 0.002)"
    )
    subprocess.run([sys.executable, "-c", counting], check=True)
    for kind in ("counter", "histogram", "gauge_livesum"):
        (tmp_path / f"{kind}_4194304.db").write_bytes(content)

    figures = Figures({"first": os.getpid(), "begins": 4194304}, 1)
    text, _ = Metrics("1", is_shared=True).exposition({}, 9, 1024, {"received": 2}, figures)
    assert b'fhir_hub_http_requests_total{interaction="read",status="200"} 1.0' in text
    assert b'fhir_hub_http_request_seconds_count{interaction="read"} 1.0' in text
    assert b'process_resident_memory_bytes{process="first"}' in text


def test_a_stopwatch_tells_seconds():
    elapsed = stopwatch()

    assert 0 <= elapsed() <= elapsed() < 60
