import errno
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from memqos.agent.contest import PATIENCE
from memqos.agent.enforce import Enforcer
from memqos.agent.originals import Originals
from memqos.errors import Busy, CgroupGone, InvalidValue, Refused
from memqos.model.plan import Outcome, Plan, Reclaim, Value, Write
from memqos.model.snapshot import IoMax
from memqos.units import GIB, MIB, UNLIMITED

KEY = ("a", "memory.max")


@pytest.fixture
def enforcer(node: Any, tmp_path: Path) -> Enforcer:
    return Enforcer(node, Originals(tmp_path, "boot"))


def plan(*writes: tuple[str, str, Value]) -> Plan:
    return Plan(tuple(Write(cgroup, knob, value, "why", "test") for cgroup, knob, value in writes))


def turn(enforcer: Enforcer, *writes: tuple[str, str, Value]) -> list[Outcome]:
    return list(enforcer.enforce(plan(*writes), enforcer.node.observe()))


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def test_a_write_is_read_back_and_the_next_turn_keeps_it(enforcer: Enforcer) -> None:
    (first,) = turn(enforcer, (*KEY, GIB))
    assert (first.status, first.before, first.after) == ("written", UNLIMITED, GIB)
    (second,) = turn(enforcer, (*KEY, GIB))
    assert (second.status, second.before, second.after) == ("kept", GIB, GIB)


def test_page_rounding_is_no_mismatch(enforcer: Enforcer, node: Any) -> None:
    assert statuses(turn(enforcer, (*KEY, GIB + 1))) == ["written"]
    assert statuses(turn(enforcer, (*KEY, GIB + 1))) == ["kept"]
    assert len(node.log) == 1


def test_a_missing_knob_fails_alone_and_is_never_written(enforcer: Enforcer, node: Any) -> None:
    node.set("a", "memory.high", None)
    found = turn(enforcer, ("a", "memory.high", GIB), ("a", "memory.nonsense", 1), (*KEY, GIB))
    assert {outcome.write.knob: outcome.status for outcome in found} == {
        "memory.high": "failed",
        "memory.nonsense": "failed",
        "memory.max": "written",
    }
    assert len(node.log) == 1


def test_what_is_not_there_is_told_once_and_again_when_that_changes(enforcer: Enforcer, node: Any) -> None:
    node.set("a", "memory.high", None)
    limit = ("a", "memory.high", GIB)
    assert [statuses(turn(enforcer, limit)) for _ in range(3)] == [["failed"], ["waiting"], ["waiting"]]
    gone = ("nowhere", "memory.high", GIB)
    assert [statuses(turn(enforcer, limit, gone)) for _ in range(2)] == [
        ["waiting", "gone"],
        ["waiting", "waiting"],
    ]
    node.set("a", "memory.high", UNLIMITED)
    assert statuses(turn(enforcer, limit)) == ["written"]
    node.set("a", "memory.high", None)
    assert statuses(turn(enforcer, limit)) == ["failed"]


@pytest.mark.parametrize("error", [Refused("EACCES"), Busy("EBUSY"), InvalidValue("EINVAL")])
def test_a_refusal_fails_alone(enforcer: Enforcer, node: Any, error: Exception) -> None:
    node.refuse[KEY] = error
    found = turn(enforcer, (*KEY, GIB), ("a/b", "memory.max", GIB))
    assert statuses(found) == ["written", "failed"]
    assert str(error) in found[1].error


def test_a_knob_that_refuses_is_tried_less_and_less_often(enforcer: Enforcer, node: Any) -> None:
    tries = 0

    def count(write: Write) -> None:
        nonlocal tries
        tries += 1

    node.before_write = count
    node.refuse[KEY] = Busy("EBUSY")
    for _ in range(40):
        assert statuses(turn(enforcer, (*KEY, GIB)))[0] in ("failed", "waiting")
    assert tries == 6
    node.refuse.clear()
    found = [statuses(turn(enforcer, (*KEY, GIB)))[0] for _ in range(PATIENCE)]
    assert "written" in found


def test_a_cgroup_that_goes_in_mid_turn_is_gone(enforcer: Enforcer, node: Any) -> None:
    node.refuse[KEY] = CgroupGone("ENODEV")
    assert statuses(turn(enforcer, (*KEY, GIB), ("b", "memory.max", GIB))) == ["gone", "gone"]


