"""The one door into the compiled kernels: an order and up to four numbers.

One entry means one compile unit (see `jit`): everything is compiled once, together.
"""

from __future__ import annotations

from memqos.sim.kernels import (
    counters,
    extents,
    free,
    io,
    lists,
    memcg_lru,
    oom,
    program,
    psi,
    reclaim,
    reparent,
    sched,
    stats,
    stock,
    throttle,
    trace,
)
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.cells import share
from memqos.sim.kernels.jit import entry, njit
from memqos.sim.kernels.mem import Mem, Row

(
    ADVANCE, PROPAGATE, SHRINK_TO, RECLAIM, FREE_OBJECT, START, FINISH, COMPACT, SYNC, TRACE, LOOK, IO_MAX,
    REPARENT, MADE, REMOVED, CHARGE_AHEAD,
) = range(16)  # fmt: skip


@njit
def _shrink_to(m: Mem, c: int, field: int) -> int:
    """memory.high or memory.max was written below usage: reclaim, 16 tries in vain; max then kills."""
    drained = False
    tries = 16
    while m.cg[c, k.USAGE] > m.cg[c, field]:
        if not drained:
            stock.drain(m)
            drained = True
        elif tries:
            over = m.cg[c, k.USAGE] - m.cg[c, field]
            if not reclaim.memcg(m, c, over, k.DIRECT, 1, m.g[k.SWAPPINESS]):
                tries -= 1
        elif field == k.HIGH or not oom.out_of_memory(m, c, 1):
            return 0
        else:
            oom.bury(m, 1 << 62)
    return 1


@njit
def _sync(m: Mem) -> int:
    """sync(2): write every dirty page; return when the last one is on its disk.

    Where io.max holds writes back it is when the first of them passes: ask again then.
    """
    for o in range(m.g[k.NOBJ]):
        while m.obj[o, k.O_KIND] == k.FILE_OBJ and m.obj[o, k.O_NDIRTY]:
            if extents.write_chunk(m, o, 1 << 30) == 0:
                io.wait_write(m)
    return io.all_written(m)


@njit
def _charge_ahead(m: Mem, c: int) -> None:
    """Something small is charged to `c` on this CPU: what goes with it stays in the stock.

    With one stock a CPU the next cgroup that charges takes its place soon: in guests nothing was left of it.
    """
    if m.g[k.STOCK_SLOTS] > 1 and not stock.find(m, c) and counters.charge_tree(m, c, stock.BATCH) < 0:
        stock.refill(m, c, stock.BATCH)


@njit
def _order(m: Mem, clock: Row, what: int, a: int, b: int, c: int) -> int:
    if what == ADVANCE:
        return sched.advance(m, clock, a)
    if what == PROPAGATE:
        counters.propagate(m, a)
    elif what == SHRINK_TO:
        return _shrink_to(m, a, b)
    elif what == RECLAIM:
        return reclaim.proactive(m, a, b, c)
    elif what == FREE_OBJECT:
        free.free_object(m, a, b != 0)
    elif what == START:
        m.task[a, k.T_PC] = b
        program.next_op(m, a)
        sched.set_state(m, a, k.T_SLEEP, m.g[k.NOW])
        m.task[a, k.T_WAKE] = max(m.g[k.NOW], m.task[a, k.T_READY])
    elif what == FINISH:
        oom.finish(m, a, m.g[k.NOW])
    elif what == COMPACT:
        lists.compact(m)
    elif what == SYNC:
        return _sync(m)
    elif what == TRACE:
        return trace.traces(m, a, b)
    elif what == LOOK:
        psi.look(m, a, m.g[k.NOW])
        stats.flush(m)
    elif what == REPARENT:
        reparent.reparent(m, a)
    elif what == MADE:
        memcg_lru.online(m, a)
    elif what == REMOVED:
        memcg_lru.rotate(m, a, memcg_lru.OLD)
    elif what == CHARGE_AHEAD:
        stock.switch(m, b)
        _charge_ahead(m, a)
    elif what == IO_MAX:
        throttle.anew(m, a, m.g[k.NOW])
    return 0


@entry
def order(m: Mem, clock: Row, what: int, a: int, b: int, c: int) -> int:
    """Carry out one order of the host; the answer is the order's own."""
    return _order(share(m), clock, what, a, b, c)
