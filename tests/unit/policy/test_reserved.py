from typing import Any

from memqos.kubelet.config import KubeletConfig
from memqos.policy.ladder import ladder
from memqos.policy.reserved import ReservedPolicy
from memqos.policy.settings import KubeletSettings, Settings
from memqos.units import MIB, UNLIMITED, parse_quantity

Scene = Any
CONFIG = KubeletConfig(
    enforce_node_allocatable=("pods", "system-reserved", "kube-reserved"),
    system_reserved={"cpu": parse_quantity("500m"), "memory": parse_quantity("256Mi")},
    system_reserved_cgroup="/system.slice",
    kube_reserved={"cpu": parse_quantity("1")},
    kube_reserved_cgroup="/kube.slice",
)


def test_the_daemons_that_are_there_get_what_is_reserved_for_them(scene: Scene) -> None:
    scene.cgroups["system.slice"] = {"inode": 7, "memory_max": UNLIMITED, "memory_min": 0, "cpu_weight": 100}
    policy = ReservedPolicy(CONFIG)
    _, plan = policy.decide(policy.initial(), scene.look())
    assert {(write.cgroup, write.knob): (write.value, write.inode) for write in plan.writes} == {
        ("system.slice", "memory.max"): (256 * MIB, 7),
        ("system.slice", "cpu.weight"): (20, 7),
    }


def test_a_knob_that_is_not_there_is_not_asked_for(scene: Scene) -> None:
    scene.cgroups["system.slice"] = {"inode": 7, "memory_max": UNLIMITED}  # no processor controller
    _, plan = ReservedPolicy(CONFIG).decide(None, scene.look())
    assert [write.knob for write in plan.writes] == ["memory.max"]


def test_beside_a_kubelet_the_daemons_are_the_kubelets_business() -> None:
    settings = Settings(kubelet=KubeletSettings(config=CONFIG))
    assert not any(isinstance(each, ReservedPolicy) for each in ladder(settings))
    assert any(isinstance(each, ReservedPolicy) for each in ladder(settings, alone=True))
