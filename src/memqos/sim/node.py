"""The simulated node behind the seam: what an agent or a policy sees of a `Machine`.

`observe` reads the machine's counters into a `Snapshot`; `apply` writes one knob (`knobs`); `wait` lets
virtual time pass. Whoever runs the scenario sets `on_events` to hear of exits and OOM kills as they happen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from memqos.errors import Busy, InvalidValue
from memqos.model.plan import Outcome, Reclaim, Value, Write
from memqos.model.snapshot import Cgroup, Counters, Snapshot
from memqos.node import Wake
from memqos.sim.facts import facts
from memqos.sim.kernels import control
from memqos.sim.kernels import layout as k
from memqos.sim.knobs import Knobs, size_of
from memqos.sim.machine import PAGE, SECOND, Machine
from memqos.sim.orders import Orders
from memqos.sim.pressed import LOOK_NS, Pressed
from memqos.sim.queues import Queues
from memqos.sim.stat import Look

Event = tuple[int, int, int, int]


class SimNode:
    """One `Machine` as a `memqos.node.Node`."""

    def __init__(self, machine: Machine, on_events: Callable[[list[Event]], object] | None = None) -> None:
        self.machine = machine
        self.on_events = on_events
        self._stopped = False
        self._first: tuple[str, ...] | None = None
        self._heard: set[str] = set()
        self._pressed = Pressed(machine)
        self.orders = Orders(machine)
        self._queues = Queues(machine, [Look(machine).device(d) for d in range(len(machine.spec.disks))])
        self._knobs = Knobs(machine, self._queues)

    def close(self) -> None:
        """Nothing is held open."""

    def stop(self) -> None:
        """Make every `wait` from now on return at once."""
        self._stopped = True

    def watch(self, cgroups: Sequence[str]) -> None:
        """See `Node.watch`; until it is called all pods matter alike."""
        self._first = tuple(cgroups)

    def wait(self, seconds: float, quiet: float = 0.0) -> Wake:
        """Let virtual time pass; return early on what `memqos.sim.pressed` lists."""
        if self._stopped:
            return Wake("stop")
        end = self.machine.now + round(seconds * SECOND)
        loud = self.machine.now + round(min(quiet, seconds) * SECOND)
        while self.machine.now < end:
            until = min(end, self.machine.now + LOOK_NS)
            while self.machine.now < until:
                events = self.machine.advance(min(until, self.orders.work()))
                if events and self.on_events:
                    self.on_events(events)
            self._heard |= self._pressed.look(self._first)
            if self._heard and self.machine.now >= loud:
                heard, self._heard = self._heard, set()
                return Wake("pressure", tuple(sorted(heard)))
        return Wake("timeout")

    def observe(self) -> Snapshot:
        """Read everything, in pre-order."""
        look = Look(self.machine)
        paths = sorted(self.machine.paths, key=lambda path: path.split("/") if path else [])
        return Snapshot(
            time_us=self.machine.now // 1000,
            boot_id=f"simulated-{self.machine.profile.name}-{self.machine.spec.seed}",
            node=facts(self.machine, look),
            cgroups={path: self._cgroup(look, path) for path in paths},
            features=self._features(),
        )

    def _features(self) -> frozenset[str]:
        machine = self.machine
        found = {
            "memory.reclaim",
            "memory.peak",
            "memory.swap",
            "psi",
            "psi trigger",
            "io.max",
            "cgroup.kill",
        }
        if machine.profile.reclaim_swappiness_max >= 200:
            found.add("memory.reclaim swappiness")
        if machine.profile.reclaim_swappiness_max > 200:
            found.add("memory.reclaim swappiness=max")
        if machine.spec.recursiveprot:
            found.add("memory_recursiveprot")
        if not machine.profile.throttles_swap_writes:
            found.add("io.max spares swap")
        if machine.profile.mglru:
            found.add("mglru")
        if machine.spec.swap:
            found.add("swap")
        return frozenset(found)

    def _cgroup(self, look: Look, path: str) -> Cgroup:
        machine = self.machine
        c = machine.paths[path]
        common: dict[str, Any] = {
            "path": path,
            "inode": machine.inodes[path],
            "memory_stat": look.memory_stat(c),
            "memory_pressure": look.pressure(c, 0),
            "io_pressure": look.pressure(c, 2),
            "cpu_pressure": look.pressure(c, 4),
            "io_stat": look.io_stat(c),
        }
        if c == 0:
            return Cgroup(**common, io_queue=self._queues.read())
        row = machine.m.cg
        return Cgroup(
            **common,
            cgroup_events=Counters.of({"populated": int(look.populated(c)), "frozen": 0}),
            memory_current=int(row[c, k.USAGE]) * PAGE,
            memory_peak=int(row[c, k.PEAK]) * PAGE,
            memory_min=size_of(row[c, k.MIN]),
            memory_low=size_of(row[c, k.LOW]),
            memory_high=size_of(row[c, k.HIGH]),
            memory_max=size_of(row[c, k.MAX]),
            memory_oom_group=bool(row[c, k.OOM_GROUP]),
            memory_events=look.memory_events(c),
            memory_events_local=look.memory_events(c, local=True),
            memory_swap_current=int(row[c, k.SWAP]) * PAGE,
            memory_swap_high=size_of(row[c, k.SWAP_HIGH]),
            memory_swap_max=size_of(row[c, k.SWAP_MAX]),
            memory_swap_events=look.swap_events(c),
            io_max=look.io_max(c),
        )

    def apply(self, write: Write) -> Value | None:
        """Write one knob; see `Node.apply`."""
        return self._knobs.apply(write)

    def begin(self, order: Write) -> None:
        """Start an order; see `Node.begin`."""
        place = {"cgroup": order.cgroup, "knob": order.knob}
        if not isinstance(order.value, Reclaim) or order.knob != "memory.reclaim":
            raise InvalidValue(f"{order.value!r} is no order to reclaim", **place)
        if order.cgroup in self.orders.underway():
            raise Busy("an order is under way here", **place)
        self.apply(structs.replace(order, value=replace(order.value, size=0)))
        self.orders.begin(order, self.machine.inodes[order.cgroup])

    def cancel(self, cgroup: str) -> None:
        """See `Node.cancel`."""
        self.orders.cancel(cgroup)

    def underway(self) -> frozenset[str]:
        """See `Node.underway`."""
        return self.orders.underway()

    def ended(self) -> tuple[Outcome, ...]:
        """See `Node.ended`."""
        return self.orders.ended()

    def drop_caches(self) -> None:
        """`echo 1 > /proc/sys/vm/drop_caches` after a sync."""
        while (left := self.machine.order(control.SYNC) - self.machine.now) > 0:
            self.wait(left / SECOND)
        self.machine.drop_caches()
