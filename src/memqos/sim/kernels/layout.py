"""The state of the machine: which number lies where.

A *page* is an index: page `i` of an object (a file, an anonymous region) is `base + i`, whether it
is in memory or not, so nothing is ever looked up by hash. Its 64-bit word `m.w[page]` holds::

    bits 0-31   evicted: the shadow's age or token; resident: its place in its LRU list, bit 31: in zone DMA
    bits 32-43  the memory cgroup that owns it (resident) or that the shadow names (evicted)
    bits 44-46  resident: number of its list (classic: type*2+active; MGLRU: type*4+generation)
    bits 47-48  MGLRU refs (accesses through file descriptors beyond the first two)
    bits 49-    flags, below

`m.aux[page]` is the swap slot + 1 of an anonymous page, the page's place in a large folio (`folios`), or of
any other page of a file who has mapped it (`tables.mapped_by`). That
is 12 bytes a page and about 5 more for the list entry of a resident one. Everything else is small: `m.g`
scalars of the whole node, one row per cgroup, task, object, disk. What is known of tasks and of disks is in
files of its own, and named through this one all the same.
"""

from __future__ import annotations

from memqos.sim.kernels.layout_disks import *  # noqa: F403
from memqos.sim.kernels.layout_tasks import *  # noqa: F403

# the page word
POS = (1 << 32) - 1  # of a shadow
PLACE = (1 << 31) - 1  # of a resident page; all ones: on no list
IN_DMA = 1 << 31
CG_SHIFT = 32
CG_MASK = 0xFFF << CG_SHIFT
LIST_SHIFT = 44
LIST_MASK = 7 << LIST_SHIFT
REFS_SHIFT = 47
REFS_MASK = 3 << REFS_SHIFT
RES = 1 << 49  # in memory
SHADOW = 1 << 50  # evicted, with a shadow
REF = 1 << 51  # PG_referenced
WS = 1 << 52  # PG_workingset; in a shadow its workingset bit
DIRTY = 1 << 53
WB = 1 << 54  # PG_writeback
RECLAIM = 1 << 55  # PG_reclaim
RAHEAD = 1 << 56  # PG_readahead
LOCKED = 1 << 57  # read in flight
MAPPED = 1 << 58
YOUNG = 1 << 59  # the page table's accessed bit
SWAPCACHE = 1 << 60
ALIEN = SWAPCACHE  # of a file: `YOUNG` is set in tables of processes of other cgroups alone
ANON = 1 << 61
ZERO = 1 << 62  # anonymous: filled with zeroes (SWP zeromap)
BUFFERS = ZERO  # of a file: it was written to, and has a struct buffer_head since
LARGE = -(1 << 63)  # of a file: one page of a large folio (`folios`)
OF_A_PAGE = DIRTY | WB | LOCKED | MAPPED | YOUNG | BUFFERS  # what one page of a folio may be alone

MAX_CGROUPS = 4096
UNLIMITED_PAGES = (2**63 - 4096) >> 12

# lists of a cgroup: classic LRU
INACTIVE_ANON, ACTIVE_ANON, INACTIVE_FILE, ACTIVE_FILE = range(4)
OF_DMA, LISTS = 8, 16  # behind the eight of all other zones those of the zone DMA
HEAD, TAIL, SIZE, LS_COLS = range(4)
CHUNK_SHIFT, CHUNK = 8, 1 << 8
NEWER, OLDER, LO, HI, CH_COLS = range(5)

