"""What a process has mapped, and where a phase of its workload cannot be done, as on a real node.

The program then ends with an error: it asked for more memory than there is, or for a file that is not there
or too short (`memqos.linux.workload`, and what coreutils do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memqos.sim.machine import PAGE
from memqos.sim.spec import NodeSpec
from memqos.workload.spec import Action, Allocate, MapFile, ReadFile, Requests, Touch


@dataclass(slots=True)
class Region:
    """A mapped region: the object it lies in, and its pages."""

    obj: int
    pages: int
    mapping: int = -1
    """A file's pages lie in the file's object, and the mapping has its own."""


def fails(action: Action, regions: Mapping[str, Region], sizes: Mapping[str, int], node: NodeSpec) -> bool:
    """Whether a program ends with an error here; `sizes` are the bytes of the files there are, by path.

    With vm.overcommit_memory=0 only what exceeds all memory and swap is refused (mm/util.c,
    `__vm_enough_memory`), with 1 nothing is.
    """
    if isinstance(action, Allocate):
        return not node.overcommit and action.size > node.memory + node.swap
    if isinstance(action, MapFile):
        whole = sizes.get(action.path, 0) // PAGE * PAGE
        return not 0 < (PAGE if action.size is None else action.size) <= whole
    if isinstance(action, Touch):
        end = action.offset + (PAGE if action.size is None else action.size)
        return end // PAGE > regions[action.region].pages
    if isinstance(action, ReadFile):
        return action.path not in sizes
    return isinstance(action, Requests) and action.file is not None and action.file.path not in sizes
