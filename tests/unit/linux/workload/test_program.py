import errno
import os
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memqos.errors import ExperimentError
from memqos.linux.workload import program, requests
from memqos.linux.workload.clock import Stop
from memqos.linux.workload.memory import Region
from memqos.linux.workload.program import run_workload
from memqos.workload import many
from memqos.workload.draws import BLOCKS, phase_key, places
from memqos.workload.many import draws_many
from memqos.workload.parse import workload_from
from memqos.workload.result import Result
from memqos.workload.spec import PAGE, Order

MIB = 1 << 20


class Watch:
    """Runs phases; what `look` sees of the named region after each phase is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.regions: dict[str, Region] = {}
        self.present: list[set[int]] = []
        self.results: list[Result] = []
        self.stop = Stop()
        watch = self
        original = program.Region

        class Watched(original):  # type: ignore[valid-type, misc]
            def __init__(self, what: Any, content: Any) -> None:
                super().__init__(what, content)
                watch.regions[what.name] = self

        monkeypatch.setattr(program, "Region", Watched)

    def run(self, *phases: dict[str, Any], seed: int = 0) -> list[Result]:
        head = {"apiVersion": "memqos.dev/v1alpha1", "kind": "Workload", "seed": seed}
        run_workload(workload_from({**head, "phases": list(phases)}, source="w.yaml"), self._emit, self.stop)
        return self.results

    def _emit(self, result: Result) -> None:
        self.results.append(result)
        region = self.regions.get("a")
        if region is not None and not region._map.closed:
            self.present.append(pages_of(region))


def pages_of(region: Region) -> set[int]:
    """The pages of a region that this process maps or has in swap (Documentation/admin-guide/mm/pagemap)."""
    address = np.frombuffer(region._view, np.uint8).ctypes.data
    with Path("/proc/self/pagemap").open("rb", buffering=0) as file:
        file.seek(address // PAGE * 8)
        entries = struct.unpack(f"{region.pages}Q", file.read(region.pages * 8))
    return {page for page, entry in enumerate(entries) if entry >> 62 & 3}


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    found = Watch(monkeypatch)
    yield found
    found.stop.close()


def allocate(size: str = "4Mi") -> dict[str, Any]:
    return {"allocate": {"name": "a", "size": size}}


def touch(**fields: Any) -> dict[str, Any]:
    return {"touch": {"region": "a", **fields}}


def test_allocating_takes_no_page_and_writing_takes_each_once(watch: Watch) -> None:
    _, first, again = watch.run(allocate(), touch(write=True), touch(write=True))
    assert [len(present) for present in watch.present] == [0, 1024, 1024]
    assert (first.pages, again.pages) == (1024, 1024)
    assert 1024 <= first.minor_faults < 1100
    assert again.minor_faults < 100


def test_only_the_part_is_touched_and_passes_go_round(watch: Watch) -> None:
    result = watch.run(allocate(), touch(write=True, offset="1Mi", size="64Ki", passes=3))[1]
    assert watch.present[1] == set(range(256, 272))
    assert result.pages == 48


@pytest.mark.parametrize("vector", [True, False])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("uniform", Order("uniform")),
        ({"zipf": 1.2, "scatter": True}, Order("zipf", exponent=1.2, scatter=True)),
        (
            {"hotCold": {"fraction": 0.1, "probability": 0.9}},
            Order("hotCold", fraction=0.1, probability=0.9),
        ),
    ],
)
def test_random_pages_are_those_of_the_definition(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, vector: bool, order: Any, expected: Order
) -> None:
    monkeypatch.setattr(many, "FEW", 0 if vector else 10**9)
    part = touch(order=order, write=True, accesses=700, offset="20Mi")
    result = watch.run(allocate("40Mi"), part, seed=5)[1]
    table, key = places(expected, 5120), phase_key(5, 1)
    assert watch.present[1] == {5120 + table.at(key, i) for i in range(700)}
    assert len(watch.present[1]) <= result.minor_faults < len(watch.present[1]) + 100


@pytest.mark.parametrize("vector", [True, False])
def test_reading_random_pages_maps_exactly_those(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, vector: bool
) -> None:
    monkeypatch.setattr(many, "FEW", 0 if vector else 10**9)
    watch.run(allocate(), touch(order="uniform", accesses=300), touch(accesses=10))
    table = places(Order("uniform"), 1024)
    drawn = {table.at(phase_key(0, 1), i) for i in range(300)}
    assert watch.present[1] == drawn
    assert watch.present[2] == drawn | set(range(10))


@pytest.mark.parametrize("order", ["sequential", "uniform"])
def test_no_page_is_written_with_zeros_or_like_another(watch: Watch, order: str) -> None:
    contents: list[bytes] = []
    watch_emit = watch._emit

    def emit(result: Result) -> None:
        watch_emit(result)
        region = watch.regions["a"]
        contents[:] = [bytes(region._view[page * PAGE : (page + 1) * PAGE]) for page in pages_of(region)]

    watch._emit = emit  # type: ignore[method-assign]
    watch.run(allocate("1Mi"), touch(write=True, order=order, passes=2))
    assert len(contents) > 100
    assert max(Counter(contents).values()) == 1
    assert min(len(set(content)) for content in contents) > 200


def test_a_part_given_back_is_gone_and_can_be_touched_again(watch: Watch) -> None:
    free = {"free": {"region": "a", "size": "1Mi"}}
    watch.run(allocate(), touch(write=True), free, touch(write=True))
    assert [len(present) for present in watch.present] == [0, 1024, 768, 1024]
    assert watch.present[2] == set(range(768))


def test_a_freed_region_can_be_allocated_anew(watch: Watch) -> None:
    group = [allocate(), touch(write=True), {"free": {"region": "a"}}]
    results = watch.run({"repeat": {"times": 3, "phases": group}})
    assert [len(present) for present in watch.present] == [0, 1024] * 3
    assert [result.number for result in results] == list(range(9))


def test_a_mapped_file_is_read_and_written(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(10 * PAGE + 100))
    part = touch(write=True, offset="8Ki", size="12Ki")
    watch.run({"mmap": {"name": "a", "path": str(path), "write": True}}, part)
    written = path.read_bytes()
    assert watch.regions["a"].pages == 10
    assert [any(written[page * PAGE : (page + 1) * PAGE]) for page in range(6)] == [0, 0, 1, 1, 1, 0]


def test_a_file_is_read_pass_after_pass(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(10_000))
    read = {"read": {"path": str(path), "block": "4Ki", "passes": 3}}
    some = {"read": {"path": str(path), "block": "4Ki", "bytes": 5000, "order": "uniform"}}
    assert [result.bytes_read for result in watch.run(read, some)] == [30_000, 5000]


def test_blocks_are_read_in_the_order_of_the_definition(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offsets: list[int] = []
    preadv = os.preadv

    def watched(descriptor: int, buffers: list[Any], offset: int) -> int:
        offsets.append(offset)
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", watched)
    path = tmp_path / "f"
    path.write_bytes(bytes(PAGE * 50))
    watch.run({"read": {"path": str(path), "block": "4Ki", "order": {"zipf": 1}, "passes": 1}}, seed=9)
    table, key = places(Order("zipf", exponent=1.0), 50), phase_key(9, 0, BLOCKS)
    assert offsets == [PAGE * table.at(key, i) for i in range(50)]


def test_a_file_is_written_anew_with_pages_that_differ(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(MIB * 2))
    write = {"write": {"path": str(path), "size": 1_000_000, "block": "60Ki", "sync": True}}
    (result,) = watch.run(write)
    written = path.read_bytes()
    pages = [written[start : start + PAGE] for start in range(0, len(written), PAGE)]
    assert result.bytes_written == len(written) == 1_000_000
    assert len(set(pages)) == len(pages)


def test_a_rate_is_kept(watch: Watch) -> None:
    result = watch.run(allocate(), touch(write=True, accesses=100, bytesPerSecond="4Mi"))[1]
    assert 97_000 <= result.end_us - result.start_us < 5_000_000


def test_requests_touch_their_pages_and_are_timed_from_arrival(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(PAGE * 8))
    file = {"path": str(path), "bytes": 6000, "block": "4Ki"}
    fields = {"region": "a", "pages": 5, "perSecond": 400, "count": 40, "write": True, "file": file}
    result = watch.run(allocate(), {"requests": fields}, seed=3)[1]
    table, key = places(Order("uniform"), 1024), phase_key(3, 1)
    assert watch.present[1] == {table.at(key, i) for i in range(200)}
    assert (result.pages, result.bytes_read) == (200, 40 * 6000)
    stats = result.requests
    assert stats is not None
    assert (stats.completed, stats.unserved, sum(count for _, count in stats.histogram)) == (40, 0, 40)
    assert result.end_us - result.start_us >= 97_000
    assert 0 < stats.p50_us <= stats.p99_us <= stats.max_us
    assert stats.gap_max_us >= 2500 - stats.max_us


@pytest.fixture
def _time_that_only_sleeping_passes(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine serves what is due as an idle one does."""
    now = 0

    def sleep(seconds: float | None) -> None:
        nonlocal now
        now += max(0, round((seconds or 0) * 1e9))

    monkeypatch.setattr(requests, "monotonic_ns", lambda: now)
    monkeypatch.setattr(watch.stop, "sleep", sleep)


