from memqos.model.plan import Plan
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.model.view import View
from memqos.policy.compose import foresee
from memqos.policy.hierarchy import HierarchyPolicy
from memqos.policy.protection import effective_protection
from memqos.policy.settings import HierarchySettings
from memqos.policy.theirs import Theirs
from memqos.units import GIB, MIB, UNLIMITED

POD = "kubepods/burstable/pod1"


def cgroup(path: str, current: int, low: int, minimum: int = 0, maximum: int = UNLIMITED) -> Cgroup:
    return Cgroup(
        path=path,
        inode=sum(path.encode()),
        memory_current=current,
        memory_low=low,
        memory_min=minimum,
        memory_max=maximum,
    )


def view(*cgroups: Cgroup, total: int = 8 * GIB) -> View:
    """See a Burstable pod with 1 GiB of memory.low that its QoS cgroup has too and kubepods has not."""
    usual = (
        Cgroup(path="", inode=1),
        cgroup("kubepods", 2 * GIB, 0, maximum=7 * GIB),
        cgroup("kubepods/burstable", 2 * GIB, GIB),
        cgroup(POD, 2 * GIB, GIB),
    )
    tree = {one.path: one for one in (*usual, *cgroups)}
    facts = NodeFacts(meminfo=Counters.of({"MemTotal": total}), vmstat=Counters.of({}))
    now = Snapshot(
        time_us=1, boot_id="b", node=facts, cgroups=tree, features=frozenset({"memory_recursiveprot"})
    )
    pods = tuple(PlacedPod(Pod("ns", path, path, (Container("c"),)), path) for path in tree if "/pod" in path)
    return View(now=now, pods=pods)


def decide(view: View, *, repair: bool = True, memory: Theirs | None = None) -> Plan:
    return HierarchyPolicy(HierarchySettings(repair=repair)).decide(memory or Theirs(), view)[1]


def lows(plan: Plan) -> dict[str, object]:
    assert all(write.knob == "memory.low" for write in plan.writes)
    return {write.cgroup: write.value for write in plan.writes}


def test_kubepods_gets_the_low_that_its_children_are_promised() -> None:
    plan = decide(view())
    assert lows(plan) == {"kubepods": GIB}
    assert plan.advice == ()
    (write,) = plan.writes
    assert write.why == (
        "its children are promised 1 GiB of memory.low; with its own at 0 B, 0 B of that would hold "
        "when the node reclaims; the node can give 7 GiB"
    )


def test_the_repair_makes_the_pods_protection_hold() -> None:
    seen = view()
    before = effective_protection(seen.now.cgroups, recursiveprot=True)
    after = effective_protection(foresee(seen, decide(seen)).now.cgroups, recursiveprot=True)
    assert (before[POD].low, after[POD].low) == (0, GIB)


def test_the_repair_is_asked_for_again_while_it_holds_and_shrinks_with_the_need() -> None:
    policy = HierarchyPolicy()
    memory, plan = policy.decide(policy.initial(), view())
    repaired = cgroup("kubepods", 2 * GIB, GIB, maximum=7 * GIB)
    memory, plan = policy.decide(memory, view(repaired))
    assert lows(plan) == {"kubepods": GIB}
    less = (repaired, cgroup("kubepods/burstable", GIB, MIB), cgroup(POD, GIB, MIB))
    _, plan = policy.decide(memory, view(*less))
    assert lows(plan) == {"kubepods": MIB}


def test_what_somebody_else_gave_is_enough_and_never_lowered() -> None:
    assert lows(decide(view(cgroup("kubepods", GIB, 5 * GIB)))) == {}


def test_no_need_no_write() -> None:
    assert lows(decide(view(cgroup("kubepods/burstable", GIB, 0), cgroup(POD, GIB, 0)))) == {}


def test_a_gap_in_the_middle_is_repaired_too() -> None:
    assert lows(decide(view(cgroup("kubepods/burstable", GIB, 0)))) == {
        "kubepods": GIB,
        "kubepods/burstable": GIB,
    }


def test_the_node_never_gives_more_than_it_has() -> None:
    wide = cgroup("kubepods", GIB, 0, maximum=7 * GIB)
    others = cgroup("system", GIB, 0, minimum=GIB)
    greedy = (cgroup("kubepods/burstable", GIB, 6 * GIB), cgroup(POD, GIB, 6 * GIB))
    hard = cgroup("kubepods/pod2", GIB, 0, minimum=2 * GIB)
    plan = decide(view(wide, others, *greedy, hard))
    assert lows(plan) == {"kubepods": 5 * GIB}
    problems = [advice.problem for advice in plan.advice]
    assert "its children are promised 6 GiB of memory.low and the node can give 5 GiB" in problems[1]


def test_void_hard_protection_is_told_and_left() -> None:
    plan = decide(view(cgroup("kubepods/pod2", GIB, 0, minimum=GIB)))
    assert [(advice.subject, "memory.min" in advice.problem) for advice in plan.advice] == [
        ("kubepods", True)
    ]
    assert lows(plan) == {"kubepods": GIB}


def test_without_repair_the_void_is_told_and_nothing_written() -> None:
    plan = decide(view(), repair=False)
    assert plan.writes == ()
    assert plan.advice[0].subject == "kubepods"
    assert "memory.low to 1 GiB" in plan.advice[0].remedy


def test_a_cgroup_reborn_starts_anew() -> None:
    policy = HierarchyPolicy()
    memory, _ = policy.decide(policy.initial(), view())
    reborn = Cgroup(path="kubepods", inode=99, memory_current=GIB, memory_low=GIB, memory_max=UNLIMITED)
    assert memory.of(reborn, "memory.low") == GIB


def test_a_node_without_pods_is_left_alone() -> None:
    seen = View(now=view().now)
    assert decide(seen) == Plan()
