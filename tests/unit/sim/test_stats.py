"""How long the two lists of a cgroup are for who reclaims: since 6.8 as long as at the last flush."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from memqos.sim.kernels import control, psi
from memqos.sim.kernels import layout as k
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES, Profile
from memqos.sim.spec import NodeSpec
from memqos.units import MIB

HOT, STREAM, LIMIT = 2048, 8000, 3072
TWO_LISTS = PROFILES["6.12"].classic()


def beside_a_stream(profile: Profile, lag: int, *, flushed_in_between: bool = False) -> tuple[int, int]:
    """The pages of a hot file that a stream deactivates, and those that are active after it."""
    machine = Machine(profile, NodeSpec(memory=64 * MIB, read_ahead=0))
    machine.m.g[k.RSTAT_LAG] = lag
    c = machine.mkdir("a")
    machine.set_limit("a", k.MAX, LIMIT * 4096)
    hot, stream = machine.file(HOT * 4096), machine.file(STREAM * 4096)
    for _ in range(2):
        machine.traces([("a", hot, np.arange(HOT))], 64)
    machine.order(control.LOOK, psi.AVGS)
    for first in range(0, STREAM, 100):
        machine.traces([("a", stream, np.arange(first, first + 100))], 64)
        if flushed_in_between:
            machine.order(control.LOOK, psi.AVGS)
    cg: Any = machine.m.cg
    return int(cg[c, k.PGDEACTIVATE]), int(machine.m.ls[c * k.LISTS + k.ACTIVE_FILE, k.SIZE])


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_a_stream_deactivates_nearly_all_before_statistics_are_flushed(kernel: str) -> None:
    moved, active = beside_a_stream(PROFILES[kernel].classic(), 128)
    assert moved > 0.85 * HOT
    assert active == HOT - moved


@pytest.mark.parametrize(("profile", "lag"), [(PROFILES["6.1"], 128), (TWO_LISTS, 0)])
def test_lengths_that_are_not_late_keep_half_of_what_fits(profile: Profile, lag: int) -> None:
    _, active = beside_a_stream(profile, lag)
    assert active == pytest.approx(LIMIT / 2, rel=0.05)


def test_a_flush_in_between_ends_it_in_time() -> None:
    _, active = beside_a_stream(TWO_LISTS, 128, flushed_in_between=True)
    assert active == pytest.approx(LIMIT / 2, rel=0.1)


def test_a_flush_counts_a_cgroup_with_all_below_it() -> None:
    machine = Machine(TWO_LISTS, NodeSpec(memory=64 * MIB, read_ahead=0))
    rows = [machine.mkdir(path) for path in ("p", "p/a", "p/b")]
    m: Any = machine.m
    for number, c in enumerate(rows):
        m.ls[c * k.LISTS + k.INACTIVE_FILE, k.SIZE] = 10**number
        m.cg[c, k.ACTIVATE_FILE] = 2 * 10**number
    assert m.cg[rows[0], k.SUM0 + k.INACTIVE_FILE] == 0
    machine.order(control.LOOK, psi.AVGS)
    assert [int(m.cg[c, k.SUM0 + k.INACTIVE_FILE]) for c in (0, *rows)] == [111, 111, 10, 100]
    assert [int(m.cg[c, k.SEEN_ACTIVATE_FILE]) for c in (0, *rows)] == [222, 222, 20, 200]
