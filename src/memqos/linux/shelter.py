"""The agent's own shelter: what keeps it deciding while the node it manages runs out of memory.

=================  ==========================================================================================
own cgroup         `memqos.slice` beside kubepods, so that what the agent charges is its own and protected.
                   A process that stands in a systemd service or in a pod stays there: that is somebody
                   else's to arrange, and the memory.min there holds only as far as the parents have it.
memory.min         a quarter more than the agent and its workers hold, measured again every minute
oom_score_adj      -999, what the kubelet gives itself: killed after everything but the kernel's own
mlockall(2)        MCL_CURRENT and MCL_FUTURE: no page of it is ever read from disk again, not even program
                   text, and its heap keeps what it has (`memqos.linux.locked`). The price is that all that is
                   mapped is resident (figures: benchmarks/agent). Pages charged before the move stay charged
                   there; locked, they stay in memory too.
=================  ==========================================================================================

Each is tried, and where it is refused the agent goes on without, with one `Advice`. `leave` undoes all
four. After `kill -9` an empty cgroup is left, which the next agent takes over and `memqos restore` removes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from memqos.linux.locked import lock_memory, unlock_memory
from memqos.model.plan import Advice
from memqos.units import MIB, page_floor

NAME: Final = "memqos.slice"
OOM_SCORE_ADJ: Final = -999
SPARE: Final = 8 * MIB
"""What is protected beyond a quarter more than what is held: the workers' own pages."""

CAP_IPC_LOCK: Final = 14
CAP_SYS_RESOURCE: Final = 24
_AGAIN_S: Final = 60.0


