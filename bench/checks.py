"""`make bench-checks`: what validation costs, in microseconds of CPU, against its budgets.

CPU time of this process, not of the clock on the wall, so that a busy machine does not change it.
Each figure is the best of several rounds, in a process that does nothing else.

    python -m bench.checks

Spec: DESIGN 4 and PERFORMANCE (validation 15-60 µs)
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.r4.checks.run import Checks, make_checks
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.r4.packages import built_in_profiles, load_profiles

_ROUNDS, _TIMES = 7, 400
_SLACK = 1.3
VITAL_SIGNS = "http://hl7.org/fhir/StructureDefinition/bodyweight"
OBSERVATION = rb"""{"resourceType": "Observation", "id": "w1",
 "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/bodyweight"]},
 "identifier": [{"system": "urn:oid:2.16.156.10011.1.1", "value": "W-20250310-1"}],
 "status": "final",
 "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
   "code": "vital-signs", "display": "Vital Signs"}]}],
 "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
 "subject": {"reference": "Patient/p1"}, "encounter": {"reference": "Encounter/e1"},
 "effectiveDateTime": "2025-03-10T08:30:10+08:00", "issued": "2025-03-10T08:31:00.000+08:00",
 "performer": [{"reference": "Practitioner/d1"}],
 "valueQuantity": {"value": 72.50, "unit": "kg", "system": "http://unitsofmeasure.org",
   "code": "kg"},
 "interpretation": [{"coding": [{"code": "N",
   "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"}]}],
 "referenceRange": [{"low": {"value": 50, "unit": "kg", "code": "kg",
   "system": "http://unitsofmeasure.org"}, "high": {"value": 80, "unit": "kg", "code": "kg",
   "system": "http://unitsofmeasure.org"}}]}"""


def cpu_us(work: Callable[[], Any], times: int = _TIMES) -> float:
    """Return the CPU time of one call, in microseconds: the best of several rounds."""
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) / times)
    return best * 1_000_000


def first_us(resource_type: str) -> float:
    """Return the CPU time of the first check of a type, its profile included, in microseconds."""
    checks = _checks()
    resource = fhirjson.loads(OBSERVATION) | {"resourceType": resource_type}
    began = time.process_time()
    checks.check_profiles(resource)
    return (time.process_time() - began) * 1_000_000


def _checks() -> Checks:
    return make_checks(load_definitions(), load_profiles([built_in_profiles()]))


def main() -> int:
    """Print the table; return 1 if a figure is more than 30 % over its budget."""
    observation = fhirjson.loads(OBSERVATION)
    checks = _checks()
    assert not [i for i in checks.check_profiles(observation) if i.severity == "error"]
    types = sorted(load_definitions().resource_types)
    rows = [
        ("Observation, R4 and its invariants", cpu_us(lambda: checks.check(observation)), 60),
        (
            "… and the profile that it claims",
            cpu_us(lambda: checks.check_profiles(observation)),
            300,
        ),
        ("first Observation, R4 and profile", first_us("Observation"), 50_000),
        ("first of the slowest type", max(map(first_us, types)), 50_000),
    ]
    print(f"{'validation, CPU µs':40}{'is':>9}{'may be':>9}")
    for name, figure, budget in rows:
        print(f"{name:40}{figure:>9.0f}{budget:>9}")
    return int(any(figure > budget * _SLACK for _, figure, budget in rows))


if __name__ == "__main__":
    sys.exit(main())
