from __future__ import annotations

import shlex

import pytest

from memqos.errors import ExperimentError
from memqos.sim.commands import size_of, understand
from memqos.units import MIB
from memqos.workload.spec import Allocate, Hold, ReadFile, Repeat, Sleep, Touch, Workload, WriteFile


def test_md5sum_reads_the_file_by_32_kib_at_the_field_studys_rate() -> None:
    job = understand(["/usr/bin/md5sum", "/data/a"])
    assert job.workload.phases == (ReadFile("/data/a", block=32 << 10),)
    assert 5_670 <= job.page_ns <= 6_200


def test_a_shell_that_execs_one_of_them_is_understood() -> None:
    assert understand(["sh", "-c", "exec sleep 5"]).workload.phases == (Sleep(5.0),)


@pytest.mark.parametrize(("text", "seconds"), [("3", 3.0), ("0.5", 0.5), ("2m", 120.0), ("1h", 3600.0)])
def test_sleep_takes_the_times_sleep_takes(text: str, seconds: float) -> None:
    assert understand(["sleep", text]).workload.phases == (Sleep(seconds),)


def test_sleep_infinity_holds() -> None:
    assert understand(["sleep", "infinity"]).workload.phases == (Hold(),)


def test_dd_from_zero_writes_count_blocks() -> None:
    job = understand(shlex.split("dd if=/dev/zero of=/data/x bs=1M count=24 conv=fsync"))
    assert job.workload.phases == (WriteFile("/data/x", 24 * MIB, block=MIB, sync=True),)


def test_dd_to_null_reads() -> None:
    job = understand(shlex.split("dd if=/data/x of=/dev/null bs=4k count=100"))
    assert job.workload.phases == (ReadFile("/data/x", bytes=409_600, block=4096),)


def test_stress_ng_with_keep_allocates_once() -> None:
    job = understand(shlex.split("stress-ng --vm 2 --vm-bytes 64M --vm-keep --vm-hang 0"))
    assert job.processes == 2
    assert job.respawn
    first, again = job.workload.phases
    assert first == Allocate("vm", 32 * MIB)
    assert isinstance(again, Repeat)
    assert again.phases[:2] == (Touch("vm", write=True), Hold())


@pytest.mark.parametrize(
    ("text", "size"),
    [("64M", 64 * MIB), ("4k", 4096), ("1G", 1024 * MIB), ("17", 17), ("4q", None)],
)
def test_sizes(text: str, size: int | None) -> None:
    assert size_of(text) == size


def test_dds_decimal_suffixes() -> None:
    assert size_of("1MB", dd=True) == 1_000_000


def test_a_workload_file_is_looked_up_by_its_path() -> None:
    workload = Workload((Sleep(1.0),))
    assert understand(["memqos", "workload", "/w.yaml"], {"/w.yaml": workload}).workload is workload
    with pytest.raises(ExperimentError, match=r"/w\.yaml is not given"):
        understand(["memqos", "workload", "/w.yaml"])


@pytest.mark.parametrize(
    "command",
    [
        "nginx -g off",
        "md5sum",
        "md5sum -c sums",
        "sleep soon",
        "dd of=/data/x",
        "stress-ng --cpu 2",
        "sh -c nginx",
        "cat",
    ],
)
def test_an_unknown_command_is_named(command: str) -> None:
    with pytest.raises(ExperimentError, match="is not simulated; write one of md5sum") as caught:
        understand(shlex.split(command))
    assert shlex.split(command)[-1] in str(caught.value)


def test_no_command_at_all() -> None:
    with pytest.raises(ExperimentError, match="there is no command"):
        understand([])


@pytest.mark.parametrize("path", ["/dev/shm/x", "/tmp/x"])
def test_a_file_in_memory_is_refused_by_name(path: str) -> None:
    with pytest.raises(ExperimentError, match=rf"{path} lies in memory \(tmpfs\)"):
        understand(["dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=8"])
