from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.model.pods import Container, Pod
from memqos.runner.lifecycle import Run, next_due, over, phase, runs_of, to_start, to_terminate
from memqos.runner.status import Termination

SECOND = 10**6


def pod_with(**fields: Any) -> Pod:
    return Pod(
        **{"namespace": "default", "name": "p", "uid": "u", "containers": (Container("app"),)} | fields
    )


def names(runs: list[Run]) -> list[str]:
    return [run.container.name for run in runs]


def end(run: Run, code: int = 0, *, at: int = 0, ran: int = 0, for_good: bool = False) -> None:
    reason = "Error" if code else "Completed"
    run.ended(Termination(code, reason, at - ran, at), for_good=for_good)


def test_init_containers_run_one_after_another_before_the_containers() -> None:
    runs = runs_of(pod_with(init_containers=(Container("one"), Container("two"))))
    order = []
    while not over(runs) and (starting := to_start(runs, 0)):
        order.append(names(starting))
        for run in starting:
            run.started(0)
            end(run, for_good=run.kind == "container")
    assert order == [["one"], ["two"], ["app"]]


def test_a_sidecar_only_has_to_be_up_before_the_next_starts() -> None:
    sidecar = Container("side", restart_policy="Always")
    runs = runs_of(pod_with(init_containers=(sidecar, Container("setup"))))
    assert names(to_start(runs, 0)) == ["side"]
    runs[0].started(0)
    assert names(to_start(runs, 0)) == ["setup"]


def test_a_sidecar_that_could_not_be_started_holds_the_rest_back() -> None:
    runs = runs_of(pod_with(init_containers=(Container("side", restart_policy="Always"),)))
    end(runs[0], 127)
    assert names(to_start(runs, 0)) == ["side"]
    assert phase(runs) == "Pending"


def test_a_sidecar_that_fell_holds_nothing_back_and_is_started_again() -> None:
    runs = runs_of(pod_with(init_containers=(Container("side", restart_policy="Always"), Container("setup"))))
    runs[0].started(0)
    end(runs[0], 1)
    assert sorted(names(to_start(runs, 0))) == ["setup", "side"]


def test_a_failed_init_container_is_started_again_and_fails_the_pod_only_under_never() -> None:
    for policy, expected in (("Always", "Pending"), ("OnFailure", "Pending"), ("Never", "Failed")):
        runs = runs_of(pod_with(init_containers=(Container("setup"),), restart_policy=policy))
        runs[0].started(0)
        end(runs[0], 1)
        assert phase(runs) == expected
        assert names(to_start(runs, 0)) == ([] if policy == "Never" else ["setup"])


@pytest.mark.parametrize(
    ("policy", "code", "again", "ends_as"),
    [
        ("Always", 0, True, "Running"),
        ("Always", 1, True, "Running"),
        ("OnFailure", 0, False, "Succeeded"),
        ("OnFailure", 1, True, "Running"),
        ("Never", 0, False, "Succeeded"),
        ("Never", 137, False, "Failed"),
    ],
)
def test_restart_policy_decides_by_the_exit_code(policy: str, code: int, again: bool, ends_as: str) -> None:
    runs = runs_of(pod_with(restart_policy=policy))
    runs[0].started(0)
    end(runs[0], code)
    assert bool(to_start(runs, 0)) is again
    assert phase(runs) == ends_as


def test_a_containers_own_restart_policy_goes_before_the_pods() -> None:
    runs = runs_of(pod_with(containers=(Container("app", restart_policy="Never"),)))
    runs[0].started(0)
    end(runs[0], 1)
    assert phase(runs) == "Failed"


def test_the_first_restart_is_at_once_and_each_later_one_waits_twice_as_long() -> None:
    (run,) = runs_of(pod_with())
    waits = []
    for _ in range(9):
        run.started(0)
        end(run, 1)
        waits.append(run.due_us // SECOND)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_back_off_starts_over_after_ten_minutes_without_a_crash() -> None:
    (run,) = runs_of(pod_with())
    for ran in (0, 0, 0, 600 * SECOND):
        run.started(0)
        end(run, 1, at=ran, ran=ran)
    assert run.due_us == run.last.finished_us if run.last else False


def test_a_waiting_container_says_crash_loop_back_off_and_when() -> None:
    (run,) = runs = runs_of(pod_with())
    for _ in range(2):
        run.started(0)
        end(run, 1)
    assert run.waiting_for(initialized=True) == "CrashLoopBackOff"
    assert next_due(runs) == 10 * SECOND
    assert to_start(runs, 10 * SECOND - 1) == []
    assert names(to_start(runs, 10 * SECOND)) == ["app"]


def test_sidecars_get_their_signal_after_the_containers_the_last_of_them_first() -> None:
    sidecars = tuple(Container(name, restart_policy="Always") for name in ("a", "b"))
    runs = runs_of(pod_with(init_containers=sidecars, restart_policy="Never"))
    for run in runs:
        run.started(0)
    order = []
    while turn := to_terminate(runs):
        order.append(names(turn))
        for run in turn:
            end(run, 143, for_good=True)
    assert order == [["app"], ["b"], ["a"]]


def test_a_pod_is_over_when_its_containers_are_though_its_sidecars_run() -> None:
    runs = runs_of(
        pod_with(init_containers=(Container("s", restart_policy="Always"),), restart_policy="Never")
    )
    for run in runs:
        run.started(0)
    end(runs[1])
    assert phase(runs) == "Succeeded"
    assert over(runs)


policies = st.sampled_from(["Always", "OnFailure", "Never"])


@given(
    policy=policies,
    inits=st.lists(st.sampled_from([None, "Always"]), max_size=3),
    apps=st.integers(1, 3),
    codes=st.lists(st.sampled_from([0, 1, 137, None]), max_size=40),
)
def test_whatever_ends_when_the_order_holds(
    policy: str, inits: list[str], apps: int, codes: list[int | None]
) -> None:
    pod = pod_with(
        init_containers=tuple(Container(f"i{n}", restart_policy=each) for n, each in enumerate(inits)),
        containers=tuple(Container(f"c{n}") for n in range(apps)),
        restart_policy=policy,
    )
    runs = runs_of(pod)
    now = 0
    for turn, code in enumerate(codes):
        for run in to_start(runs, now):
            assert not over(runs)
            before = runs[: runs.index(run)]
            if run.kind != "sidecar" or not run.was_up:
                assert all(other.was_up or other.kind == "container" for other in before)
                assert all(other.done for other in before if other.kind == "init")
            run.started(now)
        assert sum(run.state == "running" for run in runs if run.kind == "init") <= 1
        alive = [run for run in runs if run.state == "running"]
        if alive and code is not None:
            end(alive[turn % len(alive)], code, at=now)
        now = max([now, *(run.due_us for run in runs)])
        assert all(run.backoff_us <= 300 * SECOND for run in runs)
    if over(runs):
        assert to_start(runs, now + 10**12) == []
