import pytest

from memqos.agent.original import Intent, Original, brings_back, holds, write_back, written_over
from memqos.model.plan import Reclaim, Value
from memqos.model.snapshot import IoMax
from memqos.units import MIB

HIGH = ("kubepods/a", 7, "memory.high")
IO = ("kubepods/a", 7, "io.max")


def intent(before: Value, value: Value, key: tuple[str, int, str] = HIGH) -> Intent:
    return Intent(*key, before, value)


def test_the_first_write_makes_what_the_knob_held_the_original() -> None:
    assert written_over(None, intent(4 * MIB, MIB)) == Original(*HIGH, 4 * MIB, (MIB,))


def test_a_value_written_again_is_nothing_new() -> None:
    known = Original(*HIGH, 4 * MIB, (MIB,))
    assert written_over(known, intent(MIB, MIB)) is None


def test_until_the_write_is_done_the_knob_may_hold_the_old_value_of_ours_or_the_new_one() -> None:
    known = Original(*HIGH, 4 * MIB, (MIB,))
    assert written_over(known, intent(MIB, 2 * MIB)) == Original(*HIGH, 4 * MIB, (MIB, 2 * MIB))


def test_what_somebody_else_wrote_meanwhile_is_the_new_original() -> None:
    known = Original(*HIGH, 4 * MIB, (MIB,))
    assert written_over(known, intent(3 * MIB, 2 * MIB)) == Original(*HIGH, 3 * MIB, (2 * MIB,))


def test_an_order_is_no_value_to_remember() -> None:
    with pytest.raises(TypeError, match="is an order"):
        written_over(None, intent(0, Reclaim(MIB)))


def test_only_what_holds_ours_or_the_original_is_brought_back() -> None:
    known = Original(*HIGH, 4 * MIB, (MIB, 2 * MIB))
    assert [brings_back(known, found) for found in (MIB, 2 * MIB, 4 * MIB, None)] == 4 * [4 * MIB]
    assert brings_back(known, 3 * MIB) is None


def test_of_a_knob_of_several_devices_each_is_brought_back_for_itself() -> None:
    known = Original(*IO, {}, ({"8:0": IoMax(rbps=1), "8:16": IoMax(rbps=1)},))
    # what is somebody else's goes with it: the file is written as a whole
    theirs = {"8:16": IoMax(rbps=9)}
    assert brings_back(known, {"8:0": IoMax(rbps=1), **theirs}) == {"8:0": IoMax(), **theirs}


def test_a_device_that_a_knob_leaves_out_is_unset() -> None:
    assert holds({}, {"8:0": IoMax()})
    assert not holds({}, {"8:0": IoMax(rbps=1)})


def test_what_is_brought_back_is_meant_for_the_cgroup_it_was_taken_from() -> None:
    write = write_back(Original(*HIGH, 4 * MIB, (MIB,)), 4 * MIB, "because")
    assert (write.cgroup, write.inode, write.knob, write.value) == (*HIGH, 4 * MIB)