# m.g
(
    NOW, NCPU, FREE, TOTAL, WMARK_MIN, WMARK_LOW, WMARK_HIGH, TOTALRESERVE, NCG, NOBJ, NTASK, NDEV, NPROG,
    CHUNK_FREE, CHANGES, RNG, SWAPPINESS, RECURSIVEPROT, RA_PAGES, PAGE_CLUSTER, SWAP_DEV, SWAP_SYNC,
    STOCK_CG, STOCK_N, CUR, IN_FAULT, OVER_HIGH, MEMSTALL, OOM_DYING, KSWAPD_WAKE, FLUSH_WAKE,
    SW_TOTAL, SW_FREE, SW_NEXT, XA2, XA3, DIRTY_RATIO, BG_RATIO, NDIRTY, NWB, EV_HEAD, EV_TAIL, LOST_EVENTS,
    NEXT_PSI, KSWAPD_FAILURES, SWRA_HITS, SWRA_PREV, SWRA_WINDOW, RSTAT_LAG,
    # of the zone DMA: pages that are there for programs, and that never are (`zones`)
    DMA_FREE, DMA_HELD,
    # the profile
    MGLRU, PARTIAL_WALK, COST_612, ZEROMAP, SHADOW_SLAB_ONLY, MGLRU_72, RA_61, RECLAIM_QUARTER, STALE_STATS,
    FOLIO, READ_AROUND_HITS, STALE_LISTS,
    # the reclaim that runs (struct scan_control)
    SC_TARGET, SC_TO_RECLAIM, SC_RECLAIMED, SC_SCANNED, SC_PRIORITY, SC_MAY_SWAP, SC_SWAPPINESS,
    SC_LOW_RECLAIM, SC_LOW_SKIPPED, SC_FORCE_DEACTIVATE, SC_SKIPPED_DEACTIVATE, SC_DEACTIVATE_ANON,
    SC_DEACTIVATE_FILE, SC_CACHE_TRIM, SC_FILE_TINY, SC_ANON_COST, SC_FILE_COST, SC_FULL_WALK, SC_KIND,
    SC_PAGEOUT, SC_DIRTY, SC_CONGESTED, SC_THROTTLED, SC_UNQUEUED, SC_TAKEN, SC_CREDIT,
    # work of this turn, to be turned into CPU time
    WORK_SCAN, WORK_STEAL, WORK_OUT, WORK_ROUNDS, WORK_REQUESTS,
    # answers of functions with more than one
    R0, R1, R2, R3,
    # costs in nanoseconds
    NS_FAULT, NS_SCAN, NS_STEAL, NS_COPY, NS_READ_MISS, NS_SYSCALL, NS_SWAP_OUT, NS_ROUND, NS_REQUEST,
    QUANTUM,
    # counters of the whole node
    G_ALLOCSTALL, G_PAGEOUTRUN, G_OOM_KILL, G_DIRTIED, G_WRITTEN, DISK_WAIT, NTAB, SLEPT, WAIT_WS,
    THROTTLE_SWAP, USER, TR_HEAD, TR_TAIL, HELD, HELD_SEQ,
    G_PGSCAN, G_PGSCAN_KSWAPD, G_PGSCAN_PROACTIVE, G_PGSTEAL, G_PGSTEAL_KSWAPD, G_PGSTEAL_PROACTIVE,
    SWAP_ROTATES, XA_END, HARVEST,
    # kswapd between two slices of its work; priority 0: it sleeps
    KSWAPD_PRIORITY, KSWAPD_AT, KSWAPD_LOOKED, KSWAPD_TOTAL, KSWAPD_BEGAN, KSWAPD_SCANNED,
    KSWAPD_LOW, SLICE_END, SLEPT_IO,
    # of a walk through the LRU of cgroups: its generation, the bin it began with, the one it is in
    WALK_GEN, WALK_FIRST, WALK_BIN, MEMCG_SEQ,
    # the plug of the running task (`plug`): whether there is one, requests in it
    PLUG, PLUGGED, PLUG_FIFO,
    # swap clusters (`slots`): where a free one is looked for, the queue of partly free ones, + 1
    SW_HOLES_FIRST, SW_KEPT, SW_FRESH, SW_QUEUE_HEAD, SW_QUEUE_TAIL,
    LRU_BATCH, STOCK_CPU, STOCK_SLOTS,
    # pages of the large folio that kswapd is woken for, and works for until it has reclaimed twice as many
    WANTED_FOLIO, KSWAPD_FOLIO,
    # who was killed for a cgroup and holds its memory still: how many; whether such ones are passed over
    DYING, PASSES_DYING, NS_EXIT,
    ACTIVATING,  # pages in all batches of `activating`
    CPU_LIMITED,  # whether any cgroup ever had a cpu.max
    LAST_FILE,  # whose page was evicted last
    # pages with the CPUs (`pcp`), from how little free memory on they are followed
    LOOSE, NEAR, PCP_BATCH, PCP_HIGH, PCP_SCALES,
    G_PGROTATED,  # pages that the end of their write moved to the oldest end
    WORK_BEGUN,  # of WORK_REQUESTS those half of whose time is paid (`io.spend_out`)
    BACK,  # `Q_BACK` of what is sent next
    NS_WRITEBACK,  # nanoseconds of the flusher for a page that it writes
    FLUSHER_DONE,  # when it is done with what it was called for from within reclaim (`flusher.beside`)
    FLUSH_CALLED,  # when reclaim called for it
    NEXT_FLUSH,  # of statistics
    SC_EARLIER,  # of SC_RECLAIMED what kswapd had before this pass
) = range(177)  # fmt: skip
ISOLATED = SC_EARLIER + 1  # up to 64 pages that reclaim has taken off their list
MEMCG_HEADS = ISOLATED + 64  # the LRU of cgroups (`memcg_lru`), + 1, by generation and bin
MEMCG_TAILS, MEMCG_COUNTS = MEMCG_HEADS + 24, MEMCG_HEADS + 48
PLUG_ROWS = MEMCG_COUNTS + 3  # its requests, oldest first: first slot, pages, kind, cgroup
PLUG_MOST = 32
G_SIZE = PLUG_ROWS + 4 * PLUG_MOST

