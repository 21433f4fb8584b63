from __future__ import annotations

import pytest

from memqos.kubelet.allocatable import NodeCapacity
from memqos.kubelet.config import KubeletConfig
from memqos.model.plan import Write
from memqos.model.pods import Container, PlacedPod, Pod, Resources
from memqos.runner.rules import KubeletRules
from memqos.runner.stage import Stage
from memqos.units import GIB, parse_quantity

CONFIG = KubeletConfig(
    memory_qos=True, memory_reservation_policy="TieredReservation", swap_behavior="LimitedSwap"
)


class Tree:
    """Cgroups that are there as soon as they are asked for."""

    def claim(self) -> None: ...

    def make(self, cgroup: str) -> None: ...

    def kill(self, cgroup: str) -> None: ...

    def remove(self, cgroup: str, seconds: float = 10.0) -> bool:
        return True

    def oom_kills(self, cgroup: str) -> int:
        return 0


def placed(name: str, request: str, cpu: str = "") -> PlacedPod:
    memory = {"memory": parse_quantity(request)} if request else {}
    limits = {**memory, "cpu": parse_quantity(cpu)} if cpu else {}
    parts = (Container("a", Resources(requests=memory, limits=limits)), Container("b"))
    pod = Pod("default", name, f"uid-{name}", parts[: 1 if cpu else 2])
    rules = KubeletRules(CONFIG, NodeCapacity(GIB))
    cgroup = rules.pod_cgroup(pod)
    return PlacedPod(pod, cgroup, {each.name: f"{cgroup}/{each.name}" for each in pod.containers})


PODS = [placed("burstable", "64Mi"), placed("guaranteed", "32Mi", cpu="1"), placed("effort", "")]
RULES = KubeletRules(CONFIG, NodeCapacity(GIB, swap=GIB))
PARTS = [*RULES.shared, *(path for each in PODS for path in (each.cgroup or "", *each.containers.values()))]


@pytest.mark.parametrize("cgroups", [{part} for part in PARTS] + [{PARTS[0], PARTS[3]}, set(PARTS), set()])
def test_of_some_cgroups_is_written_what_would_be_written_of_all(cgroups: set[str]) -> None:
    written: list[Write] = []
    stage = Stage(Tree(), RULES, written.append)
    written.clear()
    stage.configure(cgroups, PODS)
    assert written == [each for each in RULES.writes(PODS) if each.cgroup in cgroups]


def test_a_containers_values_are_worked_out_from_its_own_pod_alone() -> None:
    """The time that fifty pods take to start must not grow with the square of their number."""
    asked: list[int] = []

    class Counted(KubeletRules):
        def writes(self, pods):  # type: ignore[no-untyped-def]
            asked.append(sum(each.cgroup is not None for each in pods))
            return super().writes(pods)

    stage = Stage(Tree(), Counted(CONFIG, NodeCapacity(GIB)), lambda write: None)
    stage.make_container(PODS[0].containers["a"], PODS)
    stage.make_pod(PODS[1].cgroup or "", PODS)
    assert asked == [0, 1, 1]
