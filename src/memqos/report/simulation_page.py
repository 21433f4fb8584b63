"""What a simulation leaves in a directory: a page, figures, results as JSON, recordings.

============================  ========================================================================
`simulation.md`               the tables, the figures, the story of each run
`pods.png`                    each pod's memory over time, a column for each run
`EXPERIMENT-sim-KERNEL.png`   the curves that the file asks for, if it asks for any
`simulation.json`             what `memqos simulate --json` prints
`record-RUN.json`             all that was seen (`memqos.lab.recording`)
============================  ========================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from memqos.lab.experiment import Experiment
from memqos.lab.recording import Look, Recording, encode
from memqos.lab.results import ExperimentResult
from memqos.model.snapshot import Cgroup
from memqos.report.experiments import draw
from memqos.report.figures import Line, Marker, Panel, save_figure
from memqos.report.simulation import evicts, tables_of
from memqos.report.story import Story
from memqos.units import MIB, UNLIMITED


def leave(
    directory: Path,
    experiment: Experiment,
    document: Mapping[str, Any],
    runs: Mapping[str, Recording],
    results: Sequence[ExperimentResult],
) -> Path:
    """Write everything and return the page."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, recording in runs.items():
        (directory / f"record-{_file(name)}.json").write_bytes(encode(recording))
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (directory / "simulation.json").write_text(text, encoding="utf-8")
    figures = []
    if panels := pod_panels(runs):
        figures.append(directory / "pods.png")
        note = f"kernel {document['kernel']}, simulated; seconds of virtual time"
        save_figure(panels, figures[0], title=experiment.title, note=note, columns=len(runs))
    for number, result in enumerate(results, start=1):
        kernel = result.kernel.replace(" ", "-") + (f"-{number}" if len(results) > 1 else "")
        if (drawn := draw(replace(result, kernel=kernel), directory)) is not None:
            figures.append(drawn)
    page = directory / "simulation.md"
    page.write_text(_page(experiment, document, runs, results, figures), encoding="utf-8")
    return page


def _file(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _page(
    experiment: Experiment,
    document: Mapping[str, Any],
    runs: Mapping[str, Recording],
    results: Sequence[ExperimentResult],
    figures: Sequence[Path],
) -> str:
    parts = [
        f"# {experiment.title}",
        experiment.study.strip(),
        f"Simulated kernel {document['kernel']}, seed {document['seed']}: "
        f"`memqos simulate {experiment.source}`.",
    ]
    for each in tables_of(runs, results):
        parts += [f"## {each.title or 'What was measured'}", each.markdown()]
    parts += [f"![]({figure.name})" for figure in figures]
    for name, recording in runs.items():
        parts += [f"## What happened: {name}", "```\n" + "\n".join(story_of(recording)) + "\n```"]
    return "\n\n".join(parts) + "\n"


def story_of(recording: Recording) -> list[str]:
    """Tell a recording from its begin to its end."""
    story = Story(recording.cgroups)
    told = [(each.seconds, line) for each in recording.events for line in story.happened(each)]
    told += [(each.seconds, line) for each in recording.writes for line in story.wrote(each)]
    told.sort(key=lambda pair: pair[0])
    return [line for _, line in told] + list(story.ends())


def pod_panels(runs: Mapping[str, Recording], *, at_most: int = 8) -> list[Panel]:
    """Return a panel for each pod and run, row by row: what it held and had in swap, and who killed it."""
    pods = dict.fromkeys(name for recording in runs.values() for name in recording.cgroups if "/" not in name)
    if not any(len(recording.samples) > 1 for recording in runs.values()):
        return []
    return [
        _panel(pod, f"{pod}, {name}" if len(runs) > 1 else pod, recording)
        for pod in list(pods)[:at_most]
        for name, recording in runs.items()
    ]


def _panel(pod: str, title: str, recording: Recording) -> Panel:
    path = recording.cgroups.get(pod, "/")
    seen = [
        (look, look.snapshot.cgroups[path]) for look in recording.samples if path in look.snapshot.cgroups
    ]
    x = [look.seconds for look, _ in seen]
    lines = [Line("memory.current", x, [(cgroup.memory_current or 0) / MIB for _, cgroup in seen])]
    if any(cgroup.memory_swap_current for _, cgroup in seen):
        lines.append(
            Line("memory.swap.current", x, [(cgroup.memory_swap_current or 0) / MIB for _, cgroup in seen])
        )
    return Panel(title, "MiB", tuple(lines), tuple(_markers(pod, seen, recording)))


def _markers(pod: str, seen: Sequence[tuple[Look, Cgroup]], recording: Recording) -> list[Marker]:
    subject = re.compile(rf"[^/]+/{re.escape(pod)}(/|$)")
    mine = [each for each in recording.events if subject.match(each.subject)]
    found = [Marker("OOM kill", x=each.seconds) for each in mine if "OOMKilled" in each.text]
    found += [Marker("evicted", x=each.seconds) for each in mine if evicts(each, pod)]
    limit = seen[-1][1].memory_max if seen else None
    if limit is not None and limit < UNLIMITED:
        found.append(Marker(f"memory.max {limit / MIB:.0f} MiB", y=limit / MIB))
    return found
