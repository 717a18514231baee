"""A disk without room: the hub says so, promises nothing, and goes on by itself when there is room.

Spec: docs/operations.md, health
"""

import resource
from contextlib import contextmanager


@contextmanager
def full():
    """Let no file take more than a byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_hub_that_cannot_write_is_not_ready_and_says_why(start, tmp_path, waited):
    async with start(store=f"sqlite:{tmp_path}/hub.sqlite") as hub, hub.client() as client:
        assert (await client.get("/health/ready")).status_code == 200
        with full():
            assert (await client.get("/health/ready")).status_code == 200  # asked a moment ago
            waited(6)
            refused = await client.post("/fhir/Patient", json={"resourceType": "Patient"})
            assert refused.status_code == 503
            answer = await client.get("/health/ready")
            assert (answer.status_code, answer.json()["store"]) == (
                503,
                "not writable (the database cannot be written now: the disk takes no more)",
            )
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/fhir/Patient")).status_code == 200
        waited(6)
        assert (await client.get("/health/ready")).json()["store"] == "ok"
