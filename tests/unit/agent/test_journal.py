import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memqos.agent.codec import Decoder, Encoder
from memqos.agent.journal import MAGIC, Journal, read, segments
from memqos.model.plan import (
    Advice,
    Bandwidth,
    Evicted,
    Eviction,
    Outcome,
    Plan,
    Reclaim,
    Stand,
    Tick,
    Underway,
    Write,
)
from memqos.model.pods import Container, PlacedPod, Pod, Resources
from memqos.model.snapshot import (
    Cgroup,
    Counters,
    IoMax,
    IoStat,
    NodeFacts,
    Pressure,
    PressureLine,
    Snapshot,
    Swap,
    Zone,
)
from memqos.units import GIB, MIB, UNLIMITED, Quantity


def tick(number: int = 0, padding: int = 0) -> Tick:
    """Build a turn with something of everything."""
    stat = Counters.of({"anon": number, "file": 2})
    line = PressureLine(0.5, 0.25, 0.0, 99)
    cgroup = Cgroup(
        path="a",
        inode=2**40,
        memory_max=UNLIMITED,
        memory_stat=stat,
        memory_events=Counters(stat.layout, (7, 8)),
        memory_oom_group=True,
        memory_pressure=Pressure(line, line),
        io_stat={"8:0": IoStat(rbytes=1)},
        io_max={"8:0": IoMax(rbps=5)},
    )
    facts = NodeFacts(
        meminfo=Counters.of({"MemTotal": GIB}),
        vmstat=Counters.of({}),
        swaps=(Swap("/dev/vdb", "partition", GIB, 0, -2),),
        zones=(Zone(0, "DMA", 1, 2, 3, 4, 5),),
    )
    snapshot = Snapshot(
        time_us=number,
        boot_id="b",
        node=facts,
        cgroups={"a": cgroup},
        features=frozenset({"psi"}),
        unread=("a: memory.peak: no number",) * (number % 3),
    )
    size = {"memory": Quantity(Fraction(3, 2))}
    pod = Pod("ns", "p", "u", (Container("c", Resources(size, size)),), resources=Resources(), priority=3)
    writes = (
        Write("a", "memory.max", GIB, "why", "swap", 5),
        Write("a", "memory.oom.group", True, "w"),
        Write("a", "memory.reclaim", Reclaim(MIB, 60), "w"),
        Write("a", "io.max", {"8:0": IoMax(wbps=1)}, "w"),
    )
    outcomes = (
        Outcome(writes[0], "written", UNLIMITED, GIB),
        Outcome(Write("b", "memory.low", 0, "back", "memqos"), "failed", 1, None, "no"),
    )
    plan = Plan(writes, (Advice("ns/p", "problem", "remedy", "swap"),))
    notes = (os.urandom(padding).hex(),) if padding else ("note",)
    return Tick(snapshot, (PlacedPod(pod, "a", {"c": "a/c"}),), plan, outcomes, "timeout", 42, notes)


def numbers(directory: Path) -> list[int]:
    return [one.snapshot.time_us for one in read(directory)]


def through(*ticks: Tick) -> list[Tick]:
    encoder, decoder, found = Encoder(), Decoder(), []
    for one in ticks:
        found.append(decoder.decode(encoder.encode(one)))
        encoder.accept()
    return found


def test_a_tick_comes_back_as_it_was() -> None:
    (found,) = through(tick(5))
    assert found == tick(5)
    assert found.plan.writes[1].value is True


def test_a_tick_that_repeats_the_last_is_small_and_comes_back_whole() -> None:
    encoder = Encoder()
    first = len(encoder.encode(tick(1)))
    encoder.accept()
    assert len(encoder.encode(tick(2))) < first / 5
    assert through(tick(1), tick(2), tick(2)) == [tick(1), tick(2), tick(2)]


def test_counters_of_one_layout_share_it_again() -> None:
    (found,) = through(tick())
    cgroup = found.snapshot.cgroups["a"]
    assert cgroup.memory_stat is not None
    assert cgroup.memory_events is not None
    assert cgroup.memory_stat.layout is cgroup.memory_events.layout


CGROUPS = st.dictionaries(
    st.sampled_from(["", "a", "a/b", "c"]),
    st.tuples(
        st.integers(1, 2),
        st.none() | st.integers(0, 3),
        st.none() | st.dictionaries(st.sampled_from("xyz"), st.integers(-1, 2**63), max_size=2),
    ),
)


