"""Clients of one MongoDB in a process of their own: each line of input is work for all at once.

`creates COUNT`: so many guarded creates of one identifier, and one plain create beside each.
`updates COUNT`: so many updates of one resource, each after reading it, again until it succeeds.
Each answer is a line of JSON: how many succeeded, and the sequences that they got.
"""

import asyncio
import json
import os
import sys

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Change, Conflict, Guard, Key, Store
from fhir_hub.store.open import open_backend

IDENTIFIER = Entry("identifier", "token", "1", "urn:sid")
GUARD = Guard("Patient", Has("identifier", "token", (Is("1", "urn:sid"),)))


async def create(store: Store, name: str) -> list[int]:
    """Return the sequences of what was created."""
    plain = await store.write([Change("Device", name, 1, 1, "POST", b"{}")])
    try:
        won = await store.write(
            [Change("Patient", name, 1, 1, "POST", b"{}", (IDENTIFIER,))], [GUARD]
        )
    except Conflict:
        won = []
    return [stored.sequence for stored in plain + won]


async def update(store: Store, name: str) -> list[int]:
    """Return the sequence of the update, made of what was there before."""
    while True:
        before = await store.read(Key("Basic", "counter"))
        version, said = (before.version_id, int(before.content)) if before else (0, 0)
        content = str(said + 1).encode()
        try:
            return [
                stored.sequence
                for stored in await store.write(
                    [Change("Basic", "counter", version + 1, 1, "PUT", content)]
                )
            ]
        except Conflict:
            continue


async def main(url: str) -> None:
    async with open_backend(url) as backend:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            what, count = line.split()
            work = {"creates": create, "updates": update}[what]
            names = [f"{os.getpid()}-{what}-{number}" for number in range(int(count))]
            found = await asyncio.gather(*(work(backend.store, name) for name in names))
            print(json.dumps([one for some in found for one in some]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
