"""MongoDB tells who waits of what other processes write."""

import asyncio

import parts

from fhir_hub.store.open import open_backend


async def test_who_listens_hears_of_each_commit_or_of_those_of_search_parameters(mongo_url, change):
    everything, parameters = asyncio.Queue(), asyncio.Queue()
    async with (
        open_backend(mongo_url) as here,
        open_backend(mongo_url) as elsewhere,
        asyncio.timeout(parts.PATIENCE_S),
    ):
        here.news.hear(lambda: everything.put_nowait(1))
        here.news.hear(lambda: parameters.put_nowait(1), of_parameters=True)
        for heard in (everything, parameters):  # it listens from now on
            await heard.get()
        assert here.news.pause_s(0.05) > 0.05

        await elsewhere.store.write([change("a")])
        await everything.get()
        await elsewhere.store.write([change("p", resource_type="SearchParameter")])
        await everything.get()
        await parameters.get()

        assert (everything.qsize(), parameters.qsize()) == (0, 0)
        assert elsewhere.news.pause_s(0.05) == 0.05


async def test_a_store_that_does_not_tell_leaves_it_to_who_asks(tmp_path):
    async with open_backend(f"sqlite:{tmp_path / 'hub.sqlite'}") as backend:
        backend.news.hear(lambda: None)
        assert backend.news.pause_s(0.05) == 0.05
