"""A workload's phases do to a cgroup's memory what they say, on a real kernel."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from memqos.workload.result import Result, parse_results

CGROUP = Path("/sys/fs/cgroup")
MIB = 1 << 20
PROGRAM = [sys.executable, "-c", "from memqos.cli.workload import command; command()"]
SLACK = 2 * MIB
"""What Python itself, page tables and per-cpu charges may differ by between two runs."""


@contextmanager
def running(
    tmp_path: Path, name: str, phases: list[dict[str, Any]], *, limit: int | None = None
) -> Iterator[tuple[Path, list[Result]]]:
    """Run phases, then `hold`, in a cgroup of their own; yields when only the hold is left."""
    cgroup = CGROUP / f"workload-{name}"
    cgroup.mkdir()
    if limit is not None:
        (cgroup / "memory.max").write_text(str(limit))
    workload, results = tmp_path / f"{name}.yaml", tmp_path / f"{name}.json"
    head = {"apiVersion": "memqos.dev/v1alpha1", "kind": "Workload"}
    workload.write_text(yaml.safe_dump({**head, "phases": [*phases, {"hold": {}}]}))
    results.touch()
    join = f'echo $$ > {cgroup}/cgroup.procs && exec "$@"'
    argv = ["sh", "-c", join, "sh", *PROGRAM, str(workload), "--results", str(results)]
    with subprocess.Popen(argv) as process:
        try:
            found: list[Result] = []
            while len(found) < len(phases):
                assert process.poll() is None, f"the workload ended with {process.returncode}"
                time.sleep(0.05)
                found = parse_results(results.read_bytes())
            yield cgroup, found
            process.terminate()
            assert process.wait(180) == 0  # its pages come back from a slow disk in a busy guest
        finally:
            process.kill()
            process.wait()
            cgroup.rmdir()


def stat(cgroup: Path) -> dict[str, int]:
    lines = (cgroup / "memory.stat").read_text().splitlines()
    return {key: int(value) for key, value in (line.split() for line in lines)}


def test_memory_is_charged_as_it_is_written_and_not_before(tmp_path: Path):
    def anon(name: str, size: str, *touches: dict[str, Any]) -> int:
        phases = [{"allocate": {"name": "a", "size": size}}, *({"touch": touch} for touch in touches)]
        with running(tmp_path, name, phases) as (cgroup, _):
            return stat(cgroup)["anon"]

    bare = anon("bare", "1Gi")
    assert abs(anon("read", "32Mi", {"region": "a"}) - bare) < SLACK
    written = anon("written", "32Mi", {"region": "a", "write": True}, {"region": "a", "write": True})
    assert abs(written - bare - 32 * MIB) < SLACK


def test_written_memory_goes_to_swap_page_by_page_with_none_of_it_zero(tmp_path: Path):
    phases = [{"allocate": {"name": "a", "size": "96Mi"}}, {"touch": {"region": "a", "write": True}}]
    with running(tmp_path, "swapped", phases, limit=64 * MIB) as (cgroup, results):
        swapped = int((cgroup / "memory.swap.current").read_text())
        # what is over the limit must be there; a page that came back may keep its slot (swap cache)
        assert 32 * MIB - SLACK < swapped <= 96 * MIB
        assert stat(cgroup).get("swpout_zero", 0) < SLACK // 4096
        assert results[1].pages == 96 * MIB // 4096
        assert results[1].minor_faults >= 96 * MIB // 4096


def test_a_file_fills_the_page_cache_and_requests_are_answered(tmp_path: Path):
    path = "/data/workload.dat"
    requests = {
        "region": "a",
        "pages": 8,
        "perSecond": 50,
        "count": 100,
        "file": {"path": path, "bytes": "8Ki"},
    }
    phases = [
        {"write": {"path": path, "size": "16Mi", "sync": True}},
        {"read": {"path": path, "passes": 2}},
        {"allocate": {"name": "a", "size": "4Mi"}},
        {"touch": {"region": "a", "write": True}},
        {"requests": requests},
    ]
    with running(tmp_path, "files", phases) as (cgroup, results):
        assert 16 * MIB <= stat(cgroup)["file"] < 16 * MIB + 32 * MIB
        assert [result.bytes_written for result in results[:2]] == [16 * MIB, 0]
        assert results[1].bytes_read == 32 * MIB
        served = results[4].requests
        assert served is not None
        assert (served.completed, results[4].pages, results[4].bytes_read) == (100, 800, 100 * 8192)
        assert 0 < served.p50_us <= served.max_us
    Path(path).unlink()