DIRECT, KSWAPD, PROACTIVE = range(3)  # SC_KIND
FLUSH_OVER, FLUSH_ALL = 1, 2  # FLUSH_WAKE: who is over a limit, or (wakeup_flusher_threads) everybody

# m.cg, sizes in pages
(
    PARENT, FIRST_CHILD, LAST_CHILD, NEXT, ONLINE, USAGE, PEAK, MIN, LOW, HIGH, MAX, SWAP, SWAP_MAX,
    SWAP_HIGH, SWAP_PEAK, OOM_GROUP, PROTECTED, MIN_USAGE, LOW_USAGE, KIDS_MIN, KIDS_LOW, EMIN, ELOW,
    N_ANON, N_FILE, N_MAPPED, N_DIRTY, N_WB, N_SWAPCACHED, N_PT, N_SLAB_BYTES, N_KERNEL_BYTES,
    KERNEL_PAGES, N_SHMEM, AGE, COST_ANON, COST_FILE, SNAP_ANON, SNAP_FILE, ITER, NODES, NODES_HEAD,
    NODES_TAIL, NODES_DEFERRED, SUM_STAMP, SUM0, SUM1, SUM2, SUM3,
    # vm events
    PGFAULT, PGMAJFAULT, PGREFILL, PGSCAN, PGSCAN_KSWAPD, PGSCAN_PROACTIVE, PGSTEAL, PGSTEAL_KSWAPD,
    PGSTEAL_PROACTIVE, PGACTIVATE, PGDEACTIVATE, REFAULT_ANON, REFAULT_FILE, ACTIVATE_ANON, ACTIVATE_FILE,
    RESTORE_ANON, RESTORE_FILE, NODERECLAIM, PSWPIN, PSWPOUT, SWPIN_ZERO, SWPOUT_ZERO,
    # memory.events and memory.events.local, memory.swap.events
    E_LOW, E_HIGH, E_MAX, E_OOM, E_OOM_KILL, E_OOM_GROUP_KILL, L_LOW, L_HIGH, L_MAX, L_OOM, L_OOM_KILL,
    L_OOM_GROUP_KILL, E_SWAP_HIGH, E_SWAP_MAX, E_SWAP_FAIL,
    # MGLRU
    MAX_SEQ, MIN_SEQ_ANON, MIN_SEQ_FILE, WALKED,
    # its place in the LRU of cgroups (`memcg_lru`): generation, bin, where it was put, neighbours + 1
    LRU_GEN, LRU_BIN, LRU_SEG, LRU_PREV, LRU_NEXT,
    # as of the last flush of statistics
    SEEN_FILE, SEEN_DIRTY, SEEN_WB, SEEN_ACTIVATE_ANON, SEEN_ACTIVATE_FILE,
    # cpu.max in nanoseconds, 0: none; when the period began, what was used of it (`bandwidth`)
    CPU_QUOTA, CPU_PERIOD, CPU_SINCE, CPU_USED,
) = range(104)  # fmt: skip
EVENTS = range(PGFAULT, SWPOUT_ZERO + 1)
LOCAL_OF = L_LOW - E_LOW
TIERS = 4
EVICTED, REFAULTED, SHELTERED, AVG_REFAULTED, AVG_TOTAL = 104, 112, 120, 128, 136  # [type*4+tier]
MAX_DEVICES = 4
IO = 144  # 4 per device: rbytes, wbytes, rios, wios
IO_RBYTES, IO_WBYTES, IO_RIOS, IO_WIOS = range(4)
IOMAX = 160  # 4 per device: rbps, wbps, riops, wiops; 0 is no limit
PSI = 184  # memory some, memory full, io some, io full, cpu some, cpu full: total ns
PSI_AVG = 192  # 3 windows (10, 60, 300 s) per PSI total, in percent / 2048
PSI_PREV = 210
IOSLICE = 216  # 5 per device for reads, then for writes (`slices`)
PSI_POLL = 256  # memory some to io full as triggers see them: total ns
CG_COLS = 260

