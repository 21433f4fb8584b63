"""What somebody should know of a scenario before it is simulated, though it is no error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memqos.kubelet.allocatable import NodeCapacity, schedulable_memory
from memqos.kubelet.resources import pod_memory_request
from memqos.lab.experiment import Experiment, Play
from memqos.lab.manage import kubelet_of
from memqos.lab.manifests import manifests_of
from memqos.lab.simulated_machine import node_of
from memqos.lab.variant import members_of
from memqos.units import format_bytes


def notes_of(experiment: Experiment, plays: Iterable[Play]) -> Iterator[str]:
    """Yield what is simulated otherwise than the file says, and what a cluster would not do, a line each.

    Raises `InputError` for what cannot be read.
    """
    if experiment.node.thp == "always":
        problem = "huge pages are not simulated: all memory comes in pages of 4 KiB, whatever thp says"
        yield f"{experiment.place('$.node.thp')}: node.thp: {problem}"
    for play in plays:
        yield from _promised(experiment, play)


def _promised(experiment: Experiment, play: Play) -> Iterator[str]:
    """Say where pods that run together request more than the node has for them.

    A scheduler would not place them there (noderesources `Fit`), and a kubelet would refuse them.
    """
    spec = node_of(experiment)
    room = schedulable_memory(NodeCapacity(spec.memory, spec.swap), kubelet_of(play.kubelet))
    requests = {pod.name: pod_memory_request(pod) for pod in manifests_of(play).pods}
    here: set[str] = set()
    for index, step in enumerate(play.timeline):
        named = step.start or step.stop
        if named is None:
            continue
        names = set(members_of(named, requests))
        here = here - names if step.start is None else here | names
        together = sum(requests.get(name, 0) for name in here)
        if together > room:
            field = f"timeline[{index}].start"
            yield (
                f"{experiment.place(f'$.{field}')}: {field}: the pods started by then request "
                f"{format_bytes(together)} of memory, and the node has {format_bytes(room)} for pods "
                "(allocatable): a cluster would not run them together there"
            )
            return
