"""The three kernels, and every way in which they differ here.

Read from the sources of Debian's 6.1.192, 6.12.117 and 7.2.13; a field names the kernel since which it holds.
`classic()` and `with_mglru()` switch the LRU as `/sys/kernel/mm/lru_gen/enabled` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from memqos.errors import ExperimentError


@dataclass(frozen=True, slots=True)
class Profile:
    """One kernel's memory management, as far as it differs from the others."""

    name: str
    mglru: bool
    """lru_gen enabled by default (CONFIG_LRU_GEN_ENABLED: 6.1 no, later yes)."""
    partial_walk: bool
    """memcg reclaim shares one position per target and stops when it has enough (since 6.8)."""
    cost_counts_scanned: bool
    """lru_note_cost: 32 per page of I/O and 1 per page scanned in vain; 6.1 only pages of I/O."""
    zeromap: bool
    """Zero-filled pages are swapped without I/O (mm/page_io.c, since 6.12)."""
    shadow_cap_from_slab: bool
    """count_shadow_nodes sees no LRU pages under MGLRU: lruvec_lru_size() is 0 there (7.2)."""
    mglru_reworked: bool
    """Tiers, placement, refaults and stopping rule of MGLRU as reworked in 6.14."""
    readahead_merged: bool
    """ondemand_readahead in one function, whose first window may grow at once (until 6.9)."""
    reclaim_by_quarters: bool
    """memory.reclaim asks for a quarter of what is left each time (since 6.10)."""
    reclaim_swappiness_max: int
    """Highest swappiness= that memory.reclaim takes: -1 none, 200 (6.8), 201 for "max" (6.17)."""
    counts_memcg_reclaim_in_vmstat: bool
    """/proc/vmstat pgscan/pgsteal include reclaim for cgroup limits (7.2)."""
    stock_slots: int
    """Cgroups of which a CPU holds pages charged ahead: NR_MEMCG_STOCK, 7 since 6.16, 1 before (`stock`)."""
    proactive_stats: bool
    """memory.stat has pgscan_proactive and pgsteal_proactive, pswpin and pswpout (7.2)."""
    large_folios: bool
    """ext4's page cache has large folios, of up to 2 MiB, for reads that go on and for writes (7.2)."""
    lru_batch_counts: bool
    """What is accessed before a CPU's batch of 31 new pages goes to the lists begins a generation younger
    there (mm/vmscan.c `lru_gen_folio_seq`, 6.14; `lru_batch`)."""
    read_around_hits: Literal["mapped", "new", "faulted"]
    """Which pages, mapped around a fault, say that read-around pays: all; those not of the working set (since
    6.10); of these the faulted one alone, unless its own fault read it (7.2). mm/filemap.c `mmap_miss`."""
    reparents: bool
    """A removed cgroup's pages go to its parent (7.2)."""
    swap_peak: bool
    """memory.swap.peak exists (6.5)."""
    stale_stats: bool
    """Dirty limits of a cgroup are reckoned with statistics up to two seconds old (6.12)."""
    stale_lists: bool
    """The two lists, where they are used, are as long as at the last flush of statistics (6.8; `stats`)."""
    throttles_swap_writes: bool
    """io.max holds swap-out back (later kernels only debit it)."""
    depth_counts: Literal["in each word", "by parts", "in all"]
    """What mq-deadline's async_depth bounds: requests of each word of its pool (block/mq-deadline.c,
    `dd_limit_depth`); the depth's part of the pool in each word, rounded up (6.10, `dd_to_word_depth`);
    requests of the whole pool (6.18, `__sbitmap_get_shallow` in lib/sbitmap.c)."""
    pcp_scales: bool
    """A CPU that only takes free pages takes twice as many each time (6.7; `pcp`)."""
    plug_is_a_queue: bool
    """Requests go to the end of a plug, so that its flush looks at the oldest (6.13, stable 6.12; `plug`)."""
    swap_fills_holes: bool
    """A partly free cluster of swap is used before a free one (6.13; `slots`)."""
    swap_keeps_written: bool
    """A page written to as it is swapped in keeps its slot: do_swap_page asks should_try_to_free_swap when it
    is mapped already, and its count of references another (mm/memory.c, 6.19)."""
    oom_passes_dying: bool
    """Who has begun to exit does not keep the OOM killer of a cgroup from the next one. Seen on 7.2: where a
    pod of three containers outgrew its limit two of them were killed, in three plays of three; 6.1 and 6.12
    killed one. There a dying process stands in its cgroup's list until its memory is gone
    (kernel/cgroup/cgroup.c, `css_task_iter_advance`)."""

    def classic(self) -> Profile:
        """The same kernel with `echo 0 > /sys/kernel/mm/lru_gen/enabled`."""
        return replace(self, mglru=False)

    def with_mglru(self) -> Profile:
        """The same kernel with `echo 7 > /sys/kernel/mm/lru_gen/enabled`."""
        return replace(self, mglru=True)


