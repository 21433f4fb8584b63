"""An experiment: a node, its disks and files, pods, a timeline, and what to expect of it.

One YAML document, `kind: Experiment`; `memqos/lab/experiments/` holds the field study's and the manager's.
Every `${name}` in it is replaced by the variant's value, so that variants differ in what they `set`, in their
`policy` and `manager`, and in nothing else; `${here}` is the file's own directory, `${workloads}/NAME` one of
its `workloads`. Names are the kernel's: a measure says `io("reader", "rbytes", "after")`, where "after" is a
`mark` of the timeline; without a mark it means "at this sample" (series) or "at the end".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from memqos.errors import ExperimentError, InputError
from memqos.lab import amounts
from memqos.lab.expression import FUNCTIONS, Expression, parse
from memqos.lab.questions import QUESTIONS
from memqos.lab.yamllines import line_of, load
from memqos.units import MIB, parse_bytes

EXPERIMENTS = Path(__file__).with_name("experiments")
"""The experiments that come with memqos."""

WORKLOADS = "/run/memqos-workloads"
"""Where the guest keeps a variant's own `workloads`; `${workloads}` in a file."""

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


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


class Sample(_Strict, frozen=True):
    """Let time pass: look at the node every `every` seconds, `count` times."""

    every: float = 1.0
    count: int = 1


class Exec(_Strict, frozen=True):
    """Run a command in a container's cgroup, as `kubectl exec` would, and wait for it.

    `as` names it for measures (`took("second", "real")`).
    """

    pod: str
    command: tuple[str, ...]
    container: str = ""
    name: str = field(default="", name="as")
    timeout: float = 300.0


class Wait(_Strict, frozen=True):
    """Let time pass until a pod is `running`, has `ended`, or has said a word in its log.

    In vain is an error, unless it is `patient`: then the timeline goes on after `timeout` seconds.
    """

    pod: str
    until: Literal["running", "ended", "said"] = "ended"
    word: str = ""
    timeout: float = 120.0
    every: float = 1.0
    patient: bool = False


class WriteKnob(_Strict, frozen=True):
    """Write one size to a knob of a pod's cgroup (or a container's), as an administrator would.

    `value` is a Kubernetes quantity, or `max`. `memory.reclaim` is an order: what it cannot take is no error.
    """

    pod: str
    knob: Literal[
        "memory.min", "memory.low", "memory.high", "memory.max", "memory.swap.max", "memory.reclaim"
    ]
    value: str
    container: str = ""


class Step(_Strict, frozen=True):
    """One step of the timeline; exactly one field. `at` (seconds from the start) delays it."""

    at: float | None = None
    start: str | None = None
    stop: str | None = None
    mark: str | None = None
    sleep: float | None = None
    sample: Sample | None = None
    exec: Exec | None = None
    wait: Wait | None = None
    write: WriteKnob | None = None
    drop_caches: bool | None = None

    @property
    def action(self) -> str:
        """The one field that is set; raises `ValueError` for none or several."""
        found = [name for name in self.__struct_fields__[1:] if getattr(self, name) is not None]
        if len(found) != 1:
            raise ValueError(f"a step has exactly one action, this one has {', '.join(found) or 'none'}")
        return found[0]


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
    nobody evicts.
    """

    name: str
    text: str = ""
    set: dict[str, Any] = {}
    policy: dict[str, Any] | None = None
    manager: ManagerName | None = None


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

    @property
    def managed(self) -> bool:
        """Whether it compares managers of the node, not what the kernel does by itself."""
        return any(each.manager is not None for each in self.variants)

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
    workloads: dict[str, dict[str, Any]] = {}
    stagger: float = 0.0
    repeat: int = 1

    @property
    def record_name(self) -> str:
        """The name of its recording's file: the first run of a variant has no number."""
        return f"record-{self.name}.json" if self.repeat == 1 else f"record-{self.name}-{self.repeat}.json"


