"""The manager's experiments on the simulated kernel: the goals that memqos meets there, and what rivals do.

Virtual time, so that no machine's speed enters. docs/experiments.md has the real kernels, misses included.
"""

from functools import cache

import pytest

from memqos.lab.catalogue import find_experiments
from memqos.lab.results import evaluate_variant
from memqos.lab.simulated import record
from memqos.lab.variant import play

Measures = dict[str, float | None]


@cache
def measured(
    name: str, variant: str, kernel: str = "6.12", *, guest: bool = False, seed: int = 1
) -> Measures:
    (experiment,) = find_experiments([name])
    recording = record(experiment, play(experiment, variant), kernel, guest=guest, seed=seed)
    return {each.name: each.value for each in evaluate_variant(experiment, recording).measures}


def number(name: str, variant: str, measure: str, kernel: str = "6.12") -> float:
    value = measured(name, variant, kernel)[measure]
    assert value is not None
    return value


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_a_stream_and_a_heap_beside_a_service_do_not_disturb_it_and_end_in_time(kernel: str):
    assert number("e6", "kubelet", "p99_ratio", kernel) > 1.5
    assert number("e6", "memqos", "p99_ratio", kernel) <= 1.10
    assert number("e6", "memqos", "stalled", kernel) <= 0.5
    the_batch_pod_ends_in_time(kernel)


def test_on_6_1_a_tenth_of_its_pages_are_lost_and_it_does_not_stall():
    assert number("e6", "memqos", "refaults", "6.1") < 0.1 * number("e6", "kubelet", "refaults", "6.1")
    assert number("e6", "memqos", "stalled", "6.1") < 0.1 * number("e6", "kubelet", "stalled", "6.1")
    the_batch_pod_ends_in_time("6.1")


def the_batch_pod_ends_in_time(kernel: str) -> None:
    found = measured("e6", "memqos", kernel)
    assert (found["batch_done"], found["batch_exit"], found["evictions"]) == (1, 0, 0)
    kubelet, memqos = (number("e6", each, "batch_seconds", kernel) for each in ("kubelet", "memqos"))
    assert kubelet >= 0.7 * memqos


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_a_swap_storm_on_a_slow_shared_disk_is_limited_without_a_kill(kernel: str):
    found = measured("e7", "memqos", kernel)
    assert (found["oom_kills"], found["evictions"]) == (0, 0)
    waits = found["waits_p90_ratio"]
    under_kubelet = measured("e7", "kubelet", kernel)["waits_p90_ratio"]
    assert waits is not None
    assert under_kubelet is not None
    assert waits < under_kubelet / 3


def test_swap_that_users_chose_carries_every_peak_and_the_kubelets_rule_none():
    # as slow as a guest: a fast processor fills all swap it may have, ahead of so slow a disk, and is killed;
    # simulated on 6.12 one in four is killed so, which depends on every microsecond that a page may take
    survived = [measured("e9", each, "7.2", guest=True)["survived"] for each in ("kubelet", "memqos")]
    assert survived == [0, 3]


@pytest.mark.parametrize("rate", ["medium", "fast", "faster"])
def test_the_right_one_goes_before_the_kernel_chooses_at_every_rate(rate: str):
    assert measured("e10", f"memqos_{rate}")["right"] == 1


def test_a_kubelet_that_looks_every_ten_seconds_is_late_at_each_of_them():
    rates = [measured("e10", f"kubelet_{rate}")["right"] for rate in ("slow", "medium", "fast")]
    assert rates == [0, 0, 0]


def test_fifty_small_ones_do_not_stop_the_protected_timer():
    # a real node's kubelet leaves it waiting for 13 s (docs/experiments.md), of which 0.2 to 0.5 s are not
    # its emulated processor's; here, as slow as a guest, it is less: who reads ahead from swap inside
    # reclaim frees far more than it must, and the node is short for less long. How long is chance
    # (0.04 to 0.15 s), so several seeds count
    late = dict.fromkeys(("kubelet", "memqos"), 0.0)
    for name in late:
        for seed in (1, 2, 3):
            found = measured("e11", name, guest=True, seed=seed)
            assert found["gap"] is not None
            assert found["alone_gap"] is not None
            late[name] += found["gap"] - found["alone_gap"]
    assert late["kubelet"] > 0.15
    assert late["memqos"] < late["kubelet"] / 10
    assert measured("e11", "memqos", guest=True)["oom_kills"] == 0


@pytest.mark.parametrize("manager", ["kubelet", "oomd", "memqos"])
def test_nobody_ends_a_writer_that_has_memory_enough(manager: str):
    found = measured("e12", manager)
    assert (found["evictions"], found["oom_kills"], found["exit"]) == (0, 0, 0)


def test_dd_of_four_times_its_limit_ends_in_the_same_time():
    assert measured("e13", "memqos")["exit"] == 0
    assert number("e13", "memqos", "seconds") <= 1.25 * number("e13", "kubelet", "seconds")


def test_three_times_as_many_idle_pods_are_served_as_without_swap():
    assert number("e14", "memqos", "served") >= 3 * number("e14", "kubelet", "served")
    assert measured("e14", "memqos")["failures"] == 0


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_half_of_an_idle_heap_is_taken_back_at_three_percent_and_beats_senpais_law(kernel: str):
    assert number("e8", "memqos", "saved_share", kernel) >= 50
    assert number("e8", "memqos", "run", kernel) <= 1.03 * number("e8", "kubelet", "run", kernel)
    assert number("e8", "memqos", "stalled", kernel) <= 3
    # senpai's law stays at the frontier's start: hardly anything saved for hardly any stall; of what memqos
    # saves it saved a 24th, 29th and 32nd part in guests of 6.1, 6.12 and 7.2
    saved = {name: measured("e8", name, kernel, guest=True)["saved"] or 0.0 for name in ("memqos", "senpai")}
    assert saved["memqos"] > 10 * saved["senpai"] > 0