@pytest.mark.usefixtures("_time_that_only_sleeping_passes")
def test_intervals_are_reported_one_by_one(watch: Watch) -> None:
    fields = {"region": "a", "pages": 1, "perSecond": 200, "seconds": 0.25, "report": 0.1}
    results = watch.run(allocate(), {"requests": fields})[1:]
    assert [result.requests and result.requests.completed for result in results] == [20, 20, 10]
    assert [result.pages for result in results] == [20, 20, 10]
    assert {result.number for result in results} == {1}


def test_being_told_to_stop_ends_the_phase_and_all_after_it(watch: Watch) -> None:
    watch.stop.ask()
    results = watch.run({"hold": {}}, {"sleep": {"seconds": 100}})
    assert [(result.kind, result.stopped) for result in results] == [("hold", True)]


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ({"read": {"path": "gone"}}, "w.yaml: phases[0].read: gone: No such file or directory"),
        ({"read": {"path": "/dev/null"}}, "w.yaml: phases[0].read: /dev/null: is empty"),
        ({"write": {"path": "no/f", "size": 1}}, "w.yaml: phases[0].write: no/f: No such file or directory"),
        (
            {"mmap": {"name": "a", "path": "/dev/null"}},
            "phases[0].mmap: /dev/null: has 0 bytes in whole pages",
        ),
    ],
)
def test_what_cannot_be_done_names_the_phase(watch: Watch, phase: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        watch.run(phase)
    assert message in str(caught.value)


def test_memory_that_the_kernel_refuses_names_the_phase(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(program, "Region", refuse)
    with pytest.raises(ExperimentError, match=r"w\.yaml: phases\[0\]\.allocate: Cannot allocate memory"):
        watch.run(allocate())


@pytest.mark.parametrize("vector", [True, False])
def test_a_read_only_file_is_read_at_random(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vector: bool
) -> None:
    monkeypatch.setattr(many, "FEW", 0 if vector else 10**9)
    path = tmp_path / "f"
    path.write_bytes(os.urandom(100 * PAGE))
    mapped = {"mmap": {"name": "a", "path": str(path), "size": "200Ki"}}
    result = watch.run(mapped, touch(order="uniform", accesses=20))[1]
    drawn = {places(Order("uniform"), 50).at(phase_key(0, 1), i) for i in range(20)}
    assert drawn <= watch.present[1]
    assert result.pages == 20
    assert path.stat().st_size == 100 * PAGE


def test_numpy_is_loaded_only_for_many_random_pages() -> None:
    def many(phase: dict[str, Any]) -> bool:
        head = {"apiVersion": "memqos.dev/v1alpha1", "kind": "Workload"}
        workload = workload_from({**head, "phases": [allocate(), phase]})
        return draws_many(workload.phases[1])

    assert not many(touch())
    assert not many(touch(order="uniform", accesses=100))
    assert many({"repeat": {"phases": [touch(order="uniform")]}})
    assert not many({"requests": {"region": "a", "pages": 16, "perSecond": 1}})
    assert many({"requests": {"region": "a", "pages": 500, "perSecond": 1}})


@pytest.mark.parametrize("error", [ImportError("no numpy"), RuntimeError("built for\nX86_V2")])
def test_without_numpy_the_same_pages_are_touched_and_it_says_so(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def refuse(_name: str) -> None:
        raise error

    monkeypatch.setattr(program.importlib, "import_module", refuse)
    watch.run(allocate(), touch(order="uniform", write=True))
    table = places(Order("uniform"), 1024)
    assert watch.present[1] == {table.at(phase_key(0, 1), i) for i in range(1024)}
    assert "without numpy" in caplog.text
    assert "\n" not in caplog.messages[0]
