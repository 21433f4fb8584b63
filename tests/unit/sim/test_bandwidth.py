"""cpu.max of simulated cgroups: how long programs take under a quota of processor time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from memqos.errors import InvalidValue
from memqos.model.plan import Bandwidth, Write
from memqos.sim.kernels import layout as k
from memqos.sim.machine import SECOND
from memqos.sim.node import SimNode
from memqos.units import MIB, UNLIMITED

PASSES = 20
Took = Callable[..., list[float]]


@pytest.fixture
def took(bench: Any) -> Took:
    """Seconds that programs take, one in each of some cgroups, touching the same 4 MiB again and again."""

    def seconds(paths: list[str], limits: Mapping[str, Bandwidth], cpus: int = 2) -> list[float]:
        b = bench("6.12", cpus=cpus)
        for path in ("p", *paths):
            b.group(path)
        node = SimNode(b.machine)
        for path, limit in limits.items():
            node.apply(Write(path, "cpu.max", limit, "a test"))
        tasks = [b.machine.task(path) for path in paths]
        for task in tasks:
            region = b.machine.region(task, 4 * MIB)
            touch = {k.P_OP: k.OP_TOUCH, k.P_OBJ: region, k.P_COUNT: 1024, k.P_CHUNK: 64, k.P_NS: 20_000}
            b.machine.program(task, [touch] * PASSES)
        for task in tasks:
            b.settle(task)
        rows = b.machine.m.task
        return [(rows[each, k.T_ENDED] - rows[each, k.T_STARTED]) / SECOND for each in tasks]

    return seconds


def test_half_a_processor_takes_twice_the_time(took: Took) -> None:
    (free,) = took(["p/a"], {})
    (held,) = took(["p/a"], {"p/a": Bandwidth(50_000)})
    assert held == pytest.approx(2 * free, abs=0.1)


def test_a_shorter_period_is_the_same_share_in_smaller_pieces(took: Took) -> None:
    (free,) = took(["p/a"], {})
    (held,) = took(["p/a"], {"p/a": Bandwidth(2500, 10_000)})
    assert held == pytest.approx(4 * free, abs=0.02)


def test_what_a_parent_may_use_its_children_share(took: Took) -> None:
    free = max(took(["p/a", "p/b"], {}))
    first, second = took(["p/a", "p/b"], {"p": Bandwidth(100_000)})
    assert max(first, second) == pytest.approx(2 * free, abs=0.15)
    assert first == pytest.approx(second, abs=0.15)


@pytest.mark.parametrize("quota", [200_000, UNLIMITED])
def test_a_limit_that_is_not_reached_changes_nothing(took: Took, quota: int) -> None:
    assert took(["p/a"], {"p/a": Bandwidth(quota)}) == took(["p/a"], {})


def test_who_is_held_leaves_the_processor_to_others(took: Took) -> None:
    alone, _ = took(["p/a"], {}, 1) * 2
    held, free = took(["p/a", "p/b"], {"p/a": Bandwidth(10_000)}, 1)
    assert free == pytest.approx(alone / 0.9, abs=0.1)
    assert held > 4 * free


@pytest.mark.parametrize("limit", [Bandwidth(999), Bandwidth(50_000, 999), Bandwidth(50_000, 1_000_001), 5])
def test_what_the_kernel_would_refuse_is_refused(bench: Any, limit: Any) -> None:
    b = bench("6.12")
    b.group("p")
    with pytest.raises(InvalidValue):
        SimNode(b.machine).apply(Write("p", "cpu.max", limit, "a test"))
