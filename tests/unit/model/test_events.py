from memqos.model.events import oom_kills
from memqos.model.snapshot import Counters


def test_a_container_killed_as_a_group_is_one_kill_though_its_process_counts_twice():
    assert oom_kills(Counters.of({"oom": 1, "oom_kill": 2, "oom_group_kill": 1})) == 1


def test_processes_killed_one_by_one_are_counted_one_by_one():
    assert oom_kills(Counters.of({"oom": 3, "oom_kill": 3, "oom_group_kill": 0})) == 3


def test_a_kernel_that_does_not_count_groups_counts_processes():
    assert oom_kills(Counters.of({"oom": 1, "oom_kill": 2})) == 2
