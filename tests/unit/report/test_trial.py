from memqos.model.plan import Plan, Tick
from memqos.model.pods import PlacedPod, Pod
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.report.trial import pod_panels, sentences, tightest
from memqos.units import MIB


def look(seconds: int, **pods: tuple[int, int, int]) -> Tick:
    """A turn at which each pod holds (MiB of memory, MiB of swap) and was killed so often."""
    cgroups = {
        name: Cgroup(
            path=name,
            inode=1,
            memory_current=memory * MIB,
            memory_swap_current=swap * MIB,
            memory_max=96 * MIB,
            memory_swap_max=64 * MIB if swap else 0,
            memory_events=Counters.of({"oom_kill": kills}),
        )
        for name, (memory, swap, kills) in pods.items()
    }
    node = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({}))
    snapshot = Snapshot(time_us=seconds * 10**6, boot_id="b", node=node, cgroups=cgroups)
    return Tick(snapshot, tuple(PlacedPod(Pod("d", name, name, ()), name) for name in pods), Plan())


def test_the_pods_that_were_short_of_memory_are_drawn():
    ticks = [look(5, a=(1, 0, 0), b=(2, 0, 0), c=(3, 0, 0)), look(6, a=(9, 0, 1), b=(9, 4, 0), c=(3, 0, 0))]
    assert [panel.title for panel in pod_panels(ticks)] == ["d/a", "d/b"]


def test_when_none_was_short_any_pods_are_drawn():
    assert [panel.title for panel in pod_panels([look(0, a=(1, 0, 0)), look(1, a=(1, 0, 0))])] == ["d/a"]


def test_a_panel_starts_at_zero_seconds_and_marks_each_kill_and_the_limit():
    (panel,) = pod_panels([look(5, a=(1, 0, 0)), look(7, a=(0, 0, 2)), look(9, a=(5, 0, 2))])
    assert panel.lines[0].x == [0, 2, 4]
    assert panel.lines[0].y == [1, 0, 5]
    assert [(marker.x, marker.y) for marker in panel.markers] == [(2, None), (None, 96)]


def test_the_tightest_turn_is_the_one_with_the_most_in_swap():
    ticks = [look(0, a=(50, 0, 0)), look(1, a=(40, 20, 0)), look(2, a=(55, 0, 0))]
    assert tightest(ticks) is ticks[1]
    assert tightest([ticks[0], ticks[2]]) is ticks[2]
    assert tightest([]) is None


def test_what_became_of_a_pod_is_one_sentence():
    ticks = [look(0, a=(1, 0, 0), b=(96, 30, 0)), look(1, a=(0, 0, 1), b=(90, 5, 0))]
    assert sentences(ticks) == [
        "d/a: OOM-killed once at its limit of 96 MiB; nothing in swap, 0 B allowed",
        "d/b: never killed at its limit of 96 MiB; up to 30 MiB in swap, 64 MiB allowed",
    ]
