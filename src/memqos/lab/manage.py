"""Who manages the node inside an experiment, one turn whenever the player says.

=====================  ==================================================================================
nobody                 limits only; not even the kubelet evicts
kubelet                limits, and the kubelet's eviction manager (`memqos.lab.evictor`)
kubelet-memory-qos     the same with Memory QoS: tiered reservation, throttling factor 0.9 (KEP-2570)
systemd-oomd           the real daemon on a real kernel (`memqos.lab.oomd`), its rules restated elsewhere
senpai                 senpai's law restated (`memqos.lab.baselines.senpai`), for each pod
memqos                 the agent with the experiment's policy; it also turns when memory presses
=====================  ==================================================================================

What a policy holds is carried out by the project's own agent loop, whoever's law it is, so that rivals
differ in their decisions and in nothing else. What an experiment says to the agent and to the kubelet is read
here, on the host and in the guest alike.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from memqos.agent.config import read_policy
from memqos.agent.evict import RunnerEvictor
from memqos.agent.loop import Agent
from memqos.agent.originals import Originals
from memqos.agent.restore import restore
from memqos.errors import InputError, NodeError
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.configfile import config_from_dict
from memqos.lab.baselines.oomd import SWAP_INTERVAL_US, Oomd
from memqos.lab.baselines.senpai import Senpai
from memqos.lab.experiment import ManagerName
from memqos.model.knobtext import knob_text
from memqos.model.plan import Evicted, Step, Tick
from memqos.model.pods import PlacedPod
from memqos.node import Node
from memqos.policy import AnyPolicy
from memqos.policy.ladder import ladder
from memqos.policy.settings import AgentSettings, Settings
from memqos.runner.pods import Runner

SCALE: Final = 16
"""Experiments are a 16th of the nodes that the rivals' constants are made for (docs/experiments.md)."""


class Done(NamedTuple):
    """One thing a manager did: a knob written, or a pod (or container) told to go as the knob `evict`."""

    cgroup: str
    knob: str
    value: str
    status: str
    why: str


class Manager(Protocol):
    """What the player needs of it."""

    @property
    def interval(self) -> float | None:
        """Seconds between two turns; `None`: with every sample."""

    @property
    def woken(self) -> bool:
        """Whether it also turns when memory presses."""

    @property
    def notes(self) -> list[tuple[str, str, str]]:
        """What it has to say since they were last taken out: what, about whom, why."""

    def turn(self, woken_by: str = "") -> Iterator[Done]:
        """Observe, decide and act once; yield what changed."""

    def close(self) -> None:
        """End."""


def settings_of(policy: Mapping[str, Any]) -> Settings:
    """Read an experiment's MemoryPolicy; raises `InputError` with the field from the experiment down."""
    try:
        return read_policy(json.dumps(policy))
    except InputError as error:
        raise error.at(field="policy") from None


def kubelet_of(kubelet: Mapping[str, Any]) -> KubeletConfig:
    """Read an experiment's KubeletConfiguration; raises `InputError` likewise."""
    try:
        return config_from_dict(kubelet)
    except InputError as error:
        raise error.at(field="kubelet") from None


def senpai_of(law: Mapping[str, float]) -> Senpai:
    """Return senpai's law with these constants; raises `InputError` for one that it does not have."""
    unknown = sorted(law.keys() - {each.name for each in fields(Senpai)} | {"name"} & law.keys())
    if unknown:
        raise InputError("senpai's law has no such constant", field=f"law.{unknown[0]}", remedy="see Senpai")
    constants: dict[str, Any] = dict(law)
    return replace(Senpai(least=100_000_000 // SCALE), **constants)


def manager_of(
    name: ManagerName | None,
    policy: Mapping[str, Any] | None,
    node: Node,
    runner: Runner,
    law: Mapping[str, float] = MappingProxyType({}),
) -> Manager | None:
    """Return who manages: the agent for a policy or a rival's law; `None` where only the kubelet does."""
    if name == "senpai":
        return Managed((senpai_of(law),), node, runner, AgentSettings(interval_seconds=1.0))
    if name == "systemd-oomd":
        return Managed((Oomd(),), node, runner, AgentSettings(interval_seconds=SWAP_INTERVAL_US / 1e6))
    if name == "memqos" or (name is None and policy is not None):
        settings = Settings() if policy is None else settings_of(policy)
        named = name is not None
        return Managed(ladder(settings), node, runner, settings.agent, timed=named, woken=named, guarded=True)
    return None


class Managed:
    """Policies in the project's own agent, its originals kept in memory: the guest's cgroups end with it.

    `timed`: it turns when its interval is over, not only when the experiment says so; `woken`: when memory
    presses, too.
    """

    def __init__(
        self,
        policies: tuple[AnyPolicy, ...],
        node: Node,
        runner: Runner,
        settings: AgentSettings,
        *,
        timed: bool = True,
        woken: bool = False,
        guarded: bool = False,
    ) -> None:
        self.woken = woken
        self._timed = timed
        originals = Originals(None, node.observe().boot_id)
        self._agent = Agent(
            node,
            policies,
            lambda _: runner.placed,
            originals,
            settings=settings,
            evictor=RunnerEvictor(runner),
            guarded=guarded,
        )
        self._stands: dict[tuple[str, str], Step] = {}
        self.notes: list[tuple[str, str, str]] = []

    @property
    def interval(self) -> float | None:
        """Seconds until the next turn, as the last one asked; `None` when the experiment says when."""
        return self._agent.next_look if self._timed else None

    def turn(self, woken_by: str = "") -> Iterator[Done]:
        """Observe, decide and act once; yield what changed, and orders that ended."""
        tick = self._agent.tick(woken_by or "experiment")
        for outcome in (*tick.outcomes, *tick.underway.ended):
            write = outcome.write
            if outcome.status not in ("kept", "waiting"):
                why = f"{write.why} ({outcome.error})" if outcome.error else write.why
                yield Done(write.cgroup, write.knob, knob_text(write.knob, write.value), outcome.status, why)
        for evicted in tick.evicted:
            if evicted.status != "leaving":
                yield _evicted(evicted, tick.pods)
        self._note(tick)

    def close(self) -> None:
        """Give back what is held, as an agent that ends does: a pod under a limit may take long to end."""
        with contextlib.suppress(NodeError):
            restore(self._agent.node, self._agent.enforcer.originals)

    def _note(self, tick: Tick) -> None:
        """Note where the rungs stand, when it is elsewhere than before."""
        now = {(each.rung, each.subject): each for each in tick.plan.stands}
        for key, stand in now.items():
            if self._stands.get(key) != stand.step:
                self.notes.append((f"{stand.rung}: {stand.step}", stand.subject, stand.why))
        gone = [key for key in self._stands if key not in now]
        self.notes += [(f"{rung}: calm", subject, "") for rung, subject in gone]
        self.notes += [("agent", "note", note) for note in tick.notes]
        self._stands = {key: stand.step for key, stand in now.items()}


def _evicted(evicted: Evicted, pods: tuple[PlacedPod, ...]) -> Done:
    eviction = evicted.eviction
    placed = next((each for each in pods if each.pod.uid == eviction.uid), None)
    cgroup = (placed.cgroup if placed else "") or ""
    if placed is not None and eviction.container is not None:
        cgroup = placed.containers.get(eviction.container, cgroup)
    grace = "its own grace" if eviction.grace is None else f"{eviction.grace:g} s"
    return Done(cgroup, "evict", grace, evicted.status, eviction.why)
