"""`memqos doctor`: what this machine can do."""

from __future__ import annotations

import click

from memqos.cli import exits
from memqos.cli.options import json_option, node_options


@click.command("doctor")
@node_options
@json_option
@click.pass_context
def command(ctx: click.Context, cgroup_root: str, as_json: bool) -> None:
    """Show what this machine can do, what is missing, and the remedy; change nothing.

    Ends with 1 when memqos cannot manage pods here.
    """
    from memqos.agent.checkup import check_node
    from memqos.cli.output import Output
    from memqos.lab.checkup import check_lab
    from memqos.report.table import Column, table

    findings = [*check_node(cgroup_root), *check_lab()]
    columns = [Column(key, key) for key in ("area", "what", "state", "detail", "remedy")]
    shown = table(
        columns, [(each.area, each.what, each.state, each.detail, each.remedy or None) for each in findings]
    )
    Output(as_json=as_json).tables({"findings": shown.objects()}, shown)
    ctx.exit(exits.NOT_HELD if any(each.state == "fault" for each in findings) else exits.OK)
