"""A node in memory that behaves as a kernel does: whole pages, inodes, errors where they are due."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from msgspec import structs

from memqos.agent.order import as_kept
from memqos.errors import CgroupGone, KnobMissing
from memqos.model.plan import Outcome, Reclaim, Status, Value, Write
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.node import Wake
from memqos.policy.compose import field_of
from memqos.units import GIB, UNLIMITED


@dataclass
class FakeNode:
    """`refuse` maps (cgroup, knob) to an error raised at its writes; `log` has the writes done."""

    cgroups: dict[str, Cgroup] = field(default_factory=dict)
    refuse: dict[tuple[str, str], Exception] = field(default_factory=dict)
    log: list[tuple[str, str, Value]] = field(default_factory=list)
    before_write: Callable[[Write], None] = lambda write: None
    boot_id: str = "boot"
    time_us: int = 0
    births: int = 10
    orders: dict[str, Write] = field(default_factory=dict)
    finished: list[Outcome] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    stopped: bool = False

    def add(self, path: str, **fields: object) -> None:
        """Make a cgroup, with usual limits, under a fresh inode."""
        self.births += 1
        usual: dict[str, object] = {
            "memory_current": 0,
            "memory_min": 0,
            "memory_low": 0,
            "memory_high": UNLIMITED,
            "memory_max": UNLIMITED,
            "memory_swap_max": UNLIMITED,
            "memory_swap_current": 0,
            "memory_oom_group": False,
        }
        self.cgroups[path] = Cgroup(path=path, inode=self.births, **{**usual, **fields})  # type: ignore[arg-type]

    def set(self, path: str, knob: str, value: object) -> None:
        """Write as somebody else would."""
        name = field_of(knob)
        assert name is not None
        self.cgroups[path] = structs.replace(self.cgroups[path], **{name: value})

    def get(self, path: str, knob: str) -> object:
        name = field_of(knob)
        assert name is not None
        return getattr(self.cgroups[path], name)

    def observe(self) -> Snapshot:
        self.time_us += 1_000_000
        facts = NodeFacts(
            meminfo=Counters.of({"MemTotal": 8 * GIB, "SwapTotal": 4 * GIB}), vmstat=Counters.of({})
        )
        return Snapshot(time_us=self.time_us, boot_id=self.boot_id, node=facts, cgroups=dict(self.cgroups))

    def apply(self, write: Write) -> Value | None:
        self.before_write(write)
        if write.target in self.refuse:
            raise self.refuse[write.target]
        cgroup = self.cgroups.get(write.cgroup)
        if cgroup is None or write.inode not in (0, cgroup.inode):
            raise CgroupGone("no such cgroup", cgroup=write.cgroup, knob=write.knob)
        self.log.append((write.cgroup, write.knob, write.value))
        if isinstance(write.value, Reclaim):
            return None
        name = field_of(write.knob)
        if name is None or getattr(cgroup, name) is None:
            raise KnobMissing("no such file", cgroup=write.cgroup, knob=write.knob)
        value = as_kept(write, 4096)
        self.set(write.cgroup, write.knob, value)
        return value

    def begin(self, order: Write) -> None:
        """Begin an order; it runs until a test says it ended."""
        self.apply(order)
        self.orders[order.cgroup] = order

    def finish(self, cgroup: str, status: Status = "written") -> None:
        """End an order, with nothing taken."""
        self.finished.append(Outcome(self.orders.pop(cgroup), status, None, Reclaim(0)))

    def cancel(self, cgroup: str) -> None:
        if cgroup in self.orders:
            self.finish(cgroup, "stopped")

    def underway(self) -> frozenset[str]:
        return frozenset(self.orders)

    def ended(self) -> tuple[Outcome, ...]:
        found, self.finished = tuple(self.finished), []
        return found

    def watch(self, cgroups: Sequence[str]) -> None:
        self.watched = list(cgroups)

    def wait(self, seconds: float, quiet: float = 0.0) -> Wake:
        self.time_us += int(seconds * 1e6)
        return Wake("stop" if self.stopped else "timeout")

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def node() -> FakeNode:
    """Give a node with `a`, `a/b` and `a/b/c`."""
    fake = FakeNode()
    fake.add("")
    for path in ("a", "a/b", "a/b/c"):
        fake.add(path)
    return fake
