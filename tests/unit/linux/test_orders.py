"""The worker processes that carry out orders, on plain files."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memqos.linux.orders import MOST, Orders
from memqos.model.plan import Outcome, Reclaim, Write
from memqos.units import GIB, MIB


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.reclaim").touch()
    return tmp_path


@pytest.fixture
def orders(root: Path) -> Iterator[Orders]:
    orders = Orders(str(root), kernel=False)
    yield orders
    orders.close()


def order(cgroup: str, size: int = MIB, swappiness: int | None = None) -> Write:
    return Write(cgroup, "memory.reclaim", Reclaim(size, swappiness), "why")


def outcome_of(orders: Orders) -> Outcome:
    deadline = time.monotonic() + 60
    while not (found := orders.ended()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    (outcome,) = found
    return outcome


def workers() -> list[int]:
    """The children of this process."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_what_was_taken_is_told_piece_by_piece(orders: Orders, root: Path) -> None:
    orders.begin(order("a", 9 * MIB, 60))
    assert outcome_of(orders).after == Reclaim(9 * MIB, 60)
    assert (root / "a/memory.reclaim").read_text().split("\n")[:3] == [
        f"{size} swappiness=60" for size in (4 * MIB, 4 * MIB, MIB)
    ]


def test_a_fifo_that_nobody_reads_blocks_the_worker_and_not_the_caller(orders: Orders, root: Path) -> None:
    (root / "a/memory.reclaim").unlink()
    os.mkfifo(root / "a/memory.reclaim")
    reader = os.open(root / "a/memory.reclaim", os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.set_blocking(reader, True)
        start = time.monotonic()
        orders.begin(order("a", 1 << 50))
        orders.begin(order("b"))
        assert time.monotonic() - start < 30
        assert outcome_of(orders).write.cgroup == "b"
        orders.cancel("a")
        assert orders.underway() == {"a"}
    finally:
        os.close(reader)
    assert outcome_of(orders).status in ("stopped", "failed")  # failed: the pipe broke first


def test_orders_beyond_the_workers_wait_their_turn_and_may_be_cancelled_there(root: Path) -> None:
    orders = Orders(str(root), kernel=False, most=1)
    for name in ("a", "b", "c"):
        orders.begin(order(name))
    assert orders.underway() == {"a", "b", "c"}
    orders.cancel("b")
    found = {one.write.cgroup: one.status for one in (outcome_of(orders) for _ in range(3))}
    assert found == {"a": "written", "b": "stopped", "c": "written"}
    orders.close()


def test_a_killed_worker_is_one_failed_order_and_another_is_started(orders: Orders, root: Path) -> None:
    (root / "a/memory.reclaim").unlink()
    os.mkfifo(root / "a/memory.reclaim")
    reader = os.open(root / "a/memory.reclaim", os.O_RDONLY | os.O_NONBLOCK)
    before = workers()
    orders.begin(order("a", 1 << 50))
    (worker,) = set(workers()) - set(before)
    os.kill(worker, signal.SIGKILL)
    found = outcome_of(orders)
    assert (found.status, found.error) == ("failed", "the process that carried it out was killed")
    os.close(reader)
    orders.begin(order("b"))
    assert outcome_of(orders).status == "written"


def test_a_closed_node_leaves_no_process(root: Path) -> None:
    before = workers()
    orders = Orders(str(root), kernel=False)
    orders.begin(order("a", GIB))
    orders.close()
    assert workers() == before
    assert not orders.underway()


def test_a_worker_keeps_no_descriptor_of_the_agents(orders: Orders, root: Path) -> None:
    held = os.open(root, os.O_RDONLY)
    os.set_inheritable(held, True)
    before = workers()
    orders.begin(order("a"))
    (worker,) = set(workers()) - set(before)
    outcome_of(orders)
    targets = {str(entry.readlink()) for entry in Path(f"/proc/{worker}/fd").iterdir()}
    os.close(held)
    assert all(target == "/dev/null" or target.startswith("socket:") for target in targets)


def test_a_worker_dies_with_its_agent(root: Path) -> None:
    read, write = os.pipe()
    agent = os.fork()
    if agent == 0:
        try:
            before = workers()
            orders = Orders(str(root), kernel=False)
            orders.begin(order("a"))
            (worker,) = set(workers()) - set(before)
            outcome_of(orders)
            os.write(write, str(worker).encode())
            signal.pause()
        finally:
            os._exit(1)
    os.close(write)
    worker = int(os.read(read, 32))
    os.close(read)
    os.kill(agent, signal.SIGKILL)
    os.waitpid(agent, 0)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{worker}/stat").exists():
        if " Z " in Path(f"/proc/{worker}/stat").read_text():
            break  # dead; whose child it is now has not asked yet
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_are_there_before_the_first_order_and_are_the_ones_that_carry_it_out(orders: Orders) -> None:
    before = set(workers())
    orders.ready()
    ahead = set(workers()) - before
    assert len(ahead) == MOST
    orders.begin(order("a"))
    assert outcome_of(orders).status == "written"
    assert set(workers()) - before == ahead


def test_a_worker_that_died_while_it_was_idle_is_one_failed_order_and_another_is_started(
    orders: Orders,
) -> None:
    before = set(workers())
    orders.begin(order("a"))
    outcome_of(orders)
    (worker,) = set(workers()) - before
    os.kill(worker, signal.SIGKILL)
    while not is_zombie(worker):
        time.sleep(0.005)
    orders.begin(order("b"))
    assert outcome_of(orders).status == "failed"
    orders.begin(order("b"))
    assert outcome_of(orders).status == "written"


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
