from itertools import islice

from memqos.workload.spec import Allocate, Hold, Repeat, Sleep, Workload
from memqos.workload.steps import steps, takes_time


def test_repeats_are_written_out_and_every_phase_is_numbered() -> None:
    inner = Repeat((Sleep(1), Repeat((Sleep(2),), 2)), 2)
    found = [(step.number, step.place) for step in steps(Workload((Sleep(3), inner, Hold())))]
    group = "phases[1].repeat.phases"
    assert found == [
        (0, "phases[0]"),
        (1, f"{group}[0]"),
        (2, f"{group}[1].repeat.phases[0]"),
        (3, f"{group}[1].repeat.phases[0]"),
        (4, f"{group}[0]"),
        (5, f"{group}[1].repeat.phases[0]"),
        (6, f"{group}[1].repeat.phases[0]"),
        (7, "phases[2]"),
    ]


def test_an_endless_repeat_never_ends() -> None:
    endless = Workload((Repeat((Sleep(1),)), Hold()))
    assert [step.number for step in islice(steps(endless), 1000)] == list(range(1000))


def test_mapping_alone_takes_no_time() -> None:
    assert not takes_time((Allocate("a", 4096), Repeat((Allocate("b", 4096),), 9)))
    assert takes_time((Allocate("a", 4096), Repeat((Sleep(1),), 9)))
