"""How often one source is listened to."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from memqos.hearing import CALM_S, Hearing

SOURCE = ("pod", "memory.pressure")


def heard(times: list[float]) -> list[float]:
    hearing = Hearing()
    return [now for now in times if hearing.hears(SOURCE, now)]


def test_a_source_that_goes_on_is_heard_less_and_less_down_to_once_a_second() -> None:
    times = [step / 4 for step in range(40)]
    found = heard(times)
    assert found[:4] == [0.0, 0.25, 0.75, 1.75]
    assert all(b - a == 1.0 for a, b in pairwise(found[3:]))


def test_after_a_calm_time_the_next_signal_is_heard_at_once() -> None:
    times = [step / 10 for step in range(50)]
    again = times[-1] + 1.0 + CALM_S + 0.1
    assert heard([*times, again, again + 0.25])[-2:] == [again, again + 0.25]


def test_one_source_does_not_silence_another() -> None:
    hearing = Hearing()
    assert hearing.hears(SOURCE, 0.0)
    assert hearing.hears(("pod", "memory.events"), 0.0)
    assert hearing.hears(("other", "memory.pressure"), 0.0)


def test_a_cgroup_born_again_is_heard_at_once() -> None:
    hearing = Hearing()
    hearing.hears(SOURCE, 0.0)
    hearing.forget("pod")
    assert hearing.hears(SOURCE, 0.1)


@given(st.lists(st.floats(0, 60, allow_nan=False)).map(sorted))
def test_no_source_is_heard_more_than_five_times_a_second(times: list[float]) -> None:
    found = heard(times)
    assert all(b - a >= 0.19 for a, b in pairwise(found))
