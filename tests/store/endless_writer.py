"""Writes until it is killed, and says on standard output what was answered."""

import asyncio
import sys

from fhir_hub.search.entry import Entry
from fhir_hub.store.base import Change
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend


async def main(url: str, name: str) -> None:
    backend = open_backend(url)

    async def client(number: int) -> None:
        for turn in range(10**9):
            own = f"{name}.{number}.{turn}"
            entries = (
                Entry("identifier", "token", own, "urn:a"),
                Entry("d", "date", low=1, high=2),
            )
            await backend.store.write(
                [
                    Change("Patient", f"{own}-{place}", 1, 1, "POST", b"{}", entries)
                    for place in range(3)
                ]
            )
            print(own, flush=True)
            kept = await backend.journal.keep(Received("c", own, own, 1, b"MSH"))
            print(f"m{kept.entered.number}", flush=True)

    await asyncio.gather(*(client(number) for number in range(8)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
