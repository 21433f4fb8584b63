from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.errors import Unreadable
from memqos.linux import procfs
from memqos.model.snapshot import Disk, Swap, Zone

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
KERNELS = sorted(path.name for path in GOLDEN.glob("kernel-*"))
PARSERS = (procfs.meminfo, procfs.vmstat, procfs.swaps, procfs.diskstats, procfs.zoneinfo)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_real_kernels_meminfo_and_vmstat_are_read_in_full(kernel: str) -> None:
    for name, reader in (("meminfo", procfs.meminfo), ("vmstat", procfs.vmstat)):
        raw = (GOLDEN / kernel / "proc" / name).read_bytes()
        expected = {}
        for line in raw.decode().splitlines():
            words = line.split()
            expected[words[0].removesuffix(":")] = int(words[1]) * (1024 if words[2:] == ["kB"] else 1)
        assert dict(reader(raw)) == expected


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_real_kernels_zones_have_their_watermarks(kernel: str) -> None:
    zones = procfs.zoneinfo((GOLDEN / kernel / "proc/zoneinfo").read_bytes())
    assert [zone.name for zone in zones][:3] == ["DMA", "DMA32", "Normal"]
    dma32 = zones[1]
    assert 0 < dma32.min < dma32.low < dma32.high < dma32.free < dma32.managed


def test_a_zone_is_read_past_the_lines_between() -> None:
    raw = (
        b"Node 1, zone   Normal\n  per-node stats\n      nr_free 9\n"
        b"  pages free     100\n        boost    5\n        min      1\n        low      2\n"
        b"        high     3\n"
        b"        promo    4\n        spanned  900\n        present  800\n"
        b"        managed  700\n        cma      0\n"
        b"  pagesets\n    cpu: 0\n              high:  77\n"
        b"Node 1, zone  Movable\n  pages free     0\n        min      0\n        low      0\n"
        b"        high     0\n"
        b"        spanned  0\n        present  0\n        managed  0\n"
    )
    assert procfs.zoneinfo(raw) == (Zone(1, "Normal", 100, 1, 2, 3, 700), Zone(1, "Movable", 0, 0, 0, 0, 0))


def test_a_zone_without_watermarks_does_not_borrow_its_neighbours() -> None:
    raw = (
        b"Node 0, zone   DMA\n  pages free     1\n"
        b"Node 0, zone   Normal\n  pages free     100\n        min      1\n        low      2\n"
        b"        high     3\n"
        b"        managed  700\n"
    )
    with pytest.raises(Unreadable, match="no watermarks"):
        procfs.zoneinfo(raw)


def test_swaps_are_read_in_bytes_with_their_names_unescaped() -> None:
    raw = (
        b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        b"/dev/vdb                                partition\t262140\t\t62528\t\t-2\n"
        b"/swap\\040file\\040(deleted)               file\t\t4\t\t0\t\t10\n"
    )
    assert procfs.swaps(raw) == (
        Swap("/dev/vdb", "partition", 262140 << 10, 62528 << 10, -2),
        Swap("/swap file (deleted)", "file", 4096, 0, 10),
    )
    assert procfs.swaps(raw.splitlines(keepends=True)[0]) == ()


def test_disks_are_read_in_bytes_and_microseconds() -> None:
    raw = b" 254       0 vda 467 1 215008 2 159 3 98240 4 5 660 6196 0 0 0 0 0 0\n"
    assert procfs.diskstats(raw) == {
        "254:0": Disk("254:0", "vda", 467, 215008 * 512, 159, 98240 * 512, 5, 660_000, 6_196_000)
    }
    assert procfs.diskstats(b"") == {}


@pytest.mark.parametrize(
    ("reader", "raw"),
    [
        (procfs.meminfo, b"MemTotal: many kB\n"),
        (procfs.meminfo, b""),
        (procfs.vmstat, b"nr_free_pages\n"),
        (procfs.swaps, b"/dev/vdb partition 1 2 3\n"),
        (procfs.swaps, b"Filename Type\n/dev/vdb partition 1\n"),
        (procfs.diskstats, b"254 0 vda 1 2 3\n"),
        (procfs.diskstats, b"254 0 vda 1 2 3 4 5 6 7 8 9 10 eleven\n"),
        (procfs.zoneinfo, b""),
        (procfs.zoneinfo, b"pages free 1\n"),
    ],
)
def test_what_is_not_of_its_form_is_refused(reader: object, raw: bytes) -> None:
    with pytest.raises(Unreadable, match="/proc/"):
        reader(raw)  # type: ignore[operator]


@given(st.sampled_from(PARSERS), st.binary(max_size=300))
def test_any_bytes_are_a_value_or_unreadable(reader: object, raw: bytes) -> None:
    try:
        reader(raw)  # type: ignore[operator]
    except Unreadable:
        return


@given(st.sampled_from(KERNELS), st.sampled_from(PARSERS), st.data())
def test_a_damaged_proc_file_is_a_value_or_unreadable(
    kernel: str, reader: object, data: st.DataObject
) -> None:
    raw = (GOLDEN / kernel / "proc" / reader.__name__).read_bytes()  # type: ignore[attr-defined]
    start = data.draw(st.integers(0, len(raw)))
    raw = raw[:start] + data.draw(st.binary(max_size=3)) + raw[start + data.draw(st.integers(0, 9)) :]
    try:
        reader(raw)  # type: ignore[operator]
    except Unreadable:
        return


def test_only_cgroup2_mounts_are_found_with_their_options() -> None:
    raw = (
        b"38 26 0:35 / /sys/fs/cgroup rw,relatime shared:4 "
        b"- cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
        b"39 26 0:36 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        b"40 26 0:37 / /my\\040groups rw - cgroup2 none rw\n\n"
    )
    assert procfs.cgroup2_mounts(raw) == {
        "/sys/fs/cgroup": frozenset({"rw", "relatime", "nsdelegate", "memory_recursiveprot"}),
        "/my groups": frozenset({"rw"}),
    }
