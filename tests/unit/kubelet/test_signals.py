import pytest
from msgspec import structs

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.signals import observe, working_set
from memqos.kubelet.thresholds import SignalObservation
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.units import UNLIMITED


def snapshot(*cgroups, total=1000):
    node = NodeFacts(meminfo=Counters.of({"MemTotal": total}), vmstat=Counters.of({}))
    return Snapshot(time_us=7, boot_id="b", node=node, cgroups={each.path: each for each in cgroups})


def cgroup(path, current=None, limit=None, **stat):
    return Cgroup(path=path, inode=1, memory_current=current, memory_max=limit, memory_stat=Counters.of(stat))


ROOT = cgroup("", anon=100, file=300, inactive_file=250, slab=500)


def signals(*cgroups):
    return observe(snapshot(*cgroups), [], KubeletConfig()).signals


def test_the_node_counts_anon_and_active_file_but_no_slab():
    assert signals(ROOT) == {"memory.available": SignalObservation(850, 1000, 7)}


def test_kubepods_is_measured_against_its_own_limit_slab_included():
    kubepods = cgroup("kubepods.slice", 600, 800, inactive_file=100)
    assert signals(kubepods)["allocatableMemory.available"] == SignalObservation(300, 800, 7)


def test_without_a_limit_kubepods_gives_no_signal():
    assert signals(cgroup("kubepods.slice", 600, UNLIMITED)) == {}


def test_more_used_than_allowed_is_less_than_nothing_available():
    assert signals(cgroup("kubepods.slice", 900, 800))["allocatableMemory.available"].available == -100


def test_without_memory_stat_a_cgroup_has_no_working_set():
    assert signals(Cgroup(path="kubepods.slice", inode=1, memory_current=600, memory_max=800)) == {}
    assert signals(Cgroup(path="kubepods.slice", inode=1, memory_max=800, memory_stat=Counters.of({}))) == {}


def test_a_working_set_is_never_negative():
    assert working_set(10, 30) == 0


def test_pods_are_measured_by_their_cgroup_and_ended_ones_not_at_all(pod):
    running, gone, ended = pod(name="run"), pod(name="gone"), pod(name="end", phase="Failed")
    place = {"c": "p/c"}
    seen = observe(
        snapshot(cgroup("p", 50, inactive_file=20), cgroup("p/c", 40)),
        [PlacedPod(running, "p", place), PlacedPod(gone, None), PlacedPod(ended, "p", place)],
        KubeletConfig(),
    )
    assert seen.pods == (running, gone)
    assert seen.working_set == {"run": 30}


@pytest.mark.parametrize("populated", [None, 0])
def test_a_pod_without_a_running_container_has_no_stats(pod, populated):
    """As the recorded pod `oomer`, killed and waiting to be restarted: it was evicted first."""
    waiting, cgroups = pod(name="oomer"), [cgroup("p", 50)]
    if populated is not None:
        events = Counters.of({"populated": populated, "frozen": 0})
        cgroups.append(structs.replace(cgroup("p/c", 0), cgroup_events=events))
    seen = observe(snapshot(*cgroups), [PlacedPod(waiting, "p", {"c": "p/c"})], KubeletConfig())
    assert (seen.pods, seen.working_set) == ((waiting,), {})
