"""The simulated kernel: a node's memory, page by page.

State. A page is an index into flat arrays (`kernels/mem.py`; `kernels/layout.py` says what lies where): one
64-bit word a page, one swap slot number, LRU lists as logs of page numbers. No page table, no hash, no object
per page.

Code. `kernels/` holds the memory management as functions over those arrays: `charge` (the charge path,
memory.high, the OOM killer), `reclaim` → `classic` or `mglru` → `shrink` (what becomes of one page),
`workingset` (shadows and refaults), `pagecache` and `anon` (reads, writes, faults), `dirty`, `io`, `psi`,
and `sched`, the event loop. numba compiles them; with `NUMBA_DISABLE_JIT=1` the same source runs as
plain Python. `twin/` is an independent, slow and obvious reference the tests hold them to.

Time. `sched.advance` gives the CPU that is furthest behind the task that has been ready longest, for one
quantum. What a task does takes effect at once; the end of a disk request is known when it is sent, and
whoever needs it sleeps until then. Nothing depends on real time: same scenario, same seed, same bytes.

Kernels. `profiles.py` holds the three simulated kernels, one field per difference.

It needs the extra `sim` (numba and numpy); without it importing this package raises `ToolMissing`, and
`Unsupported` without a place to keep what was compiled.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from memqos.errors import ToolMissing, Unsupported

if missing := [name for name in ("numba", "numpy") if find_spec(name) is None]:
    raise ToolMissing(
        f"the simulated kernel needs {' and '.join(missing)}", remedy=f"pip install {' '.join(missing)}"
    )

if not (os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")):
    try:
        Path.home()
    except RuntimeError:  # a user without an entry in /etc/passwd, and no HOME
        problem = "there is no home directory to keep the compiled kernels in"
        raise Unsupported(problem, remedy="set NUMBA_CACHE_DIR to a writable directory") from None
