"""Options that several commands share, and what they are turned into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from memqos.errors import ExperimentError, InputError

if TYPE_CHECKING:
    from memqos.kubelet.config import KubeletConfig
    from memqos.lab.experiment import Experiment
    from memqos.model.pods import PlacedPod, Pod
    from memqos.model.snapshot import Snapshot
    from memqos.policy.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

KERNELS: Final = ("6.1", "6.12", "7.2")
"""The laboratory's kernels, and the simulator's."""

NAME_PODS: Final = (
    "give --pods PATH (manifests: memqos runs them), or --kubelet-pods FILE (a kubelet runs them: "
    "kubectl get --raw /api/v1/nodes/NODE/proxy/pods > FILE)"
)
"""Without them there is nothing to decide about."""

STATE: Final = Path("/run/memqos")
"""Where an agent keeps what it must put back: gone with a reboot, as what it wrote is."""


class Seconds(click.FloatRange):
    """A time in seconds of at least `min`, as the kernel's timers take it: finite, less than a century."""

    name = "seconds"

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
    path = click.Path(path_type=Path)
    return click.option(
        "--out", type=path, default=Path(default), show_default=True, metavar="DIR", help=f"Where {what} go."
    )


def state_option(command: F) -> F:
    """Add `--state`."""
    return click.option(
        "--state",
        type=click.Path(path_type=Path),
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
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Pod manifests: a YAML file or a directory of them. May be given again.",
    )
    kubelet = click.option(
        "--kubelet-pods",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A file with the pods of this node's kubelet: what its /pods endpoint serves, or a PodList. "
        "It is read again when it changes.",
    )
    return pods(kubelet(command))


def policy_option(command: F) -> F:
    """Add `--policy`."""
    return click.option(
        "--policy",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The admin's MemoryPolicy, a YAML file. Without one every setting has its default.",
    )(command)


def policy_options(command: F) -> F:
    """Add `--policy` and `--kubelet-config`."""
    kubelet = click.option(
        "--kubelet-config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The kubelet's configuration: its file, or what its /configz endpoint serves.",
    )
    return policy_option(kubelet(command))


@dataclass(slots=True)
class PodSource:
    """Where pods come from: one of the two, or, with neither, the cgroup tree.

    A kubelet's list is read again when its file changes; a pod in it that cannot be read costs only
    itself and is told on stderr, as is, once, a list none of whose running pods is here: another node's.
    """

    manifests: tuple[Path, ...]
    kubelet_pods: Path | None
    _read_at: int = -1
    _pods: tuple[Pod, ...] = ()
    _strange: bool = False

    def load(self) -> tuple[Pod, ...]:
        """Read the pods; raises `ManifestError`, and `InputError` when both sources are named."""
        from memqos.cluster.kubelet_pods import read_pod_list

        if self.manifests and self.kubelet_pods:
            raise InputError("--pods and --kubelet-pods exclude each other", remedy="name one source of pods")
        if self.kubelet_pods is None:
            return self._of_manifests() if self.manifests else ()
        changed = self.kubelet_pods.stat().st_mtime_ns if self.kubelet_pods.exists() else -1
        if changed != self._read_at or changed == -1:
            found = read_pod_list(self.kubelet_pods)
            for error in found.errors:
                click.echo(f"memqos: {error}; this pod is left alone", err=True)
            self._read_at, self._pods = changed, found.pods
        return self._pods

    def _of_manifests(self) -> tuple[Pod, ...]:
        """Read the pods of the manifests, and tell of workloads among them that are no pods."""
        from memqos.cluster.manifest import load_manifests

        found = load_manifests(self.manifests)
        if not found.pods:
            kinds = sorted({each.kind for each in found.others})
            held = f", only {', '.join(kinds)}" if kinds else ""
            raise InputError(
                f"there is no Pod{held}",
                source=", ".join(map(str, self.manifests)),
                remedy="write manifests of kind Pod; pod templates of other kinds are not read",
            )
        return found.pods

    def placed(self, snapshot: Snapshot) -> tuple[PlacedPod, ...]:
        """Return the pods with their cgroups on this node; those of the tree itself without a source."""
        from memqos.cluster.discover import discover
        from memqos.cluster.placement import place

        if not (self.manifests or self.kubelet_pods):
            return discover(snapshot.cgroups)
        placed = place(self.load(), snapshot.cgroups)
        if self.kubelet_pods is not None:
            self._doubt(placed)
        return placed

    def _doubt(self, placed: tuple[PlacedPod, ...]) -> None:
        """Say so when nothing of a kubelet's list is here."""
        running = [each for each in placed if each.pod.phase == "Running"]
        strange = bool(running) and all(each.cgroup is None for each in running)
        if strange and not self._strange:
            click.echo(
                f"memqos: {self.kubelet_pods}: none of its {len(running)} running pods has a cgroup here; "
                "see that it is the list of this node's kubelet, and that --cgroup-root is right",
                err=True,
            )
        self._strange = strange


def load_settings(policy: Path | None, kubelet_config: Path | None) -> Settings:
    """Read the admin's settings; a kubelet's configuration, when named, takes the policy's place for it."""
    from memqos.agent.config import load_policy
    from memqos.policy.settings import Settings

    settings = load_policy(policy) if policy else Settings()
    if kubelet_config is None:
        return settings
    config = load_kubelet_config(kubelet_config)
    return replace(settings, kubelet=replace(settings.kubelet, config=config))


def load_kubelet_config(path: Path) -> KubeletConfig:
    """Read a kubelet's configuration from YAML or JSON; raises `InputError`."""
    from memqos.cluster.documents import read_documents
    from memqos.kubelet.configfile import config_from_dict

    documents = [document for _, document in read_documents(path)]
    if len(documents) != 1:
        raise InputError(f"{len(documents)} documents where one is expected", source=str(path))
    return config_from_dict(documents[0], source=str(path))
