from memqos.model.plan import Advice, Plan, Write
from memqos.model.snapshot import Cgroup, Counters, NodeFacts, Snapshot
from memqos.model.view import View
from memqos.policy.compose import field_of, foresee, overlay
from memqos.units import GIB, MIB


def write(value: int, policy: str = "swap", knob: str = "memory.swap.max", cgroup: str = "a") -> Write:
    return Write(cgroup, knob, value, f"{policy} says so", policy)


def view() -> View:
    facts = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({}))
    cgroups = {"a": Cgroup(path="a", inode=1, memory_swap_max=0, memory_oom_group=False)}
    return View(now=Snapshot(time_us=1, boot_id="b", node=facts, cgroups=cgroups))


def test_the_later_policy_stands_and_says_what_it_replaced() -> None:
    plan = overlay([Plan((write(0, "kubelet"),)), Plan((write(GIB),))])
    assert plan.writes == (Write("a", "memory.swap.max", GIB, "swap says so (kubelet wanted 0 B)", "swap"),)


def test_two_policies_that_agree_say_nothing_of_it() -> None:
    assert overlay([Plan((write(0, "kubelet"),)), Plan((write(0),))]).writes == (write(0),)


def test_other_knobs_and_all_advice_are_kept() -> None:
    plan = overlay(
        [Plan((write(1),), (Advice("a", "x"),)), Plan((write(2, cgroup="b"),), (Advice("b", "y"),))]
    )
    assert len(plan.writes) == len(plan.advice) == 2


def test_a_later_policy_sees_what_the_earlier_will_have_done() -> None:
    seen = foresee(view(), Plan((write(MIB), Write("a", "memory.oom.group", True, ""))))
    assert seen.now.cgroups["a"].memory_swap_max == MIB
    assert seen.now.cgroups["a"].memory_oom_group is True


def test_a_knob_that_is_not_there_does_not_appear() -> None:
    before = view()
    plan = Plan((write(1, knob="memory.high"), write(1, cgroup="gone"), write(1, knob="memory.reclaim")))
    assert foresee(before, plan) is before


def test_a_knob_is_seen_in_the_field_of_its_name() -> None:
    assert field_of("memory.swap.max") == "memory_swap_max"
    assert field_of("memory.reclaim") is None
