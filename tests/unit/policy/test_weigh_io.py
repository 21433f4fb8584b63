from dataclasses import replace
from typing import Any

import pytest

from memqos.model.plan import Plan
from memqos.model.snapshot import IoStat
from memqos.policy.io_settings import DiskSettings
from memqos.policy.weigh_io import WeighIo, model, qos
from memqos.units import MIB

Scene = Any

DISK = DiskSettings(name="8:0", bytes_per_second=40 * MIB, requests_per_second=400, headroom_percent=0.0)


@pytest.fixture
def node(scene: Scene) -> Scene:
    """Return a node with one disk, on which nobody set anything, and three pods."""
    scene.serve("8:0", 0.0)
    for name, priority in (("batch", 0), ("shop", 1000), ("shelf", 1000)):
        scene.pod(name, priority=priority, io_weight=100)
    scene.cgroups[""].update(io_cost_qos={}, io_cost_model={}, io_stat={"8:0": IoStat()})
    return scene


def decide(scene: Scene, *disks: DiskSettings) -> Plan:
    _, plan = WeighIo(disks).decide(None, scene.situation())
    scene.obey(plan)
    return plan


def weights(plan: Plan) -> dict[str, object]:
    return {write.cgroup: write.value for write in plan.writes if write.knob == "io.weight"}


def costs(plan: Plan) -> dict[str, object]:
    return {write.knob: write.value for write in plan.writes if write.cgroup == ""}


def test_a_named_disk_is_shared_and_who_matters_most_weighs_the_kernels_most(node: Scene) -> None:
    plan = decide(node, DISK)
    assert costs(plan) == {"io.cost.model": {"8:0": model(DISK)}, "io.cost.qos": {"8:0": qos(DISK)}}
    assert weights(plan) == {"kubepods/batch": 100, "kubepods/shop": 10_000, "kubepods/shelf": 10_000}
    assert plan.writes[0].why == ("its time is shared by weight: 8:0 does 40 MiB or 400 requests a second")


def test_the_words_are_the_kernels_own() -> None:
    assert model(DISK) == (
        "ctrl=user model=linear rbps=41943040 rseqiops=400 rrandiops=400 "
        "wbps=41943040 wseqiops=400 wrandiops=400"
    )
    assert qos(DISK) == (
        "enable=1 ctrl=user rpct=95.00 rlat=10000 wpct=95.00 wlat=50000 min=10.00 max=100.00"
    )


def test_a_disk_of_which_a_part_is_kept_free_is_not_shared_by_weight(node: Scene) -> None:
    kept = replace(DISK, headroom_percent=25.0)
    assert decide(node, kept) == Plan()
    node.features -= {"io.max"}
    assert decide(node, kept) == decide(node, DISK) != Plan()


def test_it_goes_on_at_the_next_look_and_after_a_restart(node: Scene) -> None:
    assert decide(node, DISK) == decide(node, DISK)


def test_a_qos_class_weighs_as_the_heaviest_of_its_pods(node: Scene) -> None:
    node.pod("web", priority=1000, request=MIB, io_weight=100)
    node.cgroups["kubepods"]["io_weight"] = 100
    assert weights(decide(node, DISK))["kubepods"] == 10_000


def test_priorities_between_weigh_in_equal_ratios_whatever_their_numbers(node: Scene) -> None:
    for priority in (1001, 5000, 2_000_000_000):
        node.pod(f"p{priority}", priority=priority, io_weight=100)
    found = weights(decide(node, DISK))
    assert list(found.values()) == [100, 316, 316, 1000, 3162, 10_000]


def test_where_all_matter_alike_all_weigh_alike(node: Scene) -> None:
    node.gone("shop")
    node.gone("shelf")
    assert weights(decide(node, DISK)) == {"kubepods/batch": 100}


@pytest.mark.parametrize("disks", [(), (DiskSettings(name="nvme*"),)])
def test_nothing_is_written_where_no_disk_is_named(node: Scene, disks: tuple[DiskSettings, ...]) -> None:
    assert decide(node, *disks) == Plan()


def test_nothing_is_written_on_a_kernel_without_io_cost(node: Scene) -> None:
    node.cgroups[""].update(io_cost_qos=None, io_cost_model=None)
    assert decide(node, DISK) == Plan()


def test_what_somebody_else_set_for_a_disk_stays_and_its_pods_are_weighed(node: Scene) -> None:
    node.cgroups[""]["io_cost_qos"] = {"8:0": "enable=1 ctrl=user rlat=5000"}
    plan = decide(node, DISK)
    assert costs(plan) == {}
    assert weights(plan)["kubepods/shop"] == 10_000


def test_other_disks_keep_what_they_have(node: Scene) -> None:
    node.cgroups[""].update(io_cost_qos={"8:16": "enable=1 ctrl=user rlat=5000"})
    assert costs(decide(node, DISK))["io.cost.qos"] == {
        "8:16": "enable=1 ctrl=user rlat=5000",
        "8:0": qos(DISK),
    }
