"""Works that wait go together, and while one group is made durable the next is prepared."""

import asyncio
from typing import Any

from fhir_hub.errors import Unavailable
from fhir_hub.store.groups import Groups, Job

CLIENTS = 8


class Disk:
    """Takes what is to be made durable, and says how many works were in each group."""

    groups: Groups[Any]

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


class OpenDisk(Disk):
    """Takes who joins a group that is not durable yet, for so many seconds."""

    def __init__(self, open_s: float = 60) -> None:
        super().__init__()
        self.open_s = open_s
        self.done: list[Any] = []

    async def write(self, group: list[Job[Any]]) -> None:
        joined, until = group, asyncio.get_running_loop().time() + self.open_s
        while joined:
            for job in joined:
                job.result = job.work
                self.done.append(job.work)
            joined = await self.groups.company(group, until)
        await super().write(group)


def test_who_goes_on_comes_into_the_same_group_and_hurry_ends_the_waiting() -> None:
    async def run() -> list[int]:
        disk, coming = OpenDisk(), [1]
        groups = disk.groups = Groups(disk.write, expected=lambda: coming[0])
        kept = groups.bring("kept", 1, is_early=True, is_patient=True)
        await settled()
        assert disk.sizes == []
        coming[0] = 0
        end = groups.bring("end", 1, is_patient=True)
        await settled()
        assert (disk.sizes, disk.done) == ([2], ["kept", "end"])
        disk.returns.set()
        assert [await kept, await end] == ["kept", "end"]

        coming[0] = 1
        kept = groups.bring("kept", 1, is_early=True, is_patient=True)
        hurried = groups.bring("hurried", 1)
        await settled()
        disk.returns.set()
        assert [await kept, await hurried] == ["kept", "hurried"]
        return disk.sizes

    assert asyncio.run(run()) == [2, 2]


def test_a_group_waits_until_half_of_those_under_way_are_there() -> None:
    async def run() -> list[list[int]]:
        disk, coming = OpenDisk(), [4]
        groups = disk.groups = Groups(disk.write, expected=lambda: coming[0])
        disk.returns.set()
        seen, brought = [], []
        for number in range(2):
            coming[0] -= 1
            brought.append(groups.bring(number, 1, is_patient=True))
            await settled()
            seen.append(list(disk.sizes))
        while not all(one.done() for one in brought):
            coming[0] = 0
            disk.returns.set()
            await settled()
        return seen

    assert asyncio.run(run()) == [[], [2]]


def test_what_is_early_is_done_before_what_waits_however_much_it_is() -> None:
    async def run() -> list[Any]:
        disk = OpenDisk()
        groups = disk.groups = Groups(disk.write, most=2)
        brought = [groups.bring(number, 1) for number in range(2)]
        brought += [groups.bring(number, 1, is_early=True) for number in range(2, 8)]
        while not all(one.done() for one in brought):
            await settled()
            disk.returns.set()
        return disk.done

    assert asyncio.run(run()) == [2, 3, 4, 5, 6, 7, 0, 1]


def test_a_group_waits_for_who_is_about_to_come_but_not_for_ever() -> None:
    async def run() -> list[int]:
        disk = OpenDisk(open_s=0.001)
        groups = disk.groups = Groups(disk.write, expected=lambda: 4)
        disk.returns.set()
        assert await groups.bring("alone", 1, is_patient=True) == "alone"
        return disk.sizes

    assert asyncio.run(run()) == [1]


def test_what_is_early_does_not_overtake_what_the_disk_did_not_take() -> None:
    async def run() -> list[str]:
        is_full, returns = True, asyncio.Event()

        async def write(group: list[Job[int]]) -> None:
            is_refused = is_full
            await returns.wait()
            for job in group:
                job.result, job.error = job.work, Unavailable("full") if is_refused else None

        groups: Groups[int] = Groups(write)
        first = groups.bring(1, 1, is_early=True)
        await settled()
        others = [groups.bring(2, 1, is_early=True), groups.bring(3, 1)]
        is_full = False
        returns.set()
        ended = await asyncio.gather(first, *others, return_exceptions=True)
        return [str(one) if isinstance(one, int) else type(one).__name__ for one in ended]

    assert asyncio.run(run()) == ["Unavailable", "Unavailable", "3"]