# m.xa
X_OWNER, X_NEXT, X_PREV, XA_COLS = range(4)
# m.xn: pages (nodes, in an upper one), shadows in the high byte
NODE_PAGES = 0xFF
NODE_SHADOW = 1 << 8
XA_NODE_BYTES = 584
BUFFER_BYTES = 112  # of struct buffer_head and its obj_cgroup

# m.sw: page | cgroup << 32 | in use << 44 | zero << 45; behind them what is known of clusters (`slots`)
SW_CG_SHIFT, SW_USED, SW_ZERO = 32, 1 << 44, 1 << 45

# m.blk: its object; the cgroup + 1 that its page table is charged to; worth the next walk
B_OBJ, B_PT, B_HOT, BLK_COLS = range(4)

# m.obj
(
    O_KIND, O_BASE, O_PAGES, O_TASK, O_DEV, O_NDIRTY, O_DIRTIED, O_WBCG, O_CURSOR, O_ZERO, O_RESIDENT,
    O_MAPCG, O_TOUCHED, O_RA_PREV, O_RA_WIN, O_RA_HITS, O_FOREIGN, O_HISTORY,
    O_STORED,  # a file that has its blocks on the disk (`extents`)
    O_PARTS,  # where its mappings stand in m.tab, + 1, when it has several
    # of a file that another cgroup dirties: how long its rounds of writeback take (`inode`); one is due
    O_FRN_AVG, O_FRN_DUE,
) = range(22)  # fmt: skip
OBJ_COLS = 22
RA_END, RA_PREV, RA_WIN, RA_HITS, RA_CELLS = range(5)  # of one: where it ends; as O_RA_PREV and so on
GONE, FILE_OBJ, ANON_OBJ, MAP_OBJ = range(4)  # the last: a file's pages as one process maps them

O_BIG = O_ZERO  # of a file: it has had folios so large that no leaf node holds them
O_MMAP_MISS = O_RA_HITS  # of a mapping: f_ra.mmap_miss
# of a mapping: the page + 1 that a fault has read and is tried again for (FAULT_FLAG_TRIED)
O_TRIED = O_RA_PREV
MAPPED_HIT, NEW_HIT, FAULTED_HIT = range(3)  # g[READ_AROUND_HITS]

# m.pad: the words of up to so many pages as they were, then which of them are not looked at in passing; from
# PAD_READ on what a read makes of a word in each state of the bits from LIST_SHIFT on (`passing`)
PAD, PAD_READ, PAD_STATES = 64, 128, 512
PAD_SIZE = PAD_READ + PAD_STATES

# m.lb, by CPU: pages on their way to the lists, their number first; stocks of cgroups; task that ran last
# + 1; then pages to be activated, as many as it says first
LB_ROW, LB_STOCK, LB_LAST, LB_ACTIVATE = 82, 32, 47, 48
LB_LOOSE, LB_FACTOR = 80, 81  # free pages with it, and how much it has come to take at a time (`pcp`)
