"""Whether the steps of a timeline fit the pods there are, and each other.

A step that names what is not there, or not yet, would end a play in its midst, on a real kernel after
minutes. What cannot be known before (a pod that was evicted meanwhile) is told by the play.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memqos.errors import ExperimentError
from memqos.lab.experiment import Experiment, Play
from memqos.lab.steps import Exec, Step, Wait, WriteKnob
from memqos.lab.variant import members_of, name_of, size_of


def check(experiment: Experiment, variant: Play) -> None:
    """Raise `ExperimentError` for the first step that cannot be done."""
    pods = {name_of(pod): pod for pod in variant.pods if pod.get("kind") == "Pod"}
    groups = {name: members_of(name, pods) for name in experiment.copies}
    groups |= {name: [name] for name in pods}
    here: set[str] = set()
    named: set[tuple[str, str]] = set()
    if not variant.timeline:
        raise ExperimentError(
            "is empty, so nothing would happen",
            source=experiment.place("$.timeline"),
            field="timeline",
            remedy="start a pod, and let time pass: - sleep: 60",
        )
    for index, step in enumerate(variant.timeline):
        if isinstance(step.write, WriteKnob) and step.write.value != "max":
            size_of(experiment, f"$.timeline[{index}].write.value", step.write.value)
        for field, problem, remedy in _faults(step, pods, groups, here, named):
            path = f"timeline[{index}].{field}"
            raise ExperimentError(problem, source=experiment.place(f"$.{path}"), field=path, remedy=remedy)


def _faults(
    step: Step,
    pods: Mapping[str, dict[str, Any]],
    groups: Mapping[str, list[str]],
    here: set[str],
    named: set[tuple[str, str]],
) -> Iterator[tuple[str, str, str]]:
    """Yield the field, the problem and the remedy of what is wrong; `here` and `named` grow on."""
    action = step.action
    value = getattr(step, action)
    single = isinstance(value, (Exec, WriteKnob))
    if single or isinstance(value, Wait):
        field, name = f"{action}.pod", value.pod
    elif action in ("start", "stop"):
        field, name = action, value
    else:
        field, name = action, None
    if name is not None:
        known = pods if single else groups
        if name not in known:
            yield field, f"there is no pod {name!r}", f"use {', '.join(sorted(known)) or 'one of pods'}"
            return
        members = set(groups[name])
        if action == "start" and members & here:
            yield field, f"the pod {sorted(members & here)[0]!r} is started already", "stop it before"
        if action != "start" and not members & here:
            yield field, f"the pod {name!r} is not started at this point", "start it before"
        here |= members if action == "start" else set()
        here -= members if action == "stop" else set()
    if single:
        containers = containers_of(pods[value.pod])
        if value.container and value.container not in containers:
            problem = f"the pod has no container {value.container!r}"
            yield f"{action}.container", problem, f"use {', '.join(containers)}"
    if isinstance(value, Wait) and value.until == "said" and not value.word:
        yield "wait.word", "is missing", "write what the pod says"
    new = (action, value if action == "mark" else value.name if isinstance(value, Exec) else "")
    if new[1] and new in named:
        yield "exec.as" if action == "exec" else action, f"{new[1]!r} is given twice", "take another name"
    if action == "mark" and not value:
        yield action, "is empty", "give it a name"
    named.add(new)


def containers_of(pod: Mapping[str, Any]) -> list[str]:
    """The names of a pod's containers; what is wrong with them is left to the pod's reader."""
    spec = pod.get("spec")
    found = []
    for part in ("containers", "initContainers"):
        listed = spec.get(part) if isinstance(spec, dict) else None
        if isinstance(listed, list):
            found += [str(each.get("name")) for each in listed if isinstance(each, dict)]
    return found