def read(path: Path) -> Experiment:
    """Read and check an experiment file; raises `ExperimentError` naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"cannot be read: {error}", source=str(path)) from None
    data, lines = load(text, source=str(path))
    if isinstance(data, dict) and {"source", "lines"} & data.keys():
        raise ExperimentError("source and lines are not for the file to say", source=str(path))
    experiment: Experiment = _convert(data, Experiment, str(path), lines, "$")
    experiment = msgspec.structs.replace(experiment, source=str(path), lines=lines)
    _check(experiment)
    return experiment


def play(experiment: Experiment, name: str, repeat: int = 1) -> Play:
    """Return one variant with its values filled in, to be played the `repeat`-th time.

    Raises `ExperimentError`.
    """
    variant = next((each for each in experiment.variants if each.name == name), Variant(name=name))
    here = str(Path(experiment.source).resolve().parent)
    values = {"here": here, "workloads": WORKLOADS, **variant.set}

    def filled(part: str) -> Any:
        return _fill(msgspec.to_builtins(getattr(experiment, part)), values, experiment.place(f"$.{part}"))

    steps = filled("timeline")
    timeline = []
    for index, step in enumerate(steps):
        path = f"$.timeline[{index}]"
        timeline.append(_convert(step, Step, experiment.source, experiment.lines, path))
        try:
            _ = timeline[-1].action
        except ValueError as error:
            raise ExperimentError(str(error), source=experiment.place(path), field=path[2:]) from None
    sizes: dict[str, int] = {}
    for index, file in enumerate(filled("files")):
        sizes[file["path"]] = size_of(experiment, f"$.files[{index}].size", file["size"])
    policy = variant.policy if variant.policy is not None else filled("policy")
    if variant.manager not in (None, "memqos"):
        policy = None
    kubelet = filled("kubelet")
    if variant.manager == "kubelet-memory-qos":
        kubelet = {**kubelet, **MEMORY_QOS}
    return Play(
        name=name,
        pods=_copied(experiment, filled("pods"), filled("copies")),
        timeline=timeline,
        files=sizes,
        kubelet=kubelet,
        policy=_fill(policy, values, experiment.place("$.policy")),
        every=experiment.every,
        manager=variant.manager,
        workloads=filled("workloads"),
        stagger=experiment.stagger,
        repeat=repeat,
    )


MEMORY_QOS = {
    "featureGates": {"MemoryQoS": True},
    "memoryThrottlingFactor": 0.9,
    "memoryReservationPolicy": "TieredReservation",
}
"""What `kubelet-memory-qos` adds to a kubelet's configuration (KEP-2570)."""


