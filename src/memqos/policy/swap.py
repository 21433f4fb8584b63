"""Swap per pod: chosen by its user, kept in bounds by the admin.

A pod's wish is what its user chose (`memqos.policy.choice`) where the admin's mode is PodChoice and
the namespace may choose; otherwise the mode's default: nothing, or the kubelet's LimitedSwap rule.
A critical pod never swaps, nor does a pod when the mode is None.

A wish is cut to the maximum per pod, and all of them to the node's budget: the admin's, and never
more than the node's swap less its reserve (`memqos.policy.share` says who gets less, and why so).
The grant is written to the pod's cgroup, which bounds its containers together; a container gets
what was chosen for it, up to the pod's grant. All sizes are whole pages, rounded down.

A choice that cannot be read affects its own pod only: that pod gets the mode's default, and an `Advice`
says which pod, what is wrong, and what to write.

A pod that chose nothing gets nothing by default, as KEP-5359 has it for WorkloadControlledSwap: what silent
pods would keep of a kubelet's LimitedSwap is not there for those that choose. So that nobody is surprised,
an `Advice` names the pods that lose what their kubelet gave them, and the setting that lets them keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from memqos.kubelet.config import KubeletConfig
from memqos.kubelet.critical import is_critical_pod
from memqos.kubelet.swap import memory_swap_max
from memqos.model.plan import Advice, Plan, Write
from memqos.model.pods import Container, PlacedPod, Pod
from memqos.model.view import View
from memqos.policy.choice import Choice, read_choice
from memqos.policy.settings import SwapSettings
from memqos.policy.share import Claim, divide
from memqos.policy.swap_room import SwapRoom
from memqos.units import UNLIMITED, format_bytes, page_floor

Ground: TypeAlias = tuple[int, bool, int]
"""A cgroup's inode, whether it can have swap, and how many bytes it has there."""

_NAMED: Final = 5
"""So many pods are named in one advice."""
_LIMITED: Final = KubeletConfig(swap_behavior="LimitedSwap")


@dataclass(frozen=True, slots=True)
class Wish:
    """What one pod would have within the maximum per pod, in bytes, whole and by container."""

    placed: PlacedPod
    whole: int
    containers: Mapping[str, int]
    why: str
    by_default: bool
    advice: tuple[Advice, ...] = ()


@dataclass(frozen=True, slots=True)
class SwapMemory:
    """The last decision, and all that it was made from: the same again leads to the same."""

    node: SwapRoom | None = None
    pods: tuple[PlacedPod, ...] = ()
    grounds: tuple[Ground | None, ...] = ()
    wishes: Mapping[str, Wish] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)


