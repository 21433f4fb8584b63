from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.linux.flat import Flat
from memqos.linux.keyed import IoMaxes, IoStats, Nested, Pressures
from memqos.model.snapshot import IoMax, IoStat, Pressure, PressureLine
from memqos.units import UNLIMITED


def test_files_with_the_same_keys_share_one_layout() -> None:
    flat = Flat()
    first, second = flat.decode(b"anon 1\nfile 2\n"), flat.decode(b"anon 3\nfile 4\n")
    assert dict(second) == {"anon": 3, "file": 4}
    assert first.layout is second.layout


def test_the_layouts_of_two_kinds_of_cgroup_are_both_kept() -> None:
    flat = Flat()
    first = flat.decode(b"anon 1\n")
    flat.decode(b"anon 1\nfile 2\n")
    assert flat.decode(b"anon 3\n").layout is first.layout


def test_a_layout_with_digits_in_its_keys_is_known_again_and_as_strict() -> None:
    flat = Flat(meminfo=True)
    first = flat.decode(b"MemTotal:  100 kB\nDirectMap4k:     8 kB\nHugePages_Total:   0\n")
    second = flat.decode(b"MemTotal: 1000 kB\nDirectMap4k:    16 kB\nHugePages_Total:  12\n")
    assert dict(second) == {"MemTotal": 1024000, "DirectMap4k": 16384, "HugePages_Total": 12}
    assert second.layout is first.layout
    for torn in (b"MemTotal: 1 kB\nDirectMap4k: kB\nHugePages_Total: 1\n", b"DirectMap4k: 8 kB"):
        with pytest.raises(ValueError, match=r"not a key and a number|cut off"):
            flat.decode(torn)


def test_a_key_that_lost_its_number_is_refused_also_where_its_layout_is_known() -> None:
    for whole, torn in (
        (b"default 100\n", b"default \n"),
        (b"a 1\nb 2\n", b"a \nb 2\n"),
        (b"a 1\nb 2\n", b"a 1\nb \n"),
    ):
        flat = Flat()
        flat.decode(whole)
        with pytest.raises(ValueError, match="not a key and a number"):
            flat.decode(torn)


def test_a_number_of_20_digits_is_read_and_one_beyond_64_bit_is_not() -> None:
    flat = Flat()
    layout = flat.decode(b"a 1\nb 1\n").layout
    wrapped = flat.decode(b"a 18446744073709551615\nb 2\n")
    assert wrapped["a"] == 2**64 - 1
    assert wrapped.layout is layout
    with pytest.raises(ValueError, match="not a number"):
        flat.decode(b"a 18446744073709551616\nb 2\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"a 1",
        b"a\n",
        b"a 1 b 2\n",
        b"a 1\na 2\n",
        b"a -1\n",
        b"a 1_0\n",
        b"a  1\n",
        b"\na 1\n",
        b"a 0x1\n",
    ],
)
def test_what_is_no_flat_keyed_file_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        Flat().decode(raw)


def test_meminfo_kilobytes_are_bytes_and_counts_stay_counts() -> None:
    flat = Flat(meminfo=True)
    for _ in range(2):
        found = flat.decode(b"MemTotal:        1024 kB\nActive(anon):   8 kB\nHugePages_Total:       3\n")
        assert dict(found) == {"MemTotal": 1 << 20, "Active(anon)": 8192, "HugePages_Total": 3}


def test_devices_without_io_may_be_glued_to_the_next_line() -> None:
    raw = b"7:1 7:0 8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n253:0 \n"
    assert IoStats().decode(raw) == {
        "7:1": IoStat(),
        "7:0": IoStat(),
        "8:0": IoStat(1, 2, 3, 4, 5, 6),
        "253:0": IoStat(),
    }


LINE = b"8:0 rbytes=1 wbytes=22 rios=3 wios=4 dbytes=5 dios=66\n"


def of_io_stat(decode: Callable[[bytes], object], raw: bytes) -> object:
    try:
        return decode(raw)
    except ValueError:
        return "refused"


@given(
    st.lists(st.sampled_from([LINE, LINE.replace(b"8:0", b"8:1"), LINE.replace(b"3", b"9" * 20), b"7:0 "])),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 2), st.sampled_from(b" \n:=0a9")), max_size=2),
)
def test_an_io_stat_reads_the_same_quickly_and_slowly_whatever_was_done_to_it(
    lines: list[bytes], edits: list[tuple[int, int, int]]
) -> None:
    raw = b"".join(lines)
    for place, cut, byte in edits:
        raw = raw[:place] + bytes([byte]) + raw[place + cut :]
    assert of_io_stat(IoStats().decode, raw) == of_io_stat(IoStats._slowly, raw)


def test_debug_keys_of_io_stat_are_passed_over() -> None:
    raw = b"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7 avg_lat=1.5 depth=max\n"
    assert IoStats().decode(raw) == {"8:0": IoStat(1, 2, 3, 4, 5, 6)}


@pytest.mark.parametrize(
    "raw",
    [
        b"8:0 rbytes=1\n",
        b"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6",
        b"8:0 rbytes=1 rbytes=2\n",
        b"8:0 rbytes=-1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
        b"sda rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
        b"8:0\n8:0\n",
        b"\n",
        b"rbytes=1\n",
    ],
)
def test_what_is_no_io_stat_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        IoStats().decode(raw)


def test_io_max_reads_max_as_unlimited_and_a_device_without_limit_as_absent() -> None:
    raw = b"8:16 rbps=1 wbps=max riops=max wiops=2\n8:0 rbps=max wbps=max riops=max wiops=max\n"
    assert IoMaxes().decode(raw) == {"8:16": IoMax(1, UNLIMITED, UNLIMITED, 2)}
    with pytest.raises(ValueError, match="only some"):
        IoMaxes().decode(b"8:16 rbps=1\n")


def test_numbers_of_nested_files_are_numbers_and_the_rest_is_text() -> None:
    raw = b"8:16 enable=1 ctrl=auto rpct=0.00\n"
    assert Nested().decode(raw) == {"8:16": {"enable": 1, "ctrl": "auto", "rpct": "0.00"}}


SOME = b"some avg10=1.50 avg60=0.00 avg300=0.00 total=7\n"
FULL = b"full avg10=0.00 avg60=0.00 avg300=0.10 total=3\n"


def test_a_pressure_has_some_and_perhaps_full() -> None:
    some, full = PressureLine(1.5, 0.0, 0.0, 7), PressureLine(0.0, 0.0, 0.1, 3)
    assert Pressures().decode(SOME) == Pressure(some)
    assert Pressures().decode(SOME + FULL) == Pressure(some, full)
    assert Pressures(only_full=True).decode(FULL) == full


@pytest.mark.parametrize("raw", [b"", FULL, FULL + SOME, SOME * 2, SOME[:-1], SOME.replace(b"1.50", b"nan")])
def test_what_is_no_pressure_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a pressure"):
        Pressures().decode(raw)


@pytest.mark.parametrize(
    "digits", [(b"avg10", b"avg11"), (b"60=0.00", b"60=.00"), (b"=7", b"="), (b"some", b"so1me")]
)
def test_a_pressure_is_refused_for_a_digit_in_the_wrong_place(digits: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="not a pressure"):
        Pressures().decode((SOME + FULL).replace(*digits, 1))


def test_a_pressure_file_with_some_is_no_irq_pressure() -> None:
    for raw in (b"", SOME, SOME + FULL):
        with pytest.raises(ValueError, match="not a pressure"):
            Pressures(only_full=True).decode(raw)
