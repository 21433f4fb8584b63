from dataclasses import dataclass, field

from memqos.lab.baselines.oomd import Oomd
from memqos.model.plan import Eviction
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Pressure, PressureLine, Snapshot
from memqos.model.view import View
from memqos.units import MIB


@dataclass
class Node:
    """A node with kubepods and pods of one container each, looked at as often as asked."""

    total: int = 1000 * MIB
    available: int = 500 * MIB
    swap: int = 1000 * MIB
    swap_free: int = 500 * MIB
    full: float = 0.0
    held: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By pod: memory.current, memory.swap.current, pgscan."""

    def view(self, seconds: float) -> View:
        line = PressureLine(self.full, 0.0, 0.0, 0)
        cgroups = {"kubepods": Cgroup(path="kubepods", inode=1, memory_pressure=Pressure(line, line))}
        pods = []
        for name, (current, swap, scanned) in self.held.items():
            pod = Pod("default", name, name, (Container("main"),))
            path = f"kubepods/pod{name}"
            leaf = Cgroup(
                path=f"{path}/main",
                inode=3,
                memory_current=current,
                memory_swap_current=swap,
                memory_stat=Counters.of({"pgscan": scanned}),
                cgroup_events=Counters.of({"populated": 1}),
            )
            cgroups |= {path: Cgroup(path=path, inode=2), leaf.path: leaf}
            pods.append(PlacedPod(pod, path, {"main": leaf.path}))
        meminfo = {
            "MemTotal": self.total,
            "MemAvailable": self.available,
            "SwapTotal": self.swap,
            "SwapFree": self.swap_free,
        }
        facts = NodeFacts(meminfo=Counters.of(meminfo), vmstat=Counters.of({}))
        now = Snapshot(time_us=int(seconds * 1e6), boot_id="b", node=facts, cgroups=cgroups)
        return View(now, None, tuple(pods))


def played(
    node: Node, looks: list[float], *, scanning: str = "", law: Oomd | None = None
) -> dict[float, Eviction]:
    """Return the kills by the second of their look; pgscan of `scanning` grows between looks."""
    law = law or Oomd()
    memory, kills = law.initial(), {}
    for at in looks:
        if scanning:
            current, swap, scanned = node.held[scanning]
            node.held[scanning] = (current, swap, scanned + 100)
        memory, plan = law.decide(memory, node.view(at))
        if plan.evictions:
            (kills[at],) = plan.evictions
    return kills


def test_full_swap_kills_who_holds_most_of_it_at_the_first_look():
    node = Node(available=50 * MIB, swap_free=50 * MIB, held={"a": (1, 300 * MIB, 0), "b": (1, 600 * MIB, 0)})
    kill = played(node, [0.0])[0.0]
    assert (kill.uid, kill.container, kill.grace) == ("b", "main", 0.0)


def test_full_swap_alone_or_full_memory_alone_kills_nobody():
    held = {"a": (1, 900 * MIB, 0)}
    assert not played(Node(available=500 * MIB, swap_free=0, held=held), [0.0])
    assert not played(Node(available=0, swap_free=500 * MIB, held=held), [0.0])


def test_fifty_small_ones_are_invisible_to_it():
    held = {f"p{number}": (20 * MIB, 19 * MIB, 0) for number in range(50)}
    assert not played(Node(available=10 * MIB, swap_free=50 * MIB, held=held), [0.15 * n for n in range(400)])


def test_after_a_kill_it_waits_fifteen_seconds():
    node = Node(available=0, swap_free=0, held={"a": (1, 500 * MIB, 0)})
    assert list(played(node, [0.0, 1.0, 14.0, 15.5])) == [0.0, 15.5]


def test_pressure_has_to_last_thirty_seconds_with_reclaim_going_on():
    looks = [float(second) for second in range(40)]
    held = {"idle": (400 * MIB, 0, 0), "busy": (300 * MIB, 0, 0)}
    kills = played(Node(full=70.0, held=dict(held)), looks, scanning="busy")
    assert list(kills) == [31.0]
    assert kills[31.0].uid == "busy"
    assert not played(Node(full=70.0, held=dict(held)), looks)
    assert not played(Node(full=59.0, held=dict(held)), looks, scanning="busy")


def test_pressure_that_falls_starts_the_clock_anew():
    law, node = Oomd(), Node(full=70.0, held={"a": (1, 0, 0)})
    memory = law.initial()
    for second in range(60):
        node.full = 10.0 if second == 25 else 70.0
        node.held["a"] = (1, 0, second)
        memory, plan = law.decide(memory, node.view(second))
        assert bool(plan.evictions) == (second == 57)
        if plan.evictions:
            break
