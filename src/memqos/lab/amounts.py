"""Whether the numbers of an experiment are possible: sizes that fit, times that end, limits a pod can bear.

A single number is checked where it is read; this module checks numbers against each other, and bounds those
that could have any value. Every error names the file, its line and the field.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from memqos.errors import ExperimentError, QuantityError
from memqos.lab.experiment import Experiment, Play
from memqos.lab.steps import Wait
from memqos.lab.variant import name_of
from memqos.units import MIB, format_bytes, parse_bytes

LEAST_LIMIT: Final = MIB
"""Less than this does not hold a container's first process; container runtimes refuse even more."""
LARGEST_NODE: Final = 4 << 40
"""Bytes of memory, or of swap: a page's number on a simulated node can count twice as many."""
LEAST_PERIOD: Final = 0.001
"""Seconds from one look at the node to the next: what any node can keep up with, and a play can end with."""
LONGEST: Final = 30 * 86400.0
"""Seconds: a play looks at the node every second, and has an end that somebody waits for."""
_RESOURCES: Final = {"limits", "requests", "claims"}


def check(experiment: Experiment, plays: list[Play]) -> None:
    """Raise `ExperimentError` for the first number that makes no sense."""
    _check_node(experiment)
    _check_names(experiment)
    for play in plays:
        _check_files(experiment, play)
        _check_times(experiment, play)
        for index, pod in enumerate(play.pods):
            if pod.get("kind") == "Pod":
                _check_pod(experiment, f"pods[{index}]", pod)


def _check_node(experiment: Experiment) -> None:
    node = experiment.node
    if not 1 <= node.cpus <= 512:
        raise _error(experiment, "node.cpus", f"{node.cpus} is no number of CPUs", "write 1 to 512")
    if not 0 <= node.swappiness <= 200:
        raise _error(experiment, "node.swappiness", f"{node.swappiness} is no swappiness", "write 0 to 200")
    if node.read_ahead_kb < 0:
        raise _error(experiment, "node.readAheadKb", f"{node.read_ahead_kb} is no size", "write 0 or more")
    for name, disk in experiment.disks.items():
        if disk.iops < 0:
            raise _error(experiment, f"disks.{name}.iops", f"{disk.iops} is no rate", "write 0 or more")
    for name, text in (("node.memory", node.memory), ("node.swapFile", node.swap_file or "0")):
        _check_large(experiment, name, text)
    if "swap" in experiment.disks:
        _check_large(experiment, "disks.swap.size", experiment.disks["swap"].size)
    for name in ("every", "stagger", "timeout"):
        _check_time(experiment, name, getattr(experiment, name))
    if 0 < experiment.every < LEAST_PERIOD:
        problem = f"{experiment.every:g} is no period"
        raise _error(experiment, "every", problem, f"write 0, or {LEAST_PERIOD:g} or more")


def cycle(needs: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the names that need each other in a circle, in order; empty when there is none."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for need in sorted(needs.get(name, frozenset())):
            if found := walk(need, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in needs if (found := walk(name, []))), [])


def _error(experiment: Experiment, field: str, problem: str, remedy: str = "") -> ExperimentError:
    return ExperimentError(problem, source=experiment.place(f"$.{field}"), field=field, remedy=remedy)


def _check_large(experiment: Experiment, field: str, text: str) -> None:
    if parse_bytes(text) > LARGEST_NODE:
        raise _error(experiment, field, f"{text} is larger than any node", "write at most 4Ti")


def _check_time(experiment: Experiment, field: str, value: float) -> None:
    if not math.isfinite(value):
        raise _error(experiment, field, f"{value:g} is no time", "write a number of seconds")
    if value < 0:
        raise _error(experiment, field, f"{value:g} is before now", "write 0 or more")
    if value > LONGEST:
        problem = f"{value:g} s are longer than anything that is played"
        raise _error(experiment, field, problem, f"write at most {LONGEST:.0f}, thirty days")


def _check_names(experiment: Experiment) -> None:
    """What is named once must not be given twice: the later would take the place of the earlier unseen."""
    paths = [file.path for file in experiment.files]
    for index, path in enumerate(paths):
        if path in paths[:index]:
            raise _error(
                experiment, f"files[{index}].path", f"{path!r} is given twice", "name each file once"
            )
    pods = {name_of(pod) for pod in experiment.pods if pod.get("kind") == "Pod"}
    for name in sorted(experiment.copies.keys() - pods):
        problem = f"there is no pod {name!r} to copy"
        raise _error(experiment, f"copies.{name}", problem, f"use {', '.join(sorted(pods))}")


def _check_files(experiment: Experiment, play: Play) -> None:
    paths = list(play.files)
    for path, size in play.files.items():
        if size <= 0:
            field = f"files[{paths.index(path)}].size"
            raise _error(experiment, field, f"{size} is no size of a file", "write more than 0")
    if "data" not in experiment.disks:
        return
    room = parse_bytes(experiment.disks["data"].size)
    swap_file = experiment.node.swap_file
    whole = sum(play.files.values()) + (parse_bytes(swap_file) if swap_file is not None else 0)
    if whole > room:
        problem = f"{format_bytes(whole)} of files do not fit on a disk of {format_bytes(room)}"
        raise _error(experiment, "disks.data.size", problem, "make the disk larger or the files smaller")


def _check_times(experiment: Experiment, play: Play) -> None:
    for index, step in enumerate(play.timeline):
        here = f"timeline[{index}]"
        numbers = {"at": step.at, "sleep": step.sleep}
        if step.sample is not None:
            numbers |= {"sample.every": step.sample.every, "sample.count": float(step.sample.count)}
            if step.sample.count < 1:
                problem = f"{step.sample.count} is no number of samples"
                raise _error(experiment, f"{here}.sample.count", problem, "write 1 or more")
        if step.exec is not None:
            numbers["exec.timeout"] = step.exec.timeout
        if step.wait is not None:
            numbers["wait.timeout"] = step.wait.timeout
            for name in sorted(Wait.REFUSED):
                if f"$.{here}.wait.{name}" in experiment.lines:
                    remedy = "leave it out: it is looked four times a second, and whenever a container ends"
                    raise _error(experiment, f"{here}.wait.{name}", "there is no such field", remedy)
        for name, value in numbers.items():
            if value is not None:
                _check_time(experiment, f"{here}.{name}", value)


def _check_pod(experiment: Experiment, here: str, pod: dict[str, Any]) -> None:
    for field, resources in _resources(pod):
        unknown = sorted(resources.keys() - _RESOURCES)
        if unknown:
            problem = f"{unknown[0]!r} is not a key of resources"
            raise _error(experiment, f"{here}.{field}", problem, "write limits or requests")
        limits = resources.get("limits")
        text = limits.get("memory") if isinstance(limits, dict) else None
        try:
            limit = parse_bytes(text) if isinstance(text, str | int) else 0
        except QuantityError:
            continue  # reading the pod says what is wrong with it
        if 0 < limit < LEAST_LIMIT:
            problem = f"a limit of {text} is less than a container needs to start"
            raise _error(experiment, f"{here}.{field}.limits.memory", problem, "write at least 1Mi")


def _resources(pod: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    spec = pod.get("spec")
    for part in ("initContainers", "containers"):
        containers = spec.get(part) if isinstance(spec, dict) else None
        for index, each in enumerate(containers if isinstance(containers, list) else []):
            found = each.get("resources") if isinstance(each, dict) else None
            if isinstance(found, dict):
                yield f"spec.{part}[{index}].resources", found
