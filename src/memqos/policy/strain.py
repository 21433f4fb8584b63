"""How much longer the requests of a pod take than they do when it has the disk to itself.

A part of the disk that is kept free helps where the disk has room in its queue. One that serves request after
request makes each wait for the one before: at 70 % of what it can do twice as long as at none (a queue of
fixed service times waits ρ / 2(1 − ρ) of one; Pollaczek and Khinchine). Nobody can say beforehand which
of them a disk is, so that is measured: the pod's own io pressure by its requests, over some seconds, beside
what it was while hardly anybody else used the disk. While it is notably more, others get less of their room
step by step; how the steps are timed is `memqos.policy.pace`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from memqos.policy.blame_io import use
from memqos.policy.io_settings import IoSettings
from memqos.policy.pace import Pace
from memqos.policy.rung import Situation
from memqos.policy.signals import PodSignals

LONGER: Final = 1.25
"""So much longer than alone is too long: the project's own measure for a service beside a storm."""
_STEP: Final = 0.7
_STEPS: Final = 6
"""An eighth of the room is left after so many; `reserve_io` leaves more in any case."""
_HALF_US: Final = 4_000_000
_ENOUGH: Final = 40
"""Requests whose mean says something."""
_WEIGHT: Final = 0.2
_LEFT_ALONE: Final = 0.05


class Strain(NamedTuple):
    """Of one pod and disk. `waited` (µs) for `requests` of late, what was before halved every `_HALF_US`.

    They begin anew whenever the pod comes to have the disk to itself (`left_alone`), or to share it.
    `alone` is what a request takes meanwhile, in µs; 0: not known yet.
    """

    key: str
    seen_us: int
    waited: float = 0.0
    requests: float = 0.0
    left_alone: bool = False
    alone: float = 0.0
    steps: int = 0
    pace: Pace | None = None

    @property
    def part(self) -> float:
        """The part of their room, up to 1, that others may use."""
        return float(_STEP**self.steps)

    @property
    def times(self) -> float:
        """How many times as long as alone its requests take of late; 1 where that is not known."""
        known = self.alone > 0 and self.requests >= _ENOUGH
        return self.waited / self.requests / self.alone if known else 1.0


def strain_of(
    before: Strain | None, pod: PodSignals, device: str, situation: Situation, settings: IoSettings
) -> Strain:
    """Return a pod's strain after this look."""
    now = situation.now_us
    one = before if before is not None and before.key == pod.key else Strain(pod.key, now)
    seconds = (now - one.seen_us) / 1e6
    requests = use(pod, device)[1] * seconds
    if not pod.over_us or set(pod.io) != {device}:
        # its pressure may be another disk's: nothing is known, so what was taken is given back step by step
        return _paced(one._replace(seen_us=now, waited=0.0, requests=0.0), now, settings)
    waited = pod.share("io_some_us") * seconds * 1e6
    left_alone = _left_alone(pod, device, situation.signals.pods)
    left = 0.5 ** ((now - one.seen_us) / _HALF_US) if left_alone == one.left_alone else 0.0
    one = one._replace(
        seen_us=now,
        waited=left * one.waited + waited,
        requests=left * one.requests + requests,
        left_alone=left_alone,
    )
    if left_alone and one.requests >= _ENOUGH:
        cost = one.waited / one.requests
        one = one._replace(alone=one.alone + _WEIGHT * (cost - one.alone) if one.alone else cost)
    return _paced(one, now, settings)


def _paced(one: Strain, now: int, settings: IoSettings) -> Strain:
    hurt = one.times > LONGER
    if one.pace is None:
        return one._replace(steps=1, pace=Pace(now)) if hurt else one
    calm_us = settings.calm_seconds * 1e6
    pace, move = one.pace.turn(now, hurt=hurt, dwell_us=settings.dwell_seconds * 1e6, calm_us=calm_us)
    if move in ("tighten", "retreat"):
        return one._replace(steps=min(_STEPS, one.steps + 1), pace=pace)
    steps = max(0, one.steps - 1) if move == "loosen" else one.steps
    # that a loosening failed is remembered beyond the last one, or each would be tried again as soon
    return one._replace(steps=steps, pace=pace if steps or not pace.forgotten(now, calm_us) else None)


def _left_alone(pod: PodSignals, device: str, pods: Sequence[PodSignals]) -> bool:
    mine = use(pod, device)
    others = [use(each, device) for each in pods if each.key != pod.key]
    sums = [sum(column) for column in zip(*others, strict=True)] or [0, 0]
    return all(theirs <= _LEFT_ALONE * own for own, theirs in zip(mine, sums, strict=True))
