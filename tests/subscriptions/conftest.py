"""An endpoint on a real socket that can fail, and a hub that may notify it."""

from collections.abc import Iterator

import pytest
from endpoint_parts import Endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint that answers 200 unless it is told otherwise."""
    made = Endpoint()
    yield made
    made.close()
