"""What the files that options name are turned into: pods, the admin's settings, a kubelet's configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from memqos.errors import InputError

if TYPE_CHECKING:
    from memqos.kubelet.config import KubeletConfig
    from memqos.model.pods import PlacedPod, Pod
    from memqos.model.snapshot import Snapshot
    from memqos.policy.settings import Settings

NAME_PODS: Final = (
    "give --pods PATH (manifests: memqos runs them), or --kubelet-pods FILE (a kubelet runs them: "
    "kubectl get --raw /api/v1/nodes/NODE/proxy/pods > FILE)"
)
"""Without them there is nothing to decide about."""


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
        from memqos.cluster.fields import shown
        from memqos.cluster.manifest import load_manifests

        found = load_manifests(self.manifests)
        if not found.pods:
            kinds = sorted({each.kind if each.kind.isalnum() else shown(each.kind) for each in found.others})
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
        problem, remedy = f"holds {len(documents)} documents", "write one KubeletConfiguration"
        raise InputError(problem, source=str(path), remedy=remedy)
    return config_from_dict(documents[0], source=str(path))
