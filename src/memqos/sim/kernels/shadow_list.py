"""The list of a cgroup's tree nodes that hold only shadows, oldest first: those that may be freed.

mm/workingset.c (`workingset_update_node`); `shadow_nodes` frees from it.
"""

from __future__ import annotations

from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import apart
from memqos.sim.kernels.mem import Mem


@apart
def unlist(m: Mem, node: int) -> None:
    """A node holds a page again, or goes: off the list of those that may be freed."""
    owner = m.xa[node, k.X_OWNER] - 1
    before = m.xa[node, k.X_PREV] - 1
    after = m.xa[node, k.X_NEXT] - 1
    if before >= 0:
        m.xa[before, k.X_NEXT] = after + 1
    else:
        m.cg[owner, k.NODES_HEAD] = after
    if after >= 0:
        m.xa[after, k.X_PREV] = before + 1
    else:
        m.cg[owner, k.NODES_TAIL] = before
    m.cg[owner, k.NODES] -= 1
    m.xa[node, k.X_NEXT] = 0
    m.xa[node, k.X_PREV] = 0


@apart
def enlist(m: Mem, node: int) -> None:
    """A node that holds only shadows joins the list of those that may be freed (workingset_update_node)."""
    owner = m.xa[node, k.X_OWNER] - 1
    last = m.cg[owner, k.NODES_TAIL]
    m.xa[node, k.X_PREV] = last + 1
    m.xa[node, k.X_NEXT] = 0
    if last >= 0:
        m.xa[last, k.X_NEXT] = node + 1
    else:
        m.cg[owner, k.NODES_HEAD] = node
    m.cg[owner, k.NODES_TAIL] = node
    m.cg[owner, k.NODES] += 1
