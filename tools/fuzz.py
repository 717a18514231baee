"""Fuzzing guided by coverage: `python tools/fuzz.py TARGET SECONDS`.

Needs `atheris`, which is no dependency of the tests. A target takes bytes and may raise what a
client may see (`FhirError`); anything else ends the run with the bytes that did it.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fhir_hub.hl7v2", "fhir_hub.search", "fhir_hub.r4"]):
    from fhir_hub import fhirjson
    from fhir_hub.errors import FhirError
    from fhir_hub.hl7v2.conversion.convert import convert
    from fhir_hub.hl7v2.maps.mappings import load_mappings
    from fhir_hub.hl7v2.parsing import er7
    from fhir_hub.hl7v2.wire import charset
    from fhir_hub.hl7v2.wire.mllp import Framer
    from fhir_hub.r4.checks.run import Checks
    from fhir_hub.r4.definitions import load_definitions
    from fhir_hub.r4.xml_read import from_xml
    from fhir_hub.search.extract import Extractor
    from fhir_hub.search.parameters import Parameters
    from fhir_hub.search.parse import parse_search

ROOT = Path(__file__).parents[1]
ZONE = timezone(timedelta(hours=8))
DEFINITIONS = load_definitions()
PARAMETERS = Parameters(DEFINITIONS)
EXTRACTOR = Extractor(PARAMETERS, ZONE)
CHECKS = Checks(DEFINITIONS)
MAPPINGS = load_mappings(DEFINITIONS)


def er7_target(data: bytes) -> None:
    """Decode, parse and convert a message."""
    decoded = charset.decode(data)
    message = er7.parse(decoded.text, decoded.charset)
    for segment in message.segments:
        for place in range(1, 8):
            segment.value(place)
    convert(message, MAPPINGS, zone=ZONE, received="2025-01-01T00:00:00Z", trusted=())


def mllp_target(data: bytes) -> None:
    """The blocks do not depend on the pieces in which they come."""
    whole, pieces = Framer(50), Framer(50)
    expected = whole.feed(data)
    found = [block for place in range(len(data)) for block in pieces.feed(data[place : place + 1])]
    assert (found, pieces.junk) == (expected, whole.junk)


def _resource(resource: object) -> None:
    CHECKS.require(resource)
    EXTRACTOR.entries(resource)


def json_target(data: bytes) -> None:
    """Read, check and index a resource in JSON."""
    _resource(fhirjson.loads(data))


def xml_target(data: bytes) -> None:
    """Read, check and index a resource in XML."""
    _resource(from_xml(data, DEFINITIONS))


def search_target(data: bytes) -> None:
    """Read a search: lines of `name=value`."""
    text = data.decode("utf-8", "replace")
    pairs = [line.partition("=")[::2] for line in text.splitlines()]
    parse_search(("Observation",), pairs, parameters=PARAMETERS, zone=ZONE, base="")


TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "er7": (er7_target, [p.read_bytes() for p in (ROOT / "examples/messages").glob("*.hl7")]),
    "mllp": (mllp_target, [b"\x0bMSH\x1c\r\x0b\x0ba\x1c"]),
    "json": (
        json_target,
        [b'{"resourceType":"Patient","birthDate":"1953-04-12","name":[{"family":"a"}]}'],
    ),
    "xml": (
        xml_target,
        [b'<Patient xmlns="http://hl7.org/fhir"><birthDate value="1953-04-12"/></Patient>'],
    ),
    "search": (
        search_target,
        [
            b"code=http://loinc.org|4548-4\ndate=ge2025-01-01T00:00:00Z,lt2026\n_sort=-date",
            b"patient.name:exact=a\\,b\nvalue-quantity=gt5.4||mg\n_count=5\n_include=*",
            b"_filter=(date ge 2025 or not (status eq final and code in http://x))",
            b"_has:Provenance:target:agent=Patient/1\ncode-value-quantity=a|b$gt5",
        ],
    ),
}


def main(name: str, seconds: str) -> None:
    """Try a target for so long; the process ends with an error if something is found."""
    target, seeds = TARGETS[name]

    def one(data: bytes) -> None:
        with contextlib.suppress(FhirError):
            target(data)

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            "-max_len=4000",
            "-rss_limit_mb=2000",
            "-timeout=10",
        ]
        atheris.Setup([sys.argv[0], folder, *options, f"-artifact_prefix={folder}/"], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
