"""A file's dirty pages on their way to its disk: extent by extent, each of which ends at once.

fs/ext4/inode.c (`ext4_do_writepages`, `mpage_prepare_extent_to_map`), fs/ext4/page-io.c (`ext4_end_bio`). A
file that is new gets its blocks when it is written back, up to 2,048 pages in a row at a time, as an extent
that counts as unwritten. Only when all of its requests are done is it marked as written, and only then its
pages' writeback ends, for all of them (`EXT4_IO_END_UNWRITTEN`). So what reclaim waits for comes 8 MiB at a
time: in k6 on 6.12 a charge met the limit 574 times, 571 simulated, 396 when each request ended alone.
Where a file is overwritten its blocks are there, and each request ends alone. Here that is known of whole
files: of those that were there when the node was made, until they are emptied.

A request is a bio at most: 256 segments, of which a large folio is one, up to what virtio-blk takes, 1 MiB
in single pages and 4 MiB in folios. Guests of 7.2 wrote 18,612,224 bytes in five requests, 64 MiB in 23 to
39; 6.12 in 60 to 113 (k10).
"""

from __future__ import annotations

from memqos.sim.kernels import folios, free, inode, io
from memqos.sim.kernels import layout as k
from memqos.sim.kernels.jit import njit
from memqos.sim.kernels.mem import Mem

EXTENT = 2048
"""MAX_WRITEPAGES_EXTENT_LEN, pages."""

SEGMENTS = 256
"""BIO_MAX_VECS."""

REQUEST = 1024
"""Pages: BLK_DEF_MAX_SECTORS_CAP since 6.16. Before it is 1280 KiB, and single pages fill a bio sooner."""


@njit
def _request(m: Mem, d: int, page: int, pages: int) -> int:
    """How many of these pages go in one request."""
    most = min(SEGMENTS, m.dev[d, k.D_MOST]) if m.dev[d, k.D_DEPTH] else SEGMENTS
    if m.g[k.FOLIO] <= 1 or m.dev[d, k.D_DEPTH]:
        return min(pages, most)
    segments = 0
    count = 0
    while count < pages and segments < most:
        head = folios.head_of(m, page + count)
        whole = head + folios.pages_of(m, head) - page
        if min(whole, pages) > REQUEST:
            return count
        count = min(whole, pages)
        segments += 1
    return count


@njit
def _send(m: Mem, o: int, page: int, pages: int) -> None:
    """Send an extent, request by request, when the flusher (or who syncs) has been through its pages."""
    d = m.obj[o, k.O_DEV]
    c = m.obj[o, k.O_WBCG]
    m.g[k.NOW] += pages * m.g[k.NS_WRITEBACK]
    sent = 0
    while sent < pages:
        part = _request(m, d, page + sent, pages - sent)
        if not m.obj[o, k.O_STORED]:
            m.g[k.BACK] = sent if sent + part == pages else -1
        io.submit(m, d, c, page + sent, part, k.Q_WRITE)
        sent += part
    m.g[k.BACK] = 0


@njit
def write_chunk(m: Mem, o: int, most: int) -> int:
    """Send up to `most` dirty pages of a file to its disk, in page order from where the last stopped."""
    base = m.obj[o, k.O_BASE]
    pages = m.obj[o, k.O_PAGES]
    i = m.obj[o, k.O_CURSOR]
    sent = 0
    strange = 0
    run = 0
    looked = 0
    while looked <= pages and sent < most and m.obj[o, k.O_NDIRTY] > 0:
        word = m.w[base + i] if i < pages else 0
        if word & k.DIRTY and not word & k.WB:
            c = (word & k.CG_MASK) >> k.CG_SHIFT
            free.clear_dirty(m, base + i, c)
            m.w[base + i] |= k.WB
            m.cg[c, k.N_WB] += 1
            m.g[k.NWB] += 1
            sent += 1
            run += 1
            if c != m.obj[o, k.O_WBCG]:
                strange += 1
        elif run:
            _send(m, o, base + i - run, run)
            run = 0
        i += 1
        if run == EXTENT or (run and i >= pages):
            _send(m, o, base + i - run, run)
            run = 0
        if i >= pages:
            i = 0
        looked += 1
    if run:
        _send(m, o, base + i - run, run)
    m.obj[o, k.O_CURSOR] = i
    inode.judge(m, o, sent, strange)
    m.g[k.G_WRITTEN] += sent
    return sent
