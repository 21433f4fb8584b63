from __future__ import annotations

import shlex

import pytest

from memqos.errors import ExperimentError
from memqos.sim.commands import understand
from memqos.sim.job import Job
from memqos.sim.words import size_of
from memqos.units import MIB
from memqos.workload.spec import Allocate, Hold, Phase, ReadFile, Repeat, Sleep, Touch, Workload, WriteFile


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


def test_dds_blocks_of_512_bytes() -> None:
    job = understand(shlex.split("dd if=/data/x bs=8b count=1kB"))
    assert job.workload.phases == (ReadFile("/data/x", bytes=4_096_000, block=4096),)


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
        "md5sum -c sums",
        "sleep soon",
        "sleep -1",
        "sleep nan",
        "sleep 1_0",
        "sleep 1e400",
        "sleep 9e300d",
        "python3 -m memqos.lab.load mib=0",
        "python3 -m memqos.lab.load mib=nan",
        "python3 -m memqos.lab.load mib=8 step=-1",
        "python3 -m memqos.lab.load mib=8 every=-1",
        "stress-ng --vm ²",
        "stress-ng --vm 5000",
        "stress-ng --vm 1 --timeout -5",
        "stress-ng --vm 1 --vm-bytes 80%",
        "dd if=/data/a count=²",
        "dd if=/dev/zero of=/data/x count=8 conv=sparse",
        "dd if=/data/a iflag=direct",
        "stress-ng --cpu 2",
        "sh -c nginx",
        "cat",
    ],
)
def test_an_unknown_command_is_named_with_what_is_understood(command: str) -> None:
    words = shlex.split(command)
    with pytest.raises(ExperimentError, match="is not simulated; write ") as caught:
        understand(words)
    assert words[-1] in str(caught.value)
    known = {"md5sum", "sleep", "dd", "cat", "stress-ng"}
    assert caught.value.remedy.startswith(f"write {words[0] if words[0] in known else 'one of md5sum'}")


@pytest.mark.parametrize("conv", ["fsync", "fdatasync", "noerror,fdatasync"])
def test_dd_waits_for_the_disk_when_it_is_told_to(conv: str) -> None:
    job = understand(shlex.split(f"dd if=/dev/zero of=/data/x bs=1M count=24 conv={conv}"))
    assert job.workload.phases == (WriteFile("/data/x", 24 * MIB, block=MIB, sync=True),)


def test_sums_of_several_files_read_one_after_another() -> None:
    job = understand(shlex.split("md5sum -b /data/a /data/b"))
    assert job.workload.phases == (ReadFile("/data/a", block=32 << 10), ReadFile("/data/b", block=32 << 10))


def test_what_stress_ng_says_is_not_what_it_does() -> None:
    plain = shlex.split("stress-ng --vm 1 --vm-bytes 64M --timeout 5s")
    assert understand([*plain, "--metrics-brief", "-q"]) == understand(plain)


def test_a_shell_may_throw_away_what_the_command_prints() -> None:
    for text in ("cat /data/a > /dev/null", "exec cat /data/a >/dev/null 2>&1", "cat /data/a 2> /dev/null"):
        assert understand(["sh", "-c", text]) == understand(["cat", "/data/a"])


@pytest.mark.parametrize(
    "text",
    [
        "cat /data/a > /data/b",
        "cat /data/a | md5sum",
        "sleep 1; cat /data/a",
        "sleep 1 && sleep 2",
        "cat /data/*",
        "cat $FILE",
        "cat '/data/a",
        "(sleep 5)",
        "sleep 5 &",
    ],
)
def test_what_needs_a_shell_is_an_error_that_says_so(text: str) -> None:
    with pytest.raises(ExperimentError, match="is not simulated: it needs a shell; write one command"):
        understand(["sh", "-c", text])


def test_a_name_with_spaces_in_quotes_is_one_word() -> None:
    assert understand(["sh", "-c", "cat '/data/a; b'"]).workload.phases == (ReadFile("/data/a; b"),)


def test_stress_ngs_workers_have_a_page_at_least_and_end_with_the_timeout() -> None:
    job = understand(shlex.split("stress-ng -m 3 --vm-bytes 10000 -t 2m"))
    assert job.workload.phases[0] == Repeat((Allocate("vm", 4096), *_once(job)[1:]))
    assert (job.processes, job.timeout) == (3, 120.0)
    assert understand(shlex.split("stress-ng --vm 1 --timeout 0")).timeout is None


def _once(job: Job) -> tuple[Phase, ...]:
    (repeat,) = job.workload.phases
    assert isinstance(repeat, Repeat)
    return repeat.phases


def test_no_command_at_all() -> None:
    with pytest.raises(ExperimentError, match="there is no command"):
        understand([])


@pytest.mark.parametrize("path", ["/dev/shm/x", "/tmp/x"])
def test_a_file_in_memory_is_refused_by_name(path: str) -> None:
    with pytest.raises(ExperimentError, match=rf"{path} lies in memory \(tmpfs\)"):
        understand(["dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=8"])
