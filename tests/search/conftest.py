"""A handful of resources that answer queries by the reference meaning: parse → plan → predicate."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import searching

from fhir_hub.search.entry import Entry
from fhir_hub.search.request import SearchRequest


@pytest.fixture
def find() -> Callable[[Iterable[dict[str, Any]], str], list[str]]:
    """Answer which of the resources a query finds: their ids, or their numbers from 1."""
    return searching.find


@pytest.fixture
def read() -> Callable[..., SearchRequest]:
    """Read a query as the server would."""
    return searching.read


@pytest.fixture
def entries() -> Callable[[dict[str, Any]], tuple[Entry, ...]]:
    """Extract the entries of a resource."""
    return searching.extractor().entries
