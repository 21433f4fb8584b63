"""Misspelt fields of a manifest that decide about memory: they would be passed over without a word.

An API server refuses or prunes what it does not know (`kubectl apply` validates strictly), so a pod that ran
there has none. A manifest that no API server has seen may say `resource:`, and its pod would run without a
limit. Only near misses of what is read here are errors: other fields are Kubernetes' business, today's and
tomorrow's.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from memqos.cluster.fields import At

_METADATA: Final = ("name", "namespace", "annotations", "labels")
_SPEC: Final = (
    "containers",
    "initContainers",
    "overhead",
    "priority",
    "priorityClassName",
    "resources",
    "restartPolicy",
    "terminationGracePeriodSeconds",
)
_CONTAINER: Final = ("name", "resources", "restartPolicy", "command", "args", "env", "workingDir")
_RESOURCES: Final = ("requests", "limits")
_KUBERNETES: Final = frozenset(
    {"restartPolicyRules", "generateName", "resourceClaims", "ephemeralContainers"}
)
"""Fields of Kubernetes' own that look like one of these."""
_NAMES: Final = ("cpu", "memory", "ephemeral-storage", "swap")
_NEAR: Final = 0.8
"""So alike (difflib's ratio) are `resource` and `resources` (0.94) or `memroy` and `memory` (0.83)."""


def refuse_slips(document: At) -> None:
    """Raise `ManifestError`, with the field that was meant, for a near miss of a field that is read."""
    spec = document.get("spec")
    _fields(document.get("metadata"), _METADATA)
    _fields(spec, _SPEC)
    _resources(spec.get("resources"))
    for group in ("initContainers", "containers"):
        for container in spec.get(group).items():
            _fields(container, _CONTAINER)
            _resources(container.get("resources"))


def _resources(at: At) -> None:
    _fields(at, _RESOURCES)
    for group in _RESOURCES:
        for name, amount in at.get(group).entries():
            if "/" in name or name in _NAMES or name.startswith("hugepages-"):
                continue
            near = get_close_matches(name, _NAMES, n=1, cutoff=_NEAR)
            known = f"name one of {', '.join(_NAMES)}, hugepages-<size>, or one with a domain (example.com/x)"
            meant = f"did you mean {near[0]}?" if near else known
            raise amount.error("is no resource of Kubernetes'", meant)


def _fields(at: At, known: tuple[str, ...]) -> None:
    for name, value in at.entries():
        if name in known or name in _KUBERNETES:
            continue
        if near := get_close_matches(name, known, n=1, cutoff=_NEAR):
            raise value.error("is no field of a Pod", f"did you mean {near[0]}?")
