"""One Pod document, as the API server would have defaulted and refused it.

Read are the fields that decide about memory or that the pod runner needs; everything else
Kubernetes allows is passed over. Defaulting (pkg/apis/core/v1/defaults.go, `SetDefaults_Pod`):
requests absent are the limits; pod-level requests absent are the containers' sum or else the
pod-level limits; namespace "default", restartPolicy Always, terminationGracePeriodSeconds 30.
`env` entries with `valueFrom` are left out: a manifest's reader has no ConfigMaps and Secrets.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, Final

from memqos.cluster.fields import At
from memqos.cluster.names import LABEL, LABEL_RULE, NAME_RULE, SUBDOMAIN, UID
from memqos.cluster.priority import PriorityClasses, priority_of
from memqos.cluster.slips import refuse_slips
from memqos.kubelet.resources import aggregate_requests, is_supported_pod_level
from memqos.model.pods import Container, Pod, Resources

DEFAULT_GRACE_SECONDS: Final = 30
_RESTART_POLICIES: Final = ("Always", "OnFailure", "Never")
_UIDS: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "memqos.dev")
_BUILT_IN: Final = PriorityClasses()


def pod_from_dict(
    document: Any, *, source: str = "", field: str = "", priorities: PriorityClasses | None = _BUILT_IN
) -> Pod:
    """Read one Pod, already parsed from YAML or JSON; its `status` is not looked at.

    Without `priorities` the spec's own priority stands, as the API server has resolved it, which has also
    refused what is misspelt.
    `apiVersion` and `kind` may be absent (items of a PodList), not wrong. A pod without a uid gets
    one that depends on namespace and name alone. Raises `ManifestError` naming `source`, the field
    below `field`, and the remedy.
    """
    at = At(document, source, field)
    if not isinstance(document, dict):
        raise at.wrong_type("a Pod", "write apiVersion: v1, kind: Pod, metadata and spec")
    at.get("apiVersion").one_of(("v1",))
    at.get("kind").one_of(("Pod",))
    metadata, spec = at.get("metadata"), at.get("spec")
    if priorities is not None:
        refuse_slips(at)
    name = metadata.get("name").name(SUBDOMAIN, NAME_RULE)
    namespace_at = metadata.get("namespace")
    namespace = namespace_at.name(LABEL, LABEL_RULE) if namespace_at.value not in (None, "") else "default"
    uid_at = metadata.get("uid")
    init = tuple(_container(each) for each in spec.get("initContainers").items())
    containers = tuple(_container(each) for each in spec.get("containers").items())
    _unique_names(spec, init, containers)
    if priorities is None:
        class_name, priority = spec.get("priorityClassName").string(), priority_of(spec)
    else:
        class_name, priority = priorities.resolve(spec)
    grace = spec.get("terminationGracePeriodSeconds").integer(0, 2**31 - 1)
    pod = Pod(
        namespace=namespace,
        name=name,
        uid=_uid(uid_at) if uid_at.value not in (None, "") else str(uuid.uuid5(_UIDS, f"{namespace}/{name}")),
        containers=containers,
        init_containers=init,
        ephemeral_containers=tuple(
            each.get("name").name(LABEL, LABEL_RULE) for each in spec.get("ephemeralContainers").items()
        ),
        annotations=metadata.get("annotations").strings(),
        labels=metadata.get("labels").strings(),
        resources=None if spec.get("resources").value is None else _resources(spec.get("resources")),
        overhead=spec.get("overhead").quantities(),
        priority=priority,
        priority_class_name=class_name,
        restart_policy=spec.get("restartPolicy").one_of(_RESTART_POLICIES) or "Always",
        termination_grace_period_seconds=DEFAULT_GRACE_SECONDS if grace is None else grace,
        tolerations=tuple(_toleration(each) for each in spec.get("tolerations").items()),
    )
    return _with_pod_level_requests(pod)


def _uid(at: At) -> str:
    return at.name(UID, "use letters, digits and -, as a UUID has, or leave it out")


def _unique_names(spec: At, init: tuple[Container, ...], containers: tuple[Container, ...]) -> None:
    if not containers:
        raise spec.get("containers").error("is missing or empty", "a pod has at least one container")
    seen: set[str] = set()
    for group, members in (("initContainers", init), ("containers", containers)):
        for index, container in enumerate(members):
            if container.name in seen:
                at = At(None, spec.source, f"{spec.field}.{group}[{index}].name")
                raise at.error(f'"{container.name}" is the name of two containers', "rename one of them")
            seen.add(container.name)


def _container(at: At) -> Container:
    working_dir = at.get("workingDir").string()
    return Container(
        name=at.get("name").name(LABEL, LABEL_RULE),
        resources=_defaulted(_resources(at.get("resources"))),
        restart_policy=at.get("restartPolicy").one_of(_RESTART_POLICIES) or None,
        image=at.get("image").string(),
        command=tuple(each.string() for each in at.get("command").items()),
        args=tuple(each.string() for each in at.get("args").items()),
        env=_env(at.get("env")),
        working_dir=working_dir or None,
    )


def _env(at: At) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in at.items():
        name = each.get("name").string()
        if not name or "=" in name or "\0" in name:
            raise each.get("name").error("is missing or has a = in it", "give the variable a name")
        if each.get("valueFrom").value is None:
            found.pop(name, None)  # the later of two wins, at its own place in the order
            found[name] = each.get("value").string()
    return found


def _resources(at: At) -> Resources:
    resources = Resources(at.get("requests").quantities(), at.get("limits").quantities())
    for name in ("memory", "cpu"):
        request, limit = resources.requests.get(name), resources.limits.get(name)
        if request is not None and limit is not None and request > limit:
            raise (
                at.get("requests")
                .get(name)
                .error("is more than the limit", "lower the request or raise the limit")
            )
    if resources.requests.get("swap"):
        raise at.get("requests").get("swap").error("swap has limits only", "move it to limits")
    return resources


def _defaulted(resources: Resources) -> Resources:
    copied = {name: limit for name, limit in resources.limits.items() if name != "swap"}
    return Resources({**copied, **resources.requests}, resources.limits)


def _with_pod_level_requests(pod: Pod) -> Pod:
    """`defaultPodRequests`: of what limits are given for, else of what the containers request."""
    if pod.resources is None or not pod.resources.limits:
        return pod
    defaults = {**pod.resources.limits, **aggregate_requests(pod)}
    supported = {name: amount for name, amount in defaults.items() if is_supported_pod_level(name)}
    resources = Resources({**supported, **pod.resources.requests}, pod.resources.limits)
    return replace(pod, resources=resources)


def _toleration(at: At) -> dict[str, str]:
    return {
        key: at.get(key).string() for key in ("key", "operator", "value", "effect") if at.get(key).string()
    }
