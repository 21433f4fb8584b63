"""`LinuxNode`: the `Node` that is this machine.

One `observe()` brings every control file that `Cgroup` has, of every cgroup, from kept descriptors
(`memqos.linux.observed` says which are read when). The identity of a cgroup is the inode of its
directory. A cgroup that vanishes meanwhile is left out; if that shows the tree to be out of date, the pass is
run once more, so that what was there before `observe()` began is in the snapshot. A file that is refused
or does not read counts as not there, and `Snapshot.unread` says so; only the root itself, meminfo and vmstat
must be read.

The roots may point anywhere: on a tree of plain files everything works but what only a kernel
does (triggers, probing by writes).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from typing import Final

from msgspec import structs

from memqos.linux import features, procfs
from memqos.linux.apply import apply_write
from memqos.linux.facts import NodeFiles
from memqos.linux.limits import raise_open_files
from memqos.linux.lowering import KNOBS, Lowering
from memqos.linux.orders import Orders
from memqos.linux.pressure import Pressed
from memqos.linux.procfile import ProcFile
from memqos.linux.queues import Queues
from memqos.linux.reading import Budget
from memqos.linux.treefiles import TreeFiles
from memqos.linux.trigger import Trigger
from memqos.linux.unread import summary
from memqos.model.plan import Outcome, Value, Write
from memqos.model.queue import KNOB as IO_QUEUE
from memqos.model.snapshot import Snapshot
from memqos.node import Wake

_SHARE: Final = 4
"""Turns that pressure calls for take at most a fifth of one processor's time ..."""
_DEAF_S: Final = 0.5
"""... but pressure is never unheard for longer: who stalls for a second is to be helped within it."""


