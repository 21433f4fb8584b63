"""Limit I/O: limit the disk traffic of pods that make a more important pod wait for the disk.

While such a pod waits for a disk (`memqos.policy.blame_io`), the less important pods that use it get an
`io.max` there. The first cut is to `first_cut_percent` of what they took; the limit is then halved for as
long as the victim waits, down to a floor that lets them live. Once the victim is calm it rises by a tenth
each dwell (`memqos.policy.pace`) until no limit is left. Where the victim waits more than twice as long as it
can bear, a cut is deeper in proportion, to an eighth at most: a service cannot wait for three halvings. What
somebody else set in a pod's `io.max` stays, and the tighter of two limits holds.

Reads and writes get the same limit each, in bytes where the pod's requests are large and in requests
where they are small. Swap writes are another matter. From 6.12 on the kernel lets them pass every limit
and only accounts for them (REQ_SWAP in block/blk-throttle.c). Where it holds them (6.1), reclaim goes
on to the next pages without waiting. So a swap storm is held by its reads, because a program that waits
for its own pages pushes out no others; one that only grows is braked (`memqos.policy.brake`).
So writes to a disk that is swapped to are limited where swap passes, or where the pod notably writes
files, too.

Where the admin named the disk with its figures, `memqos.policy.reserve_io` keeps a part of it free from the
start, or `memqos.policy.weigh_io` shares it by weight; this rung comes where a more important pod waits all
the same, and on disks that nobody named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from msgspec.structs import astuple

from memqos.model.plan import Plan, Stand, Step, Write
from memqos.model.snapshot import IoMax
from memqos.policy.blame_io import Alone, Hurt, all_use, hurts, learn, swap_devices
from memqos.policy.brake import braked
from memqos.policy.io_demand import Held, Peaks, add, limits_of_others, peaks_after, tighter
from memqos.policy.io_settings import IoSettings
from memqos.policy.named_disk import named_disks
from memqos.policy.pace import Pace
from memqos.policy.rung import Situation
from memqos.units import UNLIMITED, format_bytes

_STEP_UP: Final = 0.1
_DEEPEST: Final = 1 / 8
_RETREAT: Final = 0.75


@dataclass(frozen=True, slots=True)
class Grip:
    """How a disk's users are held: `level` of what they took, 1 being all; when it began, and for whom."""

    level: float
    pace: Pace
    since_us: int
    victim: str


