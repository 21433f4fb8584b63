from dataclasses import dataclass
from typing import Any

import pytest

from memqos.model.plan import Plan, Reclaim, Stand, Write
from memqos.policy.manager import Manager
from memqos.policy.rung import Situation
from memqos.units import MIB

Scene = Any


@dataclass(frozen=True)
class Lower:
    """Holds a value and stands in one place."""

    name: str = "lower"

    def initial(self) -> int:
        return 0

    def decide(self, memory: int, situation: Situation) -> tuple[int, Plan]:
        writes = (
            Write("kubepods/hog", "memory.high", 100 * MIB, "held", self.name),
            Write("kubepods/hog", "memory.reclaim", Reclaim(MIB), "once", self.name),
        )
        stand = Stand(self.name, "default/hog", "spent", 5, "it did what it could")
        return memory + 1, Plan(writes, stands=(stand,))


@dataclass
class Upper:
    """Notes what it is shown, or fails."""

    seen: list[Situation]
    fails: bool = False
    name: str = "upper"

    def initial(self) -> None:
        return None

    def decide(self, memory: None, situation: Situation) -> tuple[None, Plan]:
        self.seen.append(situation)
        if self.fails:
            raise ZeroDivisionError("a bug")
        return None, Plan((Write("kubepods/hog", "memory.low", MIB, "mine", self.name),))


def test_a_rung_sees_where_the_lower_ones_stand_and_what_they_will_leave(busy: Scene) -> None:
    upper = Upper([])
    manager = Manager((Lower(), upper))
    _, plan = manager.decide(manager.initial(), busy.look())
    (situation,) = upper.seen
    stand = situation.stand("lower", "default/hog")
    assert stand is not None
    assert stand.step == "spent"
    assert situation.stand("lower", "default/shop") is None
    assert situation.view.now.cgroups["kubepods/hog"].memory_high == 100 * MIB
    assert len(plan.writes) == 3
    assert plan.stands == (stand,)


def test_a_rung_that_fails_keeps_what_it_held_and_the_others_go_on(busy: Scene) -> None:
    upper = Upper([])
    manager = Manager((Lower(), upper))
    memory, _ = manager.decide(manager.initial(), busy.look())
    upper.fails = True
    memory, plan = manager.decide(memory, busy.look())
    assert [write.knob for write in plan.writes] == ["memory.high", "memory.reclaim", "memory.low"]
    (advice,) = plan.advice
    assert "rung upper failed: ZeroDivisionError: a bug" in advice.problem
    assert memory.memories[0] == 2


def test_the_manager_remembers_who_suffers(busy: Scene) -> None:
    upper = Upper([])
    manager = Manager((upper,))
    memory, _ = manager.decide(manager.initial(), busy.look())
    busy.stall("shop", 0.5)
    manager.decide(memory, busy.look())
    assert [one.victim for one in upper.seen[-1].pressing("memory")] == ["default/shop"]


@pytest.mark.parametrize(("seconds", "boot"), [(-30.0, "boot"), (1.0, "another")])
def test_a_clock_that_went_back_or_another_boot_begins_everything_anew(
    busy: Scene, seconds: float, boot: str
) -> None:
    upper = Upper([])
    manager = Manager((Lower(), upper))
    memory, _ = manager.decide(manager.initial(), busy.look(60.0))
    busy.stall("shop", 0.9)
    memory, _ = manager.decide(memory, busy.look())
    assert memory.memories[0] == 2
    assert memory.troubles.of
    busy.boot_id = boot
    memory, plan = manager.decide(memory, busy.look(seconds))
    assert memory.memories[0] == 1
    assert not memory.troubles.of
    assert len(memory.history.moments) == 1
    assert len(plan.writes) == 3
