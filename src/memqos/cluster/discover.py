"""Pods as far as the cgroup tree alone tells: their UID and their QoS class.

For a look at a node without credentials for its kubelet. Names, requests, priorities and annotations
are not in the tree, so no policy may decide about these pods.
"""

from __future__ import annotations

from collections.abc import Iterable

from memqos.cluster.placement import find_roots
from memqos.model.pods import PlacedPod, Pod

NAMESPACE = "?"
"""Where a discovered pod lives: not known."""


def discover(cgroup_paths: Iterable[str]) -> tuple[PlacedPod, ...]:
    """Return a pod for every pod cgroup among the paths, named by its UID, without containers."""
    paths = sorted(path.strip("/") for path in cgroup_paths)
    roots = find_roots(paths)
    found = []
    for path in paths:
        identity = next((each for root in roots if (each := root.identify(path)) is not None), None)
        if identity is not None and identity.kind == "pod":
            pod = Pod(NAMESPACE, identity.uid, identity.uid, (), status_qos_class=identity.qos)
            found.append(PlacedPod(pod, path))
    return tuple(found)
