"""`memqos pods`: who holds what."""

from __future__ import annotations

from pathlib import Path

import click

from memqos.cli.options import json_option, node_options, pod_options
from memqos.cli.sources import PodSource


@click.command("pods")
@node_options
@pod_options
@click.option("--containers", is_flag=True, help="Show a line for each container, too.")
@json_option
def command(
    cgroup_root: str, manifests: tuple[Path, ...], kubelet_pods: Path | None, containers: bool, as_json: bool
) -> None:
    """Show who holds what: memory by kind, swap, limits, headroom, pressure.

    Without --pods or --kubelet-pods, pods are found in the cgroup tree and shown by their UID.
    """
    from memqos.cli.output import Output
    from memqos.linux.node import LinuxNode
    from memqos.report.pods import pods_table

    source = PodSource(manifests, kubelet_pods)
    source.load()  # what a person named wrongly is told before the node is looked at
    with LinuxNode(cgroup_root) as node:
        snapshot = node.observe()
    table = pods_table(snapshot, source.placed(snapshot), containers=containers)
    Output(as_json=as_json).tables({"pods": table.objects()}, table)
