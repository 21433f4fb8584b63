"""Which cgroup belongs to which pod and container.

Where kubepods is, and which driver made it, is read off the paths themselves, so that one list may
hold a whole machine: `kubepods.slice`, `kubepods`, or below a `--cgroup-root` (kind:
`…/kubelet.slice/kubelet-kubepods.slice`). The names inside follow `memqos.kubelet.cgroups`. A container's
cgroup is known by its id, which the pod's status gives, or by the container's name, as the pod runner of
`memqos.linux.runner` has it. A static pod's cgroup carries the hash of its manifest; its mirror
pod stands for the same cgroup and is left out where both are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from memqos.kubelet.cgroups import CgroupIdentity, cgroup_uid, identify, kubepods_path
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.critical import is_mirror_pod
from memqos.model.pods import PlacedPod, Pod

Kind: TypeAlias = Literal["node", "qos", "pod", "container", "sandbox", "inside", "unknown"]
"""`sandbox`: the pause container's; `inside`: what a container made below itself; `unknown`: of a pod
that is not in the list, or of a container whose id is not reported yet."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a cgroup at or below kubepods is; `uid` is the one in its path."""

    kind: Kind
    uid: str = ""
    pod: Pod | None = None
    container: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Every pod with its place, and every cgroup at or below kubepods with its owner."""

    pods: tuple[PlacedPod, ...] = ()
    owners: Mapping[str, Owner] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Root:
    """One kubepods: `prefix` is what stands before the part that the kubelet named."""

    prefix: str
    config: KubeletConfig

    def identify(self, path: str) -> CgroupIdentity | None:
        """Tell what a path stands for below this kubepods; `None` for one elsewhere."""
        return identify(path.removeprefix(self.prefix), self.config) if path.startswith(self.prefix) else None


def place(pods: Sequence[Pod], cgroup_paths: Iterable[str]) -> tuple[PlacedPod, ...]:
    """Give each pod its cgroup and its containers' cgroups, as far as they are among the paths.

    Paths are below the cgroup root, without a leading slash, as in `Snapshot.cgroups`.
    """
    return placement(pods, cgroup_paths).pods


def placement(pods: Sequence[Pod], cgroup_paths: Iterable[str]) -> Placement:
    """Place the pods, and say whose each cgroup at or below kubepods is."""
    paths = sorted(path.strip("/") for path in cgroup_paths)
    roots = find_roots(paths)
    by_uid = _by_uid(pods)
    cgroups: dict[str, str] = {}
    containers: dict[str, dict[str, str]] = {uid: {} for uid in by_uid}
    owners: dict[str, Owner] = {}
    for path in paths:
        identity = next((each for root in roots if (each := root.identify(path)) is not None), None)
        if identity is None:
            continue
        # parents sort before children, so what a path lies inside of is known already
        owner = _owner(path, identity, by_uid.get(identity.uid), owners.get(path.rpartition("/")[0]))
        owners[path] = owner
        if owner.pod is not None and owner.kind == "pod":
            cgroups[identity.uid] = path
        elif owner.kind == "container":
            containers[identity.uid][owner.container] = path
    placed = tuple(PlacedPod(pod, cgroups.get(uid), containers[uid]) for uid, pod in by_uid.items())
    return Placement(placed, owners)


def find_roots(paths: Iterable[str]) -> tuple[Root, ...]:
    """Find every kubepods among the paths, the outer ones first."""
    roots = (_root(path) for path in sorted(paths))
    return tuple(root for root in roots if root is not None)


def _root(path: str) -> Root | None:
    above, _, name = path.rpartition("/")
    if name == "kubepods":
        # with this driver the cgroup root is an ordinary prefix
        return Root(f"{above}/" if above else "", KubeletConfig(cgroup_driver="cgroupfs"))
    parts = name.removesuffix(".slice").split("-")
    if not name.endswith(".slice") or parts[-1] != "kubepods" or not all(parts):
        return None
    config = replace(KubeletConfig(cgroup_driver="systemd"), cgroup_root="/" + "/".join(parts[:-1]))
    named = kubepods_path(config)
    if not (path == named or path.endswith(f"/{named}")):
        return None
    return Root(path.removesuffix(named), config)


def _by_uid(pods: Sequence[Pod]) -> dict[str, Pod]:
    found: dict[str, Pod] = {}
    for pod in pods:
        uid = cgroup_uid(pod)
        if uid not in found or is_mirror_pod(found[uid]):
            found[uid] = pod
    return found


def _owner(path: str, identity: CgroupIdentity, pod: Pod | None, parent: Owner | None) -> Owner:
    uid = identity.uid
    if identity.kind in ("node", "qos", "pod"):
        return Owner(
            "node" if identity.kind == "node" else "qos" if identity.kind == "qos" else "pod", uid, pod
        )
    if parent is not None and parent.kind in ("container", "sandbox", "inside"):
        return Owner("inside", uid, pod, parent.container)
    if pod is None or parent is None or parent.kind != "pod":
        return Owner("unknown", uid, pod)
    leaf = path.rpartition("/")[2]
    if identity.kind == "container":
        names = {plain: name for name, plain in pod.container_ids.items()}
        if identity.container_id in names:
            return Owner("container", uid, pod, names[identity.container_id])
        # when every container's id is reported, the one leaf left is the pause container's
        names_of_all = (*(each.name for each in pod.all_containers), *pod.ephemeral_containers)
        known = all(name in pod.container_ids for name in names_of_all)
        return Owner("sandbox" if known else "unknown", uid, pod)
    if any(container.name == leaf for container in pod.all_containers):
        return Owner("container", uid, pod, leaf)
    return Owner("unknown", uid, pod)