@dataclass(frozen=True, slots=True)
class SwapPolicy:
    """Hold `memory.swap.max` of every pod and container at what its user chose and the admin allows."""

    settings: SwapSettings = SwapSettings()
    name: str = "swap"

    def initial(self) -> SwapMemory:
        """Return a memory of nothing; grants follow from what is there, not from who came first."""
        return SwapMemory()

    def decide(self, memory: SwapMemory, view: View) -> tuple[SwapMemory, Plan]:
        """Return `memory.swap.max` of every pod on the node and of its containers."""
        node, grounds = SwapRoom.of(view, self.settings), _grounds(view)
        same = memory.node == node
        if same and memory.grounds == grounds and memory.pods == view.pods:
            return memory, memory.plan
        advice: list[Advice] = []
        wishes: dict[str, Wish] = {}
        for placed in view.pods:
            cgroup = view.now.cgroups.get(placed.cgroup) if placed.cgroup else None
            if cgroup and cgroup.memory_swap_max is not None and cgroup.path not in wishes:
                known = memory.wishes.get(cgroup.path) if same else None
                if known is None or known.placed != placed:
                    known = self._wish(placed, node)
                wishes[cgroup.path] = known
                advice.extend(known.advice)
        advice.extend(self._taken(wishes, view))
        grants = self._grants(wishes, view, node, advice)
        writes = [
            write
            for path, wish in wishes.items()
            for write in self._writes(path, wish, grants[path], view, node)
        ]
        plan = Plan(tuple(writes), tuple(advice))
        return SwapMemory(node, view.pods, grounds, wishes, plan), plan

    def _wish(self, placed: PlacedPod, node: SwapRoom) -> Wish:
        pod, advice = placed.pod, list[Advice]()
        choice, bad = read_choice(pod)
        void = any(word.voids for word in bad)
        for word in bad:
            come_of_it = "the pod gets the default" if void else "the rest of its choice counts"
            problem = f"{word.source}: {word.problem}; {come_of_it}"
            advice.append(Advice(pod.key, problem, word.remedy, self.name))
        barred = self._barred(pod)
        if barred and not choice.is_empty:
            why, remedy = barred
            advice.append(Advice(pod.key, f"its choice of swap does not count: {why}", remedy, self.name))
        by_default = barred is not None or choice.is_empty
        if by_default:
            reason = barred[0] if barred else "its choice cannot be read" if void else "it chose nothing"
            limits, why = self._default(pod, node, reason)
            whole = _at_once(pod, limits)
        else:
            limits = {
                container.name: node.bytes_of(choice.containers[container.name], container)
                if container.name in choice.containers
                else self._default_of(pod, container, node)
                for container in pod.all_containers
            }
            whole = _at_once(pod, limits) if _by_container(choice) else node.bytes_of_pod(choice)
            why = _chose(pod, choice, whole)
            if node.budget == 0 and whole:
                advice.append(Advice(pod.key, f"it chose swap and {node.bounds}", node.remedy, self.name))
        allowed = page_floor(min(whole, node.per_pod), node.page_size)
        return Wish(placed, allowed, limits, why, by_default, tuple(advice))

    def _barred(self, pod: Pod) -> tuple[str, str] | None:
        """Why the pod may not choose, and the remedy; `None` when it may."""
        if self.settings.mode == "None":
            return "the policy's swap mode is None", "ask the admin for swap.mode PodChoice"
        if is_critical_pod(pod):
            return "critical pods do not swap", "lower the pod's priority, or leave its choice out"
        if self.settings.mode == "Limited":
            return "the policy's swap mode is Limited", "ask the admin for swap.mode PodChoice"
        if not any(fnmatchcase(pod.namespace, pattern) for pattern in self.settings.namespaces):
            why = f"pods of namespace {pod.namespace} may not choose"
            return why, "ask the admin to add the namespace to swap.namespaces"
        return None

    def _default(self, pod: Pod, node: SwapRoom, reason: str) -> tuple[dict[str, int], str]:
        limits = {container.name: self._default_of(pod, container, node) for container in pod.all_containers}
        rule = "the kubelet's LimitedSwap rule" if self._by_kubelet(pod) else "no swap"
        return limits, f"{pod.key} gets the default, {rule}: {reason}"

    def _default_of(self, pod: Pod, container: Container, node: SwapRoom) -> int:
        return memory_swap_max(pod, container, _LIMITED, node.capacity) if self._by_kubelet(pod) else 0

    def _by_kubelet(self, pod: Pod) -> bool:
        mode = self.settings.mode
        by_default = mode == "Limited" or (mode == "PodChoice" and self.settings.default == "limited")
        return by_default and not is_critical_pod(pod)

    def _taken(self, wishes: Mapping[str, Wish], view: View) -> list[Advice]:
        """Tell of pods that chose nothing and lose what their kubelet's LimitedSwap gave their containers."""
        if self.settings.mode != "PodChoice" or self.settings.default != "0":
            return []
        losers = []
        for wish in wishes.values():
            leaves = (view.now.cgroups.get(path) for path in wish.placed.containers.values())
            had = any(leaf is not None and 0 < (leaf.memory_swap_max or 0) < UNLIMITED for leaf in leaves)
            if had and wish.by_default and not is_critical_pod(wish.placed.pod):
                losers.append(wish.placed.pod.key)
        if not losers:
            return []
        more = f" and {len(losers) - _NAMED} more" if len(losers) > _NAMED else ""
        problem = (
            f"{', '.join(losers[:_NAMED])}{more} chose nothing and had swap, as from a kubelet with "
            "LimitedSwap: the policy's swap.default, 0, takes it from them"
        )
        remedy = "set swap.default to limited and they keep the kubelet's share, or let their users choose"
        return [Advice("node", problem, remedy, self.name)]

    def _grants(
        self, wishes: Mapping[str, Wish], view: View, node: SwapRoom, advice: list[Advice]
    ) -> dict[str, int]:
        budget, claims = node.budget // node.page_size, []
        for path, wish in wishes.items():
            used = -(-(view.now.cgroups[path].memory_swap_current or 0) // node.page_size)
            claim = Claim(path, wish.whole // node.page_size, used, wish.placed.pod.priority or 0)
            budget -= max(0, used - claim.wish)
            claims.append(claim)
        wanted = sum(claim.wish for claim in claims)
        if wanted > budget and node.capacity.swap:
            problem = (
                f"pods ask for {format_bytes(wanted * node.page_size)} of swap and the node can grant "
                f"{format_bytes(max(0, budget) * node.page_size)}: the least important get less"
            )
            advice.append(Advice("node", problem, "add swap, or lower swap.maximumPerPod", self.name))
        return {path: pages * node.page_size for path, pages in divide(budget, claims).items()}

    def _writes(self, path: str, wish: Wish, grant: int, view: View, node: SwapRoom) -> list[Write]:
        bounds = node.bounds
        if grant < wish.whole:
            bounds += f"; of the node's {format_bytes(node.budget)} it gets {format_bytes(grant)}"
        why = f"{wish.why}; {bounds}"
        sizes = {path: grant}
        for name, leaf in wish.placed.containers.items():
            if name in wish.containers:
                sizes[leaf] = page_floor(min(grant, wish.containers[name]), node.page_size)
        return [
            Write(cgroup.path, "memory.swap.max", size, why, self.name, cgroup.inode)
            for place, size in sizes.items()
            if (cgroup := view.now.cgroups.get(place)) and cgroup.memory_swap_max is not None
        ]


def _grounds(view: View) -> tuple[Ground | None, ...]:
    cgroups = view.now.cgroups
    found: list[Ground | None] = []
    for placed in view.pods:
        for path in (placed.cgroup or "", *placed.containers.values()):
            cgroup = cgroups.get(path)
            if cgroup is None:
                found.append(None)
            else:
                may_have = cgroup.memory_swap_max is not None
                found.append((cgroup.inode, may_have, cgroup.memory_swap_current or 0))
    return tuple(found)


def _by_container(choice: Choice) -> bool:
    return choice.pod is None or choice.pod.limit == "limited"


def _at_once(pod: Pod, limits: Mapping[str, int]) -> int:
    """Add up what containers may have at the same time (kubernetes.io: sidecar containers, KEP-753)."""
    sidecars, peak = 0, 0
    for container in pod.init_containers:
        peak = max(peak, sidecars + limits[container.name])
        sidecars += limits[container.name] if container.is_sidecar else 0
    total = sidecars + sum(limits[container.name] for container in pod.containers)
    return min(max(total, peak), UNLIMITED)


def _chose(pod: Pod, choice: Choice, whole: int) -> str:
    sources = [choice.pod.source] if choice.pod else []
    sources += [chosen.source for chosen in choice.containers.values()]
    said = ", ".join(dict.fromkeys(sources))
    return f"{pod.key} chose {format_bytes(whole)} of swap ({said})"
