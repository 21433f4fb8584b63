"""`memqos plan`: what would be written, and why; nothing is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memqos.cli.options import Seconds, json_option, node_options, pod_options, policy_options
from memqos.cli.sources import NAME_PODS, PodSource, load_settings
from memqos.errors import InputError

if TYPE_CHECKING:
    from memqos.kubelet.config import KubeletConfig
    from memqos.model.plan import Plan
    from memqos.model.pods import PlacedPod
    from memqos.model.snapshot import Snapshot
    from memqos.model.view import View


@click.command("plan")
@node_options
@pod_options
@policy_options
@click.option(
    "--node-memory", metavar="SIZE", help="Plan for a node with so much memory (8Gi) instead of this machine."
)
@click.option(
    "--node-swap", metavar="SIZE", default="0", show_default=True, help="How much swap that node has."
)
@click.option(
    "--seconds",
    type=Seconds(),
    default=1.0,
    show_default=True,
    metavar="S",
    help="How long to look at this machine: what stalls, grows or is missed shows over time only.",
)
@click.option("--all", "everything", is_flag=True, help="Show knobs that already hold the value, too.")
@json_option
def command(
    cgroup_root: str,
    manifests: tuple[Path, ...],
    kubelet_pods: Path | None,
    policy: Path | None,
    kubelet_config: Path | None,
    node_memory: str | None,
    node_swap: str,
    seconds: float,
    everything: bool,
    as_json: bool,
) -> None:
    """Show what memqos would write on this node, and why; write nothing.

    It looks at the node for --seconds, and shows what it would do at the last look; `memqos run --dry-run`
    goes on looking. Pods of --pods that are not running are planned for as if they started now. With
    --node-memory the plan is for a node of that size, and needs neither root nor cgroup v2 here.
    """
    from memqos.cli.output import Output
    from memqos.model.plan import Evicted
    from memqos.policy.compose import decide_last
    from memqos.policy.ladder import ladder, rungs
    from memqos.report.ladder import evictions_table, rungs_of, stands_table
    from memqos.report.plan import advice_table, plan_table

    settings = load_settings(policy, kubelet_config)
    source = PodSource(manifests, kubelet_pods)
    if node_memory is None and node_swap != "0":
        raise InputError(
            "--node-swap is only for --node-memory", remedy="give --node-memory, too, or leave it out"
        )
    if node_memory is not None and not manifests:
        raise InputError("--node-memory needs pods from manifests", remedy="name them with --pods")
    if not manifests and kubelet_pods is None:
        # the cgroup tree tells that there are pods, and nothing of what they asked for
        raise InputError("no pods are named", remedy=NAME_PODS)
    source.load()  # what a person named wrongly is told before the node is looked at
    looks = (
        _observed(cgroup_root, seconds, settings.agent.interval_seconds)
        if node_memory is None
        else iter((_imagined(node_memory, node_swap),))
    )
    views = _Views(looks, source, settings.kubelet.config)
    policies = ladder(settings, may_evict=bool(manifests), alone=bool(manifests))
    plan = decide_last(policies, views, io_limited=settings.io.enabled)
    writes = plan_table(plan, views.real, views.placed, changes_only=not everything)
    more = {
        "ladder": stands_table(plan.stands, rungs_of(rungs(settings))),
        "evictions": evictions_table(Evicted(each, "dry-run") for each in plan.evictions),
        "advice": advice_table(plan),
    }
    document = {
        "writes": _writes(plan, views.real, everything=everything),
        **{name: each.objects() for name, each in more.items()},
    }
    Output(as_json=as_json).tables(document, writes, *(each for each in more.values() if each.rows))


def _writes(plan: Plan, real: Snapshot, *, everything: bool) -> list[dict[str, Any]]:
    """Return the writes with their raw values, for JSON; `everything`: those that hold already, too."""
    from memqos.report.plan import held, is_held

    return [
        {
            "cgroup": write.cgroup,
            "knob": write.knob,
            "now": held(real, write),
            "then": write.value,
            "why": write.why,
            "policy": write.policy,
        }
        for write in plan.writes
        if everything or not is_held(real, write)
    ]


class _Views:
    """What the policies see at each look; `real` and `placed` are the node and its pods at the latest."""

    def __init__(self, looks: Iterator[Snapshot], source: PodSource, config: KubeletConfig) -> None:
        self._looks, self._source, self._config = looks, source, config
        self.real: Snapshot
        self.placed: tuple[PlacedPod, ...] = ()

    def __iter__(self) -> Iterator[View]:
        from memqos.model.view import View

        last: Snapshot | None = None
        for real in self._looks:
            self.real = real
            snapshot, self.placed = _with(real, self._source, self._config)
            yield View(snapshot, last, self.placed)
            last = snapshot


def _observed(cgroup_root: str, seconds: float, interval: float) -> Iterator[Snapshot]:
    """Look at this machine once, and again every `interval` seconds until so many have passed."""
    from memqos.linux.node import LinuxNode

    with LinuxNode(cgroup_root) as node:
        yield node.observe()
        while seconds > 0:
            pause = min(seconds, interval)
            time.sleep(pause)
            seconds -= pause
            yield node.observe()


def _imagined(memory: str, swap: str) -> Snapshot:
    from memqos.agent.prospect import empty_node
    from memqos.kubelet.allocatable import NodeCapacity

    size = _size("--node-memory", memory)
    if not size:
        raise InputError("is 0", field="--node-memory", remedy="write a size such as 8Gi")
    return empty_node(NodeCapacity(memory=size, swap=_size("--node-swap", swap)))


def _size(option: str, text: str) -> int:
    from memqos.units import parse_bytes

    try:
        return parse_bytes(text)
    except InputError as error:
        raise error.at(field=option) from None


def _with(
    snapshot: Snapshot, source: PodSource, config: KubeletConfig
) -> tuple[Snapshot, tuple[PlacedPod, ...]]:
    """Add the cgroups of manifests' pods that have none on the node."""
    from memqos.agent.prospect import with_pods

    placed = source.placed(snapshot)
    missing = [each.pod for each in placed if each.cgroup is None]
    if not source.manifests or not missing:
        return snapshot, placed
    prospective, fresh = with_pods(snapshot, missing, config)
    return prospective, (*(each for each in placed if each.cgroup is not None), *fresh)
