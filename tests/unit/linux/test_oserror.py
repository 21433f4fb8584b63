import errno

import pytest

from memqos.errors import Busy, CgroupGone, InvalidValue, KnobMissing, NodeError, Refused
from memqos.linux.oserror import node_error


@pytest.mark.parametrize(
    ("number", "directory_exists", "kind"),
    [
        (errno.ENOENT, True, KnobMissing),
        (errno.ENOENT, False, CgroupGone),
        (errno.ENODEV, False, CgroupGone),
        (errno.ENODEV, True, KnobMissing),
        (errno.EACCES, True, Refused),
        (errno.EPERM, True, Refused),
        (errno.EROFS, True, Refused),
        (errno.EBUSY, True, Busy),
        (errno.EAGAIN, True, Busy),
        (errno.EINTR, True, Busy),
        (errno.EINVAL, True, InvalidValue),
        (errno.ERANGE, True, InvalidValue),
        (errno.EOPNOTSUPP, True, InvalidValue),
        (errno.EIO, True, NodeError),
    ],
)
def test_each_errno_has_its_error(number: int, directory_exists: bool, kind: type[NodeError]) -> None:
    error = node_error(OSError(number, "x"), cgroup="a", knob="memory.max", directory_exists=directory_exists)
    assert type(error) is kind
    assert str(error).startswith("a: memory.max: ")


def test_an_io_limit_for_a_disk_that_is_not_there_is_an_invalid_value() -> None:
    error = node_error(OSError(errno.ENODEV, "x"), cgroup="a", knob="io.max", directory_exists=True)
    assert type(error) is InvalidValue
