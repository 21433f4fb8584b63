"""Whether a workload draws so many random pages that its program loads numpy for them."""

from __future__ import annotations

from typing import Final

from memqos.workload.spec import Phase, Repeat, Requests, Touch

FEW: Final = 20_000
"""A phase that touches fewer random pages than this draws them in plain Python, at microseconds each."""

FEW_PER_REQUEST: Final = 64
"""Below this many pages a request, a Python loop is as fast as numpy's calls."""


def draws_many(phase: Phase) -> bool:
    """Whether a phase is worth loading numpy for."""
    if isinstance(phase, Repeat):
        return any(map(draws_many, phase.phases))
    if isinstance(phase, Touch):
        return phase.order.kind != "sequential" and (phase.accesses is None or phase.accesses >= FEW)
    return isinstance(phase, Requests) and phase.order.kind != "sequential" and phase.pages >= FEW_PER_REQUEST
