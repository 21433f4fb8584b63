"""The agent's own protection: taken where it is to be had, undone at the end, one advice where not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from memqos.linux.shelter import CAP_IPC_LOCK, CAP_SYS_RESOURCE, Shelter, has_capability, remove_empty
from memqos.units import MIB


class World:
    """Trees of plain files; a cgroup that is made has its files at once, as in a kernel."""

    def __init__(self, where: Path, here: str = "/") -> None:
        self.root, self.proc = where / "cgroup", where / "proc"
        (self.proc / "self").mkdir(parents=True)
        self.root.mkdir()
        self.make("memqos.slice")
        (self.root / "cgroup.procs").write_text(f"1\n{os.getpid()}\n")
        (self.proc / "self/cgroup").write_text(f"0::{here}\n")
        (self.proc / "self/oom_score_adj").write_text("0\n")
        (self.proc / "self/statm").write_text("20000 10000 500 1 0 9000 0\n")
        self.capabilities(CAP_IPC_LOCK, CAP_SYS_RESOURCE)
        self.locked: list[str] = []

    def make(self, path: str) -> Path:
        directory = self.root / path
        directory.mkdir(parents=True)
        for name in ("cgroup.procs", "memory.min"):
            (directory / name).write_text("0\n")
        return directory

    def capabilities(self, *numbers: int) -> None:
        text = f"CapEff:\t{sum(1 << number for number in numbers):016x}\nCapBnd:\t0\n"
        (self.proc / "self/status").write_text(text)

    def shelter(self, **options: Any) -> Shelter:
        ways = {"lock": lambda: self.locked.append("lock"), "unlock": lambda: self.locked.append("unlock")}
        return Shelter(str(self.root), str(self.proc), **(ways | options))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_all_four_are_taken_and_undone(world: World) -> None:
    shelter = world.shelter()
    assert shelter.enter() == ()
    own = world.root / "memqos.slice"
    assert (own / "cgroup.procs").read_text() == f"{os.getpid()}\n"
    assert int((own / "memory.min").read_text()) == 10000 * os.sysconf("SC_PAGE_SIZE") * 5 // 4 + 8 * MIB
    assert (world.proc / "self/oom_score_adj").read_text() == "-999\n"
    assert world.locked == ["lock"]
    shelter.leave()
    assert (world.root / "cgroup.procs").read_text() == f"{os.getpid()}\n"
    assert (own / "memory.min").read_text() == "0"
    assert (world.proc / "self/oom_score_adj").read_text() == "0"
    assert world.locked == ["lock", "unlock"]


def test_leaving_twice_or_without_having_entered_is_nothing(world: World) -> None:
    shelter = world.shelter()
    shelter.leave()
    shelter.enter()
    shelter.leave()
    shelter.leave()
    assert world.locked == ["lock", "unlock"]


@pytest.mark.parametrize("here", ["/system.slice/memqos.service", "/kubepods/podx/main", "/memqos.slice"])
def test_who_is_placed_by_somebody_else_stays_and_is_protected_there(tmp_path: Path, here: str) -> None:
    world = World(tmp_path, here)
    if not (world.root / here[1:]).exists():
        world.make(here[1:])
    for above in (world.root / here[1:]).parents:
        if above != world.root and world.root in above.parents:
            (above / "memory.min").write_text("max\n")
    shelter = world.shelter()
    assert shelter.enter() == ()
    place = world.root / here[1:]
    assert int((place / "memory.min").read_text()) > 0
    assert (place / "cgroup.procs").read_text() == "0\n"  # nobody was moved
    shelter.leave()
    assert (place / "memory.min").read_text() == "0"


def test_who_runs_in_a_containers_namespaces_is_not_moved_out_of_them(world: World) -> None:
    (world.root / "cgroup.procs").write_text("1\n")
    (advice,) = world.shelter().enter()
    assert "it runs in a container's namespaces" in advice.problem
    assert (world.root / "memqos.slice/cgroup.procs").read_text() == "0\n"


def test_a_void_memory_min_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, "/system.slice/memqos.service")
    world.make("system.slice/memqos.service")
    (world.root / "system.slice/memory.min").write_text("0\n")
    (advice,) = world.shelter().enter()
    assert advice.problem == "its memory.min is void: system.slice have none"


def test_each_refusal_is_one_advice_with_its_remedy(world: World) -> None:
    for file in (world.root / "memqos.slice/cgroup.procs", world.proc / "self/oom_score_adj"):
        file.unlink()
        file.mkdir()
    world.capabilities()

    def refuse() -> None:
        raise PermissionError(1, "Operation not permitted")

    told = {advice.problem.partition(":")[0]: advice.remedy for advice in world.shelter(lock=refuse).enter()}
    assert set(told) >= {"it has no cgroup of its own", "the OOM killer may choose it"}
    assert all(told.values())


def test_memory_is_not_locked_where_a_limit_would_end_the_agent_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda what: (1 << 16, 1 << 16))
    world.capabilities(CAP_SYS_RESOURCE)
    (advice,) = world.shelter().enter()
    assert "RLIMIT_MEMLOCK is finite" in advice.problem
    assert world.locked == []


def test_a_root_that_is_no_cgroup_file_system_is_left_as_it_was(tmp_path: Path) -> None:
    world = World(tmp_path)
    for file in (world.root / "memqos.slice").iterdir():
        file.unlink()
    (world.root / "memqos.slice").rmdir()
    (advice,) = world.shelter().enter()
    assert "not a cgroup2 file system" in advice.problem
    assert not (world.root / "memqos.slice").exists()


def test_the_protection_grows_with_the_agent_but_is_not_measured_at_every_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("memqos.linux.shelter.time.monotonic", lambda: now)
    shelter = world.shelter()
    shelter.enter()
    knob = world.root / "memqos.slice/memory.min"
    first = int(knob.read_text())
    (world.proc / "self/statm").write_text("20000 20000 500 1 0 9000 0\n")
    shelter.measure()
    assert int(knob.read_text()) == first
    now += 61
    shelter.measure()
    assert int(knob.read_text()) > first
    shelter.leave()
    assert knob.read_text() == "0"


def test_the_cgroup_of_a_dead_agent_is_removed(tmp_path: Path) -> None:
    remove_empty(str(tmp_path))
    (tmp_path / "memqos.slice").mkdir()
    remove_empty(str(tmp_path))
    assert not (tmp_path / "memqos.slice").exists()


def test_capabilities_are_read_from_the_status(world: World) -> None:
    world.capabilities(CAP_SYS_RESOURCE)
    assert has_capability(CAP_SYS_RESOURCE, world.proc)
    assert not has_capability(CAP_IPC_LOCK, world.proc)
    assert not has_capability(0, world.proc / "nowhere")
