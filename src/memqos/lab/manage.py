"""The agent inside an experiment: one turn whenever the player says, not by the clock.

And what an experiment says to it and to the kubelet: read here, on the host and in the guest alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from memqos.agent.config import read_policy
from memqos.agent.evict import RunnerEvictor
from memqos.agent.loop import Agent
from memqos.agent.originals import Originals
from memqos.errors import InputError
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.configfile import config_from_dict
from memqos.node import Node
from memqos.policy.compose import show
from memqos.policy.ladder import ladder
from memqos.policy.settings import Settings
from memqos.runner.pods import Runner


class Manager(Protocol):
    """What the player needs of it."""

    def turn(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Observe, decide and write once; yield (cgroup, knob, value, status, why) of what changed."""


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


def manager_of(policy: Mapping[str, Any] | None, node: Node, runner: Runner) -> Manager | None:
    """Return the agent for a MemoryPolicy document, or `None` where the variant has no policy."""
    return None if policy is None else _Agent(policy, node, runner)


class _Agent:
    """The project's own agent, its originals kept in memory: the guest's cgroups end with it."""

    def __init__(self, policy: Mapping[str, Any], node: Node, runner: Runner) -> None:
        originals = Originals(None, node.observe().boot_id)
        evictor = RunnerEvictor(runner)
        self._agent = Agent(
            node, ladder(settings_of(policy)), lambda _: runner.placed, originals, evictor=evictor
        )

    def turn(self) -> Iterator[tuple[str, str, str, str, str]]:
        for outcome in self._agent.tick("experiment").outcomes:
            write = outcome.write
            if outcome.status != "kept":
                why = f"{write.why} ({outcome.error})" if outcome.error else write.why
                yield write.cgroup, write.knob, show(write.knob, write.value), outcome.status, why
