"""How many processes serve, where the settings leave it to the hub: what the machine gives."""

import pytest

from fhir_hub.settings import load_settings
from fhir_hub.workers.count import counted, usable_cores


@pytest.mark.parametrize(
    ("options", "cores", "workers", "why"),
    [
        ({}, 2, 2, "2 cores"),
        ({}, 3, 3, "3 cores"),
        ({}, 16, 4, "at most"),
        ({}, 1, 1, "one core"),
        ({"store": "memory:"}, 2, 1, "takes one process"),
        ({"store": "mongodb://db1/hub"}, 2, 2, "2 cores"),
        ({"workers": "auto"}, 2, 2, "2 cores"),
        ({"workers": "1"}, 2, 1, "as set"),
        ({"workers": 8}, 2, 8, "as set"),
    ],
)
def test_one_process_serves_for_each_core_unless_it_is_said(options, cores, workers, why):
    count = counted(load_settings(None, options, {}), cores)

    assert count.workers == workers
    assert why in count.reason


def test_where_processes_cannot_be_handed_connections_there_is_one(monkeypatch):
    monkeypatch.delattr("socket.send_fds")  # as on Windows

    assert counted(load_settings(None, {}, {}), 4).workers == 1


@pytest.mark.parametrize(
    ("group", "file", "text", "cores"),
    [
        ("0::/", "cpu.max", "100000 100000\n", 1),  # a container, as it sees itself
        ("0::/system.slice/hub.service", "system.slice/cpu.max", "50000 100000\n", 1),
        ("0::/", "cpu.max", "max 100000\n", 9),
        ("0::/", "cpu.max", "150000 100000\n", 2),
        ("2:cpu,cpuacct:/x", "cpu,cpuacct/x/cpu.cfs_quota_us", "250000\n", 3),
        ("2:cpu,cpuacct:/host", "cpu,cpuacct/cpu.cfs_quota_us", "100000\n", 1),
        ("2:cpu:/", "cpu/cpu.cfs_quota_us", "-1\n", 9),
        ("7:memory:/x", "memory/x/cpu.cfs_quota_us", "100000\n", 9),
        ("0::/", "cpu.max", "", 9),
    ],
)
def test_a_quota_of_processor_time_is_cores_rounded_up(
    monkeypatch, tmp_path, group, file, text, cores
):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(9)), raising=False)
    told = tmp_path / "sys/fs/cgroup" / file
    told.parent.mkdir(parents=True)
    told.write_text(text)
    (told.parent / "cpu.cfs_period_us").write_text("100000\n")
    own = tmp_path / "proc/self/cgroup"
    own.parent.mkdir(parents=True)
    own.write_text(f"{group}\n")

    assert usable_cores(tmp_path) == cores


def test_without_control_groups_affinity_says_how_many(monkeypatch, tmp_path):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 5}, raising=False)

    assert usable_cores(tmp_path) == 2