def _copied(
    experiment: Experiment, pods: list[dict[str, Any]], copies: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the pods with those that `copies` names as often as it says."""
    found: list[dict[str, Any]] = []
    for pod in pods:
        metadata = pod.get("metadata") or {}
        number = copies.get(str(metadata.get("name"))) if pod.get("kind") == "Pod" else None
        if number is None:
            found.append(pod)
            continue
        if not isinstance(number, int) or not 1 <= number <= 500:
            raise ExperimentError(f"{number!r} is no number of copies", source=experiment.place("$.copies"))
        names = [f"{metadata['name']}-{each}" for each in range(1, number + 1)]
        found += [{**pod, "metadata": {**metadata, "name": name}} for name in names]
    return found


def size_of(experiment: Experiment, path: str, text: str) -> int:
    """Read a size of the document; raises `ExperimentError` with its line."""
    try:
        return parse_bytes(text)
    except InputError as error:
        raise ExperimentError(error.problem, source=experiment.place(path), field=path[2:]) from None


def _fill(data: Any, values: Mapping[str, Any], place: str) -> Any:
    if isinstance(data, dict):
        return {key: _fill(value, values, place) for key, value in data.items()}
    if isinstance(data, list):
        return [_fill(value, values, place) for value in data]
    if not isinstance(data, str):
        return data
    unknown = [name for name in _REFERENCE.findall(data) if name not in values]
    if unknown:
        remedy = "give every variant a value under `set`"
        raise ExperimentError(f"${{{unknown[0]}}} has no value", source=place, remedy=remedy)
    whole = _REFERENCE.fullmatch(data)
    return values[whole[1]] if whole else _REFERENCE.sub(lambda match: str(values[match[1]]), data)


def _convert(data: Any, kind: type[Any], source: str, lines: Mapping[str, int], base: str) -> Any:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        where = base + path.rstrip("`")
        line = line_of(where, dict(lines))
        raise ExperimentError(
            problem, source=f"{source}:{line}", field=where.removeprefix("$").strip(".")
        ) from None


def _check(experiment: Experiment) -> None:
    """Check all that can be known without a guest."""
    names = [each.name for each in experiment.variants]
    for index, name in enumerate(names):
        if not _NAME.fullmatch(name) or name in names[:index]:
            place = experiment.place(f"$.variants[{index}]")
            raise ExperimentError(
                f"variant name {name!r} is no new word", source=place, remedy="letters, digits, _"
            )
    for name, disk in experiment.disks.items():
        if size_of(experiment, f"$.disks.{name}.size", disk.size) < MIB:
            place = experiment.place(f"$.disks.{name}")
            raise ExperimentError("a disk has 1Mi at least", source=place, field=f"disks.{name}.size")
        if disk.bandwidth is not None:
            size_of(experiment, f"$.disks.{name}.bandwidth", disk.bandwidth)
    if size_of(experiment, "$.node.memory", experiment.node.memory) < 256 * MIB:
        place = experiment.place("$.node.memory")
        raise ExperimentError("a node has 256Mi at least", source=place, field="node.memory")
    if experiment.node.swap_file is not None:
        size_of(experiment, "$.node.swapFile", experiment.node.swap_file)
    if (experiment.files or experiment.node.swap_file) and "data" not in experiment.disks:
        raise ExperimentError(
            "files need a disk", source=experiment.place("$.files"), remedy="add disks: data"
        )
    for index, file in enumerate(experiment.files):
        if not file.path or file.path.startswith("/") or ".." in Path(file.path).parts:
            place = experiment.place(f"$.files[{index}].path")
            problem = f"{file.path!r} does not stay on the data disk"
            raise ExperimentError(problem, source=place, field=f"files[{index}].path")
    plays = [play(experiment, name) for name in experiment.variant_names]
    amounts.check(experiment, plays)
    for each in plays:
        _check_steps(experiment, each)
    _check_expressions(experiment)


def _check_steps(experiment: Experiment, variant: Play) -> None:
    pods = {str((pod.get("metadata") or {}).get("name")) for pod in variant.pods if pod.get("kind") == "Pod"}
    pods |= experiment.copies.keys()
    for index, step in enumerate(variant.timeline):
        value = getattr(step, step.action)
        pod = (
            value.pod
            if isinstance(value, (Exec, Wait, WriteKnob))
            else value
            if step.action in ("start", "stop")
            else None
        )
        if isinstance(value, WriteKnob) and value.value != "max":
            size_of(experiment, f"$.timeline[{index}].write.value", value.value)
        if pod is not None and pod not in pods:
            place = experiment.place(f"$.timeline[{index}]")
            raise ExperimentError(
                f"there is no pod {pod!r}", source=place, remedy=f"use {', '.join(sorted(pods))}"
            )


def _check_expressions(experiment: Experiment) -> None:
    known = {*QUESTIONS, *FUNCTIONS}
    measures = experiment.expressions("measures")
    for expression in [*measures.values(), *experiment.expressions("series").values()]:
        unknown = sorted(expression.calls - known) or sorted(expression.names - measures.keys())
        if unknown:
            raise ExperimentError(
                f"{unknown[0]} is not known", source=expression.place, remedy=f"use {sorted(known)}"
            )
    circle = amounts.cycle({name: each.names for name, each in measures.items()})
    if circle:
        field = f"measures.{circle[0]}.of"
        raise ExperimentError(
            f"measures in a circle: {' needs '.join(circle)}",
            source=experiment.place(f"$.{field}"),
            field=field,
        )
    allowed = {*measures, *experiment.variant_names}
    for _, expression in experiment.expectations():
        unknown = sorted(expression.calls - set(FUNCTIONS)) or sorted(expression.names - allowed)
        if unknown:
            remedy = f"use a measure: {', '.join(sorted(measures))}"
            raise ExperimentError(f"{unknown[0]} is not known", source=expression.place, remedy=remedy)
