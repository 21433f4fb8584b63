"""A made-up node that a rung's test lets time pass on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from memqos.model.plan import Plan, Underway
from memqos.model.pods import Container, PlacedPod, Pod, Resources
from memqos.model.snapshot import (
    FEATURES,
    Cgroup,
    Counters,
    Disk,
    IoStat,
    NodeFacts,
    Pressure,
    PressureLine,
    Snapshot,
    Swap,
)
from memqos.model.view import View
from memqos.policy.history import History
from memqos.policy.rung import AnyRung, Situation
from memqos.policy.signals import Signals
from memqos.policy.trouble import Troubles, WatchSettings
from memqos.units import GIB, MIB, UNLIMITED, Quantity

_PRESSURES = ("memory_pressure", "io_pressure")


@dataclass
class Scene:
    """Pods on a node of `total` bytes; each `look` lets time pass and returns a `View`.

    A pod's cgroup is a plain dict of `Cgroup` fields; `memory_stat` and `memory_events` are dicts.
    """

    total: int = 1 * GIB
    swap: int = 0
    time_us: int = 1_000_000
    boot_id: str = "boot"
    features: frozenset[str] = frozenset(FEATURES)
    meminfo: dict[str, int] = field(default_factory=dict)
    busy: dict[str, int] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    vmstat: dict[str, int] = field(default_factory=dict)
    pods: list[PlacedPod] = field(default_factory=list)
    cgroups: dict[str, dict[str, Any]] = field(default_factory=dict)
    stalls: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    underway: Underway = field(default_factory=Underway)
    last: Snapshot | None = None
    history: History = field(default_factory=History)
    troubles: Troubles = field(default_factory=Troubles)
    watch: WatchSettings = field(default_factory=WatchSettings)

    def pod(
        self,
        name: str,
        *,
        priority: int = 0,
        request: int = 0,
        limit: int = 0,
        annotations: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> str:
        """Add a pod of one container `app`; return its cgroup's path. `fields` are its cgroup's."""
        resources = Resources(
            requests={"memory": Quantity(Fraction(request))} if request else {},
            limits={"memory": Quantity(Fraction(limit))} if limit else {},
        )
        pod = Pod(
            "default",
            name,
            f"uid-{name}",
            (Container("app", resources),),
            annotations=annotations or {},
            priority=priority,
        )
        for parent in ("", "kubepods"):
            self.cgroups.setdefault(parent, {"inode": len(self.cgroups) + 1})
        path = f"kubepods/{name}"
        knobs = {
            "memory_min": 0,
            "memory_low": 0,
            "memory_high": UNLIMITED,
            "memory_max": limit or UNLIMITED,
            "memory_swap_max": 0,
            "memory_swap_current": 0,
            "memory_current": 0,
            "memory_stat": {},
            "memory_events": {"low": 0, "high": 0, "max": 0, "oom": 0, "oom_kill": 0},
            "io_stat": {},
            "io_max": {},
        }
        for place in (path, f"{path}/app"):
            self.cgroups[place] = {"inode": len(self.cgroups) + 1, **_copy(knobs)}
            self.cgroups[place].update(_copy(fields))
        self.pods.append(PlacedPod(pod, path, {"app": f"{path}/app"}))
        return path

    def change(self, name: str, **fields: Any) -> None:
        """Set fields of a pod's cgroup; a dict is merged into what is there."""
        cgroup = self.cgroups[f"kubepods/{name}"]
        for key, value in fields.items():
            cgroup[key] = {**cgroup.get(key, {}), **value} if isinstance(value, dict) else value

    def stall(self, name: str, seconds: float, *, resource: str = "memory", full: float = 0.0) -> None:
        """Let a pod ("" is the node) wait for `memory` or `io`: add to its pressure totals."""
        place = (f"kubepods/{name}" if name else "", f"{resource}_pressure")
        some, whole = self.stalls.get(place, (0, 0))
        self.stalls[place] = (some + int(seconds * 1e6), whole + int(full * 1e6))

    def count(self, name: str, file: str, key: str, by: int) -> None:
        """Let a counter of a pod's flat-keyed file grow."""
        counters = self.cgroups[f"kubepods/{name}"].setdefault(file, {})
        counters[key] = counters.get(key, 0) + by

    def traffic(self, name: str, device: str = "8:0", **grown: int) -> None:
        """Let a pod's io.stat of a device grow: `traffic("hog", rbytes=MIB)`."""
        stats = self.cgroups[f"kubepods/{name}"]["io_stat"]
        before = stats.get(device, IoStat())
        sums = {key: getattr(before, key) + grown.get(key, 0) for key in IoStat.__struct_fields__}
        stats[device] = IoStat(**sums)

    def serve(self, device: str, seconds: float, reads: int = 0, writes: int = 0, wrote: int = 0) -> None:
        """Let a disk be busy for a time, serve so many reads, and so many writes of `wrote` bytes in all."""
        self.busy[device] = self.busy.get(device, 0) + int(seconds * 1e6)
        before = self.served.get(device, (0, 0, 0))
        self.served[device] = (before[0] + reads, before[1] + writes, before[2] + wrote)

    def gone(self, name: str) -> None:
        """Take a pod away."""
        self.pods = [placed for placed in self.pods if placed.pod.name != name]
        for path in (f"kubepods/{name}", f"kubepods/{name}/app"):
            del self.cgroups[path]

    def look(self, seconds: float = 1.0) -> View:
        """Let time pass and return what is seen."""
        self.time_us += int(seconds * 1e6)
        used = sum(cgroup.get("memory_current", 0) for path, cgroup in self.cgroups.items() if _is_pod(path))
        swapped = sum(
            cgroup.get("memory_swap_current", 0) for path, cgroup in self.cgroups.items() if _is_pod(path)
        )
        meminfo = {
            "MemTotal": self.total,
            "MemFree": max(0, self.total - used),
            "MemAvailable": max(0, self.total - used),
            "SwapTotal": self.swap,
            "SwapFree": max(0, self.swap - swapped),
            **self.meminfo,
        }
        node = NodeFacts(
            meminfo=Counters.of(meminfo),
            vmstat=Counters.of(self.vmstat),
            swaps=(Swap("/dev/vdb", "partition", self.swap, swapped, -2, "8:16"),) if self.swap else (),
            disks={
                each: Disk(each, each, reads, 0, writes, wrote, 0, time, time)
                for each, time in self.busy.items()
                for reads, writes, wrote in (self.served.get(each, (0, 0, 0)),)
            },
            **{name: self._pressure("", name) for name in _PRESSURES},
        )
        now = Snapshot(
            time_us=self.time_us,
            boot_id=self.boot_id,
            node=node,
            cgroups={path: self._cgroup(path, fields) for path, fields in self.cgroups.items()},
            features=self.features,
        )
        view = View(now, self.last, tuple(self.pods), self.underway)
        self.last = now
        return view

    def situation(self, seconds: float = 1.0) -> Situation:
        """Let time pass and return what a rung is shown."""
        view = self.look(seconds)
        self.history = self.history.after(view)
        signals = Signals.of(view, self.history)
        self.troubles = self.troubles.after(signals, self.watch)
        return Situation(view, signals, self.troubles)

    def obey(self, plan: Plan) -> None:
        """Write a plan's values of `Cgroup` fields, as the enforcer would."""
        for write in plan.writes:
            name = write.knob.replace(".", "_")
            if write.cgroup in self.cgroups and name in Cgroup.__struct_fields__:
                self.cgroups[write.cgroup][name] = write.value

    def play(self, rung: AnyRung, memory: Any, looks: Iterable[float]) -> tuple[Any, list[Plan]]:
        """Let a rung decide at each look, its writes obeyed; nothing else changes meanwhile."""
        plans = []
        for seconds in looks:
            memory, plan = rung.decide(memory, self.situation(seconds))
            self.obey(plan)
            plans.append(plan)
        return memory, plans

    def _pressure(self, path: str, name: str) -> Pressure:
        some, full = self.stalls.get((path, name), (0, 0))
        return Pressure(PressureLine(0.0, 0.0, 0.0, some), PressureLine(0.0, 0.0, 0.0, full))

    def _cgroup(self, path: str, fields: Mapping[str, Any]) -> Cgroup:
        values = {
            key: Counters.of(value) if key in ("memory_stat", "memory_events") else value
            for key, value in fields.items()
        }
        for name in _PRESSURES:
            values.setdefault(name, self._pressure(path, name))
        return msgspec.structs.replace(Cgroup(path=path, inode=0), **_copy(values))


def _copy(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: dict(value) if type(value) is dict else value for key, value in fields.items()}


def _is_pod(path: str) -> bool:
    return path.startswith("kubepods/") and path.count("/") == 1


@pytest.fixture
def scene() -> Scene:
    """Return an empty node of 1 GiB."""
    return Scene()


@pytest.fixture
def new_scene() -> type[Scene]:
    """Return what makes an empty node: for properties, which need one an example."""
    return Scene


@pytest.fixture
def busy(scene: Scene) -> Scene:
    """Return a node with an important pod `shop` and a neighbour `hog` that matters less."""
    scene.pod("shop", priority=1000, request=64 * MIB, limit=128 * MIB, memory_current=64 * MIB)
    scene.pod("hog", priority=0, memory_current=256 * MIB)
    return scene
