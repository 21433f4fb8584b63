"""`memqos doctor`: what this machine can do."""

from __future__ import annotations

from pathlib import Path

import click

from memqos.cli import exits
from memqos.cli.options import json_option, node_options, policy_option
from memqos.cli.sources import load_settings


@click.command("doctor")
@node_options
@policy_option
@json_option
@click.pass_context
def command(ctx: click.Context, cgroup_root: str, policy: Path | None, as_json: bool) -> None:
    """Show what this machine can do, what is missing, and the remedy; change nothing.

    The dangers are the node's as it is; with --policy, what remains of them while memqos runs with that
    policy, and what in it does not fit the node. Ends with 1 when memqos cannot manage pods here.
    """
    from memqos.agent.checkup import check_node
    from memqos.cli.output import Output
    from memqos.lab.checkup import check_lab
    from memqos.report.table import Column, table

    settings = load_settings(policy, None) if policy is not None else None
    findings = [*check_node(cgroup_root, settings), *check_lab()]
    columns = [Column(key, key) for key in ("area", "what", "state", "detail", "remedy")]
    shown = table(
        columns, [(each.area, each.what, each.state, each.detail, each.remedy or None) for each in findings]
    )
    Output(as_json=as_json).tables({"findings": shown.objects()}, shown)
    ctx.exit(exits.NOT_HELD if any(each.state == "fault" for each in findings) else exits.OK)
