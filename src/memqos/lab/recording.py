"""What a guest saw of one variant: snapshots, not conclusions, so that all else is worked out later.

Written as JSON by the guest, read by the host; `questions` asks it things.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from memqos.errors import RecordingError
from memqos.model.snapshot import Counters, Snapshot
from memqos.workload.result import Result


class PodLook(Struct, frozen=True, gc=False):
    """A pod at one moment. `exit_code` and `reason` are its last ended container's."""

    phase: str
    running: int
    restarts: int
    oom_kills: int
    exit_code: int | None = None
    reason: str = ""


class Look(Struct, frozen=True):
    """The node at one moment, `seconds` after the variant began."""

    seconds: float
    snapshot: Snapshot
    pods: dict[str, PodLook] = {}


class Executed(Struct, frozen=True, gc=False):
    """A command of the timeline: seconds of wall clock and of the processor, its exit status, its output."""

    started: float
    real: float
    user: float
    sys: float
    status: int
    output: str = ""


class Happened(Struct, frozen=True, gc=False):
    """Something that happened to a container, or a step of the timeline."""

    seconds: float
    what: str
    subject: str
    text: str = ""


class Written(Struct, frozen=True, gc=False):
    """A knob that the policy wrote, in the words of the plan."""

    seconds: float
    cgroup: str
    knob: str
    value: str
    status: str
    why: str


class Recording(Struct, frozen=True, kw_only=True):
    """One variant as it ran.

    `devices` are "major:minor" by disk, `cgroups` paths by "pod" and "pod/container", `logs` what the
    containers printed last, `results` what their workloads did, `kernel_log` the kernel's lines about
    killed processes. `room` is what `memqos.lab.room` found, where the samples were not kept.
    """

    variant: str
    release: str
    devices: dict[str, str] = {}
    cgroups: dict[str, str] = {}
    marks: dict[str, Look] = {}
    samples: list[Look] = []
    execs: dict[str, Executed] = {}
    events: list[Happened] = []
    writes: list[Written] = []
    kernel_log: list[str] = []
    logs: dict[str, str] = {}
    results: dict[str, list[Result]] = {}
    seconds: float = 0.0
    room: int | None = None


def encode(recording: Recording) -> bytes:
    """Write a recording as JSON, the same bytes for the same recording."""
    return msgspec.json.encode(recording, enc_hook=_plain, order="deterministic")


def decode(data: bytes, *, source: str = "") -> Recording:
    """Read a recording; raises `RecordingError` for what the guest did not write whole."""
    try:
        return msgspec.json.decode(data, type=Recording, dec_hook=_typed)
    except msgspec.DecodeError as error:
        raise RecordingError(f"not a recording: {error}", source=source) from error


def _plain(value: Any) -> Any:
    if isinstance(value, Counters):
        return dict(value)
    raise NotImplementedError(f"{type(value)} does not belong in a recording")


def _typed(kind: type[Any], value: Any) -> Any:
    if kind is Counters:
        return Counters.of(value)
    raise NotImplementedError(f"{kind} does not belong in a recording")
