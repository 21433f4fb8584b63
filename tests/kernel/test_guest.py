"""The guest is the machine that the laboratory promises."""

import os
import platform
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def test_the_release_is_told_to_the_host():
    Path(os.environ["MEMQOS_OUT"], "release.txt").write_text(f"kernel {platform.release()}\n")
    assert platform.release()


def test_every_controller_is_on_for_the_roots_children():
    on = (CGROUP / "cgroup.subtree_control").read_text().split()
    assert {"memory", "io", "cpu", "pids", "cpuset"} <= set(on)


def test_cgroup2_is_mounted_as_systemd_does():
    mounts = Path("/proc/mounts").read_text()
    line = next(line for line in mounts.splitlines() if line.split()[2] == "cgroup2")
    assert {"nsdelegate", "memory_recursiveprot"} <= set(line.split()[3].split(","))


def test_swap_is_on_and_the_data_disk_mounted():
    assert len(Path("/proc/swaps").read_text().splitlines()) == 2
    assert os.path.ismount("/data")


def test_the_guest_may_write_to_its_root():
    Path("/etc/memqos-guest-was-here").write_text("the host must never see this")


def test_there_is_no_network_but_the_loopback():
    assert [path.name for path in Path("/sys/class/net").iterdir()] == ["lo"]
