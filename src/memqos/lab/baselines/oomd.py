"""systemd-oomd's rules, restated: kill when swap is used up, or when pressure lasts.

* Swap, each 150 ms: when less than 10 % of memory is available and less than 10 % of swap is free
  (SwapUsedLimit=90%), the cgroup with the most swap goes, if it holds more than 5 % of all swap.
* Pressure, each second: when a monitored cgroup's `full avg10` has been over 60 %
  (DefaultMemoryPressureLimit) for 30 s (DefaultMemoryPressureDurationSec), and pages were scanned below
  it in the last 30 s, the cgroup with the highest rate of scanning goes, of equal ones the larger.
* After a kill by either nothing happens for 15 s. Candidates are the leaves below the monitored cgroup. A
  kill is SIGKILL to all that runs in it; a container's runtime starts it again as its pod says.

Source: systemd 252, src/oom/oomd-manager.c (SWAP_INTERVAL_USEC, MEM_PRESSURE_INTERVAL_USEC,
RECLAIM_DURATION_USEC, POST_ACTION_DELAY_USEC), src/oom/oomd-util.c (THRESHOLD_SWAP_USED_PERCENT,
compare_swap_usage, compare_pgscan_rate_and_memory_usage), oomd.conf(5). In a virtual machine the real daemon
runs instead (`memqos.lab.oomd`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from memqos.model.plan import Eviction, Plan
from memqos.model.pods import PlacedPod
from memqos.model.snapshot import Cgroup
from memqos.model.view import View

SWAP_INTERVAL_US: Final = 150_000
PRESSURE_INTERVAL_US: Final = 1_000_000
RECLAIM_US: Final = 30_000_000
DELAY_US: Final = 15_000_000


@dataclass(frozen=True, slots=True)
class State:
    """Microseconds of the snapshot's clock; `scanned` is pgscan by cgroup at the last look at pressure.

    `over_since` is when the pressure limit was first exceeded, `reclaimed` when pages were last scanned.
    """

    looked: int | None = None
    over_since: int | None = None
    reclaimed: int | None = None
    acted: int | None = None
    scanned: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Oomd:
    """The rules for one monitored cgroup; limits are shares, `duration_us` microseconds."""

    monitored: str = "kubepods"
    swap_limit: float = 0.9
    pressure_limit: float = 0.6
    duration_us: int = 30_000_000
    least_swap: float = 0.05
    name: str = "systemd-oomd"

    def initial(self) -> State:
        """Return the memory of a daemon that was just started."""
        return State()

    def decide(self, memory: State, view: View) -> tuple[State, Plan]:
        """Look once; at most one cgroup is killed."""
        now = view.now.time_us
        memory, over = self._look(memory, view)
        if memory.acted is not None and now - memory.acted < DELAY_US:
            return memory, Plan()
        victim = self._by_swap(view) or (self._by_pressure(memory, view) if over else None)
        if victim is None:
            return memory, Plan()
        over_since = None if over else memory.over_since
        return replace(memory, acted=now, over_since=over_since), Plan(evictions=(victim,))

    def _look(self, memory: State, view: View) -> tuple[State, bool]:
        """Follow the pressure once a second; true when it has lasted, with reclaim going on."""
        now, cgroup = view.now.time_us, view.now.cgroups.get(self.monitored)
        if cgroup is None or (memory.looked is not None and now - memory.looked < PRESSURE_INTERVAL_US):
            return memory, False
        scanned = {each.path: _scanned(each) for each in self._leaves(view)}
        rates = {path: max(0, value - memory.scanned.get(path, value)) for path, value in scanned.items()}
        reclaimed = now if any(rates.values()) else memory.reclaimed
        pressure = cgroup.memory_pressure
        full = 0.0 if pressure is None or pressure.full is None else pressure.full.avg10
        before = now if memory.over_since is None else memory.over_since
        since = before if full > self.pressure_limit * 100 else None
        memory = State(now, since, reclaimed, memory.acted, scanned, rates)
        lasted = since is not None and now - since > self.duration_us
        return memory, lasted and reclaimed is not None and now - reclaimed <= RECLAIM_US

    def _by_swap(self, view: View) -> Eviction | None:
        meminfo = view.now.node.meminfo
        total, swap = meminfo.get("MemTotal", 0), meminfo.get("SwapTotal", 0)
        used, swapped = total - meminfo.get("MemAvailable", 0), swap - meminfo.get("SwapFree", 0)
        if not swap or used <= total * self.swap_limit or swapped <= swap * self.swap_limit:
            return None
        leaves = [each for each in self._leaves(view) if _swap(each) > swap * self.least_swap]
        victim = max(leaves, key=_swap, default=None)
        why = f"{used / total:.0%} of memory and {swapped / swap:.0%} of swap are used"
        return None if victim is None else _kill(view, victim.path, why)

    def _by_pressure(self, memory: State, view: View) -> Eviction | None:
        leaves = [each for each in self._leaves(view) if memory.rates.get(each.path) or each.memory_current]
        victim = max(
            leaves, key=lambda each: (memory.rates.get(each.path, 0), each.memory_current or 0), default=None
        )
        why = f"{self.monitored} was over {self.pressure_limit:.0%} full for {self.duration_us / 1e6:g} s"
        return None if victim is None else _kill(view, victim.path, why)

    def _leaves(self, view: View) -> Iterator[Cgroup]:
        parents = {each.parent for each in view.now.cgroups.values()}
        for path, cgroup in view.now.cgroups.items():
            if path.startswith(f"{self.monitored}/") and path not in parents and _populated(cgroup):
                yield cgroup


def _kill(view: View, path: str, why: str) -> Eviction | None:
    for placed in view.pods:
        for name, container in placed.containers.items():
            if container == path:
                return _of(placed, name, why)
    return None


def _of(placed: PlacedPod, container: str, why: str) -> Eviction:
    return Eviction(placed.pod.uid, placed.pod.key, why, "systemd-oomd", container, 0.0)


def _populated(cgroup: Cgroup) -> bool:
    return cgroup.cgroup_events is None or cgroup.cgroup_events.get("populated", 1) != 0


def _scanned(cgroup: Cgroup) -> int:
    return 0 if cgroup.memory_stat is None else cgroup.memory_stat.get("pgscan", 0)


def _swap(cgroup: Cgroup) -> int:
    return cgroup.memory_swap_current or 0
