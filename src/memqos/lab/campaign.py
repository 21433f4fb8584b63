"""Run experiments on kernels: what `memqos lab list` and `memqos lab run` call.

One virtual machine for each experiment and kernel; its variants run in it one after another, and
with repeats all of them again (A B C A B C), so that they share the machine they are compared on and the
time that passes on it. `out_dir/EXPERIMENT/KERNEL/` keeps the recordings,
the console, and `result.json`. Each recording is there as soon as its variant ends, so a campaign that was
cut off can be resumed: what was played in the same machine is not played again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from memqos.errors import ExperimentError, InputError, LabError
from memqos.lab import asks, initramfs, qemu
from memqos.lab.accel import accelerator
from memqos.lab.experiment import Experiment, Play
from memqos.lab.initramfs import SHARE
from memqos.lab.kernels import SUITES, Kernel, fetch
from memqos.lab.machine import machine_of
from memqos.lab.manage import kubelet_of, senpai_of, settings_of
from memqos.lab.manifests import manifests_of
from memqos.lab.oomd import VARIABLE, fetch_oomd
from memqos.lab.recording import decode
from memqos.lab.results import ExperimentResult, VariantResult, check, evaluate_variant, median_of
from memqos.lab.run import Machine, run_in_guest
from memqos.lab.variant import play

State: TypeAlias = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Progress:
    """Where a campaign stands: run `number` of `total`, and what it does right now."""

    experiment: str
    kernel: str
    number: int
    total: int
    state: State
    text: str
    seconds: float


Report = Callable[[Progress], None]


def run(
    experiments: Sequence[Experiment],
    kernels: Sequence[str] = tuple(SUITES),
    out_dir: Path = Path("out/lab"),
    progress: Report = lambda _: None,
    *,
    repeats: int = 1,
    resume: bool = False,
) -> list[ExperimentResult]:
    """Run each experiment on each kernel, every variant `repeats` times; measures are medians.

    With `resume` only what has no recording in `out_dir` yet.

    One that cannot be run ends in a result with its `problem`, and the others go on. Raises
    `ToolMissing` when there is no QEMU, `ExperimentError` for a pod that cannot be read.
    """
    qemu.program()
    initramfs.busybox()
    for experiment in experiments:
        check_inputs(experiment)
    total = len(experiments) * len(kernels)
    pairs = [(kernel, experiment) for experiment in experiments for kernel in kernels]
    return [
        _run_one(
            experiment, kernel, out_dir / experiment.name / kernel, number, total, progress, repeats, resume
        )
        for number, (kernel, experiment) in enumerate(pairs, start=1)
    ]


def check_inputs(experiment: Experiment) -> None:
    """Read here, in time, what the guest will read; raises `ExperimentError` naming file and line."""
    for name in experiment.variant_names:
        variant = play(experiment, name)
        try:
            manifests_of(variant)
            if variant.policy is not None:
                settings_of(variant.policy)
            kubelet_of(variant.kubelet)
            senpai_of(variant.law)
        except InputError as error:
            place = experiment.place(f"$.{error.field}")
            raise ExperimentError(
                error.problem, source=place, field=error.field, remedy=error.remedy
            ) from None
    asks.check(experiment, [play(experiment, name) for name in experiment.variant_names])


def _run_one(
    experiment: Experiment,
    kernel: str,
    out_dir: Path,
    number: int,
    total: int,
    progress: Report,
    repeats: int,
    resume: bool,
) -> ExperimentResult:
    began = time.monotonic()

    def tell(state: State, text: str) -> None:
        progress(Progress(experiment.name, kernel, number, total, state, text, time.monotonic() - began))

    booted: Kernel | None = None
    try:
        tell("running", "kernel")
        booted = fetch(kernel, say=lambda text: tell("running", text))
        tell("running", "boot")
        plays = plays_of(experiment, repeats)
        machine = _Machine(booted.release, machine_of(experiment), accelerator(booted))
        missing = _unplayed(plays, machine, out_dir) if resume else plays
        out_dir.mkdir(parents=True, exist_ok=True)
        (out_dir / "machine.json").write_bytes(msgspec.json.encode(machine))
        (out_dir / "plays.json").write_bytes(msgspec.json.encode(plays))
        if missing:
            _play(experiment, booted, out_dir, lambda text: tell("running", text), missing)
        variants = _variants(experiment, plays, out_dir)
        checks = check(experiment, variants, kernel)
        result = _result(experiment, kernel, booted, machine.accel, began, variants=variants, checks=checks)
    except (LabError, InputError) as error:
        result = _result(experiment, kernel, booted, "", began, problem=str(error))
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "result.json").write_text(json.dumps(to_json(result), indent=1) + "\n", encoding="utf-8")
    held = sum(each.holds is True for each in result.checks)
    came_out = f"{held} of {len(result.checks)} hold" if result.checks else "played; nothing was expected"
    tell("done" if result.holds else "failed", result.problem or came_out)
    return result


def _result(
    experiment: Experiment, name: str, kernel: Kernel | None, accel: str, began: float, **rest: Any
) -> ExperimentResult:
    return ExperimentResult(
        name=experiment.name,
        title=experiment.title,
        study=experiment.study,
        kernel=name,
        kernel_release=kernel.release if kernel else "",
        kernel_version=kernel.version if kernel else "",
        accel=accel,
        seconds=round(time.monotonic() - began, 1),
        **rest,
    )


class _Machine(msgspec.Struct, frozen=True):
    """What recordings that are compared with each other must have been made in."""

    release: str
    machine: Machine
    accel: str


def _unplayed(plays: Sequence[Play], machine: _Machine, out_dir: Path) -> list[Play]:
    """Return what has no recording yet, of the very same play in the very same machine."""
    try:
        same = (out_dir / "machine.json").read_bytes() == msgspec.json.encode(machine)
        before = msgspec.json.decode((out_dir / "plays.json").read_bytes(), type=list[Play])
    except (OSError, msgspec.DecodeError):
        return list(plays)
    again = msgspec.json.decode(msgspec.json.encode(plays), type=list[Play])
    return [
        each
        for each in again
        if not same or each not in before or not (out_dir / "out" / each.record_name).exists()
    ]


def _play(
    experiment: Experiment,
    kernel: Kernel,
    out_dir: Path,
    say: Callable[[str], None],
    plays: Sequence[Play],
) -> None:
    """Play these in one machine; if it is lost, those that it left no recording of in another."""
    for each in plays:
        (out_dir / "out" / each.record_name).unlink(missing_ok=True)
    oomd = any(each.manager == "systemd-oomd" for each in plays)
    (out_dir / "missing.json").write_bytes(msgspec.json.encode(plays))
    guest = run_in_guest(
        [sys.executable, "-m", "memqos.lab.play", f"{SHARE}/missing.json"],
        kernel=kernel,
        out_dir=out_dir,
        machine=machine_of(experiment),
        timeout=experiment.timeout * max(each.repeat for each in plays),
        environment={VARIABLE: str(fetch_oomd(say))} if oomd else {},
        watch=say,
        keep=True,
    )
    if guest.status:
        last = "\n".join(guest.stdout.strip().splitlines()[-3:])
        raise LabError(f"the experiment ended with status {guest.status}: {last}")


def plays_of(experiment: Experiment, repeats: int = 1) -> list[Play]:
    """Return what one machine plays, in order: all variants, then all of them again."""
    names = experiment.variant_names
    return [play(experiment, name, repeat) for repeat in range(1, repeats + 1) for name in names]


def _variants(experiment: Experiment, plays: Sequence[Play], out_dir: Path) -> tuple[VariantResult, ...]:
    runs: dict[str, list[VariantResult]] = {}
    for each in plays:
        path = out_dir / "out" / each.record_name
        if not path.exists():
            raise LabError(f"variant {each.name} left no recording; see {out_dir / 'stdout'}")
        recording = decode(path.read_bytes(), source=each.record_name)
        runs.setdefault(each.name, []).append(evaluate_variant(experiment, recording))
    return tuple(median_of(each) for each in runs.values())


def to_json(result: ExperimentResult) -> dict[str, Any]:
    """Return a result as plain data for JSON, `holds` included."""
    plain = msgspec.to_builtins(asdict(result))
    assert isinstance(plain, dict)
    return {**plain, "holds": result.holds}