def test_a_cgroup_reborn_in_mid_turn_is_not_written(enforcer: Enforcer, node: Any) -> None:
    seen = node.observe()
    node.add("a")
    (outcome,) = enforcer.enforce(plan((*KEY, GIB)), seen)
    assert outcome.status == "gone"
    assert node.get(*KEY) == UNLIMITED


def test_a_write_meant_for_another_inode_does_not_reach_this_one(enforcer: Enforcer, node: Any) -> None:
    write = Write(*KEY, GIB, "why", "test", inode=1)
    assert enforcer.enforce(Plan((write,)), node.observe())[0].status == "gone"


def test_a_value_somebody_overwrote_is_written_again_and_noted(enforcer: Enforcer, node: Any) -> None:
    turn(enforcer, (*KEY, GIB))
    node.set(*KEY, 2 * GIB)
    assert statuses(turn(enforcer, (*KEY, GIB))) == ["written"]
    assert enforcer.overwritten == 1
    assert enforcer.notes == ["a: memory.max: somebody wrote 2 GiB over 1 GiB, time 1"]


def test_a_fight_is_backed_off_from_and_ends_after_a_long_peace(enforcer: Enforcer, node: Any) -> None:
    writes = 0
    for _ in range(200):
        node.set(*KEY, 2 * GIB)
        writes += statuses(turn(enforcer, (*KEY, GIB))) == ["written"]
    assert writes <= 10
    assert enforcer.overwritten <= 10
    for _ in range(3 * PATIENCE):
        turn(enforcer, (*KEY, GIB))
    node.set(*KEY, 3 * GIB)
    assert statuses(turn(enforcer, (*KEY, GIB))) == ["written"]


def test_that_a_knob_is_left_alone_is_told_once_and_then_only_kept_in_the_journal(
    enforcer: Enforcer, node: Any
) -> None:
    seen = []
    for _ in range(16):
        node.set(*KEY, 2 * GIB)
        (outcome,) = turn(enforcer, (*KEY, GIB))
        seen.append((outcome.status, outcome.error.rpartition("; ")[2]))
    assert seen[2:10] == [
        ("overwritten", "left alone for 2 turns"),
        ("waiting", "left alone for 1 more turns"),
        ("written", ""),
        ("overwritten", "left alone for 4 turns"),
        ("waiting", "left alone for 3 more turns"),
        ("waiting", "left alone for 2 more turns"),
        ("waiting", "left alone for 1 more turns"),
        ("written", ""),
    ]


def test_a_value_that_reads_back_as_another_is_overwritten(enforcer: Enforcer, node: Any) -> None:
    apply = node.apply
    node.apply = lambda write: apply(write) and 5 * GIB
    (outcome,) = turn(enforcer, (*KEY, GIB))
    assert (outcome.status, outcome.after, outcome.error) == (
        "overwritten",
        5 * GIB,
        "it reads back as 5 GiB",
    )


def test_a_dry_run_writes_nothing_and_remembers_nothing(node: Any) -> None:
    dry = Enforcer(node, Originals(None, "boot"), dry_run=True)
    found = turn(dry, (*KEY, GIB), ("a", "memory.reclaim", Reclaim(MIB)), ("a", "memory.low", 0))
    assert sorted(statuses(found)) == ["dry-run", "dry-run", "kept"]
    assert node.log == []
    assert len(dry.originals) == 0


ORDER = ("a", "memory.reclaim", Reclaim(MIB))


def test_a_reclaim_order_is_begun_each_time_it_is_asked_for_anew(enforcer: Enforcer, node: Any) -> None:
    for _ in range(2):
        assert statuses(turn(enforcer, ORDER)) == ["begun"]
        node.finish("a", "partial")
    assert len(enforcer.originals) == 0
    assert enforcer._contests._open == {}


def test_an_order_that_still_runs_is_left_to_run(enforcer: Enforcer, node: Any) -> None:
    turn(enforcer, ORDER)
    assert statuses(turn(enforcer, ("a", "memory.reclaim", Reclaim(2 * MIB)))) == ["kept"]
    assert node.log == [ORDER]


