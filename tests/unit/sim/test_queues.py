import pytest

from memqos.errors import InvalidValue, KnobMissing
from memqos.model.plan import Write
from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.node import SimNode
from memqos.sim.profiles import profile
from memqos.sim.spec import Disk, NodeSpec
from memqos.units import MIB

PLAIN = "scheduler=none nr_requests=256 max_sectors_kb=1280"
SHAPED = "scheduler=mq-deadline nr_requests=256 async_depth=3 max_sectors_kb=128"


def node_of(kernel: str) -> SimNode:
    return SimNode(Machine(profile(kernel), NodeSpec(memory=64 * MIB, cpus=2, disks=(Disk("a"), Disk("b")))))


def write(node: SimNode, text: str, device: str = "254:0") -> object:
    return node.apply(Write("", "io.queue", {device: text}, ""))


@pytest.mark.parametrize(("kernel", "depth"), [("6.1", 24), ("6.12", 8), ("7.2", 6)])
def test_a_depth_counts_on_every_hardware_queue_and_up_to_6_12_in_every_word(kernel: str, depth: int) -> None:
    node = node_of(kernel)
    assert write(node, SHAPED) == {"254:0": SHAPED, "254:16": PLAIN}
    assert list(node.machine.m.dev[0, [k.D_DEPTH, k.D_MOST]]) == [depth, 32]
    assert node.observe().cgroups[""].io_queue == write(node, "")


def test_without_a_scheduler_nothing_is_bounded_but_by_the_device() -> None:
    node = node_of("6.12")
    write(node, SHAPED)
    write(node, PLAIN)
    assert list(node.machine.m.dev[0, [k.D_DEPTH, k.D_MOST]]) == [0, 254]
    assert (node.observe().cgroups[""].io_queue or {})["254:0"] == PLAIN


def test_a_scheduler_brings_its_own_depth() -> None:
    found = write(node_of("6.12"), "scheduler=mq-deadline")
    assert isinstance(found, dict)
    assert found["254:0"] == "scheduler=mq-deadline nr_requests=256 async_depth=256 max_sectors_kb=1280"


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_a_pool_of_one_word_lets_as_many_writes_go_as_its_depth_says(kernel: str) -> None:
    node = node_of(kernel)
    write(node, "scheduler=mq-deadline nr_requests=64 async_depth=3")
    assert node.machine.m.dev[0, k.D_DEPTH] == 6


def test_a_smaller_pool_brings_its_own_depth_and_another_scheduler_the_first_pool() -> None:
    node = node_of("6.12")
    write(node, SHAPED)
    found = write(node, "nr_requests=64")
    assert isinstance(found, dict)
    assert found["254:0"] == "scheduler=mq-deadline nr_requests=64 async_depth=64 max_sectors_kb=128"
    found = write(node, "scheduler=none")
    assert isinstance(found, dict)
    assert found["254:0"] == "scheduler=none nr_requests=256 max_sectors_kb=128"


def test_what_is_no_queue_and_what_is_not_there_is_refused() -> None:
    node = node_of("6.12")
    with pytest.raises(InvalidValue, match="no scheduler bfq"):
        write(node, "scheduler=bfq")
    with pytest.raises(KnobMissing, match="no disk 8:0"):
        write(node, SHAPED, "8:0")
