"""An experiment: a node, its disks and files, pods, a timeline, and what to expect of it.

One YAML document, `kind: Experiment`; `memqos/lab/experiments/` holds the field study's and the manager's.
Every `${name}` in it is replaced by the variant's value, so that variants differ in what they `set`, in their
`policy` and `manager`, and in nothing else; `${here}` is the file's own directory, `${workloads}/NAME` one of
its `workloads`. Names are the kernel's: a measure says `io("reader", "rbytes", "after")`, where "after" is a
`mark` of the timeline; without a mark it means "at this sample" (series) or "at the end".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec import Struct, structs

from memqos.lab.expression import Expression, parse
from memqos.lab.steps import Step
from memqos.lab.yamllines import line_of

EXPERIMENTS = Path(__file__).with_name("experiments")
"""The experiments that come with memqos."""

WORKLOADS = "/run/memqos-workloads"
"""Where the guest keeps a variant's own `workloads`; `${workloads}` in a file."""


class _Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class NodeSpec(_Strict, frozen=True):
    """The node: memory as a Kubernetes quantity, and the kernel's settings (see `spec.Setup`).

    `swap_file` is the size of a swap file on the disk `data`, which it then shares with the files.
    """

    memory: str = "1Gi"
    cpus: int = 2
    swappiness: int = 60
    thp: Literal["always", "madvise", "never"] = "never"
    mglru: bool | None = None
    read_ahead_kb: int = 128
    sysctl: dict[str, str] = {}
    swap_file: str | None = None


class DiskSpec(_Strict, frozen=True):
    """A disk: size, bandwidth (bytes per second) and IOPS; absent speeds are unlimited.

    The disk `data` holds the files, mounted at /data; the disk `swap` is the node's swap.
    """

    size: str
    bandwidth: str | None = None
    iops: int = 0
    rotational: bool = False


class FileSpec(_Strict, frozen=True):
    """A file on the data disk, filled with bytes that are not zero and do not repeat."""

    path: str
    size: str


class Ask(_Strict, frozen=True):
    """A measure or a series: an expression, its unit, and what it is in words."""

    of: str
    unit: Literal["bytes", "count", "seconds", "percent", "yes_no", "ratio"] = "bytes"
    text: str = ""


class Expect(_Strict, frozen=True):
    """What should hold, what the field study says about it, and on which kernels (all, if none)."""

    that: str
    study: str = ""
    kernels: tuple[str, ...] = ()


ManagerName: TypeAlias = Literal[
    "nobody", "kubelet", "kubelet-memory-qos", "systemd-oomd", "senpai", "memqos"
]
"""Who keeps the node's memory in order: `memqos.lab.manage` says what each does.

Under all but `nobody` the kubelet's eviction manager runs beside it, as it does on every node of a cluster.
"""


class Variant(_Strict, frozen=True):
    """One of several runs that are compared: its values for `${name}`, its policy, its manager.

    Without a manager the agent works where there is a policy, turning with the samples (`every`), and
    nobody evicts. `law` are constants of senpai's law that differ from its published ones
    (`memqos.lab.baselines.senpai.Senpai`).
    """

    name: str
    text: str = ""
    set: dict[str, Any] = {}
    policy: dict[str, Any] | None = None
    manager: ManagerName | None = None
    law: dict[str, float] = {}


class Experiment(_Strict, frozen=True):
    """One experiment, as its file has it; `variants` are merged in by `play`.

    `workloads` are documents of kind Workload without their first two lines; a pod runs one with
    `[memqos, workload, "${workloads}/NAME"]`. `copies` makes of the pod NAME as many, called NAME-1,
    NAME-2, ...; a step that names NAME means them all, started `stagger` seconds one after another.
    """

    kind: Literal["Experiment"]
    api_version: Literal["memqos.dev/v1alpha1"]
    name: str
    title: str
    study: str
    pods: list[dict[str, Any]]
    timeline: list[dict[str, Any]]
    node: NodeSpec = NodeSpec()
    disks: dict[str, DiskSpec] = {}
    files: list[FileSpec] = []
    kubelet: dict[str, Any] = {}
    policy: dict[str, Any] | None = None
    every: float = 1.0
    timeout: float = 600.0
    variants: list[Variant] = []
    workloads: dict[str, dict[str, Any]] = {}
    copies: dict[str, int | str] = {}
    stagger: float = 0.0
    series: dict[str, Ask] = {}
    measures: dict[str, Ask] = {}
    expect: list[Expect] = []
    source: str = ""
    lines: dict[str, int] = {}

    def place(self, path: str) -> str:
        """Return "file:line" of a path of this document."""
        return f"{self.source}:{line_of(path, self.lines)}"

    def by_itself(self) -> Experiment | None:
        """Return it with those variants only in which nobody manages the node but its kubelet.

        They show what the kernel does; what managers do differs with every delay of theirs. What is expected
        of several managers goes with them. `None` when there is no such variant.
        """
        kept = [each for each in self.variants if each.manager in (None, "nobody", "kubelet")]
        if len(kept) == len(self.variants):
            return self
        return structs.replace(self, variants=kept, expect=[]) if kept else None

    @property
    def variant_names(self) -> tuple[str, ...]:
        """The variants, in order; one unnamed `run` when the file has none."""
        return tuple(each.name for each in self.variants) or ("run",)

    def expressions(self, part: Literal["series", "measures"]) -> dict[str, Expression]:
        """Return the parsed expressions of the series or the measures."""
        asks: dict[str, Ask] = getattr(self, part)
        return {name: parse(ask.of, place=self.place(f"$.{part}.{name}.of")) for name, ask in asks.items()}

    def expectations(self) -> list[tuple[Expect, Expression]]:
        """Return the expectations with their parsed expressions."""
        return [
            (each, parse(each.that, place=self.place(f"$.expect[{index}].that")))
            for index, each in enumerate(self.expect)
        ]


class Play(_Strict, frozen=True):
    """One variant, ready to be played: what goes to the guest."""

    name: str
    pods: list[dict[str, Any]]
    timeline: list[Step]
    files: dict[str, int]
    kubelet: dict[str, Any]
    policy: dict[str, Any] | None
    every: float
    manager: ManagerName | None = None
    law: dict[str, float] = {}
    workloads: dict[str, dict[str, Any]] = {}
    stagger: float = 0.0
    repeat: int = 1

    @property
    def record_name(self) -> str:
        """The name of its recording's file: the first run of a variant has no number."""
        return f"record-{self.name}.json" if self.repeat == 1 else f"record-{self.name}-{self.repeat}.json"
