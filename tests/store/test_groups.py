"""Works that wait go together, and while one group is made durable the next is prepared."""

import asyncio
from typing import Any

from fhir_hub.store.groups import Groups, Job

CLIENTS = 8


class Disk:
    """Takes what is to be made durable, and says how many works were in each group."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.returns = asyncio.Event()

    async def write(self, group: list[Job[Any]]) -> None:
        self.sizes.append(len(group))
        await self.returns.wait()
        self.returns.clear()
        for job in group:
            job.result = job.work


async def settled() -> None:
    """Let everybody do what can be done."""
    for _ in range(4 * CLIENTS):
        await asyncio.sleep(0)


def test_clients_who_write_again_and_again_are_two_halves_in_turn() -> None:
    async def run() -> list[int]:
        disk = Disk()
        groups: Groups[int] = Groups(disk.write)

        async def client(number: int) -> None:
            while True:
                assert await groups.run(number, 1) == number

        clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
        for _ in range(12):
            await settled()
            disk.returns.set()
        for one in clients:
            one.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        return disk.sizes

    assert asyncio.run(run())[-4:] == [CLIENTS // 2] * 4


def test_a_group_is_as_large_as_allowed_and_everybody_gets_his_own_answer() -> None:
    async def run() -> tuple[list[int], list[int]]:
        disk = Disk()
        groups: Groups[int] = Groups(disk.write, most=6)
        asked = [asyncio.create_task(groups.run(number, 3)) for number in range(7)]
        while not all(one.done() for one in asked):
            await settled()
            disk.returns.set()
        return disk.sizes, [one.result() for one in asked]

    sizes, answers = asyncio.run(run())
    assert (max(sizes), sum(sizes)) == (2, 7)
    assert answers == list(range(7))