def test_an_order_that_drops_out_of_the_plan_is_cancelled_at_once(enforcer: Enforcer, node: Any) -> None:
    turn(enforcer, ORDER, ("a/b", "memory.reclaim", Reclaim(MIB)))
    turn(enforcer, ORDER)
    assert node.underway() == {"a"}
    assert [(one.write.cgroup, one.status) for one in node.ended()] == [("a/b", "stopped")]


def test_orders_are_cancelled_in_the_same_order_in_every_process(enforcer: Enforcer, node: Any) -> None:
    cgroups = [path for path in node.observe().cgroups if path]
    turn(enforcer, *((path, "memory.reclaim", Reclaim(MIB)) for path in cgroups))
    turn(enforcer)
    assert [one.write.cgroup for one in node.ended()] == sorted(cgroups)
    assert len(cgroups) > 1


def test_an_order_is_cancelled_also_when_a_policy_could_not_answer(enforcer: Enforcer, node: Any) -> None:
    turn(enforcer, ORDER)
    enforcer.enforce(Plan(), node.observe(), release=False)
    assert not node.underway()


def test_an_order_that_is_refused_at_once_has_failed(enforcer: Enforcer, node: Any) -> None:
    node.refuse["a", "memory.reclaim"] = InvalidValue("no such option")
    assert statuses(turn(enforcer, ORDER)) == ["failed"]
    assert not node.underway()


def test_a_knob_that_drops_out_of_the_plan_goes_back(enforcer: Enforcer, node: Any) -> None:
    node.set(*KEY, 3 * GIB)
    turn(enforcer, (*KEY, GIB))
    (outcome,) = turn(enforcer)
    assert (outcome.status, outcome.write.policy) == ("written", "memqos")
    assert outcome.write.why == "no policy asks for it; it held 3 GiB before memqos"
    assert node.get(*KEY) == 3 * GIB
    assert turn(enforcer) == []


def test_a_knob_of_an_incomplete_plan_stays(enforcer: Enforcer, node: Any) -> None:
    turn(enforcer, (*KEY, GIB))
    assert enforcer.enforce(Plan(), node.observe(), release=False) == ()
    assert node.get(*KEY) == GIB


def test_a_newer_value_of_somebody_else_is_left_when_the_knob_drops_out(
    enforcer: Enforcer, node: Any
) -> None:
    turn(enforcer, (*KEY, GIB))
    node.set(*KEY, 7 * GIB)
    (outcome,) = turn(enforcer)
    assert outcome.status == "overwritten"
    assert "it holds 7 GiB, which memqos did not write: left as it is" in outcome.error
    assert node.get(*KEY) == 7 * GIB
    assert turn(enforcer) == []


def test_what_somebody_wrote_over_ours_becomes_the_original(enforcer: Enforcer, node: Any) -> None:
    turn(enforcer, (*KEY, GIB))
    node.set(*KEY, 7 * GIB)
    turn(enforcer, (*KEY, GIB))
    turn(enforcer)
    assert node.get(*KEY) == 7 * GIB


def test_a_reborn_cgroup_gets_nothing_back_and_its_original_is_dropped(enforcer: Enforcer, node: Any) -> None:
    turn(enforcer, (*KEY, GIB))
    node.add("a")
    assert turn(enforcer) == []
    assert turn(enforcer) == []
    assert node.get(*KEY) == UNLIMITED
    assert len(enforcer.originals) == 0


def test_a_device_that_had_no_io_limit_gets_none_back(enforcer: Enforcer, node: Any) -> None:
    node.set("a", "io.max", {"8:0": IoMax(rbps=MIB)})
    limits = {"8:16": IoMax(wbps=MIB)}
    (outcome,) = turn(enforcer, ("a", "io.max", limits))
    assert outcome.status == "written"
    (outcome,) = turn(enforcer)
    assert outcome.write.value == {"8:16": IoMax()}  # the other one memqos never wrote


def as_a_kernel_does(node: Any) -> None:
    """Have a write to io.max change the devices it names, and no other."""
    apply = node.apply

    def merge(write: Write) -> Value | None:
        if isinstance(write.value, dict):
            write = structs.replace(write, value={**node.get(write.cgroup, write.knob), **write.value})
        return apply(write)  # type: ignore[no-any-return]

    node.apply = merge