PROFILES = {
    "6.1": Profile(
        name="6.1",
        mglru=False,
        partial_walk=False,
        cost_counts_scanned=False,
        zeromap=False,
        shadow_cap_from_slab=False,
        mglru_reworked=False,
        readahead_merged=True,
        reclaim_by_quarters=False,
        reclaim_swappiness_max=-1,
        counts_memcg_reclaim_in_vmstat=False,
        stock_slots=1,
        proactive_stats=False,
        large_folios=False,
        lru_batch_counts=False,
        read_around_hits="mapped",
        reparents=False,
        swap_peak=False,
        stale_stats=False,
        stale_lists=False,
        throttles_swap_writes=True,
        depth_counts="in each word",
        pcp_scales=False,
        plug_is_a_queue=False,
        swap_fills_holes=False,
        swap_keeps_written=False,
        oom_passes_dying=False,
    ),
    "6.12": Profile(
        name="6.12",
        mglru=True,
        partial_walk=True,
        cost_counts_scanned=True,
        zeromap=True,
        shadow_cap_from_slab=False,
        mglru_reworked=False,
        readahead_merged=False,
        reclaim_by_quarters=True,
        reclaim_swappiness_max=200,
        counts_memcg_reclaim_in_vmstat=False,
        stock_slots=1,
        proactive_stats=False,
        large_folios=False,
        lru_batch_counts=False,
        read_around_hits="new",
        reparents=False,
        swap_peak=True,
        stale_stats=True,
        stale_lists=True,
        throttles_swap_writes=False,
        depth_counts="by parts",
        pcp_scales=True,
        plug_is_a_queue=True,
        swap_fills_holes=False,
        swap_keeps_written=False,
        oom_passes_dying=False,
    ),
    "7.2": Profile(
        name="7.2",
        mglru=True,
        partial_walk=True,
        cost_counts_scanned=True,
        zeromap=True,
        shadow_cap_from_slab=True,
        mglru_reworked=True,
        readahead_merged=False,
        reclaim_by_quarters=True,
        reclaim_swappiness_max=201,
        counts_memcg_reclaim_in_vmstat=True,
        stock_slots=7,
        proactive_stats=True,
        large_folios=True,
        lru_batch_counts=True,
        read_around_hits="faulted",
        reparents=True,
        swap_peak=True,
        stale_stats=True,
        stale_lists=True,
        throttles_swap_writes=False,
        depth_counts="in all",
        pcp_scales=True,
        plug_is_a_queue=True,
        swap_fills_holes=True,
        swap_keeps_written=True,
        oom_passes_dying=True,
    ),
}


def profile(name: str) -> Profile:
    """Look a kernel up by name; raises `ExperimentError` for one that is not simulated."""
    if name not in PROFILES:
        raise ExperimentError(
            f"kernel {name!r} is not simulated", remedy=f"choose one of {', '.join(PROFILES)}"
        )
    return PROFILES[name]
