from dataclasses import replace
from fractions import Fraction

from msgspec import structs

from memqos.kubelet.config import KubeletConfig
from memqos.model.pods import Container, PlacedPod, Pod, Resources
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.model.view import View
from memqos.policy.kubelet import KubeletPolicy
from memqos.policy.ladder import ladder
from memqos.policy.settings import KubeletSettings, Settings
from memqos.units import GIB, UNLIMITED, Quantity

TOP, CLASS = "kubepods.slice", "kubepods.slice/kubepods-burstable.slice"
POD = f"{CLASS}/kubepods-burstable-podu.slice"
TIERED = KubeletConfig(memory_qos=True, memory_reservation_policy="TieredReservation")


def view() -> View:
    """See one Burstable pod of 1 GiB on a node of 8 GiB, as systemd names its cgroups."""
    cgroups = {
        path: Cgroup(
            path=path, inode=inode, memory_low=0, memory_min=0, memory_max=UNLIMITED, memory_current=GIB
        )
        for inode, path in enumerate((TOP, CLASS, POD, f"{POD}/c"), 10)
    }
    facts = NodeFacts(meminfo=Counters.of({"MemTotal": 8 * GIB, "SwapTotal": 0}), vmstat=Counters.of({}))
    now = Snapshot(time_us=1, boot_id="b", node=facts, cgroups={"": Cgroup(path="", inode=1), **cgroups})
    size = {"memory": Quantity(Fraction(GIB))}
    pod = Pod("ns", "p", "u", (Container("c", Resources(size, size)),))
    return View(now=now, pods=(PlacedPod(pod, POD, {"c": f"{POD}/c"}),))


def test_the_kubelets_writes_name_the_very_cgroups_that_exist() -> None:
    _, plan = KubeletPolicy(TIERED).decide(None, view())
    values = {write.target: (write.value, write.inode, write.policy) for write in plan.writes}
    assert values[(TOP, "memory.max")] == (8 * GIB, 10, "kubelet")
    assert values[(POD, "memory.low")] == (GIB, 12, "kubelet")
    assert values[(f"{POD}/c", "memory.max")] == (GIB, 13, "kubelet")


def test_there_is_no_write_to_a_cgroup_that_is_not_there() -> None:
    seen = view()
    del seen.now.cgroups[CLASS]  # type: ignore[attr-defined]
    _, plan = KubeletPolicy(TIERED).decide(None, seen)
    assert CLASS not in {write.cgroup for write in plan.writes}


def test_a_node_without_the_swap_controller_gets_no_swap_writes() -> None:
    seen = view()
    knobs = {write.knob for write in KubeletPolicy().decide(None, seen)[1].writes}
    assert "memory.swap.max" not in knobs
    able = View(now=structs.replace(seen.now, features=frozenset({"memory.swap"})), pods=seen.pods)
    assert "memory.swap.max" in {write.knob for write in KubeletPolicy().decide(None, able)[1].writes}


def test_the_ladder_leaves_the_kubelet_to_the_kubelet_unless_asked() -> None:
    assert [policy.name for policy in ladder(Settings())] == ["swap", "manager", "hierarchy"]
    asked = replace(Settings(), kubelet=KubeletSettings(write=True))
    assert [policy.name for policy in ladder(asked)] == ["kubelet", "swap", "manager", "hierarchy"]
