from memqos.model.plan import Outcome, Plan, Write
from memqos.model.snapshot import Cgroup, Counters, IoMax, NodeFacts, Snapshot
from memqos.report.plan import outcomes_table, plan_table
from memqos.units import UNLIMITED


def snapshot(*cgroups: Cgroup) -> Snapshot:
    node = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({}))
    return Snapshot(time_us=0, boot_id="b", node=node, cgroups={c.path: c for c in cgroups})


def test_a_plan_shows_now_then_and_why() -> None:
    plan = Plan((Write("kubepods", "memory.low", 64 << 20, "protect the children"),))
    shown = plan_table(plan, snapshot(Cgroup(path="kubepods", inode=1, memory_low=0)))
    assert shown.rows == (("kubepods", "memory.low", "0 B", "64 MiB", "protect the children"),)


def test_what_holds_already_is_left_out_unless_asked_for() -> None:
    plan = Plan((Write("a", "memory.high", UNLIMITED, "no throttling"),))
    node = snapshot(Cgroup(path="a", inode=1, memory_high=UNLIMITED))
    assert plan_table(plan, node).rows == ()
    assert plan_table(plan, node, changes_only=False).rows[0][2:4] == ("max", "max")


def test_what_the_kernel_rounded_to_whole_pages_is_held() -> None:
    plan = Plan((Write("a", "memory.max", 100_000_000, "a limit of 100M"),))
    node = snapshot(Cgroup(path="a", inode=1, memory_max=100_000_000 // 4096 * 4096))
    assert plan_table(plan, node).rows == ()


def test_an_io_limit_that_is_there_is_held_whatever_other_devices_have() -> None:
    mine, theirs = IoMax(rbps=1 << 20), IoMax(wbps=1 << 20)
    plan = Plan((Write("a", "io.max", {"8:0": mine}, "for the service"),))
    assert (
        plan_table(plan, snapshot(Cgroup(path="a", inode=1, io_max={"8:0": mine, "8:16": theirs}))).rows == ()
    )
    assert len(plan_table(plan, snapshot(Cgroup(path="a", inode=1, io_max={"8:0": theirs}))).rows) == 1


def test_a_cgroup_that_is_not_there_yet_has_no_value_now() -> None:
    plan = Plan((Write("new", "memory.max", 1 << 20, "limit"),))
    assert plan_table(plan, snapshot()).rows[0][2] == "-"


def test_a_failed_write_shows_its_error_instead_of_its_why() -> None:
    write = Write("a", "memory.max", 4096, "limit")
    shown = outcomes_table([Outcome(write, "failed", before=None, error="a: memory.max: busy")])
    assert shown.rows == (("a", "memory.max", "-", "-", "failed", "a: memory.max: busy"),)
