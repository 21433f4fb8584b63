"""Options that several commands share; `memqos.cli.sources` reads the files they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from memqos.errors import ExperimentError

if TYPE_CHECKING:
    from memqos.lab.experiment import Experiment

F = TypeVar("F", bound=Callable[..., Any])

KERNELS: Final = ("6.1", "6.12", "7.2")
"""The laboratory's kernels, and the simulator's."""

STATE: Final = Path("/run/memqos")
"""Where an agent keeps what it must put back: gone with a reboot, as what it wrote is."""


class File(click.Path):
    """A path that somebody named: not empty, as one made of a variable that is not set is.

    `pathlib` would take that for the current directory.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is empty."""
        if value == "":
            self.fail("it is empty; name a file or a directory.", param, ctx)
        return super().convert(value, param, ctx)


class Seconds(click.FloatRange):
    """A time in seconds of at least `min`, as the kernel's timers take it: finite, less than a century."""

    name = "number of seconds"

    def __init__(self, min: float = 0.0) -> None:  # noqa: A002 - click's own word
        super().__init__(min=min, max=3e9)

    def _describe_range(self) -> str:
        """Say the lower end in a command's help; nobody comes near the other."""
        return f"x>={self.min:g}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse what is no number, `nan` included, which compares as no number does."""
        number = float(super().convert(value, param, ctx))
        if number != number:
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return number


def json_option(command: F) -> F:
    """Add `--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else."
    )(command)


def out_option(default: str, what: str) -> Callable[[F], F]:
    """Add `--out`, a directory."""
    path = File()
    return click.option(
        "--out", type=path, default=Path(default), show_default=True, metavar="DIR", help=f"Where {what} go."
    )


def state_option(command: F) -> F:
    """Add `--state`."""
    return click.option(
        "--state",
        type=File(),
        default=STATE,
        show_default=True,
        metavar="DIR",
        help="Where the lock, the original values and the journal are kept: what must survive the agent.",
    )(command)


def kernel_option(command: F) -> F:
    """Add `--kernel`, one of the laboratory's."""
    return click.option(
        "--kernel", default="6.12", show_default=True, type=click.Choice(KERNELS), help="Which kernel."
    )(command)


def experiments_options(command: F) -> F:
    """Add EXPERIMENTS, `--all` and `--kernel`: which experiments, on which kernels."""
    names = click.argument("experiments", nargs=-1)
    every = click.option("--all", "every", is_flag=True, help="Every experiment.")
    kernels = click.option(
        "--kernel",
        "kernels",
        multiple=True,
        default=("6.12",),
        show_default=True,
        type=click.Choice([*KERNELS, "all"]),
        help="On which kernels. May be given again.",
    )
    return names(every(kernels(command)))


def chosen_experiments(
    names: tuple[str, ...], every: bool, kernels: tuple[str, ...]
) -> tuple[list[Experiment], tuple[str, ...]]:
    """Return what `experiments_options` chose; raises `ExperimentError`."""
    from memqos.lab.catalogue import find_experiments, list_experiments

    if every and names:
        raise ExperimentError(f"{names[0]} is named beside --all", remedy="give one of the two")
    if not every and not names:
        raise ExperimentError(
            "no experiment is named", remedy="name some of `memqos lab list`, or give --all"
        )
    return list_experiments() if every else find_experiments(names), KERNELS if "all" in kernels else kernels


def node_options(command: F) -> F:
    """Add `--cgroup-root`."""
    return click.option(
        "--cgroup-root",
        default="/sys/fs/cgroup",
        show_default=True,
        metavar="DIR",
        help="Where cgroup v2 is mounted.",
    )(command)


def pod_options(command: F) -> F:
    """Add `--pods` and `--kubelet-pods`."""
    pods = click.option(
        "--pods",
        "manifests",
        multiple=True,
        type=File(),
        metavar="PATH",
        help="Pod manifests: a YAML file or a directory of them. May be given again.",
    )
    kubelet = click.option(
        "--kubelet-pods",
        type=File(),
        metavar="FILE",
        help="A file with the pods of this node's kubelet: what its /pods endpoint serves, or a PodList. "
        "It is read again when it changes.",
    )
    return pods(kubelet(command))


def policy_option(command: F) -> F:
    """Add `--policy`."""
    return click.option(
        "--policy",
        type=File(),
        metavar="FILE",
        help="The admin's MemoryPolicy, a YAML file. Without one every setting has its default.",
    )(command)


def policy_options(command: F) -> F:
    """Add `--policy` and `--kubelet-config`."""
    kubelet = click.option(
        "--kubelet-config",
        type=File(),
        metavar="FILE",
        help="The kubelet's configuration: its file, or what its /configz endpoint serves.",
    )
    return policy_option(kubelet(command))
