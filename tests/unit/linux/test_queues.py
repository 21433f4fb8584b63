from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from memqos.errors import InvalidValue, KnobMissing, NodeError
from memqos.linux.observed import EVERY
from memqos.linux.queues import Queues
from memqos.model.plan import Write
from memqos.model.queue import KNOB
from memqos.model.snapshot import Disk

DISKS = {
    device: Disk(device, name, 0, 0, 0, 0, 0, 0, 0) for device, name in (("8:0", "sda"), ("254:0", "vda"))
}
SHAPED = "scheduler=mq-deadline nr_requests=64 async_depth=3 max_sectors_kb=128"


def queue(sys: Path, name: str, scheduler: str = "[none] mq-deadline", **files: int) -> Path:
    """Make a disk's queue as the kernel shows it; `depth` is mq-deadline's."""
    place = sys / "block" / name / "queue"
    (place / "iosched").mkdir(parents=True)
    (place / "scheduler").write_text(f"{scheduler}\n")
    (place / "nr_requests").write_text(f"{files.get('pool', 256)}\n")
    (place / "max_sectors_kb").write_text(f"{files.get('largest', 1280)}\n")
    if "depth" in files:
        (place / "iosched/async_depth").write_text(f"{files['depth']}\n")
    return place


def write(value: Any) -> Write:
    return Write("", KNOB, value, "")


def known(queues: Queues) -> Mapping[str, str]:
    found = queues.read(DISKS)
    assert found is not None
    return found


def test_a_queue_reads_as_its_scheduler_its_depth_and_its_largest_request(tmp_path: Path) -> None:
    queue(tmp_path, "sda", "none [mq-deadline] bfq", depth=48)
    queue(tmp_path, "vda")
    assert known(Queues(str(tmp_path))) == {
        "8:0": "scheduler=mq-deadline nr_requests=256 async_depth=48 max_sectors_kb=1280",
        "254:0": "scheduler=none nr_requests=256 max_sectors_kb=1280",
    }


def test_newer_kernels_have_the_depth_in_the_queue_itself(tmp_path: Path) -> None:
    (queue(tmp_path, "sda", "[mq-deadline] none") / "async_depth").write_text("48\n")
    assert (
        known(Queues(str(tmp_path)))["8:0"]
        == "scheduler=mq-deadline nr_requests=256 async_depth=48 max_sectors_kb=1280"
    )


def test_a_disk_that_cannot_be_scheduled_and_one_without_a_queue_are_not_shown(tmp_path: Path) -> None:
    queue(tmp_path, "sda", "none")
    assert known(Queues(str(tmp_path))) == {}


def test_a_machine_without_block_devices_in_sys_has_no_such_knob(tmp_path: Path) -> None:
    assert Queues(str(tmp_path)).read(DISKS) is None


def test_a_write_reaches_every_file_and_reads_back(tmp_path: Path) -> None:
    place = queue(tmp_path, "vda", depth=48)
    queues = Queues(str(tmp_path))
    known(queues)
    assert queues.apply(write({"254:0": SHAPED})) == {"254:0": SHAPED} == known(queues)
    assert (place / "scheduler").read_text() == "mq-deadline"
    assert (place / "nr_requests").read_text() == "64"
    assert (place / "iosched/async_depth").read_text() == "3"


def test_other_disks_and_what_holds_already_are_not_written(tmp_path: Path) -> None:
    queue(tmp_path, "sda")
    place = queue(tmp_path, "vda", "none [mq-deadline]", pool=64, depth=3, largest=128)
    queues = Queues(str(tmp_path))
    known(queues)
    queues.apply(write({"254:0": SHAPED, "8:0": ""}))
    assert (place / "scheduler").read_text() == "none [mq-deadline]\n"
    assert known(queues)["8:0"] == "scheduler=none nr_requests=256 max_sectors_kb=1280"


def test_what_somebody_else_writes_is_seen_after_some_looks(tmp_path: Path) -> None:
    place = queue(tmp_path, "vda")
    queues = Queues(str(tmp_path))
    known(queues)
    (place / "max_sectors_kb").write_text("64\n")
    looks = [known(queues)["254:0"] for _ in range(EVERY)]
    assert looks[0] == "scheduler=none nr_requests=256 max_sectors_kb=1280"
    assert looks[-1] == "scheduler=none nr_requests=256 max_sectors_kb=64"


@pytest.mark.parametrize(
    "value",
    [
        7,
        {"254:0": 7},
        {"254:0": "scheduler"},
        {"254:0": "rq_affinity=1"},
        {"254:0": "scheduler=none async_depth=0"},
    ],
)
def test_what_is_no_queue_is_refused_before_anything_is_written(tmp_path: Path, value: Any) -> None:
    place = queue(tmp_path, "vda")
    queues = Queues(str(tmp_path))
    known(queues)
    with pytest.raises(InvalidValue):
        queues.apply(write(value))
    assert (place / "scheduler").read_text() == "[none] mq-deadline\n"


def test_a_disk_that_is_gone_and_a_kernel_that_refuses_are_one_error(tmp_path: Path) -> None:
    place = queue(tmp_path, "vda")
    queues = Queues(str(tmp_path))
    known(queues)
    with pytest.raises(KnobMissing, match="no disk 8:0"):
        queues.apply(write({"8:0": SHAPED}))
    (place / "iosched").rmdir()
    with pytest.raises(NodeError, match="async_depth"):
        queues.apply(write({"254:0": SHAPED}))
