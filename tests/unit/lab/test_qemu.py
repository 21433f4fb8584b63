from pathlib import Path

import pytest

from memqos.errors import LabError, ToolMissing
from memqos.lab import qemu
from memqos.lab.kernels import Kernel
from memqos.lab.qemu import Disk, command_line
from memqos.units import MIB

KERNEL = Kernel("6.12", "6.12.1-amd64", "linux-image", "6.12.1-1", "trixie", "vmlinux", (), Path("/cache/k"))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(qemu, "program", lambda: "qemu")


def line(**changes) -> list[str]:
    paths = {"initrd": Path("/t/initrd"), "share": Path("/t/out")}
    settings = {"accel": "tcg", "memory_mib": 1024, "cpus": 2, "disks": (), **paths}
    return command_line(KERNEL, **(settings | changes))


def test_a_guest_has_no_network_device():
    words = line()
    assert words[words.index("-nic") + 1] == "none"
    assert "-nodefaults" in words
    assert not any("netdev" in word for word in words)


def test_the_host_root_is_shared_read_only_and_the_results_are_not():
    shares = [word for word in line() if word.startswith("local,")]
    assert "path=/," in shares[0]
    assert "readonly=on" in shares[0]
    assert "readonly" not in shares[1]


def test_disk_speeds_become_throttles():
    disk = Disk("data", 64 * MIB, bps=10 * MIB, iops=200)
    words = line(disks=[(disk, Path("/t/a,b.raw"))])
    drive = next(word for word in words if "id=data" in word)
    assert "throttling.bps-total=10485760" in drive
    assert "throttling.iops-total=200" in drive
    assert "file=/t/a,,b.raw" in drive
    assert "virtio-blk-pci,drive=data,serial=data,iothread=disk-thread" in words


def test_disks_have_a_thread_of_their_own_where_there_are_any():
    assert "iothread,id=disk-thread,poll-max-ns=0" in line(disks=[(Disk("d", MIB), Path("/t/d"))])
    assert not any("iothread" in word for word in line())


def test_an_unlimited_disk_has_no_throttle():
    assert not any("throttling" in word for word in line(disks=[(Disk("d", MIB), Path("/t/d"))]))


def test_emulation_goes_without_cx16_and_erms_and_kvm_takes_the_host_cpu():
    assert "max,-cx16,-erms" in line()
    assert "host" in line(accel="kvm")


@pytest.mark.parametrize("serial", ["", "a b", "x" * 21, "a,b"])
def test_a_serial_qemu_cannot_take_is_refused(serial: str):
    with pytest.raises(LabError, match="serial"):
        Disk(serial, MIB)


def test_a_missing_qemu_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolMissing, match=r"apt-get install .*qemu-system-x86"):
        qemu.program()
