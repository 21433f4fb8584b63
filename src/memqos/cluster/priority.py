"""PriorityClasses: what `spec.priorityClassName` is worth.

Follows the Priority admission plugin (plugin/pkg/admission/priority/admission.go): a pod without a
class takes the class marked `globalDefault`, if there is one; the two built-in classes always exist
(pkg/apis/scheduling/v1/helpers.go); a user's class is at most 1,000,000,000 and not named `system-`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from memqos.cluster.fields import At
from memqos.cluster.names import NAME_RULE, SUBDOMAIN

HIGHEST_USER_PRIORITY: Final = 1_000_000_000
BUILT_IN: Final = MappingProxyType(
    {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
)


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A `scheduling.k8s.io/v1` PriorityClass, reduced to what decides."""

    name: str
    value: int
    global_default: bool = False


@dataclass(frozen=True, slots=True)
class PriorityClasses:
    """The classes that exist: value by name, and the value of a pod that names none."""

    values: Mapping[str, int] = field(default_factory=lambda: BUILT_IN)
    default: PriorityClass | None = None

    def plus(self, new: PriorityClass, at: At) -> PriorityClasses:
        """Add a class; a second one of its name, or a second global default, is an error at `at`."""
        if new.name in self.values:
            raise (
                at.get("metadata")
                .get("name")
                .error(f'PriorityClass "{new.name}" exists already', "rename it")
            )
        if new.global_default and self.default is not None:
            problem = f'PriorityClass "{self.default.name}" is the global default already'
            raise at.get("globalDefault").error(problem, "keep one")
        return PriorityClasses(
            {**self.values, new.name: new.value}, new if new.global_default else self.default
        )

    def resolve(self, spec: At) -> tuple[str, int | None]:
        """The class name and priority of a pod's `spec`; the priority is `None` if nothing says one."""
        name = spec.get("priorityClassName").string()
        given = priority_of(spec)
        if not name:
            if given is not None or self.default is None:
                return "", given
            return self.default.name, self.default.value
        if name not in self.values:
            known = ", ".join(sorted(self.values))
            raise spec.get("priorityClassName").error(
                f'no PriorityClass "{name[:253]}"', f"define it beside the pods, or use one of {known}"
            )
        if given is not None and given != self.values[name]:
            problem = f'is {given}, but PriorityClass "{name}" is worth {self.values[name]}'
            raise spec.get("priority").error(problem, "leave spec.priority out")
        return name, self.values[name]


def priority_of(spec: At) -> int | None:
    """The priority that a pod's `spec` states itself."""
    return spec.get("priority").integer(-(2**31), 2**31 - 1)


def priority_class_from(document: At) -> PriorityClass:
    """Read one PriorityClass document. Raises `ManifestError`."""
    name_at, value_at = document.get("metadata").get("name"), document.get("value")
    name = name_at.name(SUBDOMAIN, NAME_RULE)
    value = value_at.integer(-(2**31), 2**31 - 1)
    if value is None:
        raise value_at.error("is missing", "give the class an integer value")
    if name not in BUILT_IN and name.startswith("system-"):
        raise name_at.error('names beginning with "system-" are the system\'s', "choose another name")
    if name not in BUILT_IN and value > HIGHEST_USER_PRIORITY:
        raise value_at.error(
            f"{value} is more than {HIGHEST_USER_PRIORITY}", "higher values are the system's"
        )
    return PriorityClass(name, value, document.get("globalDefault").boolean())
