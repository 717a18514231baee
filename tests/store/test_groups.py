"""Works that wait go together, and while one group is made durable the next is prepared."""

import asyncio
from typing import Any

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


class Answers:
    """Goes on when its work is done, and notes if it is lost."""

    def __init__(self) -> None:
        self.lost: list[Any] = []

    def goes_on(self, result: Any) -> bool:
        return True

    def is_lost(self, result: Any) -> None:
        self.lost.append(result)


class OpenDisk(Disk):
    """Takes who joins a group that is not durable yet, for so many seconds."""

    def __init__(self, open_s: float = 60) -> None:
        super().__init__()
        self.open_s = open_s

    async def write(self, group: list[Job[Any]]) -> None:
        joined, until = group, asyncio.get_running_loop().time() + self.open_s
        while joined:
            for job in joined:
                job.result = job.work
                job.go_on()
            joined = await self.groups.company(group, until)
        await super().write(group)


def test_who_went_on_comes_into_the_same_group_and_hurry_ends_the_waiting() -> None:
    async def run() -> list[int]:
        disk, coming = OpenDisk(), [1]
        groups = disk.groups = Groups(disk.write, expected=lambda: coming[0])
        assert await groups.run("kept", 1, early=Answers(), is_patient=True) == "kept"
        assert disk.sizes == []  # it went on though nothing is durable
        coming[0] = 0
        end = asyncio.create_task(groups.run("end", 1, is_patient=True))
        await settled()
        assert disk.sizes == [2]
        disk.returns.set()
        assert await end == "end"

        coming[0] = 1
        await groups.run("kept", 1, early=Answers(), is_patient=True)
        hurried = asyncio.create_task(groups.run("hurried", 1))
        await settled()
        disk.returns.set()
        assert await hurried == "hurried"
        return disk.sizes

    assert asyncio.run(run()) == [2, 2]


def test_a_group_waits_for_who_is_about_to_come_but_not_for_ever() -> None:
    async def run() -> list[int]:
        disk = OpenDisk(open_s=0.001)
        groups = disk.groups = Groups(disk.write, expected=lambda: 4)
        disk.returns.set()
        assert await groups.run("alone", 1, is_patient=True) == "alone"
        return disk.sizes

    assert asyncio.run(run()) == [1]


def test_what_was_not_made_durable_is_lost_to_who_went_on() -> None:
    async def run() -> list[Any]:
        answers = Answers()

        async def write(group: list[Job[Any]]) -> None:
            for job in group:
                job.result = job.work
                job.go_on()
            raise OSError("the disk is gone")

        groups: Groups[Any] = Groups(write)
        assert await groups.run("kept", 1, early=answers) == "kept"
        await settled()
        return answers.lost

    assert asyncio.run(run()) == ["kept"]
