"""Read a kubelet's configuration: `kubelet.yaml`, or what its `/configz` serves.

`config_from_dict` takes the parsed document, checks what decides about memory as the kubelet does
(pkg/kubelet/apis/config/validation/validation.go), and ignores the rest; but what all but has the name of
such a field is misspelt, and would be ignored without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar, get_args

from memqos.errors import InputError
from memqos.kubelet.config import (
    DEFAULT_THROTTLING_FACTOR,
    CgroupDriver,
    KubeletConfig,
    ReservationPolicy,
    Runtime,
    SwapBehavior,
    Version,
)
from memqos.kubelet.duration import parse_duration
from memqos.kubelet.thresholds import parse_thresholds
from memqos.units import Quantity, parse_quantity

_T = TypeVar("_T")
_Reader = Callable[[object], object]

_NEAR: Final = 0.9
"""So alike (difflib's ratio) are `swapBehaviour` and `swapBehavior`; no two fields of a kubelet's are."""
ENFORCEABLE: Final = (
    "pods",
    "kube-reserved",
    "system-reserved",
    "kube-reserved-compressible",
    "system-reserved-compressible",
    "none",
)


def config_from_dict(
    document: object, *, version: str = "1.36", container_runtime: str = "containerd", source: str = ""
) -> KubeletConfig:
    """Read a `KubeletConfiguration`, bare or inside configz's `kubeletconfig`.

    The file does not say the kubelet's version nor the runtime; `node.status.nodeInfo` does. Raises
    `InputError` naming `source`, the field and a remedy.
    """
    try:
        values: dict[str, Any] = {
            "version": _choice(Version)(version.removeprefix("v")),
            "container_runtime": _choice(Runtime)(container_runtime),
        }
        values |= _fields(_document(document))
        config = KubeletConfig(**values)
        validate(config)
    except InputError as error:
        raise error.at(source=source) from None
    return config


def validate(config: KubeletConfig) -> None:
    """Check what a kubelet checks at start; raises `InputError` for what it would refuse."""
    on, factor = config.memory_qos_on, config.memory_throttling_factor
    if factor is not None and not 0 < factor <= 1:
        raise InputError(
            f"{factor} is not above 0 and at most 1", field="memoryThrottlingFactor", remedy="write 0.9"
        )
    if config.memory_reservation_policy != "None" and config.minor < 36:
        raise InputError(
            f"Kubernetes {config.version} has no such field",
            field="memoryReservationPolicy",
            remedy="leave it out",
        )
    if config.memory_reservation_policy != "None" and not on:
        raise InputError(
            "needs Memory QoS", field="memoryReservationPolicy", remedy="set featureGates: {MemoryQoS: true}"
        )
    if config.minor >= 37 and not on and factor not in (None, DEFAULT_THROTTLING_FACTOR):
        raise InputError(
            "needs Memory QoS", field="memoryThrottlingFactor", remedy="set featureGates: {MemoryQoS: true}"
        )
    if "none" in config.enforce_node_allocatable and len(config.enforce_node_allocatable) > 1:
        raise InputError(
            "'none' stands alone", field="enforceNodeAllocatable", remedy="leave out 'none' or the others"
        )
    for key, cgroup in (
        ("kube-reserved", config.kube_reserved_cgroup),
        ("system-reserved", config.system_reserved_cgroup),
    ):
        name = key.split("-")[0] + "ReservedCgroup"
        if key in config.enforce_node_allocatable and not cgroup:
            raise InputError(
                f"{key} is enforced, but no cgroup is named", field=name, remedy=f"set {name} or leave it out"
            )
    if not 1000 <= config.cpu_cfs_quota_period <= 1_000_000:
        raise InputError(
            "is not between 1ms and 1s, both included", field="cpuCFSQuotaPeriod", remedy="write 100ms"
        )
    parse_thresholds(config)


def _document(document: object) -> Mapping[str, Any]:
    if isinstance(document, Mapping) and "kubeletconfig" in document:
        document = document["kubeletconfig"]
    if not isinstance(document, Mapping):
        raise InputError("is not a mapping", remedy="write a KubeletConfiguration")
    kind = document.get("kind", "KubeletConfiguration")
    if kind != "KubeletConfiguration":
        remedy = "give the kubelet's own configuration file, or what its /configz serves"
        raise InputError(f"{kind!r} is not KubeletConfiguration", field="kind", remedy=remedy)
    _refuse_slips(document, (*FIELDS, "featureGates", "memorySwap", "cgroupsPerQOS"))
    if document.get("cgroupsPerQOS") is False:
        raise InputError(
            "without QoS cgroups there is nothing to manage", field="cgroupsPerQOS", remedy="set it to true"
        )
    return document


def _refuse_slips(found: Iterable[object], known: tuple[str, ...], inside: str = "") -> None:
    """Raise `InputError` for a key that differs from a known one by a letter or two, or by case."""
    small = {name.lower(): name for name in known}
    for key in found:
        if isinstance(key, str) and key not in known:
            near = get_close_matches(key.lower(), small, n=1, cutoff=_NEAR)
            if near:
                field = f"{inside}.{key}" if inside else key
                raise InputError("is no such field", field=field, remedy=f"did you mean {small[near[0]]}?")


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `KubeletConfig` that the document gives; null is not given."""
    values: dict[str, Any] = {}
    for name, (field, read) in FIELDS.items():
        if document.get(name) is not None:
            values[field] = _at(name, read, document[name])
    gates = _at("featureGates", _mapping(_boolean), document.get("featureGates") or {})
    _refuse_slips(gates, ("MemoryQoS", "PodLevelResources"), "featureGates")
    for gate, field in (("MemoryQoS", "memory_qos"), ("PodLevelResources", "pod_level_resources")):
        if gate in gates:
            values[field] = gates[gate]
    swap = document.get("memorySwap") or {}
    if not isinstance(swap, Mapping):
        raise InputError("is not a mapping", field="memorySwap", remedy="write {swapBehavior: LimitedSwap}")
    _refuse_slips(swap, ("swapBehavior",), "memorySwap")
    values["swap_behavior"] = _at(
        "memorySwap.swapBehavior", _choice(SwapBehavior), swap.get("swapBehavior") or ""
    )
    if not values.get("cpu_cfs_quota_period"):
        values.pop("cpu_cfs_quota_period", None)  # so is 0 for that of 100ms
    if not values.get("eviction_pressure_transition_period"):
        values.pop("eviction_pressure_transition_period", None)  # 0 is taken for the default of 5m
    return values


def _at(field: str, read: Callable[[object], _T], value: object) -> _T:
    try:
        return read(value)
    except InputError as error:
        raise error.at(field=field) from None


def _choice(literal: object) -> Callable[[object], str]:
    allowed = get_args(literal)

    def read(value: object) -> str:
        if value not in allowed:
            named = ", ".join(repr(each) for each in allowed)
            raise InputError(f"{value!r} is not known", remedy=f"use one of {named}")
        return str(value)

    return read


def _mapping(read: Callable[[object], _T]) -> Callable[[object], dict[str, _T]]:
    def read_all(value: object) -> dict[str, _T]:
        if not isinstance(value, Mapping):
            raise InputError("is not a mapping", remedy="write key: value pairs")
        return {str(key): _at(str(key), read, each) for key, each in value.items()}

    return read_all


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{value!r} is not true or false", remedy="write true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{value!r} is not a text", remedy="put it in quotes")
    return value


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{value!r} is not a number of seconds", remedy="write a whole number, 0 or more")
    return value


def _factor(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{value!r} is not a number", remedy="write 0.9")
    return float(value)


def _quantity(value: object) -> Quantity:
    if not isinstance(value, (str, int, float)):
        raise InputError(f"{value!r} is not a quantity", remedy="write 100Mi")
    quantity = parse_quantity(value)
    if quantity.amount < 0:
        raise InputError(f"{value!r} is negative", remedy="write 0 or more")
    return quantity


def _enforce(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InputError("is not a list", remedy="write [pods]")
    for each in value:
        if each not in ENFORCEABLE:
            raise InputError(f"{each!r} is not known", remedy=f"use {', '.join(ENFORCEABLE)}")
    return tuple(value)


FIELDS: Final[Mapping[str, tuple[str, _Reader]]] = {
    "cgroupDriver": ("cgroup_driver", _choice(CgroupDriver)),
    "cgroupRoot": ("cgroup_root", _text),
    "memoryThrottlingFactor": ("memory_throttling_factor", _factor),
    "memoryReservationPolicy": ("memory_reservation_policy", _choice(ReservationPolicy)),
    "failSwapOn": ("fail_swap_on", _boolean),
    "singleProcessOOMKill": ("single_process_oom_kill", _boolean),
    "cpuCFSQuota": ("cpu_cfs_quota", _boolean),
    "cpuCFSQuotaPeriod": ("cpu_cfs_quota_period", parse_duration),
    "enforceNodeAllocatable": ("enforce_node_allocatable", _enforce),
    "kubeReserved": ("kube_reserved", _mapping(_quantity)),
    "systemReserved": ("system_reserved", _mapping(_quantity)),
    "kubeReservedCgroup": ("kube_reserved_cgroup", _text),
    "systemReservedCgroup": ("system_reserved_cgroup", _text),
    "evictionHard": ("eviction_hard", _mapping(_text)),
    "evictionSoft": ("eviction_soft", _mapping(_text)),
    "evictionSoftGracePeriod": ("eviction_soft_grace_period", _mapping(_text)),
    "evictionMinimumReclaim": ("eviction_minimum_reclaim", _mapping(_text)),
    "mergeDefaultEvictionSettings": ("merge_default_eviction_settings", _boolean),
    "evictionMaxPodGracePeriod": ("eviction_max_pod_grace_period", _seconds),
    "evictionPressureTransitionPeriod": ("eviction_pressure_transition_period", parse_duration),
}
"""The fields that are read, where they go, and how."""
