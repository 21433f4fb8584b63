"""One variant of an experiment, ready to be played: its values filled in, its copies made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from memqos.errors import ExperimentError, InputError
from memqos.lab.experiment import WORKLOADS, Experiment, Play, Variant
from memqos.lab.steps import Step
from memqos.lab.yamllines import convert
from memqos.units import parse_bytes

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}")

MEMORY_QOS: Final = {
    "featureGates": {"MemoryQoS": True},
    "memoryThrottlingFactor": 0.9,
    "memoryReservationPolicy": "TieredReservation",
}
"""What `kubelet-memory-qos` adds to a kubelet's configuration (KEP-2570)."""


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
        timeline.append(convert(step, Step, experiment.source, experiment.lines, path))
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
        law=variant.law,
        workloads=filled("workloads"),
        stagger=experiment.stagger,
        repeat=repeat,
    )


def _copied(
    experiment: Experiment, pods: list[dict[str, Any]], copies: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the pods with those that `copies` names as often as it says."""
    found: list[dict[str, Any]] = []
    for pod in pods:
        metadata = pod.get("metadata")
        number = copies.get(name_of(pod)) if pod.get("kind") == "Pod" else None
        if number is None or not isinstance(metadata, dict):
            found.append(pod)
            continue
        if not isinstance(number, int) or not 1 <= number <= 500:
            field = f"copies.{name_of(pod)}"
            raise ExperimentError(
                f"{number!r} is no number of copies",
                source=experiment.place(f"$.{field}"),
                field=field,
                remedy="write 1 to 500",
            )
        names = [f"{metadata['name']}-{each}" for each in range(1, number + 1)]
        found += [{**pod, "metadata": {**metadata, "name": name}} for name in names]
    return found


def members_of(name: str, pods: Iterable[str]) -> list[str]:
    """Return which pods a name means: the pod that has it, or the numbered copies that stand in its place."""
    known = list(pods)
    copies = (each for each in known if each.rpartition("-")[0] == name and each.rpartition("-")[2].isdigit())
    return [name] if name in known else list(copies)


def name_of(pod: Mapping[str, Any]) -> str:
    """Return the name a document's metadata gives, whatever else is wrong with it; "" when there is none."""
    metadata = pod.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def size_of(experiment: Experiment, path: str, text: str) -> int:
    """Read a size of the document; raises `ExperimentError` with its line."""
    try:
        return parse_bytes(text)
    except InputError as error:
        place = experiment.place(path)
        raise ExperimentError(error.problem, source=place, field=path[2:], remedy=error.remedy) from None


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
