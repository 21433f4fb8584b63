"""Which number lies where in the tables of disks, their queues, and what io.max holds back (`layout`)."""

from __future__ import annotations

# m.dev, bytes and nanoseconds
(
    D_RBPS, D_WBPS, D_RIOPS, D_WIOPS, D_RLAT, D_WLAT, D_SPREAD, D_BURST, D_RBYTES, D_WBYTES, D_RIOS, D_WIOS,
    D_BUSY,
    D_FREE_AT, D_FREE_IO, D_LAST_DONE, D_TURN,  # when the budgets of bytes and of requests are there again
    D_AWAIT, D_AWAIT_IO, D_WQ, D_WPAGES,  # of them, what waiting requests will take; writes not done yet
    D_WRITING, D_WROTE,  # since when writes came one after another, when the last one came
    # pages on their way to swap, writes its scheduler takes at a time (0: no bound), pages of one request
    D_UNDER_WAY, D_DEPTH, D_MOST,
    # when the disk began its last request; whether a read came before (`late`)
    D_BEGUN, D_LATE,
    D_SALT,  # of what its requests take by chance: the seed's
) = range(29)  # fmt: skip
D_HEAD, D_TAIL = 29, 32  # of three queues: reads and writes that wait, requests that are served
DEV_COLS = 35

# m.q
Q_CAP = 1 << 13
# it came, or is done; first page or slot; pages before it whose write ends with it, or -1: with a later one
Q_TIME, Q_FIRST, Q_N, Q_KIND, Q_CG, Q_BACK, Q_CAME, Q_BEGAN, Q_COLS = range(9)
Q_READ, Q_SWAPIN, Q_WRITE, Q_SWAPOUT = range(4)
Q_SWAP = 1

# m.held
H_TIME, H_SEQ, H_DEV, H_CG, H_PAGE, H_N, H_KIND, H_BACK, H_COLS = range(9)
H_CAP = 1 << 14
