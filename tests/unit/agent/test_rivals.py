"""Somebody else writes the same knobs, memqos dies and comes back: in the end all is as others left it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memqos.agent.enforce import Enforcer
from memqos.agent.originals import Originals
from memqos.agent.restore import restore
from memqos.model.plan import Plan, Write
from memqos.model.snapshot import IoMax
from memqos.units import MIB

KNOBS = ("memory.max", "memory.low", "memory.high")
DEVICES = ("8:0", "8:16")
NONE = IoMax()

# theirs are odd, ours are even: else nobody could tell whose a value is
theirs = st.integers(1, 50).map(lambda size: 2 * size + 1)
ours = st.integers(1, 50).map(lambda size: 2 * size)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("they write"), st.sampled_from(KNOBS), theirs),
        st.tuples(st.just("they limit"), st.sampled_from(DEVICES), st.none() | theirs),
        st.tuples(st.just("we want"), st.sampled_from(KNOBS), st.none() | ours),
        st.tuples(st.just("we limit"), st.sampled_from(DEVICES), st.none() | ours),
        st.tuples(st.just("we die"), st.just(""), st.none()),
    ),
    max_size=25,
)


def limits(devices: Mapping[str, int | None]) -> dict[str, IoMax]:
    return {device: IoMax(rbps=MIB * rate) for device, rate in devices.items() if rate is not None}


@given(steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_in_the_end_every_knob_and_device_holds_what_somebody_else_gave_it_last(
    node: Any, story: list[tuple[str, str, int | None]]
) -> None:
    node.add("a", io_max={})
    apply = type(node).apply

    def applied(write: Write) -> Any:
        if write.knob == "io.max":  # the kernel does not show a device without limits
            assert isinstance(write.value, Mapping)
            value = {device: limit for device, limit in write.value.items() if limit != NONE}
            write = Write(write.cgroup, write.knob, value, write.why, write.policy, write.inode)
        return apply(node, write)

    node.apply = applied
    last = {knob: node.get("a", knob) for knob in KNOBS}
    set_by_others: dict[str, int | None] = {}
    wanted: dict[str, int | None] = {}
    held: dict[str, int | None] = {}
    with tempfile.TemporaryDirectory() as directory:
        enforcer = Enforcer(node, Originals(Path(directory), "boot"))
        for who, what, value in story:
            if who == "they write" and value is not None:
                last[what] = value * MIB
                node.set("a", what, value * MIB)
            elif who == "they limit":
                set_by_others[what] = value
                kept = {device: limit for device, limit in node.get("a", "io.max").items() if device != what}
                node.set("a", "io.max", {**kept, **limits({what: value})})
            elif who == "we want":
                wanted[what] = value
            elif who == "we limit":
                held[what] = value
            else:
                enforcer = Enforcer(node, Originals(Path(directory), "boot"))
            writes = [
                Write("a", knob, size * MIB, "why", "test")
                for knob, size in wanted.items()
                if size is not None
            ]
            if mine := limits(held):  # a policy starts from what is there
                writes.append(Write("a", "io.max", {**node.get("a", "io.max"), **mine}, "why", "test"))
            enforcer.enforce(Plan(tuple(writes)), node.observe())
        restore(node, Originals(Path(directory), "boot"))
    del node.apply
    assert {knob: node.get("a", knob) for knob in KNOBS} == last
    assert node.get("a", "io.max") == limits(set_by_others)


def test_what_others_limited_on_another_disk_stays_when_ours_is_given_back(node: Any, tmp_path: Path) -> None:
    node.add("a", io_max={})
    enforcer = Enforcer(node, Originals(tmp_path, "boot"))
    mine = Write("a", "io.max", {"8:0": IoMax(rbps=MIB)}, "why", "test")
    enforcer.enforce(Plan((mine,)), node.observe())
    node.set("a", "io.max", {"8:0": IoMax(rbps=MIB), "8:16": IoMax(wbps=3 * MIB)})
    (outcome,) = enforcer.enforce(Plan(), node.observe())
    assert outcome.write.value == {"8:0": NONE, "8:16": IoMax(wbps=3 * MIB)}


def test_a_queue_is_written_disk_by_disk_so_others_are_left_out(node: Any, tmp_path: Path) -> None:
    first, second = "scheduler=none", "scheduler=bfq"
    node.add("", io_queue={"8:0": first, "8:16": second})
    enforcer = Enforcer(node, Originals(tmp_path, "boot"))
    ours = Write("", "io.queue", {"8:0": "scheduler=mq-deadline"}, "why", "test")
    enforcer.enforce(Plan((ours,)), node.observe())
    node.set("", "io.queue", {"8:0": "scheduler=mq-deadline", "8:16": second})
    (outcome,) = enforcer.enforce(Plan(), node.observe())
    assert outcome.write.value == {"8:0": first}
