"""Share a disk by weight: the kernel's own io.cost, told the pods' priorities, before anybody is hurt.

`io.max` (`memqos.policy.limit_io`) comes after a hurt, and lets swap writes pass; a service whose 99th
percentile counts cannot wait for either. io.cost (block/blk-iocost.c) weighs every request: a cgroup that
leaves some of its share unused lends it at once, and one that swaps out more than its share is made to wait
for that before it runs on. It must be told what a disk can do, so it is used for the disks that the admin
names with their figures (`io.disks`).

It is used where nothing is kept free for the more important pods (`headroom_percent` 0, or no io.max). Where
a part is (`memqos.policy.reserve_io`), sharing the rest by weight helped nobody: on 7.2 (e7, one run each, a
disk of 200 MiB/s) the service's 99th percentile waited 5.5 ms with it and 3.7 without, and the pod that swaps
took 74 and 45 s. A pod that uses little lends its share, and gets it back a period later.

There every pod gets an `io.weight`: 100 for the least priority on the node, 10000 for the highest, those
between in equal ratios. A QoS class' cgroup weighs as the heaviest of its pods; else one BestEffort pod would
have as much of the disk as all Burstable ones. kubepods keeps what it has beside the node's daemons.

On real kernels (e7, one run each, nothing kept free), a disk of 40 MiB/s, a service of 80 reads a second and
a pod that swaps and writes all it can: on 6.1, 6.12 and 7.2 the service waited for the disk 17, 26 and 11 %
of the time under the kubelet, 5, 13 and 5 % with `io.max`, 2, 5 and 6 % with weights, and 1 % alone. The pod
took two to three times as long; 7.2 killed it under the kubelet. What is left comes in single seconds, and is
what `memqos.policy.shape_queue` is for: from 6.12 on one reclaim sends up to 20 MiB of swap writes at once,
half a second of such a disk.

A disk for which somebody else set `io.cost.qos` stays as they set it; pods are weighed for it, too. Where
there is no io.cost, as on the simulated node, this rung does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from memqos.kubelet.qos import pod_qos
from memqos.model.plan import Plan, Write
from memqos.model.snapshot import Cgroup, Snapshot
from memqos.policy.importance import importance
from memqos.policy.io_settings import DiskSettings
from memqos.policy.named_disk import named_disks
from memqos.policy.rung import Situation
from memqos.units import format_bytes

_LEAST: Final = 100
"""CGROUP_WEIGHT_DFL: what a cgroup weighs that nobody weighed."""
_MOST: Final = 10_000
"""CGROUP_WEIGHT_MAX"""


@dataclass(frozen=True, slots=True)
class WeighIo:
    """Share the disks in `io.disks` of which nothing is kept free by priority (io.weight, io.cost)."""

    disks: tuple[DiskSettings, ...] = ()
    name: str = "weight"

    def initial(self) -> None:
        """Return nothing: what is held shows in the snapshot."""

    def decide(self, memory: None, situation: Situation) -> tuple[None, Plan]:
        """Return the disks' figures for the kernel, and every pod's weight."""
        now = situation.view.now
        root = now.cgroups.get("")
        if root is None or root.io_cost_qos is None or "io.weight" not in now.features:
            return None, Plan()
        ours = self._ours(now, root)
        if not ours and not root.io_cost_qos:
            return None, Plan()
        return None, Plan((*self._costs(ours, root), *self._weights(situation)))

    def _ours(self, now: Snapshot, root: Cgroup) -> dict[str, DiskSettings]:
        """Return, by device, the disks that shall be weighed and that nobody else set."""
        theirs, reserves = root.io_cost_qos or {}, "io.max" in now.features
        return {
            device: disk
            for device, disk in named_disks(self.disks, now).items()
            if not (reserves and disk.headroom_percent) and theirs.get(device) in (None, qos(disk))
        }

    def _costs(self, ours: dict[str, DiskSettings], root: Cgroup) -> Iterator[Write]:
        if not ours:
            return
        can = "; ".join(
            f"{each.name} does {format_bytes(each.bytes_per_second)} or {each.requests_per_second} requests "
            "a second"
            for each in dict.fromkeys(ours.values())
        )
        for knob, text, theirs in (
            ("io.cost.model", model, root.io_cost_model),
            ("io.cost.qos", qos, root.io_cost_qos),
        ):
            value = {**(theirs or {}), **{device: text(each) for device, each in ours.items()}}
            yield Write("", knob, value, f"its time is shared by weight: {can}", self.name, root.inode)

    def _weights(self, situation: Situation) -> Iterator[Write]:
        cgroups = situation.view.now.cgroups
        pods = [(each.cgroup, each.pod) for each in situation.view.pods if each.cgroup is not None]
        ranks = sorted({importance(pod)[:2] for _, pod in pods})
        step = (_MOST / _LEAST) ** (1 / max(1, len(ranks) - 1))
        weights: dict[str, tuple[int, str]] = {}
        for path, pod in pods:
            weight = round(_LEAST * step ** ranks.index(importance(pod)[:2]))
            weights[path] = (weight, f"its share of a disk: {importance(pod)}")
            parent = path.rpartition("/")[0]
            if pod_qos(pod) != "Guaranteed" and weight > weights.get(parent, (0, ""))[0]:
                weights[parent] = (weight, f"as the heaviest of its pods, {pod.key}")
        for path, (weight, why) in weights.items():
            cgroup = cgroups.get(path)
            if cgroup is not None and cgroup.io_weight is not None:
                yield Write(path, "io.weight", weight, why, self.name, cgroup.inode)


def model(disk: DiskSettings) -> str:
    """Return `io.cost.model`'s words for a disk, as the kernel prints them (`ioc_cost_model_prfill`)."""
    size, requests = disk.bytes_per_second, disk.requests_per_second
    ways = (f"{way}bps={size} {way}seqiops={requests} {way}randiops={requests}" for way in "rw")
    return f"ctrl=user model=linear {' '.join(ways)}"


def qos(disk: DiskSettings) -> str:
    """Return `io.cost.qos`' words (`ioc_qos_prfill`).

    While more than 5 % of the reads take longer than they may, or of the writes five times that, all get
    less, down to a tenth of the disk's figures. The longer of both times sets the period in which the kernel
    reckons shares: a shorter one paces a pod that reads little but at once, a longer one lets others queue.
    """
    read = round(disk.read_milliseconds * 1000)
    return f"enable=1 ctrl=user rpct=95.00 rlat={read} wpct=95.00 wlat={5 * read} min=10.00 max=100.00"