OURS, MORE, THEIRS, NONE = IoMax(wbps=MIB), IoMax(wbps=2 * MIB), IoMax(rbps=7 * MIB), IoMax()


def test_a_limit_that_somebody_sets_on_another_disk_meanwhile_stays(enforcer: Enforcer, node: Any) -> None:
    as_a_kernel_does(node)
    node.set("a", "io.max", {})
    turn(enforcer, ("a", "io.max", {"8:16": OURS}))
    node.set("a", "io.max", {"8:16": OURS, "8:0": THEIRS})
    turn(enforcer, ("a", "io.max", {"8:16": OURS}))
    turn(enforcer)
    assert node.get("a", "io.max") == {"8:16": NONE, "8:0": THEIRS}
    assert turn(enforcer) == []


def test_our_limit_is_never_taken_for_somebody_elses_beside_theirs(enforcer: Enforcer, node: Any) -> None:
    as_a_kernel_does(node)
    node.set("a", "io.max", {})
    turn(enforcer, ("a", "io.max", {"8:16": OURS}))
    node.set("a", "io.max", {"8:16": OURS, "8:0": THEIRS})
    turn(enforcer, ("a", "io.max", {"8:16": MORE, "8:0": THEIRS}))
    turn(enforcer)
    assert node.get("a", "io.max") == {"8:16": NONE, "8:0": THEIRS}


def test_a_limit_on_one_disk_that_somebody_wrote_over_is_left_and_the_other_goes_back(
    enforcer: Enforcer, node: Any
) -> None:
    as_a_kernel_does(node)
    node.set("a", "io.max", {"8:0": OURS})
    turn(enforcer, ("a", "io.max", {"8:0": MORE, "8:16": MORE}))
    node.set("a", "io.max", {"8:0": MORE, "8:16": THEIRS})
    (outcome,) = turn(enforcer)
    assert node.get("a", "io.max") == {"8:0": OURS, "8:16": THEIRS}
    assert outcome.status == "written"
    assert turn(enforcer) == []


def test_a_disk_that_dropped_out_of_a_plan_goes_back_with_the_last(enforcer: Enforcer, node: Any) -> None:
    as_a_kernel_does(node)
    node.set("a", "io.max", {})
    for devices in (("8:0",), ("8:16",), ("8:32",)):
        turn(enforcer, ("a", "io.max", dict.fromkeys(devices, OURS)))
    turn(enforcer)
    assert set(node.get("a", "io.max").values()) == {NONE}


def test_a_disk_that_nobody_shared_by_weight_is_not_afterwards(enforcer: Enforcer, node: Any) -> None:
    theirs = {"8:0": "enable=1 ctrl=user rlat=5000"}
    node.set("a", "io.cost.qos", theirs)
    ours = theirs | {"8:16": "enable=1 ctrl=user rlat=10000"}
    assert statuses(turn(enforcer, ("a", "io.cost.qos", ours))) == ["written"]
    assert statuses(turn(enforcer, ("a", "io.cost.qos", ours))) == ["kept"]
    (outcome,) = turn(enforcer)
    assert outcome.write.value == theirs | {"8:16": ""}


def test_without_room_for_the_original_there_is_no_write(
    enforcer: Enforcer, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    found = turn(enforcer, (*KEY, GIB), ("a", "memory.reclaim", Reclaim(MIB)))
    assert sorted(statuses(found)) == ["begun", "failed"]
    assert node.get(*KEY) == UNLIMITED
    assert "No space left on device" in enforcer.notes[0]
    monkeypatch.undo()
    assert statuses(turn(enforcer, (*KEY, GIB))) == ["written"]


def test_a_full_state_directory_is_told_once_and_the_knob_is_written_when_there_is_room(
    enforcer: Enforcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:

        def refuse(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(os, "write", refuse)
        turns = [turn(enforcer, (*KEY, GIB)) for _ in range(3)]
        assert "No space left on device: nothing new is written; make room there" in enforcer.notes[0]
    assert [statuses(each) for each in turns] == [["failed"], ["waiting"], ["waiting"]]
    assert statuses(turn(enforcer, (*KEY, GIB))) == ["written"]
