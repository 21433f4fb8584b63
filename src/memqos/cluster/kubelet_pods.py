"""Pods as a kubelet's `/pods`, or the API server, reports them: a PodList in JSON.

Besides what a manifest says there is the status: the QoS class that counts, the phase, and the ids of
the containers, which name their cgroups. A pod that cannot be understood costs only itself: it
comes back as an error, and the others are managed all the same.

Memory requests and limits are those that the kubelet has actuated (`status.….resources`), as far as it
says so, and else the spec's: while an in-place resize (KEP-1287) waits, or was refused, they differ,
and the cgroups hold the former. What it says of the pod as a whole is the pod cgroup's, with the
runtime's overhead in it, which the spec's is without (component-helpers/resource `PodRequests`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from memqos.cluster.documents import parse_json
from memqos.cluster.fields import At
from memqos.cluster.pod import pod_from_dict
from memqos.errors import ManifestError
from memqos.model.pods import Container, Pod, Resources
from memqos.units import ZERO, Quantity

_PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
_CLASSES: Final = ("Guaranteed", "Burstable", "BestEffort")
_STATUSES: Final = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
_ID_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class PodList:
    """The pods of a list, and what was wrong with those that are not among them."""

    pods: tuple[Pod, ...] = ()
    errors: tuple[ManifestError, ...] = ()


def read_pod_list(path: str | Path) -> PodList:
    """Read a PodList from a JSON file. Raises `ManifestError` when it is not one."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ManifestError(f"cannot be read: {error.strerror}", source=str(path)) from None
    return pod_list_from(parse_json(text, str(path)), source=str(path))


def pod_list_from(document: Any, *, source: str = "") -> PodList:
    """Read a PodList that is parsed already. Raises `ManifestError` when it is not one.

    What an API server answers instead of a list (`kind: Status`) is told by its message.
    """
    at = At(document, source)
    if at.get("kind").value == "Status":
        message = at.get("message").string("no message")
        raise at.error(f"the answer is an error: {message}", "see that memqos may read pods (RBAC)")
    if at.get("kind").value not in ("PodList", "List"):
        raise at.get("kind").error(
            "this is not a PodList", "give a kubelet's /pods or an API server's list of pods"
        )
    pods: list[Pod] = []
    errors: list[ManifestError] = []
    for item in at.get("items").items():
        try:
            pods.append(pod_from_status(item.value, source=source, field=item.field))
        except ManifestError as error:
            errors.append(error)
    return PodList(tuple(pods), tuple(errors))


def pod_from_status(document: Any, *, source: str = "", field: str = "") -> Pod:
    """Read one Pod as the API has it, its status included. Raises `ManifestError`."""
    status = At(document, source, field).get("status")
    pod = pod_from_dict(document, source=source, field=field, priorities=None)
    reported = {
        each.get("name").string(): each.get("resources")
        for group in _STATUSES[:2]
        for each in status.get(group).items()
    }
    resources = pod.resources
    return replace(
        pod,
        containers=_as_actuated(pod.containers, reported),
        init_containers=_as_actuated(pod.init_containers, reported),
        resources=resources
        and _with_memory(resources, status.get("resources"), pod.overhead.get("memory", ZERO)),
        status_qos_class=status.get("qosClass").one_of(_CLASSES),
        phase=status.get("phase").one_of(_PHASES),
        container_ids=dict(_ids(status)),
    )


def _as_actuated(containers: tuple[Container, ...], reported: Mapping[str, At]) -> tuple[Container, ...]:
    return tuple(
        replace(each, resources=_with_memory(each.resources, reported[each.name]))
        if each.name in reported
        else each
        for each in containers
    )


def _with_memory(resources: Resources, reported: At, overhead: Quantity = ZERO) -> Resources:
    """Take what is reported of the amounts that the spec names, less the overhead in it.

    Of a pod, the containers' sum is reported, too: that makes no pod-level amount of it.
    """
    requests, limits = dict(resources.requests), dict(resources.limits)
    for amounts, group in ((requests, "requests"), (limits, "limits")):
        memory = reported.get(group).get("memory")
        if memory.value is None or "memory" not in amounts:
            continue
        actual = memory.quantity()
        if overhead and actual != amounts["memory"]:
            actual = Quantity(max(ZERO.amount, actual.amount - overhead.amount))
        amounts["memory"] = actual
    return Resources(requests, limits)


def _ids(status: At) -> Iterator[tuple[str, str]]:
    for group in _STATUSES:
        for each in status.get(group).items():
            name, plain = each.get("name").string(), plain_id(each.get("containerID").string())
            if name and plain:
                yield name, plain


def plain_id(container_id: str) -> str:
    """Return a container's id without the runtime's scheme; empty when it is not 64 hex digits."""
    plain = container_id.rpartition("//")[2]
    return plain if len(plain) == _ID_LENGTH and set(plain) <= set("0123456789abcdef") else ""
