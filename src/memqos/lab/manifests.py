"""The pods of an experiment, read as `kubectl apply` would read them."""

from __future__ import annotations

from memqos.cluster.manifest import Manifests, manifests_from
from memqos.errors import ManifestError
from memqos.lab.experiment import Play


def manifests_of(play: Play) -> Manifests:
    """Return the pods and priorities of one variant; raises `ManifestError`."""
    manifests = manifests_from(play.pods, field="pods")
    if manifests.others:
        kind = manifests.others[0].kind
        raise ManifestError(f"{kind} is no pod", field="pods", remedy="a policy has its own field, policy")
    return manifests


def commands_of(play: Play) -> list[list[str]]:
    """The command lines of one variant: its containers', then its timeline's; raises `ManifestError`."""
    pods = manifests_of(play).pods
    found = [[*each.command, *each.args] for pod in pods for each in pod.all_containers]
    return found + [list(step.exec.command) for step in play.timeline if step.exec is not None]
