from dataclasses import replace
from typing import Any

import pytest

from memqos.model.plan import Plan
from memqos.model.snapshot import IoStat
from memqos.policy.io_settings import DiskSettings
from memqos.policy.shape_queue import ShapeQueue, shaped
from memqos.units import KIB, MIB

Scene = Any

DISK = DiskSettings(name="8:0", bytes_per_second=40 * MIB, requests_per_second=400)
PLAIN = "scheduler=none nr_requests=256 max_sectors_kb=1280"
SHAPED = "scheduler=mq-deadline nr_requests=64 async_depth=1 max_sectors_kb=128"


@pytest.fixture
def node(scene: Scene) -> Scene:
    """Return a node with one disk, whose queue nobody touched, and a pod."""
    scene.serve("8:0", 0.0)
    scene.pod("shop", priority=1000)
    scene.cgroups[""].update(io_queue={"8:0": PLAIN, "8:16": PLAIN}, io_stat={"8:0": IoStat()})
    return scene


def decide(scene: Scene, *disks: DiskSettings) -> Plan:
    _, plan = ShapeQueue(disks).decide(None, scene.situation())
    scene.obey(plan)
    return plan


def test_a_named_disk_holds_no_more_writes_than_a_read_may_wait_for(node: Scene) -> None:
    (write,) = decide(node, DISK).writes
    assert (write.cgroup, write.knob, write.value) == ("", "io.queue", {"8:0": SHAPED})
    assert write.why == "no read of 8:0 shall wait for more writes than it serves in 2.5 ms"


def test_it_goes_on_at_the_next_look_and_after_a_restart(node: Scene) -> None:
    assert decide(node, DISK) == decide(node, DISK)


@pytest.mark.parametrize(
    ("size", "requests", "milliseconds", "depth", "largest"),
    [
        (200, 2000, 10.0, 1, 128),
        (200, 2000, 100.0, 10, 128),
        (160, 200, 10.0, 1, 1024),
        (3000, 500_000, 4.0, 6, 128),
    ],
)
def test_depth_and_size_follow_from_the_disks_figures(
    size: int, requests: int, milliseconds: float, depth: int, largest: int
) -> None:
    disk = DiskSettings("vda", size * MIB, requests, milliseconds)
    assert shaped(disk, {"scheduler": "none"}) == (
        f"scheduler=mq-deadline async_depth={depth} max_sectors_kb={largest}"
    )


@pytest.mark.parametrize(
    ("requests", "pool", "shaped_pool"),
    [(400, 256, 64), (400, 1023, 64), (400, 32, 32), (400, 64, 64), (40_000, 1023, 1023)],
)
def test_the_pool_of_a_disk_of_few_writes_has_one_word_at_most(
    requests: int, pool: int, shaped_pool: int
) -> None:
    disk = DiskSettings("vda", requests * 128 * KIB, requests)
    assert f" nr_requests={shaped_pool} " in shaped(disk, {"scheduler": "none", "nr_requests": str(pool)})


def test_what_is_stricter_already_stays(node: Scene) -> None:
    slow = DiskSettings(name="8:0", read_milliseconds=1000.0)
    node.cgroups[""]["io_queue"] = {"8:0": "scheduler=mq-deadline async_depth=2 max_sectors_kb=64"}
    assert decide(node, slow).writes[0].value == node.cgroups[""]["io_queue"]


@pytest.mark.parametrize("scheduler", ["bfq", "kyber"])
def test_a_scheduler_that_somebody_chose_stays(node: Scene, scheduler: str) -> None:
    node.cgroups[""]["io_queue"] = {"8:0": f"scheduler={scheduler} max_sectors_kb=1280"}
    assert decide(node, DISK) == Plan()


def test_nothing_is_written_where_no_disk_is_named_or_the_admin_wants_none_of_it(node: Scene) -> None:
    assert decide(node) == Plan()
    assert decide(node, DiskSettings(name="nvme*")).writes == ()
    assert decide(node, DiskSettings(name="8:*", shape_queue=False)) == Plan()


def test_a_name_that_fits_no_disk_is_told_with_the_names_there_are(node: Scene) -> None:
    plan = decide(node, DISK, replace(DISK, name="8:01"), replace(DISK, name="nvme*"))
    assert [each.problem.split(",")[0] for each in plan.advice] == [
        "io.disks names 8:01",
        "io.disks names nvme*",
    ]
    assert plan.advice[0].remedy == "name one of 8:0, or a shell pattern for several"
    assert [write.knob for write in plan.writes] == ["io.queue"]
    node.cgroups[""].update(io_queue={})
    assert len(decide(node, replace(DISK, name="sda1")).advice) == 1


def test_a_node_that_shows_no_disks_tells_nothing_about_names(scene: Scene) -> None:
    scene.pod("shop")
    assert decide(scene, DISK).advice == ()


def test_nothing_is_written_on_a_node_that_shows_no_queues(node: Scene) -> None:
    node.cgroups[""]["io_queue"] = None
    assert decide(node, DISK) == Plan()
