"""`memqos restore`: put back what an agent changed and could not restore."""

from __future__ import annotations

from pathlib import Path

import click

from memqos.cli import exits
from memqos.cli.options import json_option, node_options, state_option


@click.command("restore")
@node_options
@state_option
@click.option("--dry-run", is_flag=True, help="Show what would be restored; write nothing.")
@json_option
@click.pass_context
def command(ctx: click.Context, cgroup_root: str, state: Path, dry_run: bool, as_json: bool) -> None:
    """Put back what an agent changed and could not restore itself, as after kill -9.

    A knob that somebody else has written since is left alone. Ends with 1 when a value could not be restored
    (it stays remembered for the next try), or when the record of original values is damaged.
    """
    from memqos.agent.lock import Lock
    from memqos.agent.originals import Originals
    from memqos.agent.restore import restore
    from memqos.cli.output import Output
    from memqos.linux.node import LinuxNode
    from memqos.linux.shelter import remove_empty
    from memqos.model.plan import Advice, Outcome
    from memqos.report.plan import outcomes_table
    from memqos.report.session import advice_line

    outcomes: tuple[Outcome, ...] = ()
    damage: tuple[Advice, ...] = ()
    with LinuxNode(cgroup_root) as node:
        if state.exists():
            with Lock(state):
                originals = Originals(state, node.observe().boot_id)
                damage = originals.damage()
                for advice in damage:
                    click.echo(f"memqos: {advice_line(advice)}", err=True)
                outcomes = restore(node, originals, dry_run=dry_run)
        else:
            click.echo(f"memqos: nothing is remembered in {state}: there is no such directory", err=True)
        if not dry_run:
            remove_empty(cgroup_root)
    table = outcomes_table(outcomes, title="Restored" if not dry_run else "Would be restored")
    Output(as_json=as_json).tables({"restored": table.objects()}, table)
    failed = bool(damage) or any(each.status == "failed" for each in outcomes)
    ctx.exit(exits.NOT_HELD if failed else exits.OK)
