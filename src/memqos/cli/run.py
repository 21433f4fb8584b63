"""`memqos run`: the agent, over pods that it runs itself or that a kubelet runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memqos.cli import exits
from memqos.cli.options import (
    File,
    Seconds,
    json_option,
    node_options,
    pod_options,
    policy_options,
    state_option,
)
from memqos.cli.sources import NAME_PODS, PodSource, load_settings
from memqos.errors import InputError

if TYPE_CHECKING:
    from memqos.agent.account import Report
    from memqos.cli.output import Output


@click.command("run")
@node_options
@pod_options
@policy_options
@state_option
@click.option(
    "--logs",
    type=File(),
    metavar="DIR",
    help="Where container logs go. [default: STATE/logs]",
)
@click.option("--seconds", type=Seconds(), metavar="S", help="End after so many seconds.")
@click.option(
    "--interval",
    type=Seconds(min=0.1),
    metavar="S",
    help="Most seconds between two looks at the node. [default: the policy's]",
)
@click.option("--until-done", is_flag=True, help="End when every pod of --pods has ended for good.")
@click.option(
    "--grace", type=Seconds(), metavar="S", help="Most seconds that pods of --pods get to stop at the end."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Decide, print and journal, but write nothing. Pods of --pods run as under a kubelet alone.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    cgroup_root: str,
    manifests: tuple[Path, ...],
    kubelet_pods: Path | None,
    policy: Path | None,
    kubelet_config: Path | None,
    state: Path,
    logs: Path | None,
    seconds: float | None,
    interval: float | None,
    until_done: bool,
    grace: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Manage the pods of this node's kubelet, or run pods from manifests and manage them.

    With --kubelet-pods memqos manages what a kubelet runs; it evicts none of these pods, but reports which
    one it would evict. With --pods it makes the kubepods tree and starts each container's command in its
    cgroup; it is not a container runtime, so there are no images and no namespaces. Every value it changes
    is put back when it ends.
    """
    from memqos.agent.session import Session
    from memqos.cli.output import Output
    from memqos.report.session import Telling, advice_line, event_line

    source = PodSource(manifests, kubelet_pods)
    if not manifests and kubelet_pods is None:
        raise InputError("no pods are named", remedy=NAME_PODS)
    pods = source.load()
    output = Output(as_json=as_json)
    settings = load_settings(policy, kubelet_config)
    if interval is not None:
        settings = dataclasses.replace(
            settings, agent=dataclasses.replace(settings.agent, interval_seconds=interval)
        )
    telling = Telling()
    session = Session(
        cgroup_root,
        settings,
        state,
        on_event=lambda event: output.remark(event_line(event)),
        on_tick=lambda tick: output.remarks(telling.lines(tick)),
        on_advice=lambda advice: output.remark(advice_line(advice)),
        dry_run=dry_run,
        seconds=seconds,
    )
    if manifests:
        report = session.run_pods(pods, logs or state / "logs", until_done=until_done, grace=grace)
    else:
        report = session.manage(source.placed)
    failed = _tell(report, output, state, with_pods=bool(manifests))
    ctx.exit(exits.NODE_REFUSED if failed else exits.OK)


def _tell(report: Report, output: Output, state: Path, *, with_pods: bool) -> bool:
    """Show what the session did; true when a value could not be put back. `with_pods`: it ran pods itself."""
    from memqos.report.ladder import evictions_table, stands_table
    from memqos.report.plan import outcomes_table
    from memqos.report.session import containers_table

    containers, writes = containers_table(report.pods), outcomes_table(report.writes)
    stands, evictions = stands_table(report.stands), evictions_table(report.evicted)
    document = {
        "containers": containers.objects(),
        "writes": writes.objects(),
        "ladder": stands.objects(),
        "evictions": evictions.objects(),
        "advice": [dataclasses.asdict(advice) for advice in report.advice],
        "restored": outcomes_table(report.restored).objects(),
        "ticks": report.ticks,
        "ticks_not_recorded": report.dropped,
        "ended_in_us": report.ended_in_us,
    }
    failed = [each for each in report.restored if each.status == "failed"]
    shown = [containers] if with_pods else []
    shown += [each for each in (stands, evictions) if each.rows]
    left = [outcomes_table(failed, title="Not put back")] if failed else []
    output.tables(document, *shown, writes, *left)
    if failed:
        click.echo(
            f"memqos: {len(failed)} values could not be put back; when the cause is gone: "
            f"memqos restore --state {state}",
            err=True,
        )
    elif report.restored:
        back = sum(each.status in ("written", "kept") for each in report.restored)
        others = sum(each.status == "overwritten" for each in report.restored)
        theirs = f", {others} left as somebody else set them" if others else ""
        output.line(f"{back} values were put back{theirs}")
    return bool(failed)
