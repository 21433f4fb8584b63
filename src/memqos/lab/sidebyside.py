"""One scenario on the simulated kernel under several policies, to be set side by side.

A scenario is an experiment: its variants are played as they are. A policy that is named takes the place of
the file's own; variants that differ in nothing but their policy are then one, and the expectations of the
file, which are about its own policies, are asked no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from memqos.cluster.documents import read_documents
from memqos.errors import ExperimentError, InputError
from memqos.lab.campaign import check_inputs
from memqos.lab.catalogue import shipped
from memqos.lab.experiment import Experiment, ManagerName, Play
from memqos.lab.manage import settings_of
from memqos.lab.notes import notes_of
from memqos.lab.reading import read
from memqos.lab.recording import Recording
from memqos.lab.results import ExperimentResult
from memqos.lab.simulated import evaluate, record
from memqos.lab.simulated_commands import check_commands
from memqos.lab.simulated_machine import node_of
from memqos.lab.variant import play
from memqos.lab.watch import Watcher

ALONE: Final = "none"
"""The word for the kubelet alone, without a policy."""

BUILT_IN: Final = "mixed"
"""The scenario that is played when none is named."""

_PLACES: Final = (Path(__file__).with_name("scenarios"), Path(__file__).parents[3] / "examples" / "scenarios")
"""The scenarios that come with memqos: in the installed package, or beside its sources."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A MemoryPolicy document by a short name; `None` is the kubelet alone."""

    name: str
    document: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Run:
    """A variant to be played, under a name of its own; `text` says in words what it is."""

    name: str
    text: str
    play: Play


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that are asked the file's measures together."""

    policy: str
    runs: tuple[Run, ...]
    asks: bool = True


def find_scenario(name: str) -> Experiment:
    """Read a scenario or experiment by name or by file, and check it; raises `ExperimentError`."""
    scenarios = {path.stem: path for place in reversed(_PLACES) for path in sorted(place.glob("*.yaml"))}
    known = scenarios | {each: path for each, path in shipped().items() if each not in scenarios}
    if name in known:
        found = read(known[name])
    elif name.endswith((".yaml", ".yml")) or Path(name).is_file():
        found = read(Path(name))
    else:
        remedy = f"use {', '.join(known)}, or a file"
        raise ExperimentError(f"there is no scenario {name!r}", remedy=remedy)
    check_inputs(found)
    return found


def read_policies(names: Sequence[str]) -> tuple[Policy, ...]:
    """Read MemoryPolicy files, or the word `none`; raises `InputError` naming file and field."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the policy {twice} is given twice", remedy="name each once")
    stems = [Path(name).stem for name in names]
    return tuple(
        Policy(
            "kubelet alone" if name == ALONE else stem if stems.count(stem) == 1 else str(Path(name)),
            _document(name),
        )
        for name, stem in zip(names, stems, strict=True)
    )


def _document(name: str) -> Mapping[str, Any] | None:
    if name == ALONE:
        return None
    documents = [document for _, document in read_documents(Path(name))]
    if len(documents) != 1:
        raise InputError(f"holds {len(documents)} documents", source=name, remedy="write one MemoryPolicy")
    try:
        settings_of(documents[0])
    except InputError as error:
        field = error.field.removeprefix("policy.")  # where an experiment has it
        raise InputError(error.problem, source=name, field=field, remedy=error.remedy) from None
    return dict(documents[0])


def groups_of(
    experiment: Experiment, policies: Sequence[Policy], *, evictions: bool = True
) -> tuple[Group, ...]:
    """What there is to play: every variant, or under each policy every variant that differs otherwise.

    A policy is managed by the agent, `none` by the kubelet (`memqos.lab.manage`); without `evictions` the
    kubelet evicts nobody.
    """
    texts = {variant.name: variant.text for variant in experiment.variants}
    plays = [play(experiment, name) for name in experiment.variant_names]
    if not policies:
        runs = tuple(Run(each.name, texts.get(each.name, ""), each) for each in plays)
        return (Group("", runs),)
    different: dict[bytes, Play] = {}
    for each in plays:
        bare = msgspec.structs.replace(each, name="", policy=None, manager=None)
        different.setdefault(msgspec.json.encode(bare, order="deterministic"), each)
    asks = len(different) == len(plays)
    alone = len(different) == 1
    return tuple(
        Group(
            policy.name,
            tuple(
                Run(
                    policy.name if alone else f"{each.name} {policy.name}",
                    "" if alone else texts.get(each.name, ""),
                    msgspec.structs.replace(
                        each,
                        name="run" if alone else each.name,
                        policy=policy.document,
                        manager=_manager(policy) if evictions else None,
                    ),
                )
                for each in different.values()
            ),
            asks,
        )
        for policy in policies
    )


def check_groups(experiment: Experiment, groups: Sequence[Group]) -> list[str]:
    """Raise `ExperimentError` for what cannot be simulated, before any of it is played.

    Returns what is simulated otherwise than the file says, and what a cluster would not do, in words.
    """
    node_of(experiment)
    plays = [run.play for group in groups for run in group.runs]
    for each in plays:
        check_commands(experiment, each)
    return list(dict.fromkeys(notes_of(experiment, plays)))


def _manager(policy: Policy) -> ManagerName:
    return "kubelet" if policy.document is None else "memqos"


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a group: recordings by run, and what the file asks of them."""

    recordings: Mapping[str, Recording]
    result: ExperimentResult


def play_group(
    experiment: Experiment,
    group: Group,
    kernel: str,
    *,
    seed: int,
    evictions: bool,
    watch: Callable[[Run], Watcher] = lambda run: Watcher(),
) -> Played:
    """Play the runs of a group one after another; raises `InputError` for what cannot be simulated."""
    found = {
        run.name: record(experiment, run.play, kernel, seed=seed, evictions=evictions, watcher=watch(run))
        for run in group.runs
    }
    asked = experiment if group.asks else msgspec.structs.replace(experiment, expect=[])
    result = evaluate(asked, list(found.values()), kernel)
    if group.policy:
        result = replace(result, kernel_release=f"{result.kernel_release}, {group.policy}")
    return Played(found, result)
