"""The catalogue against three real kernels, and 10,000 made-up files (HYPOTHESIS_PROFILE=thorough)."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.errors import InvalidValue, KnobMissing, Unreadable
from memqos.linux.cgroupfs import FILES, decode, encode
from memqos.linux.observed import OBSERVED
from memqos.model.plan import Bandwidth, Reclaim
from memqos.model.snapshot import IoMax, IoStat
from memqos.units import UNLIMITED

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
KERNELS = sorted(GOLDEN.glob("kernel-*"))
CAPTURES = sorted(
    path
    for kernel in KERNELS
    for cgroup in ("root", "parent", "busy")
    for path in (kernel / cgroup).iterdir()
    if path.name in FILES
)


def listed(directory: Path) -> dict[str, int]:
    """The files a real kernel had there, with their modes."""
    lines = (line.split() for line in (directory / "names").read_text().splitlines())
    return {
        words[1]: int(words[0], 8)
        for words in lines
        if re.match(r"(memory|io|cgroup)\.|.*\.pressure$", words[1])
    }


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.name)
@pytest.mark.parametrize("cgroup", ["root", "parent", "busy"])
def test_the_catalogue_has_every_file_of_a_real_kernel_and_its_access(kernel: Path, cgroup: str) -> None:
    for name, mode in listed(kernel / cgroup).items():
        file = FILES[name]
        assert file.root != ("no" if cgroup == "root" else "only"), name
        assert ("r" in file.access) == bool(mode & 0o400), name
        if not name.endswith((".pressure", ".peak")) or name == "cgroup.pressure":
            assert ("w" in file.access) == bool(mode & 0o200), name


def test_there_are_captures_of_three_kernels() -> None:
    assert [path.name for path in KERNELS] == ["kernel-6.1", "kernel-6.12", "kernel-7.2"]
    assert len(CAPTURES) > 200


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: "/".join(path.parts[-3:]))
def test_a_real_kernels_text_is_read_and_means_what_a_slow_reader_finds(path: Path) -> None:
    raw = path.read_bytes()
    assert plain(decode(path.name, raw)) == slowly(path.name, raw)


def test_every_observed_field_has_its_file_in_the_catalogue() -> None:
    assert set(OBSERVED.values()) <= FILES.keys()


# The slow, obvious twin of every codec: text to plain dicts and numbers.


def number(text: str) -> object:
    return UNLIMITED if text == "max" else int(text) if text.isdigit() else text


def pairs(words: list[str]) -> dict[str, object]:
    return {key: number(value) for key, value in (word.split("=", 1) for word in words)}


def slowly(name: str, raw: bytes) -> object:
    lines = raw.decode().splitlines()
    kind = FILES[name].codec.kind
    if kind == "flat keyed":
        return {line.split()[0]: number(line.split()[1]) for line in lines}
    if kind == "nested keyed":
        zero: dict[str, object] = {}
        if name == "io.stat":
            zero = dict.fromkeys(("rbytes", "wbytes", "rios", "wios", "dbytes", "dios"), 0)
        entries: dict[str, object] = {}
        for line in lines:
            words = line.split()
            names = [word for word in words if "=" not in word]
            entries.update(dict.fromkeys(names, zero))
            entries[names[-1]] = zero | pairs(words[len(names) :])
        return entries
    if kind == "pressure":
        return {
            line.split()[0]: {k: float(str(v)) for k, v in pairs(line.split()[1:]).items()} for line in lines
        }
    if kind == "word list":
        return lines[0].split() if lines else []
    if kind == "id list":
        return [int(line) for line in lines]
    if kind == "switch":
        return {"0": False, "1": True}[lines[0]]
    if kind == "weight":
        return int(lines[0].removeprefix("default "))
    if kind == "bandwidth":
        quota, period = lines[0].split()
        return Bandwidth(UNLIMITED if quota == "max" else int(quota), int(period))
    if kind == "costs":
        off = {"io.cost.qos": "enable=0", "io.cost.model": "ctrl=auto"}[name]
        entries = {device: text for device, _, text in (line.partition(" ") for line in lines)}
        return {device: text for device, text in entries.items() if off not in str(text).split()}
    return number(lines[0])


def plain(value: object) -> object:
    if hasattr(value, "__struct_fields__"):
        fields = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        return {name: field for name, field in fields.items() if field is not None}
    if hasattr(value, "items"):
        return {key: plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


# What is written reads as what was meant.

amounts = st.one_of(st.integers(0, UNLIMITED), st.just(UNLIMITED))
devices = st.builds("{}:{}".format, st.integers(0, 4095), st.integers(0, 1 << 20))
words = st.from_regex(r"[a-z][a-z_.0-9]{0,20}", fullmatch=True)
counts = st.integers(0, 2**64 - 1)
limits = st.builds(IoMax, *[st.integers(1, UNLIMITED)] * 4).filter(lambda limit: limit != IoMax())
VALUES = {
    "single value": amounts,
    "switch": st.booleans(),
    "flat keyed": st.dictionaries(words, counts, min_size=1, max_size=90),
    "word list": st.lists(words, max_size=9).map(tuple),
    "id list": st.lists(st.integers(0, 1 << 22)).map(tuple),
    "reclaim order": st.builds(Reclaim, amounts, st.none() | st.integers(0, 201)),
    "write-only": st.just(True),
    "weight": st.integers(1, 10_000),
    "bandwidth": st.builds(Bandwidth, amounts, st.integers(1000, 1_000_000)),
    "costs": st.dictionaries(devices, st.from_regex(r"[a-z]{1,9}=[0-9a-z]{2,9}", fullmatch=True), max_size=9),
}
NESTED = {
    "io.stat": st.dictionaries(devices, st.builds(IoStat, *[counts] * 6), max_size=30),
    "io.max": st.dictionaries(devices, limits, max_size=30),
}
nested = st.dictionaries(
    words, st.dictionaries(words, counts | words.filter(lambda w: not w.isdigit()), max_size=5), max_size=9
)


@st.composite
def files_and_values(draw: st.DrawFn) -> tuple[str, object]:
    name = draw(st.sampled_from([name for name, file in FILES.items() if file.codec.kind != "pressure"]))
    codec = FILES[name].codec
    if codec.kind == "word":
        return name, draw(st.sampled_from(codec.words))  # type: ignore[attr-defined]
    value = draw(VALUES[codec.kind] if codec.kind in VALUES else NESTED.get(name, nested))
    if codec.kind == "single value" and not codec.unlimited and value == UNLIMITED:  # type: ignore[attr-defined]
        value = 0
    return name, value


@given(files_and_values())
def test_what_is_written_reads_as_what_was_meant(pair: tuple[str, object]) -> None:
    name, value = pair
    texts = FILES[name].codec.encode(value)
    assert FILES[name].codec.decode(b"".join(text + b"\n" for text in texts)) == value


# Broken text: one clear error, or exactly what the text says.

texts = st.one_of(
    st.binary(max_size=200),
    st.text(alphabet="0123456789max.:= \n\t-+_abcsomefull", max_size=80).map(str.encode),
)


@given(st.sampled_from(sorted(FILES)), texts)
def test_any_bytes_are_a_value_or_one_error_that_names_the_file(name: str, raw: bytes) -> None:
    try:
        decode(name, raw, cgroup="kubepods")
    except Unreadable as error:
        assert (error.cgroup, error.knob) == ("kubepods", name)  # noqa: PT017


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    path = draw(st.sampled_from(CAPTURES))
    raw = path.read_bytes()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 9)))
        raw = (
            raw[:start]
            + draw(st.binary(max_size=3) | st.sampled_from([b"\n", b" ", b"=", b"1_0", b"-"]))
            + raw[end:]
        )
    return path.name, raw


@given(damaged())
def test_a_damaged_file_is_refused_or_means_exactly_what_it_says(pair: tuple[str, bytes]) -> None:
    name, raw = pair
    try:
        value = plain(decode(name, raw))
    except Unreadable:
        return
    found = slowly(name, raw)
    if FILES[name].codec.kind != "nested keyed":
        assert value == found
        return
    assert isinstance(value, dict)  # what memqos does not know is passed over in nested files
    assert isinstance(found, dict)
    for key, inner in value.items():
        assert inner.items() <= found[key].items()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("memory.max", UNLIMITED, b"max"),
        ("memory.max", 2**63, b"max"),
        ("memory.max", 4096, b"4096"),
        ("memory.reclaim", Reclaim(4096), b"4096"),
        ("memory.reclaim", Reclaim(4096, 60), b"4096 swappiness=60"),
        ("memory.reclaim", Reclaim(4096, 201), b"4096 swappiness=max"),
        ("memory.oom.group", True, b"1"),
        ("cgroup.kill", True, b"1"),
        ("cgroup.subtree_control", ("+memory", "-io"), b"+memory -io"),
        (
            "io.max",
            {"8:16": IoMax(rbps=2097152, wiops=120)},
            b"8:16 rbps=2097152 wbps=max riops=max wiops=120",
        ),
        ("io.weight", 100, b"default 100"),
        ("io.latency", {"8:16": {"target": 75000}}, b"8:16 target=75000"),
        ("io.cost.qos", {"8:16": "enable=1 rpct=95.00"}, b"8:16 enable=1 rpct=95.00"),
        ("io.cost.qos", {"8:16": ""}, b"8:16 enable=0"),
        ("io.cost.model", {"8:16": ""}, b"8:16 ctrl=auto"),
    ],
)
def test_a_value_is_written_in_the_kernels_form(name: str, value: object, text: bytes) -> None:
    assert encode(name, value) == (text,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory.max", None),
        ("memory.max", "max"),
        ("memory.max", 1.5),
        ("memory.max", True),
        ("memory.max", -1),
        ("memory.oom.group", 1),
        ("memory.reclaim", Reclaim(1, 202)),
        ("memory.reclaim", Reclaim(-1)),
        ("io.max", 5),
        ("io.max", {"sda": IoMax()}),
        ("io.max", {"8:0": {"rbps": 5}}),
        ("io.latency", {"8:0": 5}),
        ("io.weight", {"default": 5}),
        ("io.weight", 0),
        ("io.weight", True),
        ("io.cost.qos", {"8:0": "enable=1\n8:16 enable=1"}),
        ("io.cost.qos", {"sda": "enable=1"}),
        ("io.cost.model", {"8:0": {"ctrl": "user"}}),
        ("cgroup.kill", False),
        ("cgroup.type", "domain\n"),
        ("cgroup.procs", 5),
        ("cgroup.subtree_control", "memory"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        encode(name, value, cgroup="a")
    assert (caught.value.cgroup, caught.value.knob) == ("a", name)


@pytest.mark.parametrize("name", ["memory.stat", "memory.current", "memory.pressure", "cpu.stat", "nonsense"])
def test_what_takes_nothing_is_no_knob(name: str) -> None:
    with pytest.raises((KnobMissing, InvalidValue)):
        encode(name, 1)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b"12", b"1 2\n", b"12\n\n", b"-1\n", b"1_0\n", b"18446744073709551616\n", b"9" * 21 + b"\n"],
)
def test_what_is_no_single_number_is_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        decode("memory.max", raw)


@pytest.mark.parametrize("number", [0, 9, 10**18, 10**19 - 1, 10**19, 2**64 - 1])
def test_every_number_of_64_bit_is_read(number: int) -> None:
    assert decode("memory.current", b"%d\n" % number) == number
