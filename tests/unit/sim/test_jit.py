"""What is compiled for other kernels is refused to Python, which would crash in it."""

from __future__ import annotations

import pytest

from memqos.sim.kernels import counters
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import config, entry
from memqos.sim.kernels.mem import Mem
from memqos.sim.machine import Machine
from memqos.sim.profiles import PROFILES
from memqos.sim.spec import NodeSpec
from memqos.units import MIB


@entry
def margin(m: Mem, c: int) -> int:
    return counters.margin(m, c)


@pytest.mark.skipif(config.DISABLE_JIT, reason="a kernel is a plain function without a compiler")
def test_a_kernel_below_is_refused_to_python_also_once_it_is_compiled() -> None:
    machine = Machine(PROFILES["6.1"], NodeSpec(memory=16 * MIB, swap=0))
    for _ in range(2):
        with pytest.raises(
            TypeError, match="margin is compiled for other kernels only: call it through an @entry"
        ):
            counters.margin(machine.m, 0)
        assert margin(machine.m, 0) == machine.m.cg[0, k.MAX] - machine.m.cg[0, k.USAGE]
