"""The single place where an `OSError` becomes a `NodeError`."""

from __future__ import annotations

import errno
import os
from typing import Final

from memqos.errors import Busy, CgroupGone, InvalidValue, KnobMissing, NodeError, Refused

_KINDS: Final[dict[int, type[NodeError]]] = {
    errno.EACCES: Refused,
    errno.EPERM: Refused,
    errno.EROFS: Refused,
    errno.EBUSY: Busy,
    errno.EAGAIN: Busy,
    errno.EINTR: Busy,
    errno.EINVAL: InvalidValue,
    errno.ERANGE: InvalidValue,
    errno.EOPNOTSUPP: InvalidValue,
}


def node_error(error: OSError, *, cgroup: str, knob: str, directory_exists: bool) -> NodeError:
    """Translate what the kernel answered about `knob` of `cgroup`.

    A file that is not there is `KnobMissing` in a directory that is, `CgroupGone` in one that is
    not. ENODEV of a living cgroup means that its controller was switched off or, for an io file,
    that the value names no disk (`blkg_conf_prep`, block/blk-cgroup.c). An errno nobody foresaw is
    a plain `NodeError` with the kernel's own words.
    """
    number = error.errno or 0
    reason = os.strerror(number) if number else str(error)
    if number == errno.ENODEV and directory_exists and knob.startswith("io."):
        return InvalidValue("the value names a device that is not there", cgroup=cgroup, knob=knob)
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV):
        if directory_exists:
            return KnobMissing("this cgroup has no such file", cgroup=cgroup, knob=knob)
        return CgroupGone("the cgroup is gone", cgroup=cgroup, knob=knob)
    return _KINDS.get(number, NodeError)(reason, cgroup=cgroup, knob=knob)
