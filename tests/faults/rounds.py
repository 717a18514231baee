"""How long each test of faults tries: `make test-faults SECONDS=60` gives it that long."""

import os
import time
from collections.abc import Iterator

SECONDS = float(os.environ.get("FHIR_HUB_FAULTS_S", "0"))


def rounds(least: int) -> Iterator[int]:
    """Yield rounds: `least`, or as many as there is time for."""
    end = time.monotonic() + SECONDS
    number = 0
    while number < least or time.monotonic() < end:
        yield number
        number += 1