@settings(deadline=None)
@given(st.lists(st.tuples(CGROUPS, st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_any_sequence_of_turns_comes_back_also_when_some_were_dropped(
    turns: list[tuple[dict[str, tuple[int, int | None, dict[str, int] | None]], int, bool]],
) -> None:
    encoder, decoder = Encoder(), Decoder()
    for cgroups, size, dropped in turns:
        found = {
            path: Cgroup(
                path=path, inode=inode, memory_max=limit, memory_stat=Counters.of(stat) if stat else None
            )
            for path, (inode, limit, stat) in cgroups.items()
        }
        facts = NodeFacts(meminfo=Counters.of({"MemTotal": size}), vmstat=Counters.of({}))
        snapshot = Snapshot(time_us=size, boot_id="b", node=facts, cgroups=found)
        writes = tuple(Write(path, "memory.max", size, "why") for path in found)
        outcomes = tuple(Outcome(write, "written", size) for write in writes[:size])
        lived = Tick(snapshot, (), Plan(writes), outcomes)
        data = encoder.encode(lived)
        if not dropped:
            encoder.accept()
            again = decoder.decode(data)
            assert again == lived
            assert list(again.snapshot.cgroups) == list(found)


TEXT = st.text("aé", max_size=3)
RECLAIMS = st.builds(Reclaim, st.integers(0, 2**63), st.none() | st.integers(0, 201))
VALUES = RECLAIMS | st.builds(Bandwidth, st.integers(0, 2**63), st.integers(1000, 10**6))
ORDERS = st.builds(Write, TEXT, st.just("memory.reclaim"), VALUES, TEXT, TEXT, st.integers(0, 9))
STATUSES = st.sampled_from(["begun", "written", "partial", "stopped", "gone", "failed"])
EVICTIONS = st.builds(
    Eviction, TEXT, TEXT, TEXT, TEXT, st.none() | TEXT, st.none() | st.floats(0, 1e6, allow_nan=False)
)
STANDS = st.builds(Stand, TEXT, TEXT, st.sampled_from(["watch", "act", "spent"]), st.integers(0, 2**62), TEXT)
ENDED = st.builds(Outcome, ORDERS, STATUSES, st.none(), st.none() | RECLAIMS, TEXT)
UNDERWAY = st.builds(
    Underway,
    st.frozensets(TEXT),
    st.lists(ENDED, max_size=2).map(tuple),
    st.frozensets(TEXT),
    st.dictionaries(TEXT, TEXT, max_size=2),
)
EVICTED = st.builds(Evicted, EVICTIONS, st.sampled_from(["begun", "leaving", "dry-run", "refused"]), TEXT)
MANAGED = st.tuples(
    st.lists(ORDERS, max_size=2, unique_by=lambda order: order.target).map(tuple),
    st.lists(EVICTIONS, max_size=2).map(tuple),
    st.lists(STANDS, max_size=3).map(tuple),
    UNDERWAY,
    st.lists(EVICTED, max_size=2).map(tuple),
)


@settings(deadline=None)
@given(st.lists(MANAGED, min_size=1, max_size=4))
def test_orders_evictions_and_stands_come_back_as_they_were(turns: list[tuple[Any, ...]]) -> None:
    facts = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({}))
    lived = []
    for number, (orders, evictions, stands, underway, evicted) in enumerate(turns):
        snapshot = Snapshot(time_us=number, boot_id="b", node=facts, cgroups={})
        outcomes = tuple(Outcome(order, "begun") for order in orders)
        plan = Plan(orders, (), evictions, stands)
        lived.append(Tick(snapshot, (), plan, outcomes, underway=underway, evicted=evicted))
    assert through(*lived) == lived


def test_what_is_no_record_or_follows_none_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        Decoder().decode(b"nonsense")
    encoder = Encoder()
    encoder.encode(tick(0))
    encoder.accept()
    with pytest.raises(ValueError, match="no record to build on"):
        Decoder().decode(encoder.encode(tick(1)))


def test_a_run_that_goes_on_in_a_segment_begins_with_a_whole_record(tmp_path: Path) -> None:
    for number in range(3):
        with Journal(tmp_path) as journal:
            journal.append(tick(number))
    assert list(read(tmp_path)) == [tick(0), tick(1), tick(2)]


def test_ticks_are_read_in_order_also_across_a_restart(tmp_path: Path) -> None:
    for begin in (0, 3):
        with Journal(tmp_path) as journal:
            assert all(journal.append(tick(number)) for number in range(begin, begin + 3))
    assert numbers(tmp_path) == [0, 1, 2, 3, 4, 5]
    assert len(segments(tmp_path)) == 1


def test_the_journal_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    size = 8 * 4096
    with Journal(tmp_path, size) as journal:
        for number in range(200):
            assert journal.append(tick(number, padding=200))
            assert sum(path.stat().st_size for path in segments(tmp_path)) <= size
    kept = numbers(tmp_path)
    assert kept == list(range(kept[0], 200))
    assert 10 < len(kept) < 200


def test_a_tail_torn_at_any_byte_costs_only_the_last_record(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(tick(0))
        (path,) = segments(tmp_path)
        begin = path.stat().st_size
        journal.append(tick(1))
    whole = path.read_bytes()
    for cut in range(begin, len(whole)):
        path.write_bytes(whole[:cut])
        assert numbers(tmp_path) == [0]
        with Journal(tmp_path) as journal:
            assert journal.repaired == cut - begin
            assert path.stat().st_size == begin
            journal.append(tick(2))
        assert numbers(tmp_path) == [0, 2], cut


def test_a_segment_torn_in_its_first_bytes_is_left_behind(tmp_path: Path) -> None:
    for cut in range(len(MAGIC)):
        directory = tmp_path / str(cut)
        directory.mkdir()
        (directory / "journal-00000001").write_bytes(MAGIC[:cut])
        with Journal(directory) as journal:
            journal.append(tick(1))
        assert numbers(directory) == [1]


def test_a_flipped_byte_is_never_taken_for_a_tick(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(tick(0))
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 0x10
        path.write_bytes(broken)
        assert numbers(tmp_path) == []


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a disk with room for so many more bytes (the list's one number); negative: no end."""
    left = [-1]
    pwrite = os.pwrite

    def limited(descriptor: int, data: bytes, offset: int) -> int:
        if left[0] < 0:
            return pwrite(descriptor, data, offset)
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = pwrite(descriptor, data[: left[0]], offset)
        left[0] -= taken
        return taken

    monkeypatch.setattr(os, "pwrite", limited)
    return left


def test_a_full_disk_drops_whole_records_and_resumes(tmp_path: Path, room: list[int]) -> None:
    journal = Journal(tmp_path)
    assert journal.append(tick(0))
    for left in (0, 1, 7, 8, 9, 20):
        room[0] = left
        assert not journal.append(tick(1))
        assert journal.error == "No space left on device"
        assert numbers(tmp_path) == [0]
    room[0] = -1
    assert journal.append(tick(2))
    assert numbers(tmp_path) == [0, 2]
    assert (journal.written, journal.dropped, journal.error) == (2, 6, "")
    journal.close()


def test_a_disk_too_full_for_a_segment_leaves_no_torn_segment(tmp_path: Path, room: list[int]) -> None:
    journal = Journal(tmp_path)
    room[0] = 3
    assert not journal.append(tick(0))
    assert segments(tmp_path) == []
    room[0] = -1
    assert journal.append(tick(1))
    assert numbers(tmp_path) == [1]
    journal.close()


def test_a_disk_that_does_not_even_cut_gets_a_new_segment(
    tmp_path: Path, room: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    journal = Journal(tmp_path)
    assert journal.append(tick(0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", broken)
        room[0] = 20
        assert not journal.append(tick(1))
    room[0] = -1
    assert journal.append(tick(2))
    assert numbers(tmp_path) == [0, 2]
    assert len(segments(tmp_path)) == 2
    journal.close()


def test_a_record_too_large_for_a_segment_is_dropped_and_told(tmp_path: Path) -> None:
    with Journal(tmp_path, 8 * 4096) as journal:
        assert not journal.append(tick(0, padding=9000))
        assert "does not fit" in journal.error
        assert not journal.append(tick(0, padding=9000))
        assert len(segments(tmp_path)) == 1
        assert journal.append(tick(1))
    assert numbers(tmp_path) == [1]
