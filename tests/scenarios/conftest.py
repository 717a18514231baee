"""The hub of a scenario: one for each file, with the demonstration's institutions."""

from collections.abc import Iterator

import pytest
from scenario_parts import ScenarioHub, scenario_hub


@pytest.fixture(scope="module")
def hub() -> Iterator[ScenarioHub]:
    """A running hub that the tests of one file share; its clock begins at 2025-03-10 08:30."""
    with scenario_hub() as running:
        yield running
