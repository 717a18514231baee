"""The processor time of single steps, measured in this process: validation, extraction, HL7v2."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench import data
from bench.fill import ZONE
from fhir_hub import fhirjson
from fhir_hub.collector import calm_collector
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.maps.mappings import Mappings, load_mappings
from fhir_hub.hl7v2.parsing.er7 import parse
from fhir_hub.identity.systems import ALIASES
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.search.extract import Extractor
from fhir_hub.search.parameters import Parameters

HEAD = "| step | µs | budget µs |\n|---|---|---|"
_OVER = 1.3
_BATCHES, _TIMES = 15, 40


@dataclass(frozen=True)
class Budget:
    """What a step takes, and may take."""

    name: str
    us: float
    budget_us: int

    @property
    def is_over(self) -> bool:
        """Whether it is more than 30 % over."""
        return self.us > _OVER * self.budget_us

    def __str__(self) -> str:
        return f"| {self.name} | {self.us:,.1f} | {self.budget_us} |"


def measured() -> Iterator[Budget]:
    """Yield the steps with what they took, the garbage collector set as a hub's is."""
    calm_collector()
    definitions = load_definitions()
    observation = fhirjson.loads(data.dumps(data.observation(7, "Patient/1")))
    patient = fhirjson.loads(data.dumps(data.patient(7)))
    require = Checks(definitions).require
    entries = Extractor(Parameters(definitions), ZONE, aliases=ALIASES).entries
    mappings = load_mappings(definitions, [])
    adt = data.adt(1).decode()
    short = data.oru(1).strip(b"\x0b\x1c\r").decode()
    oru = data.oru(1, 30).strip(b"\x0b\x1c\r").decode()
    yield Budget("validate an Observation", _least(lambda: require(observation)), 60)
    yield Budget("validate a Patient", _least(lambda: require(patient)), 60)
    yield Budget("extract an Observation", _least(lambda: entries(observation)), 25)
    yield Budget("extract a Patient", _least(lambda: entries(patient)), 35)
    yield Budget("parse an ADT, with each field of its PID", _least(lambda: _read_patient(adt)), 50)
    yield Budget("parse and map an ORU of 10 OBX", _least(lambda: _mapped(short, mappings)), 1000)
    yield Budget("parse and map an ORU of 30 OBX", _least(lambda: _mapped(oru, mappings)), 1500)
    started = time.process_time()
    _mapped(data.document(20_000_000).decode(), mappings)
    yield Budget("parse and map an MDM of 20 MB", (time.process_time() - started) * 1e6, 2_000_000)


def _mapped(text: str, mappings: Mappings) -> None:
    convert(parse(text), mappings, zone=ZONE, received="2025-03-14T10:30:00Z")


def _read_patient(text: str) -> None:
    segment = parse(text).first("PID")
    assert segment is not None
    for number in range(1, len(segment.fields)):
        segment.value(number)


def _least(step: Callable[[], object]) -> float:
    """Return the µs of a run in the best of several batches: neighbours disturb, none helps."""
    step()
    best = float("inf")
    for _ in range(_BATCHES):
        started = time.process_time()
        for _ in range(_TIMES):
            step()
        best = min(best, (time.process_time() - started) / _TIMES)
    return best * 1e6
