"""All rounds of a reclaim at once, where they differ in nothing but how many pages they take.

A small cgroup's reclaim goes through many priorities: a round that looks at `size >> 12` pages of each list
frees a page or two, the next twice as many. For one cgroup of the classic LRU without children, with nothing
to swap and no disk at work, nothing happens between the rounds, so what each would take is known beforehand,
and it is taken in one go. mm/vmscan.c `do_try_to_free_pages`, `shrink_lruvec`.
"""

from __future__ import annotations

from memqos.sim.kernels import classic, counters, evict, scan_count, shadow_nodes
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import inlined, njit
from memqos.sim.kernels.mem import Mem

DEF_PRIORITY = 12
PART = 32  # SWAP_CLUSTER_MAX
NEVER = 1 << 62


@inlined
def _idle(m: Mem) -> bool:
    """Whether no disk has anything to do, so that no request can end between two rounds."""
    if m.g[k.HELD]:
        return False
    for d in range(m.g[k.NDEV]):
        for ring in range(3):
            if m.dev[d, k.D_HEAD + ring] != m.dev[d, k.D_TAIL + ring]:
                return False
    return True


@inlined
def plain(m: Mem, c: int) -> bool:
    """Whether reclaim for `c` is from its own file lists, with nothing to see to between rounds."""
    if m.g[k.MGLRU] or m.g[k.PARTIAL_WALK] or m.g[k.COST_612]:
        return False
    if c == 0 or m.cg[c, k.FIRST_CHILD] >= 0 or not m.cg[c, k.ONLINE]:
        return False
    if m.g[k.SC_MAY_SWAP] and m.g[k.SC_SWAPPINESS] and m.g[k.SW_FREE] and counters.swap_room(m, c) > 0:
        return False
    if m.g[k.SW_TOTAL]:
        lid = c * k.LISTS + k.INACTIVE_ANON
        if scan_count.inactive_is_low(m, m.ls[lid, k.SIZE], m.ls[lid + 1, k.SIZE]):
            return False
    return _idle(m)


@inlined
def plan(m: Mem, c: int) -> tuple[int, int]:
    """Pages that all rounds reclaim from `c`, and pages they deactivate; `NEVER` if they do not get that far.

    `g[R0]`: how many the last round looks at; `g[R1]`: active pages were spared; `g[R2]`: its priority.
    """
    lid = c * k.LISTS + k.INACTIVE_FILE
    inactive = m.ls[lid, k.SIZE]
    active = m.ls[lid + 1, k.SIZE]
    wanted = m.g[k.SC_TO_RECLAIM]
    most = (wanted + PART - 1) // PART * PART
    always = m.g[k.SC_FORCE_DEACTIVATE] != 0 or m.cg[c, k.ACTIVATE_FILE] != m.cg[c, k.SNAP_FILE]
    priority = m.g[k.SC_PRIORITY]
    last = 0
    gone = 0
    moved = 0
    skipped = m.g[k.SC_SKIPPED_DEACTIVATE]
    while True:
        last = inactive >> priority
        some = active >> priority
        if last >= wanted:  # shrink_lruvec stops after a part of each list
            last = min(last, most)
            some = min(some, most)
        if not always and not scan_count.inactive_is_low(m, inactive, active):
            if some:
                skipped = 1
            some = 0
        gone += last
        moved += some
        inactive += some - last
        active -= some
        if gone >= wanted:
            break
        priority -= 1
        if priority < 0:
            return NEVER, 0
    m.g[k.R0] = last
    m.g[k.R1] = skipped
    m.g[k.R2] = priority
    return gone, moved


@njit
def shrink(m: Mem) -> bool:
    """Reclaim what is asked for from `g[SC_TARGET]`; False where that goes round by round.

    Where a page is not like the others, or the shrinker of tree nodes might have to free some between two
    rounds, those before it are gone: `g[SC_CREDIT]` is their number, and the list's size still counts them
    until the rounds come to them.
    """
    c = m.g[k.SC_TARGET]
    if not plain(m, c):
        return False
    gone, moved = plan(m, c)
    lid = c * k.LISTS + k.INACTIVE_FILE
    have = m.ls[lid, k.SIZE]
    if gone > have:
        return False
    spare = shadow_nodes.spare(m, c, have + m.ls[lid + 1, k.SIZE] - gone)
    if spare <= 0:
        return False
    last = m.g[k.R0]
    skipped = m.g[k.R1]
    priority = m.g[k.R2]
    done = evict.batch(m, c, k.INACTIVE_FILE, gone, 0, spare, 0)
    if done < gone:
        m.g[k.SC_CREDIT] = done
        m.ls[lid, k.SIZE] += done
        return False
    if moved:
        classic.shrink_active(m, c, 1, moved)
    counters.uncharge(m, c, gone)
    classic.count_scan(m, c, gone, gone)
    m.g[k.SC_SCANNED] = last
    m.g[k.SC_RECLAIMED] += gone
    m.g[k.SC_SKIPPED_DEACTIVATE] = skipped
    m.g[k.WORK_ROUNDS] += m.g[k.SC_PRIORITY] - priority + 1
    m.g[k.SC_PRIORITY] = priority
    return True
