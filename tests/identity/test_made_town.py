"""The measured set in small: a made town, two desks with their mistakes, and no wrong merge.

`python -m bench.identity` measures 100,000 people by the same code; its tables: bench/results.
"""

import pytest

from bench.identity import ask, store_all, table, town
from fhir_hub.identity import blocks
from fhir_hub.identity.traits import traits_of
from fhir_hub.search.plan import Query
from fhir_hub.store.open import open_backend


@pytest.mark.no_cover
async def test_a_made_town_is_recognised_and_nobody_taken_for_another(tmp_path):
    records, questions = town(500, 200, 11, twins=0.2)
    backend = open_backend(f"sqlite:{tmp_path / 'people.sqlite'}")
    await store_all(backend.store, records)
    outcome = await ask(backend.store, questions)
    keys = blocks.plan_of(blocks.wanted_keys(traits_of(records[0])))
    steps = await backend.store.explain(Query(("Patient",), keys))
    await backend.close()

    assert len(records) == 500
    assert outcome.strangers > 10
    assert outcome.twins > 20
    assert outcome.unnumbered > 20
    assert outcome.wrong == 0
    assert outcome.right >= 0.9 * outcome.known
    assert outcome.listed >= 0.97 * outcome.known
    assert any("SEARCH" in one for one in steps)
    assert {one for one in steps if "SCAN" in one} <= {"SCAN p"}  # of the page found
    assert "| recall, certain or on the review list | ≥ 97 % |" in table(outcome, 500, 1.0)
