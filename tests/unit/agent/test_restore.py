import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memqos.agent.enforce import Enforcer
from memqos.agent.originals import Originals
from memqos.agent.restore import restore
from memqos.errors import Refused
from memqos.model.plan import Plan, Write
from memqos.units import GIB, MIB

KEY = ("a", "memory.max")


class Killed(BaseException):
    """The process ends here, and nothing after it runs."""


def write(cgroup: str, knob: str, value: int) -> Write:
    return Write(cgroup, knob, value, "why", "test")


def enforce(node: Any, directory: Path, *writes: Write) -> None:
    Enforcer(node, Originals(directory, "boot")).enforce(Plan(writes), node.observe())


def test_every_knob_goes_back_to_what_it_held(node: Any, tmp_path: Path) -> None:
    before = dict(node.cgroups)
    enforce(node, tmp_path, write(*KEY, GIB), write("a/b", "memory.low", MIB))
    outcomes = restore(node, Originals(tmp_path, "boot"))
    assert [outcome.status for outcome in outcomes] == ["written", "written"]
    assert node.cgroups == before
    assert restore(node, Originals(tmp_path, "boot")) == ()


def test_limits_rise_from_the_parent_down(node: Any, tmp_path: Path) -> None:
    enforce(node, tmp_path, write("a", "memory.max", GIB), write("a/b", "memory.max", GIB))
    node.log.clear()
    restore(node, Originals(tmp_path, "boot"))
    assert [cgroup for cgroup, _, _ in node.log] == ["a", "a/b"]


def test_a_reborn_cgroup_and_a_gone_one_are_told_and_left(node: Any, tmp_path: Path) -> None:
    enforce(node, tmp_path, write(*KEY, GIB), write("a/b/c", "memory.max", GIB))
    node.add("a", memory_max=GIB)
    del node.cgroups["a/b/c"]
    outcomes = restore(node, Originals(tmp_path, "boot"))
    assert [outcome.status for outcome in outcomes] == ["gone", "gone"]
    assert node.get(*KEY) == GIB
    assert len(Originals(tmp_path, "boot")) == 0


def test_somebody_elses_newer_value_is_left_and_told(node: Any, tmp_path: Path) -> None:
    enforce(node, tmp_path, write(*KEY, GIB))
    node.set(*KEY, 5 * GIB)
    (outcome,) = restore(node, Originals(tmp_path, "boot"))
    assert (outcome.status, outcome.after) == ("overwritten", 5 * GIB)
    assert "left as it is" in outcome.error


def test_what_cannot_be_restored_is_kept_for_the_next_try(node: Any, tmp_path: Path) -> None:
    enforce(node, tmp_path, write(*KEY, GIB))
    node.refuse[KEY] = Refused("EACCES")
    assert [outcome.status for outcome in restore(node, Originals(tmp_path, "boot"))] == ["failed"]
    node.refuse.clear()
    assert [outcome.status for outcome in restore(node, Originals(tmp_path, "boot"))] == ["written"]


def test_a_dry_run_only_says_what_it_would_do(node: Any, tmp_path: Path) -> None:
    enforce(node, tmp_path, write(*KEY, GIB))
    assert [outcome.status for outcome in restore(node, Originals(tmp_path, "boot"), dry_run=True)] == [
        "dry-run"
    ]
    assert node.get(*KEY) == GIB
    assert len(Originals(tmp_path, "boot")) == 1


def test_another_boots_originals_are_nobodys(node: Any, tmp_path: Path) -> None:
    enforce(node, tmp_path, write(*KEY, GIB))
    assert restore(node, Originals(tmp_path, "next boot")) == ()


STEPS = ("open", "write", "ftruncate", "close")


def dying(monkeypatch: pytest.MonkeyPatch, node: Any, last: int) -> Callable[[], int]:
    """Kill the process at its `last`-th step: a call to the system, or either side of a knob's write."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps >= last:
            raise Killed

    for name in STEPS:
        real = getattr(os, name)

        def wrapped(*args: Any, real: Any = real, name: str = name, **kwargs: Any) -> Any:
            if name == "write" and steps + 1 == last:
                real(args[0], args[1][: len(args[1]) // 2])
            step()
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, wrapped)
    replace = Path.replace

    def renamed(self: Path, target: Path) -> Path:
        step()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", renamed)
    apply = type(node).apply

    def applied(write: Write) -> Any:
        step()
        result = apply(node, write)
        step()
        return result

    node.apply = applied
    return lambda: steps


def session(node: Any, directory: Path) -> None:
    """Three turns that write, change and give back, then a clean end."""
    enforcer = Enforcer(node, Originals(directory, "boot"))
    limits = [
        write("a", "memory.max", 4 * GIB),
        write("a/b", "memory.max", GIB),
        write("a/b", "memory.low", MIB),
    ]
    enforcer.enforce(Plan(tuple(limits)), node.observe())
    enforcer.enforce(Plan((write("a", "memory.max", 2 * GIB), limits[1])), node.observe())
    enforcer.enforce(Plan((limits[2],)), node.observe())
    restore(node, enforcer.originals)


def two_writes_brought_back(node: Any, directory: Path) -> None:
    enforce(node, directory, write("a", "memory.max", GIB), write("a/b", "memory.max", GIB))
    restore(node, Originals(directory, "boot"))


def steps_of(work: Callable[[Any, Path], None], node: Any, directory: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        count = dying(patch, node, 10**6)
        work(node, directory)
        return count()


def test_killed_at_any_step_a_restore_brings_everything_back(node: Any, tmp_path: Path) -> None:
    before = dict(node.cgroups)
    total = steps_of(session, node, tmp_path / "whole")
    assert total > 30
    for last in range(1, total + 1):
        directory = tmp_path / str(last)
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, node, last)
            with pytest.raises(Killed):
                session(node, directory)
        del node.apply
        restore(node, Originals(directory, "boot"))
        assert node.cgroups == before, last


def test_killed_at_any_step_a_second_agent_carries_on_and_ends_clean(node: Any, tmp_path: Path) -> None:
    before = dict(node.cgroups)
    total = steps_of(session, node, tmp_path / "whole")
    for last in range(1, total + 1):
        directory = tmp_path / str(last)
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, node, last)
            with pytest.raises(Killed):
                session(node, directory)
        del node.apply
        session(node, directory)
        assert node.cgroups == before, last


def test_killed_at_any_step_of_a_restore_the_next_ends_it(node: Any, tmp_path: Path) -> None:
    before = dict(node.cgroups)
    total = steps_of(two_writes_brought_back, node, tmp_path / "whole")
    for last in range(1, total + 1):
        directory = tmp_path / str(last)
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, node, last)
            with pytest.raises(Killed):
                two_writes_brought_back(node, directory)
        del node.apply
        restore(node, Originals(directory, "boot"))
        assert node.cgroups == before, last
