"""One write to one knob: the very cgroup meant, the file as it is, the value read back.

The directory is opened first and its inode compared; the knob is opened in it (`openat`), so a
cgroup reborn under the same path meanwhile is never written to. O_WRONLY alone: with O_CREAT a
missing knob would be created, or read as "permission denied".

An order to `memory.reclaim` is given in pieces. The kernel breaks one write off with EINTR when a
signal waits, but Python, its handler done, would give the same order again from its start (PEP 475),
so a large one could outlive SIGTERM by minutes. Between two pieces `stopped` is asked, and `taken` told.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from memqos.errors import CgroupGone, InvalidValue
from memqos.linux.cgroupfs import FILES, decode, encode
from memqos.linux.oserror import node_error
from memqos.linux.reading import read_whole
from memqos.model.plan import RECLAIM_PIECE, Reclaim, Value, Write, unset

write_fd = os.write
"""The one function that writes a control file; tests put faults here."""


def apply_write(
    root: str,
    write: Write,
    *,
    kernel: bool = True,
    stopped: Callable[[], bool] = lambda: False,
    taken: Callable[[int], object] = lambda size: None,
) -> Value | None:
    """Carry out `write` below the cgroup root `root`; see `Node.apply` for what it raises.

    `io.max` and `io.cost.*` are the whole state of the file: devices not named in the value lose theirs.
    `kernel` is false for a tree of plain files, where a write has to take the place of the text.
    Once `stopped`, an order to reclaim is `Busy` at its next piece; what was reclaimed stays so, and
    `taken` has heard of each whole piece of it.
    """
    encode(write.knob, write.value, cgroup=write.cgroup)
    if any(part in ("", ".", "..") for part in write.cgroup.split("/")) and write.cgroup:
        raise InvalidValue("is not a path below the cgroup root", cgroup=write.cgroup, knob=write.knob)
    try:
        directory = os.open(f"{root}/{write.cgroup}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise node_error(error, cgroup=write.cgroup, knob=write.knob, directory_exists=False) from None
    try:
        inode = os.fstat(directory).st_ino
        if write.inode and inode != write.inode:
            raise CgroupGone("another cgroup was born under this path", cgroup=write.cgroup, knob=write.knob)
        try:
            flags = os.O_WRONLY | (0 if kernel else os.O_TRUNC)
            if write.knob == "memory.reclaim":
                _reclaim(directory, write, flags, stopped, taken)
                return None
            return _apply(directory, write, flags)
        except OSError as error:
            raise node_error(
                error,
                cgroup=write.cgroup,
                knob=write.knob,
                directory_exists=_inode(f"{root}/{write.cgroup}") == inode,
            ) from None
    finally:
        os.close(directory)


def _apply(directory: int, write: Write, flags: int) -> Value | None:
    value: Any = write.value
    if isinstance(value, Mapping):
        held, none = _read(directory, write) or {}, unset(write.knob)
        whole = {**dict.fromkeys(held, none), **value}
        # a disk that was taken away has no line and takes none: to unset it there is nothing to do
        value = {device: each for device, each in whole.items() if device in held or each != none}
    fd = os.open(write.knob, flags | os.O_CLOEXEC, dir_fd=directory)
    try:
        for text in encode(write.knob, value, cgroup=write.cgroup):
            write_fd(fd, text + b"\n")
    finally:
        os.close(fd)
    return _read(directory, write) if "r" in FILES[write.knob].access else None


def _reclaim(
    directory: int, write: Write, flags: int, stopped: Callable[[], bool], taken: Callable[[int], object]
) -> None:
    """Give an order piece by piece; an order of 0 bytes is one piece."""
    value: Any = write.value
    order = value if isinstance(value, Reclaim) else Reclaim(value)
    fd = os.open(write.knob, flags | os.O_CLOEXEC, dir_fd=directory)
    try:
        for done in range(0, max(1, order.size), RECLAIM_PIECE):
            if stopped():
                raise OSError(errno.EINTR, os.strerror(errno.EINTR))
            piece = replace(order, size=min(RECLAIM_PIECE, order.size - done))
            for text in encode(write.knob, piece, cgroup=write.cgroup):
                write_fd(fd, text + b"\n")
            taken(piece.size)
    finally:
        os.close(fd)


def read_knob(root: str, write: Write) -> Value | None:
    """Return what the knob of `write` holds. Raises `NodeError`."""
    try:
        directory = os.open(f"{root}/{write.cgroup}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise node_error(error, cgroup=write.cgroup, knob=write.knob, directory_exists=False) from None
    try:
        value: Value | None = _read(directory, write)
    except OSError as error:
        raise node_error(error, cgroup=write.cgroup, knob=write.knob, directory_exists=True) from None
    finally:
        os.close(directory)
    return value


def _read(directory: int, write: Write) -> Any:
    fd = os.open(write.knob, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return decode(write.knob, read_whole(fd, 4096)[0], cgroup=write.cgroup)
    finally:
        os.close(fd)


def _inode(directory: str) -> int:
    try:
        return os.stat(directory).st_ino
    except OSError:
        return 0
