import math

import pytest

from memqos.model.snapshot import Cgroup
from memqos.policy.brake import Brake, braked
from memqos.units import MIB, UNLIMITED


def pod(swap: int, high: int | None = UNLIMITED, most: int = UNLIMITED) -> Cgroup:
    return Cgroup(path="pod", inode=1, memory_swap_current=swap, memory_swap_high=high, memory_swap_max=most)


def sleep_seconds(swap: int, high: int) -> float:
    """How long 64 pages cost a task (mm/memcontrol.c, `calculate_high_delay`)."""
    return 64 * max(0.0, (swap - high) / high) ** 2


@pytest.mark.parametrize("rate", [1 * MIB, 4 * MIB, 16 * MIB])
def test_half_a_second_on_at_its_rate_a_pod_is_slowed_to_that_rate(rate: int) -> None:
    brake = braked(None, pod(100 * MIB), rate, 0)
    assert brake is not None
    cost = sleep_seconds(100 * MIB + rate // 2, brake.high)
    assert math.isclose(64 * 4096 / cost, rate, rel_tol=0.01)


def test_a_pod_whose_swap_does_not_grow_is_not_slowed() -> None:
    first = braked(None, pod(500 * MIB), MIB, 0)
    assert first is not None
    assert first.high < 500 * MIB
    second = braked(first, pod(500 * MIB, first.high), MIB, 1_000_000)
    assert second is not None
    assert second.high == 500 * MIB


def test_it_moves_along_once_a_second_and_never_above_what_somebody_else_set() -> None:
    first = braked(None, pod(10 * MIB, 12 * MIB), 4 * MIB, 0)
    assert first is not None
    assert first.theirs == 12 * MIB
    assert braked(first, pod(20 * MIB, first.high), 4 * MIB, 999_999) is first
    later = braked(first, pod(20 * MIB, first.high), 4 * MIB, 1_000_000)
    assert later == Brake(12 * MIB, 4 * MIB, 20 * MIB, 1_000_000, 12 * MIB)


def test_who_may_not_swap_or_need_not_be_slowed_has_no_brake() -> None:
    assert braked(None, pod(0, most=0), MIB, 0) is None
    assert braked(None, pod(0, high=None), MIB, 0) is None
    assert braked(Brake(MIB, MIB, 0, 0, UNLIMITED), pod(0), UNLIMITED, 5) is None
