"""What a pod's user chose about swap, from annotations and from `resources.limits.swap`.

======================================  =====================================================
``memqos.dev/swap-limit.<container>``   annotation: one container
``memqos.dev/swap-limit``               annotation: the pod
``limits.swap`` of a container          KEP-5359, where the API server lets it pass
``limits.swap`` of the pod              the same, pod-level resources
======================================  =====================================================

The first that speaks for a container decides about it; a container nobody speaks for gets the
mode's default. A value is a quantity (`512Mi`, `0`), `limited` (what the kubelet's LimitedSwap
formula gives for the container's memory request, whatever the pod's QoS class), or `max` (as much
as the admin allows).

The pod's own limit is what `memqos.dev/swap-limit` says; without it, the pod's `limits.swap`, as
long as no annotation speaks for one of its containers; otherwise what its containers may need at
once, added up as Kubernetes adds up limits. Containers share it: none has more than the pod, and
together they never do.

An annotation's name ends after 63 characters, so a container whose name is longer than 52 cannot
be named in one; the pod's annotation can speak for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from memqos.errors import QuantityError
from memqos.model.pods import Container, Pod
from memqos.units import UNLIMITED, parse_bytes

ANNOTATION: Final = "memqos.dev/swap-limit"
DOMAIN: Final = "memqos.dev/"
FAMILY: Final = f"{DOMAIN}swap"

Limit: TypeAlias = int | Literal["limited"]
"""Bytes (`UNLIMITED` is `max`), or the kubelet's formula."""

VALUES: Final = "write a quantity such as 512Mi, or 0, limited or max"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A limit and where it was found: `annotation memqos.dev/swap-limit`."""

    limit: Limit
    source: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen: for the pod as a whole, if anything, and by container's name."""

    pod: Chosen | None
    containers: Mapping[str, Chosen]

    @property
    def is_empty(self) -> bool:
        """True when the pod's user said nothing."""
        return self.pod is None and not self.containers


@dataclass(frozen=True, slots=True)
class BadChoice:
    """An annotation or a limit that cannot be used, and what to write instead.

    `voids`: nothing of the pod's choice counts, because what its user meant cannot be told.
    """

    source: str
    problem: str
    remedy: str
    voids: bool = True


def read_choice(pod: Pod) -> tuple[Choice, tuple[BadChoice, ...]]:
    """Read everything a pod says about its swap; one bad word that `voids` and nothing of it counts.

    What is said of an ephemeral container is bad for itself alone: it has no resources (KEP-277), and when it
    comes, as `kubectl debug` brings it, the pod's choice is made.
    """
    bad: list[BadChoice] = []
    names = {container.name for container in pod.all_containers}
    named: dict[str, Chosen] = {}
    whole: Chosen | None = None
    for key, text in sorted(pod.annotations.items()):
        if not key.startswith(FAMILY):
            continue
        source = f"annotation {short(key)}"
        name = key.removeprefix(ANNOTATION + ".")
        if key != ANNOTATION and (name == key or name not in names):
            bad.append(_unknown(source, name if name != key else None, names, pod.ephemeral_containers))
            continue
        try:
            chosen = Chosen(_limit(text), source)
        except QuantityError as error:
            bad.append(BadChoice(source, error.problem, VALUES))
            continue
        if key == ANNOTATION:
            whole = chosen
        else:
            named[name] = chosen
    spec, spec_bad = _from_spec(pod)
    bad += spec_bad
    if any(word.voids for word in bad):
        return Choice(None, {}), tuple(bad)
    containers = {}
    for container in pod.all_containers:
        by_pod = whole or spec.containers.get(container.name) or spec.pod
        chosen_here = named.get(container.name) or by_pod
        if chosen_here is not None:
            containers[container.name] = chosen_here
    return Choice(whole or (None if named else spec.pod), containers), tuple(bad)


def _from_spec(pod: Pod) -> tuple[Choice, tuple[BadChoice, ...]]:
    bad: list[BadChoice] = []

    def limit(where: str, of: Container | Pod) -> Chosen | None:
        quantity = of.resources.limits.get("swap") if of.resources else None
        if quantity is None:
            return None
        if quantity.amount < 0:
            bad.append(BadChoice(where, f"{quantity.value} is negative", "write a size of 0 or more"))
            return None
        return Chosen(min(quantity.value, UNLIMITED), where)

    containers = {
        container.name: chosen
        for container in pod.all_containers
        if (chosen := limit(f"limits.swap of container {container.name}", container))
    }
    return Choice(limit("limits.swap of the pod", pod), containers), tuple(bad)


def _limit(text: str) -> Limit:
    if text == "limited":
        return "limited"
    if text == "max":
        return UNLIMITED
    try:
        return min(parse_bytes(text), UNLIMITED)
    except QuantityError as error:
        problem = "negative" if "negative" in error.problem else "no size"
        raise QuantityError(f"{short(text)!r} is {problem}") from None


def _unknown(source: str, name: str | None, names: set[str], ephemeral: Collection[str]) -> BadChoice:
    if name is None:
        return BadChoice(source, "memqos knows no such annotation", f"write {ANNOTATION}[.<container>]")
    if name in ephemeral:
        problem = f"{name!r} is an ephemeral container, which has no swap of its own"
        return BadChoice(source, problem, "leave the annotation out: the pod's grant bounds it", voids=False)
    known = ", ".join(sorted(names)) or "none"
    return BadChoice(source, f"the pod has no container {short(name)!r}", f"name one of: {known}")


def short(text: str) -> str:
    """Cut a user's text, so that nobody can fill a journal with it."""
    return text if len(text) <= 80 else text[:77] + "..."