class LinuxNode:
    """This machine, or the trees of files at `root`, `proc` and `sys`.

    `subtree` limits the view to one cgroup, what is below it, and its ancestors. `trigger` says
    what pressure wakes `wait`, `descriptors` how many may stay open (default: the process's
    limit, raised as far as it goes; see `limits` for programs started from here).
    """

    def __init__(
        self,
        root: str = "/sys/fs/cgroup",
        proc: str = "/proc",
        sys: str = "/sys",
        *,
        subtree: str = "",
        trigger: Trigger | None = None,
        descriptors: int | None = None,
    ) -> None:
        """Raise `Unsupported` where there is no cgroup v2 memory controller."""
        self._root = root.rstrip("/") or "/"
        features.check_supported(self._root)
        self._options = _mount_options(self._root, proc)
        self._budget = Budget(raise_open_files(proc) if descriptors is None else descriptors)
        self._cgroups = TreeFiles(self._root, subtree.strip("/"), self._budget)
        self._facts = NodeFiles(proc, sys)
        self._queues = Queues(sys)
        boot_id = ProcFile(f"{proc}/sys/kernel/random/boot_id")
        self._boot_id = (boot_id.read() or b"").decode("ascii", "replace").strip()
        boot_id.close()
        self._features: frozenset[str] = frozenset()
        self._probed_in: str | None = None
        self._mglru = ProcFile(f"{sys}/kernel/mm/lru_gen/enabled")
        self._first: tuple[str, ...] | None = None
        self._woken: float | None = None
        self._loud = 0.0
        self._stopped = False
        self._written = False
        self._orders = Orders(self._root, kernel=self._options is not None)
        self._lowering = Lowering(self._root, kernel=self._options is not None)
        self._pressed = Pressed(self._root, proc, trigger or Trigger(), kernel=self._options is not None)
        self._pressed.watch({})  # the node's own trigger, which also tells whether one can be set

    @property
    def root(self) -> str:
        """The cgroup root."""
        return self._root

    def observe(self) -> Snapshot:
        """Return everything the policies may look at; see `Node.observe`."""
        now = time.monotonic_ns() // 1000
        cgroups = self._cgroups.read()
        if not self._probed_in:
            self._probed_in = self._cgroups.sample()
            self._features = features.probe(self._root, self._probed_in, self._options)
        facts = self._facts.read()
        if "" in cgroups and (queues := self._queues.read(facts.disks)) is not None:
            cgroups[""] = structs.replace(cgroups[""], io_queue=queues)
        now_on = {
            "psi": facts.memory_pressure,
            "swap": facts.swaps,
            "mglru": features.mglru(self._mglru.read()),
        }
        found = self._features | self._pressed.features | {name for name, there in now_on.items() if there}
        return Snapshot(
            time_us=now,
            boot_id=self._boot_id,
            node=facts,
            cgroups=cgroups,
            features=found,
            unread=summary([*self._cgroups.unread, ("", self._facts.unread)]),
        )

    def apply(self, write: Write) -> Value | None:
        """Write one knob and return what it reads as now; see `Node.apply`."""
        kernel = self._options is not None
        if kernel and not self._written:
            self._lowering.ready()
            if "memory.reclaim" in self._features:
                self._orders.ready()
        self._written = True
        if write.knob in KNOBS:
            return self._lowering.apply(write)
        if write.knob == IO_QUEUE:
            return self._queues.apply(write)
        return apply_write(self._root, write, kernel=kernel, stopped=lambda: self._stopped)

    def begin(self, order: Write) -> None:
        """Start an order; see `Node.begin`."""
        self._orders.begin(order)

    def cancel(self, cgroup: str) -> None:
        """See `Node.cancel`."""
        self._orders.cancel(cgroup)

    def underway(self) -> frozenset[str]:
        """See `Node.underway`."""
        return self._orders.underway()

    def ended(self) -> tuple[Outcome, ...]:
        """See `Node.ended`."""
        return self._orders.ended()

    def watch(self, cgroups: Sequence[str]) -> None:
        """See `Node.watch`; until it is called all pods matter alike."""
        self._first = tuple(cgroups)
        self._cgroups.pods = frozenset(cgroups)

    def wait(self, seconds: float, quiet: float = 0.0, also: Collection[int] = ()) -> Wake:
        """Wait for memory pressure in a pod or the node, for `stop`, or for the time to pass.

        A readable descriptor of `also` ends it too, as "ready": a pidfd is when its process has ended.
        `quiet` is made `_SHARE` times what the caller took of a processor since the last wait, if that is
        longer: whoever looks at a pressed node must not press it more. What it only waited is not counted.
        """
        now = time.monotonic()
        if self._woken is not None:
            took = time.process_time() - self._woken
            self._loud = now + max(quiet, min(_DEAF_S, _SHARE * took))
        self._pressed.watch(self._cgroups.files, self._first)
        wake = self._pressed.wait(seconds, also, max(0.0, self._loud - now))
        self._woken = None if wake.reason == "ready" else time.process_time()
        return wake

    def stop(self) -> None:
        """See `Node.stop`; a write to `memory.reclaim` ends at its next piece, too."""
        self._stopped = True
        self._pressed.stop()

    def close(self) -> None:
        """Close every descriptor, and break off every order."""
        self._orders.close()
        self._lowering.close()
        self._cgroups.close()
        self._facts.close()
        self._mglru.close()
        self._pressed.close()

    def read_files(self) -> list[str]:
        """The control files that one `observe()` reads now (for the benchmark and for `doctor`)."""
        return [f"{files.directory}/{name}" for files in self._cgroups.files.values() for name in files.names]

    def read_proc_files(self) -> list[str]:
        """The files of /proc that one `observe()` reads now."""
        return self._facts.paths

    @property
    def kept_descriptors(self) -> int:
        """How many control files are kept open."""
        return self._budget.kept

    def __enter__(self) -> LinuxNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _mount_options(root: str, proc: str) -> frozenset[str] | None:
    """Return the mount options if `root` is on a real cgroup2 mount."""
    raw = ProcFile(f"{proc}/self/mountinfo")
    mounts = procfs.cgroup2_mounts(raw.read() or b"")
    raw.close()
    real = os.path.realpath(root)
    holding = [point for point in mounts if real == point or real.startswith(point.rstrip("/") + "/")]
    return mounts[max(holding, key=len)] if holding else None
