"""Exit codes, and the one place where an error of ours becomes a line on stderr."""

from __future__ import annotations

from typing import Final

from memqos.errors import (
    AgentError,
    InputError,
    LabError,
    MemqosError,
    NodeError,
    ToolMissing,
    Unsupported,
    VmLost,
)

OK: Final = 0
NOT_HELD: Final = 1
BAD_INPUT: Final = 2
CANNOT_HERE: Final = 3
NODE_REFUSED: Final = 4
VM_LOST: Final = 5

MEANINGS: Final = {
    OK: "done",
    NOT_HELD: "done, but an expectation did not hold, a check found a fault, or a part could not be done",
    BAD_INPUT: "wrong usage or input (arguments, files, YAML)",
    CANNOT_HERE: "this machine cannot do it: no cgroup v2, no QEMU, no permission",
    NODE_REFUSED: "the kernel refused, or another agent manages this node",
    VM_LOST: "a virtual machine was lost; nothing is known of what ran in it",
    130: "interrupted",
}


def code_of(error: MemqosError) -> int:
    """Return the exit code an error ends the command with."""
    if isinstance(error, InputError):
        return BAD_INPUT
    if isinstance(error, (Unsupported, ToolMissing)):
        return CANNOT_HERE
    if isinstance(error, (NodeError, AgentError)):
        return NODE_REFUSED
    if isinstance(error, VmLost):
        return VM_LOST
    return CANNOT_HERE if isinstance(error, LabError) else NOT_HELD
