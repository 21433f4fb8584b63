"""Where pods live in the cgroup tree, from pod to path and back.

The kubelet names a cgroup by components, `("kubepods", "burstable", "pod<uid>")`; the driver turns
them into a path. Guaranteed pods sit directly below kubepods. Paths here are below the cgroup root,
without a leading slash; "" is the root itself.

=========  ===========================================================================
cgroupfs   kubepods/burstable/pod6c1a4e95-…/<64 hex>
systemd    kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6c1a4e95_….slice/
           cri-containerd-<64 hex>.scope
=========  ===========================================================================

Source: pkg/kubelet/cm/cgroup_manager_linux.go (`ToSystemd`, `ToCgroupfs`),
pod_container_manager_linux.go (`IsPodCgroup`). The container's leaf is the runtime's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from memqos.errors import InputError
from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.critical import CONFIG_HASH, CONFIG_MIRROR, is_static_pod
from memqos.kubelet.qos import QOS_CLASSES, QosClass, pod_qos
from memqos.model.pods import Pod

CgroupName: TypeAlias = tuple[str, ...]

_CLASS_COMPONENTS: Final[dict[QosClass, CgroupName]] = {
    "Guaranteed": (),
    "Burstable": ("burstable",),
    "BestEffort": ("besteffort",),
}
_SYSTEMD_LEAF: Final = re.compile(r"(?:cri-containerd|crio|docker)-(?P<id>[0-9a-f]{64})\.scope")
_CGROUPFS_LEAF: Final = re.compile(r"(?:crio-)?(?P<id>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class CgroupIdentity:
    """What a path below kubepods stands for.

    `kind` "node" is kubepods itself, "qos" a class, "pod", "container", or "other" for what a
    runtime or a container made below a pod; `uid` and `container_id` are "" where they do not apply.
    A sandbox (pause) cgroup looks like a container: only the pod's status can tell.
    """

    kind: Literal["node", "qos", "pod", "container", "other"]
    qos: QosClass
    uid: str = ""
    container_id: str = ""


def to_systemd(name: CgroupName) -> str:
    """Return a name's path under the systemd driver, which has - for nesting and so writes _ for it.

    A single empty component is the root, as no component is (`CgroupName.ToSystemd`).
    """
    parts = [part.replace("-", "_") for part in name if name != ("",)]
    return "/".join("-".join(parts[: depth + 1]) + ".slice" for depth in range(len(parts)))


def to_cgroupfs(name: CgroupName) -> str:
    """Return a name's path under the cgroupfs driver."""
    return "/".join(name)


def to_path(name: CgroupName, config: KubeletConfig) -> str:
    """Return a name's path under the configured driver."""
    return to_systemd(name) if config.cgroup_driver == "systemd" else to_cgroupfs(name)


def daemons_path(name: str, config: KubeletConfig) -> str:
    """Return the path of a reserved cgroup as the configuration names it (`CgroupManager.CgroupName`).

    The systemd driver takes the last component for a slice, with or without its suffix.
    """
    if config.cgroup_driver != "systemd":
        return "/".join(part for part in name.split("/") if part)
    last = name.rstrip("/").rpartition("/")[2].removesuffix(".slice")
    return to_systemd(tuple(last.split("-"))) if last else ""


def kubepods_name(config: KubeletConfig) -> CgroupName:
    """Return kubepods' name, below the configured cgroup root."""
    return (*(part for part in config.cgroup_root.split("/") if part), "kubepods")


def kubepods_path(config: KubeletConfig) -> str:
    """Return kubepods' path."""
    return to_path(kubepods_name(config), config)


def qos_path(qos: QosClass, config: KubeletConfig) -> str:
    """Return a class' path; that of Guaranteed is kubepods itself."""
    return to_path((*kubepods_name(config), *_CLASS_COMPONENTS[qos]), config)


def cgroup_uid(pod: Pod) -> str:
    """Return the UID in a pod's cgroup name.

    A static pod's is the hash of its manifest (32 hex digits); its mirror pod, which is what the API
    server shows, has another `metadata.uid` but carries the hash in its annotations.
    """
    mirrored = pod.annotations.get(CONFIG_MIRROR)
    if mirrored:
        return mirrored
    return (pod.annotations.get(CONFIG_HASH) or pod.uid) if is_static_pod(pod) else pod.uid


def pod_path(pod: Pod, config: KubeletConfig) -> str:
    """Return a pod's path; raises `InputError` for a UID that could not be read back from it."""
    uid = cgroup_uid(pod)
    if not uid or "/" in uid or "_" in uid:
        raise InputError(
            f"{uid!r} cannot be part of a cgroup's name",
            source=pod.key,
            field="metadata.uid",
            remedy="use a UID without '/' and '_', and not empty",
        )
    qos = pod_qos(pod, pod_level=config.pod_level_resources)
    return to_path((*kubepods_name(config), *_CLASS_COMPONENTS[qos], f"pod{uid}"), config)


def container_leaf(container_id: str, config: KubeletConfig) -> str:
    """Return the last component of a container's path, as its runtime names it.

    `container_id` may carry the API's scheme (`containerd://…`).
    """
    plain = container_id.rpartition("//")[2]
    crio = config.container_runtime == "cri-o"
    if config.cgroup_driver == "systemd":
        return f"{'crio' if crio else 'cri-containerd'}-{plain}.scope"
    return f"crio-{plain}" if crio else plain


def container_path(pod: Pod, container_id: str, config: KubeletConfig) -> str:
    """Return a container's path."""
    return f"{pod_path(pod, config)}/{container_leaf(container_id, config)}"


def identify(path: str, config: KubeletConfig) -> CgroupIdentity | None:
    """Tell what a path stands for; `None` when it is not kubepods or below."""
    root = kubepods_path(config)
    if path == root:
        return CgroupIdentity("node", "Guaranteed")
    if not path.startswith(f"{root}/"):
        return None
    # Guaranteed last: its "class" is kubepods itself, which every path starts with
    for qos in reversed(QOS_CLASSES):
        base = qos_path(qos, config)
        if path == base:
            return CgroupIdentity("qos", qos)
        if path.startswith(f"{base}/"):
            return _below_class(path.removeprefix(f"{base}/"), base, qos, config)
    return None


def _below_class(rest: str, base: str, qos: QosClass, config: KubeletConfig) -> CgroupIdentity:
    first, _, below = rest.partition("/")
    systemd = config.cgroup_driver == "systemd"
    if systemd:
        prefix, suffix = base.rpartition("/")[2].removesuffix(".slice") + "-pod", ".slice"
    else:
        prefix, suffix = "pod", ""
    if not (first.startswith(prefix) and first.endswith(suffix) and len(first) > len(prefix + suffix)):
        return CgroupIdentity("other", qos)
    uid = first.removeprefix(prefix).removesuffix(suffix)
    uid = uid.replace("_", "-") if systemd else uid
    if not below:
        return CgroupIdentity("pod", qos, uid)
    leaf, _, deeper = below.partition("/")
    match = (_SYSTEMD_LEAF if systemd else _CGROUPFS_LEAF).fullmatch(leaf)
    if match is None or deeper:
        return CgroupIdentity("other", qos, uid, match["id"] if match else "")
    return CgroupIdentity("container", qos, uid, match["id"])
