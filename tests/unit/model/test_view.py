from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Pressure, PressureLine, Snapshot
from memqos.model.view import View


def cgroup(inode: int, hits: int, stalled: int) -> Cgroup:
    line = PressureLine(0.0, 0.0, 0.0, stalled)
    return Cgroup(
        path="a", inode=inode, memory_events=Counters.of({"max": hits}), memory_pressure=Pressure(line)
    )


def snapshot(time_us: int, cgroup: Cgroup, boot_id: str = "boot") -> Snapshot:
    node = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({}))
    return Snapshot(time_us=time_us, boot_id=boot_id, node=node, cgroups={cgroup.path: cgroup})


def test_deltas_are_between_two_looks_at_one_cgroup() -> None:
    now = cgroup(7, 5, 300)
    view = View(now=snapshot(2_000_000, now), last=snapshot(1_000_000, cgroup(7, 2, 100)))
    assert view.elapsed_us == 1_000_000
    assert view.delta(now, "memory_events", "max") == 3
    assert view.stall_us(now) == 200


def test_there_is_no_delta_across_a_rebirth() -> None:
    now = cgroup(8, 5, 300)
    view = View(now=snapshot(2, now), last=snapshot(1, cgroup(7, 2, 100)))
    assert view.earlier(now) is None
    assert view.delta(now, "memory_events", "max") is None
    assert view.stall_us(now) is None


def test_there_is_no_delta_across_a_reboot() -> None:
    now = cgroup(7, 5, 300)
    view = View(now=snapshot(2, now), last=snapshot(1, cgroup(7, 2, 100), "other boot"))
    assert view.elapsed_us == 0
    assert view.delta(now, "memory_events", "max") is None


def test_a_first_look_and_an_unknown_counter_have_no_delta() -> None:
    now = cgroup(7, 5, 300)
    assert View(now=snapshot(2, now)).delta(now, "memory_events", "max") is None
    view = View(now=snapshot(2, now), last=snapshot(1, now))
    assert view.delta(now, "memory_events", "no_such") is None
    assert view.delta(now, "memory_swap_events", "max") is None
    assert view.stall_us(now, kind="full") is None
