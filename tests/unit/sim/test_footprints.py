"""Which pages of its own an interpreter needs, and when."""

from __future__ import annotations

import pytest

from memqos.sim import own
from memqos.sim.footprints import DRAWS, DRAWS_TO_WRITE, READS, WORKING, WRITES, places, sort_of
from memqos.sim.own import Own
from memqos.workload.spec import Order, Phase, ReadFile, Requests, Sleep, Touch, WriteFile


def test_a_list_of_places_has_single_ones_and_runs() -> None:
    assert places("7 9-10 13") == (7, 9, 10, 13)
    assert places("") == ()


@pytest.mark.parametrize(
    ("phase", "sort"),
    [
        (Touch("heap"), READS),
        (Touch("heap", write=True), WRITES),
        (Touch("heap", order=Order("uniform")), DRAWS),
        (Requests("heap", 4, 10, write=True), DRAWS_TO_WRITE),
        (ReadFile("/data/a"), READS),
        (ReadFile("/data/a", order=Order("zipf", 0.9)), DRAWS),
        (WriteFile("/data/a", 4096), WRITES),
        (Sleep(1), READS),
    ],
)
def test_a_phase_is_of_one_sort_of_loop(phase: Phase, sort: int) -> None:
    assert sort_of(phase) == sort


@pytest.mark.parametrize("mine", [own.PYTHON, own.WORKLOAD, own.SLEEP, own.plain("cat", 128 << 10)])
def test_every_page_is_made_once_in_one_mapping(mine: Own) -> None:
    made = mine.footprint.made(mine.pages)
    assert sorted(made) == list(range(mine.pages))
    assert sum(mine.footprint.mappings(mine.pages)) == mine.pages
    assert min(mine.footprint.mappings(mine.pages)) > 0


def test_objects_and_heap_grow_at_the_same_time() -> None:
    made = WORKING.made(3198)
    heap = sum(WORKING.fixed) + sum(WORKING.arenas)
    half = made[: len(made) // 2]
    assert made[: sum(WORKING.fixed)] == tuple(range(sum(WORKING.fixed)))
    assert 0.4 < sum(page >= heap for page in half) / (3198 - heap) < 0.5


@pytest.mark.parametrize("mine", [own.PYTHON, own.WORKLOAD])
def test_what_is_needed_is_there_and_named_once(mine: Own) -> None:
    footprint = mine.footprint
    begun = [begin + first for begin, first in zip(footprint.begin, footprint.first, strict=True)]
    for needed in (*(footprint.always + loop for loop in footprint.loops), footprint.between, footprint.said):
        assert len(set(needed)) == len(needed)
    for needed in (footprint.always, *footprint.loops, footprint.between, *begun, footprint.holding):
        assert all(0 <= page < mine.pages for page in needed)
