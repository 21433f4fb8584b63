"""Which control files make up a `Cgroup`, and which of them are read at every look.

Counters are read at every look: those of `LIVE`; of cgroups inside pods those of `OWN`, and only when the
pod's own counters changed, which are the sums over its containers (cgroup-v2.rst, "Memory Interface Files").
Files that change by a write, or whose change the kernel announces, are read after such an event
(`memqos.linux.notice`). At every `EVERY`th look of a cgroup all its files are read, in case one changed
without an event; those of `SELDOM` are read only then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec.structs import replace

from memqos.linux.cgroupfs import FILES
from memqos.model.snapshot import Cgroup

CONTROL: Final = "cgroup.subtree_control"
"""Watched in cgroups with children: when it changes, the children have other files."""

SWITCH: Final = "cgroup.pressure"
"""Watched in cgroups without pressure files: when it is switched on, they come back (6.1)."""

OWN: Final = ("memory_current", "memory_stat", "memory_swap_current")
LIVE: Final = (*OWN, "memory_pressure", "io_stat", "io_pressure")
"""Fields of `Cgroup` that change without an event and that policies use; inside of pods only `OWN`."""

SELDOM: Final = ("memory_zswap_current", "cpu_pressure")
"""Fields that change without an event and that no policy uses. memory.peak is not among them: it is read with
the events, because it is asked for after a kill."""

EVERY: Final = 32
"""Looks after which everything of a cgroup is read."""

_ELSEWHERE: Final = ("path", "inode", "io_queue")
"""Fields of `Cgroup` that no control file shows."""

OBSERVED: Final = {
    field: field.replace("_", ".")
    for field in (
        *LIVE,
        *(field for field in Cgroup.__struct_fields__ if field not in (*_ELSEWHERE, *LIVE, *SELDOM)),
        *SELDOM,
    )
}
"""Field of `Cgroup` to control file, those of every look first, of these `OWN` first, and last `SELDOM`."""

_DECODE: Final = {field: FILES[name].codec.decode for field, name in OBSERVED.items()}
"""Field of `Cgroup` to what reads its file's text."""


def decoded(cgroup: Cgroup, texts: Iterable[tuple[str, bytes]], unread: dict[str, str]) -> Cgroup:
    """Return the cgroup with the values of these texts, each with its field.

    A text that does not read leaves `None`, and `unread` says why, by file, until it reads again.
    """
    values: dict[str, Any] = {}
    for field, raw in texts:
        if (decode := _DECODE.get(field)) is None:
            continue
        try:
            values[field] = decode(raw)
        except (ValueError, OverflowError) as error:
            values[field] = None
            unread[OBSERVED[field]] = str(error)
        else:
            if unread:
                unread.pop(OBSERVED[field], None)
    return replace(cgroup, **values)