class Shelter:
    """The protection of this process, from `enter` to `leave`."""

    def __init__(
        self,
        root: str = "/sys/fs/cgroup",
        proc: str = "/proc",
        *,
        lock: Callable[[], None] = lock_memory,
        unlock: Callable[[], None] = unlock_memory,
    ) -> None:
        self._root = Path(root)
        self._proc = Path(proc)
        self._lock, self._unlock = lock, unlock
        self._locked = False
        self._came_from: Path | None = None
        self._cgroup: Path | None = None
        self._min_before = ""
        self._adjusted_from = ""
        self._measured = 0.0

    def enter(self) -> tuple[Advice, ...]:
        """Take all the protection that is to be had; return advice about what is not."""
        refused = (self._own_cgroup(), self._adjust(), self._lock_memory(), self.measure(force=True))
        return tuple(advice for advice in refused if advice is not None)

    def leave(self) -> None:
        """Undo everything; what cannot be undone any more is left."""
        with contextlib.suppress(OSError):
            if self._locked:
                self._unlock()
                self._locked = False
        with contextlib.suppress(OSError):
            if self._adjusted_from:
                (self._proc / "self/oom_score_adj").write_text(self._adjusted_from)
                self._adjusted_from = ""
        with contextlib.suppress(OSError):
            if self._cgroup is not None and self._min_before:
                (self._cgroup / "memory.min").write_text(self._min_before)
        if self._came_from is not None and self._cgroup is not None:
            home = self._came_from if self._came_from.exists() else self._root
            with contextlib.suppress(OSError):
                (home / "cgroup.procs").write_text(f"{os.getpid()}\n")
            remove_empty(str(self._root))
            self._came_from = None
        self._cgroup = None

    def measure(self, *, force: bool = False) -> Advice | None:
        """Set memory.min to what is held now, at most once a minute; return advice when it is refused."""
        now = time.monotonic()
        if self._cgroup is None or (not force and now - self._measured < _AGAIN_S):
            return None
        self._measured = now
        knob = self._cgroup / "memory.min"
        size = page_floor(resident(self._proc) * 5 // 4 + SPARE)
        try:
            self._min_before = self._min_before or knob.read_text().strip()
            knob.write_text(f"{size}\n")
        except OSError as error:
            problem = f"its memory is not protected: {knob}: {error.strerror}"
            return _advice(problem, "run as root, with the memory controller on at the root")
        above = list(self._unprotected())
        if above:
            problem = f"its memory.min is void: {', '.join(above)} have none"
            return _advice(problem, "give the slices above it MemoryMin=, or start memqos outside of them")
        return None

    def _own_cgroup(self) -> Advice | None:
        try:
            here = (self._proc / "self/cgroup").read_text().rpartition("0::/")[2].strip()
        except OSError as error:
            return _advice(f"its cgroup is not known: {error.strerror}", "mount /proc")
        here = here.lstrip("/")
        came_from = self._root / here
        if here == NAME or here.endswith(".service") or "kubepods" in here:
            self._cgroup = came_from
            return None
        own = self._root / NAME
        try:
            if not here and str(os.getpid()) not in (self._root / "cgroup.procs").read_text().split():
                remedy = "start it with the host's cgroup and process namespaces, or on the host"
                return _advice("it has no cgroup of its own: it runs in a container's namespaces", remedy)
            own.mkdir(exist_ok=True)
            if not (own / "cgroup.procs").exists():
                own.rmdir()
                raise FileNotFoundError(2, "not a cgroup2 file system")
            if not (own / "memory.min").exists():
                (self._root / "cgroup.subtree_control").write_text("+memory")
            (own / "cgroup.procs").write_text(f"{os.getpid()}\n")
        except OSError as error:
            return _advice(f"it has no cgroup of its own: {own}: {error.strerror}", "run as root")
        self._came_from, self._cgroup = came_from, own
        return None

    def _adjust(self) -> Advice | None:
        knob = self._proc / "self/oom_score_adj"
        try:
            before = knob.read_text().strip()
            if int(before) > OOM_SCORE_ADJ:
                knob.write_text(f"{OOM_SCORE_ADJ}\n")
                self._adjusted_from = before
        except (OSError, ValueError) as error:
            problem = f"the OOM killer may choose it: {knob}: {getattr(error, 'strerror', error)}"
            return _advice(problem, "run as root, or with CAP_SYS_RESOURCE")
        return None

    def _lock_memory(self) -> Advice | None:
        remedy = "run as root, with CAP_IPC_LOCK, or with LimitMEMLOCK=infinity"
        if not may_lock(self._proc):
            return _advice("its memory may be paged out: RLIMIT_MEMLOCK is finite", remedy)
        try:
            self._lock()
        except OSError as error:
            return _advice(f"its memory may be paged out: mlockall: {error.strerror}", remedy)
        self._locked = True
        return None

    def _unprotected(self) -> Iterator[str]:
        """The ancestors that give nothing: protection counts only as far as every parent has it."""
        assert self._cgroup is not None
        for directory in self._cgroup.parents:
            if directory == self._root or self._root not in directory.parents:
                return
            with contextlib.suppress(OSError, ValueError):
                text = (directory / "memory.min").read_text().strip()
                if text != "max" and int(text) == 0:
                    yield str(directory.relative_to(self._root))


def remove_empty(root: str) -> None:
    """Remove the cgroup of an agent that is gone."""
    with contextlib.suppress(OSError):
        (Path(root) / NAME).rmdir()


def resident(proc: Path = Path("/proc")) -> int:
    """Bytes of this process that are resident; 0 when it cannot be known."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((proc / "self/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def may_lock(proc: Path = Path("/proc")) -> bool:
    """Tell whether this process may lock all it will ever map: a finite limit would end it later."""
    return has_capability(CAP_IPC_LOCK, proc) or (
        resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    )


def has_capability(number: int, proc: Path = Path("/proc")) -> bool:
    """Tell whether a capability is effective (CapEff of /proc/self/status)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = (proc / "self/status").read_text()
        return bool(int(text.partition("CapEff:")[2].split()[0], 16) >> number & 1)
    return False


def _advice(problem: str, remedy: str) -> Advice:
    return Advice("memqos itself", problem, remedy, "agent")
