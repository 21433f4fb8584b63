from hypothesis import given
from hypothesis import strategies as st

from memqos.kubelet.allocatable import NodeCapacity, enforced_memory, schedulable_memory
from memqos.kubelet.config import KubeletConfig
from memqos.units import GIB, MIB, parse_quantity


def config(kube="0", system="0", **fields):
    return KubeletConfig(
        kube_reserved={"memory": parse_quantity(kube)},
        system_reserved={"memory": parse_quantity(system)},
        **fields,
    )


def test_enforcement_leaves_the_eviction_threshold_to_pods_and_scheduling_does_not():
    settings = config("100Mi", "50Mi")
    assert enforced_memory(NodeCapacity(GIB), settings) == GIB - 150 * MIB
    assert schedulable_memory(NodeCapacity(GIB), settings) == GIB - 250 * MIB


def test_a_percentage_threshold_is_of_the_capacity():
    settings = config(eviction_hard={"memory.available": "50%"})
    assert schedulable_memory(NodeCapacity(GIB), settings) == GIB // 2


def test_a_soft_threshold_is_not_set_aside():
    soft = config(
        eviction_hard={},
        eviction_soft={"memory.available": "1Gi"},
        eviction_soft_grace_period={"memory.available": "1m"},
    )
    assert schedulable_memory(NodeCapacity(GIB), soft) == GIB


@given(memory=st.integers(0, 2**40), kube=st.integers(0, 2**41), system=st.integers(0, 2**41))
def test_reserving_more_than_there_is_leaves_nothing(memory, kube, system):
    left = enforced_memory(NodeCapacity(memory), config(str(kube), str(system)))
    assert left == max(0, memory - kube - system)
    assert 0 <= schedulable_memory(NodeCapacity(memory), config(str(kube), str(system))) <= left