@dataclass(frozen=True, slots=True)
class IoMemory:
    """Grips by device, held pods by cgroup, what pods wait when left alone, and what disks have served.

    `peaks`: the most that all pods together had of a device so far.
    """

    grips: Mapping[str, Grip] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    alone: Alone = field(default_factory=dict)
    peaks: Peaks = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LimitIo:
    """`io.max` for who saturates a disk that a more important pod waits for."""

    settings: IoSettings = field(default_factory=IoSettings)
    name: str = "io"

    def initial(self) -> IoMemory:
        """Return the memory of a rung that holds nobody."""
        return IoMemory()

    def decide(self, memory: IoMemory, situation: Situation) -> tuple[IoMemory, Plan]:
        """Return the new memory and every limit that shall be held."""
        if "io.max" not in situation.view.now.features:
            return memory, Plan()
        totals = all_use(situation)
        alone = learn(situation, memory.alone, totals)
        limited = {held.key for held in memory.held.values()}
        settings = self.settings
        found = hurts(
            situation,
            alone,
            totals,
            limited,
            blame=settings.blame_percent / 100,
            saturated=settings.saturated_percent / 100,
        )
        peaks = peaks_after(memory.peaks, totals, situation)
        held = _present(memory.held, situation)
        grips: dict[str, Grip] = {}
        disks = situation.view.now.node.disks
        for device in sorted({*memory.grips, *(hurt.device for hurt in found)}):
            if disks and device not in disks:
                continue  # a volume that was detached takes no limit, and would fail the other disks' with it
            here = [hurt for hurt in found if hurt.device == device and hurt.now]
            before = memory.grips.get(device)
            grip = self._grip(before, here, situation.now_us)
            if grip is not None:
                grips[device] = grip
                if here and grip != before and grip.pace.changed_us == situation.now_us:
                    culprits = {pod.path: pod for hurt in here for pod in hurt.culprits if not pod.leaving}
                    add(held, culprits.values(), device, peaks[device], totals[device], situation)
        free = {device for device, grip in grips.items() if grip.level >= 1}
        held = {path: one for path, one in held.items() if set(one.took) & (set(grips) - free)}
        for path, one in held.items():
            rate = self._swap_rate(one, grips, situation)
            brake = braked(one.brake, situation.view.now.cgroups[path], rate, situation.now_us)
            held[path] = replace(one, brake=brake, theirs=limits_of_others(path, one, situation))
        after = IoMemory(grips, held, alone, peaks)
        return after, Plan(
            tuple(self._writes(after, situation)), stands=self._stands(after, found, situation)
        )

    def _grip(self, before: Grip | None, here: Sequence[Hurt], now_us: int) -> Grip | None:
        settings = self.settings
        if before is None:
            if not here:
                return None
            first = min(settings.first_cut_percent / 100, _cut(here))
            level = max(settings.floor_percent / 100, first)
            return Grip(level, Pace(now_us), now_us, here[0].trouble.victim)
        calm_us = settings.calm_seconds * 1e6
        pace, move = before.pace.turn(
            now_us, hurt=bool(here), dwell_us=settings.dwell_seconds * 1e6, calm_us=calm_us
        )
        level, since, victim = before.level, before.since_us, before.victim
        if here and level >= 1:
            since, victim = now_us, here[0].trouble.victim
        if move == "tighten":
            level = max(settings.floor_percent / 100, level * _cut(here))
        elif move == "retreat":
            level = max(settings.floor_percent / 100, level * _RETREAT)
        elif move == "loosen":
            level = min(1.0, round(level + _STEP_UP, 3))
        if here and level == before.level:
            pace = replace(pace, changed_us=before.pace.changed_us)
        if level >= 1 and pace.forgotten(now_us, calm_us):
            return None
        return Grip(level, pace, since, victim)

    def _writes(self, memory: IoMemory, situation: Situation) -> Iterator[Write]:
        for path, held in memory.held.items():
            cgroup = situation.view.now.cgroups[path]
            value = dict(cgroup.io_max or {})
            reasons = []
            for device, took in held.took.items():
                grip = memory.grips.get(device)
                value[device] = held.theirs[device]
                if grip is not None and grip.level < 1:
                    value[device] = tighter(value[device], self._limit(took, grip.level))
                    name = _name(device, situation)
                    reasons.append(
                        f"{grip.level * 100:.0f} % of what it would take of {name}, for {grip.victim}"
                    )
            yield Write(path, "io.max", value, "; ".join(reasons), self.name, held.inode)
            if held.brake is not None:
                rate = format_bytes(held.brake.rate)
                why = f"its swap may grow by about {rate} a second, for who waits for that disk"
                yield Write(path, "memory.swap.high", held.brake.high, why, self.name, held.inode)

    def _swap_rate(self, held: Held, grips: Mapping[str, Grip], situation: Situation) -> int:
        """Return how fast a pod may swap out, in bytes per second; `UNLIMITED` when nobody cares.

        Of a named disk that is at most the level's part of its requests, as large as its writes are now.
        """
        named = named_disks(self.settings.disks, situation.view.now)
        rates = []
        for device, took in held.took.items():
            grip = grips.get(device)
            if grip is None or grip.level >= 1 or device not in swap_devices(situation):
                continue
            rates.append(self._limit(took, grip.level).rbps)
            written, writes = (situation.signals.disk_rate(device, way) for way in ("wbytes", "wios"))
            if device in named and writes:
                rate = grip.level * named[device].requests_per_second * written / writes
                rates.append(max(self.settings.floor_bytes, int(rate)))
        return min(rates, default=UNLIMITED)

    def _limit(self, took: IoMax, level: float) -> IoMax:
        size, requests = self.settings.floor_bytes, self.settings.floor_requests
        floors = IoMax(size, size, requests, requests)
        return IoMax(
            *(
                UNLIMITED if rate >= UNLIMITED else max(1, min(floor, rate // 4), int(rate * level))
                for rate, floor in zip(astuple(took), astuple(floors), strict=True)
            )
        )

    def _stands(self, memory: IoMemory, found: Sequence[Hurt], situation: Situation) -> tuple[Stand, ...]:
        stands: dict[str, Stand] = {}
        for hurt in found:
            grip = memory.grips.get(hurt.device)
            name = _name(hurt.device, situation)
            who = ", ".join(pod.key for pod in hurt.culprits[:3])
            why = f"{hurt.trouble}; {hurt.used * 100:.0f} % of the traffic of {name} is of {who}"
            if grip is None or (grip.level >= 1 and not hurt.now):
                own = memory.alone.get((hurt.trouble.kind, hurt.trouble.victim), 0.0)
                text = f"{why}; it waits {own * 100:.0f} % alone"
                stand = Stand(self.name, hurt.trouble.victim, "watch", hurt.trouble.since_us, text)
            else:
                step: Step = "spent" if hurt.now and self._spent(grip, situation.now_us) else "act"
                since = grip.pace.changed_us if step == "spent" else grip.since_us
                text = f"{why}, held at {grip.level * 100:.0f} % of it"
                stand = Stand(self.name, hurt.trouble.victim, step, since, text)
            stands.setdefault(hurt.trouble.victim, stand)
        for held in memory.held.values():
            for device in held.took:
                grip = memory.grips.get(device)
                if grip is not None and grip.level < 1:
                    why = f"held at {grip.level * 100:.0f} % of what it would take of "
                    why += f"{_name(device, situation)}, for {grip.victim}"
                    stands.setdefault(held.key, Stand(self.name, held.key, "act", grip.since_us, why))
        return tuple(stands.values())

    def _spent(self, grip: Grip, now_us: int) -> bool:
        at_floor = grip.level <= self.settings.floor_percent / 100
        return at_floor and now_us - grip.pace.changed_us >= self.settings.dwell_seconds * 1e6


def _present(held: Mapping[str, Held], situation: Situation) -> dict[str, Held]:
    """Drop who is gone, and who was told to go: it cannot end before its last reads and writes have."""
    leaving = {pod.path for pod in situation.signals.pods if pod.leaving}
    cgroups = situation.view.now.cgroups
    return {
        path: one
        for path, one in held.items()
        if (cgroup := cgroups.get(path)) is not None and cgroup.inode == one.inode and path not in leaving
    }


def _cut(here: Sequence[Hurt]) -> float:
    """Return the part of a level that is left: the part of their waiting that all of the hurt can bear."""
    borne = min(max(hurt.bearable, hurt.trouble.least) / hurt.trouble.share for hurt in here)
    return min(0.5, max(_DEEPEST, borne))


def _name(device: str, situation: Situation) -> str:
    disk = situation.view.now.node.disks.get(device)
    return device if disk is None else disk.name
