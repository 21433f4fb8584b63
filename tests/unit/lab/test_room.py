from memqos.lab.archive import trimmed
from memqos.lab.recording import Look, Recording
from memqos.lab.room import median_room, room_of
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.units import MIB


def look(free: int, charged: int | None) -> Look:
    pods = {"kubepods": Cgroup(path="kubepods", inode=1, memory_current=charged)}
    vmstat = Counters.of({"pswpin": 0, "pswpout": 0, "oom_kill": 0})
    node = NodeFacts(meminfo=Counters.of({"MemFree": free}), vmstat=vmstat)
    return Look(1.0, Snapshot(time_us=0, boot_id="b", node=node, cgroups=pods))


def recording(*seen: tuple[int, int | None]) -> Recording:
    return Recording(variant="v", release="r", samples=[look(*each) for each in seen])


def test_the_room_is_what_was_free_or_charged_when_least_was_free() -> None:
    full = [(10 * MIB, 200 * MIB), (9 * MIB, 203 * MIB)]
    idle = [(190 * MIB, 12 * MIB)] * 6
    assert room_of(recording(*idle, *full)) == 211 * MIB


def test_the_room_outlives_the_samples() -> None:
    whole = recording((10 * MIB, 200 * MIB), (8 * MIB, 200 * MIB), (9 * MIB, 210 * MIB))
    assert room_of(trimmed(whole)) == room_of(whole) == 208 * MIB


def test_nobody_knows_the_room_where_nobody_looked() -> None:
    assert room_of(recording()) is None
    assert room_of(recording((10 * MIB, None))) is None


def test_of_several_runs_the_median_counts() -> None:
    runs = [recording((MIB, size * MIB)) for size in (1, 2, 9)]
    assert median_room([recording(), *runs]) == 3 * MIB
    assert median_room([recording()]) is None
