import os
from pathlib import Path

from memqos.linux.swapdevice import SwapDevices
from memqos.model.snapshot import Disk, Swap


def swap(filename: str) -> Swap:
    return Swap(filename, "partition", 4096, 0, -2)


def disk(device: str, name: str) -> Disk:
    return Disk(device, name, 0, 0, 0, 0, 0, 0, 0)


def block(sys: Path, number: str, *path: str) -> None:
    """Make /sys/dev/block/`number` a link to a device's directory, as the kernel does."""
    place = sys.joinpath("devices", *path)
    place.mkdir(parents=True)
    (place / "dev").write_text(f"{number}\n")
    (sys / "dev/block").mkdir(parents=True, exist_ok=True)
    (sys / "dev/block" / number).symlink_to(place)


def test_a_swap_devices_partition_stands_for_its_disk(tmp_path: Path) -> None:
    block(tmp_path, "8:0", "sda")
    block(tmp_path, "8:2", "sda", "sda2")
    (tmp_path / "devices/sda/sda2/partition").write_text("2\n")
    known = {"8:0": disk("8:0", "sda"), "8:2": disk("8:2", "sda2")}
    found = SwapDevices(str(tmp_path)).named((swap("/nowhere/sda2"), swap("/nowhere/sda")), known)
    assert [each.device for each in found] == ["8:0", "8:0"]


def test_a_swap_file_lies_on_its_filesystems_disk(tmp_path: Path) -> None:
    file = tmp_path / "swap file"
    file.write_bytes(b"")
    number = file.stat().st_dev
    block(tmp_path / "sys", f"{os.major(number)}:{os.minor(number)}", "vda")
    (found,) = SwapDevices(str(tmp_path / "sys")).named((swap(str(file)),), {})
    assert found.device == f"{os.major(number)}:{os.minor(number)}"


def test_what_is_no_disk_of_its_own_has_no_device(tmp_path: Path) -> None:
    file = tmp_path / "swap"
    file.write_bytes(b"")
    devices = SwapDevices(str(tmp_path / "sys"))
    found = devices.named((swap(str(file)), swap("/nowhere/vdb")), {"254:0": disk("254:0", "vda")})
    assert [each.device for each in found] == [None, None]


def test_a_swap_that_was_off_is_looked_for_again(tmp_path: Path) -> None:
    devices, known = SwapDevices(str(tmp_path)), {"8:0": disk("8:0", "sda")}
    assert devices.named((swap("/nowhere/sda"),), known)[0].device is None
    block(tmp_path, "8:0", "sda")
    assert devices.named((swap("/nowhere/sda"),), known)[0].device is None
    assert devices.named((), known) == ()
    assert devices.named((swap("/nowhere/sda"),), known)[0].device == "8:0"
