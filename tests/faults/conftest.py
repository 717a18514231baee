"""What the tests of faults share: an empty store, and a hub with short patience."""

from collections.abc import Iterator
from pathlib import Path

import mongo_server
import pytest
from whole.running import RunningHub

SETTINGS = """
request_timeout_s = 3
message_answer_s = 2
mllp_idle_s = 30
"""


@pytest.fixture
def address(kind, tmp_path) -> Iterator[str]:
    """The address of an empty store of a kind, which is not asked to close."""
    if kind == "sqlite":
        yield f"sqlite:{tmp_path / 'hub.sqlite'}"
        return
    with mongo_server.thrown_away() as url:
        yield url


@pytest.fixture(scope="session")
def patience(tmp_path_factory) -> Path:
    """Return the settings' file of a hub that waits for nobody long."""
    path = tmp_path_factory.mktemp("patience") / "hub.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="module")
def hub(tmp_path_factory, patience):
    """A hub on a file of its own, whose path is `hub.path`."""
    path = tmp_path_factory.mktemp("faults") / "hub.sqlite"
    with RunningHub(f"sqlite:{path}", "--config", str(patience)) as running:
        running.path = path
        # the first of all reads the definitions, and how Han is read
        first = {"resourceType": "Patient", "name": [{"family": "沈"}]}
        with running.client() as client:
            while client.post("Patient", json=first).status_code == 503:
                pass
        yield running
