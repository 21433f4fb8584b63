import pytest

from memqos.lab.compare import compare
from memqos.lab.experiment import Experiment
from memqos.lab.recording import Look, PodLook, Recording
from memqos.lab.row import Row
from memqos.model.snapshot import Cgroup, Counters, IoStat, NodeFacts, Snapshot
from memqos.report.fidelity import page, rows_table, summary_table
from memqos.units import MIB

POD = "kubepods/podu"
EXPERIMENT = Experiment(
    kind="Experiment", api_version="memqos.dev/v1alpha1", name="x", title="t", study="s", pods=[], timeline=[]
)


def look(seconds: float, *, pgsteal: int = 0, swapped: int = 0, kills: int = 0, in_all: int = 0) -> Look:
    cgroup = Cgroup(
        path=POD,
        inode=1,
        memory_stat=Counters.of({"pgsteal": pgsteal}),
        io_stat={"254:16": IoStat(wbytes=swapped)},
    )
    facts = NodeFacts(meminfo=Counters.of({}), vmstat=Counters.of({"oom_kill": in_all}))
    snapshot = Snapshot(time_us=0, boot_id="b", node=facts, cgroups={POD: cgroup})
    return Look(seconds, snapshot, {"pod": PodLook("Running", 1, 0, kills)})


def recording(*looks: Look, samples: tuple[Look, ...] = ()) -> Recording:
    marks = {f"m{number}": each for number, each in enumerate(looks)}
    devices = {"data": "254:0", "swap": "254:16"}
    return Recording(
        variant="run", release="r", devices=devices, cgroups={"pod": POD}, marks=marks, samples=list(samples)
    )


def verdicts(real: list[Recording], simulated: Recording) -> dict[tuple[str, str], bool | None]:
    rows = compare(EXPERIMENT, "6.12", real, simulated)
    return {(row.span, row.counter): row.met for row in rows if row.counter != "exit code"}


def test_what_grew_between_two_marks_is_compared_with_its_bar() -> None:
    real = recording(look(1, pgsteal=100), look(2, pgsteal=100_100))
    near = recording(look(1, pgsteal=0), look(2, pgsteal=100_900))
    far = recording(look(1, pgsteal=0), look(2, pgsteal=101_100))
    assert verdicts([real], near)[("m0 → m1", "pgsteal")] is True
    assert verdicts([real], far)[("m0 → m1", "pgsteal")] is False


def test_less_than_a_batch_of_pages_is_no_miss() -> None:
    assert verdicts([recording(look(1, pgsteal=2))], recording(look(1, pgsteal=66))) == {
        ("begin → m0", "pgsteal"): True
    }
    assert verdicts([recording(look(1, pgsteal=2))], recording(look(1, pgsteal=67))) == {
        ("begin → m0", "pgsteal"): False
    }


def test_kills_are_exact_and_the_swap_disk_is_swap() -> None:
    real = recording(look(1, kills=1, swapped=100 * MIB))
    found = verdicts([real], recording(look(1, kills=2, swapped=109 * MIB)))
    assert found == {("begin → m0", "OOM kills"): False, ("begin → m0", "bytes swapped out"): True}


def test_the_median_of_several_runs_counts() -> None:
    runs = [recording(look(1, pgsteal=pages)) for pages in (100_000, 200_000, 900_000)]
    row = next(each for each in compare(EXPERIMENT, "6.12", runs, recording(look(1, pgsteal=200_000))))
    assert (row.real, row.error, row.runs) == (200_000, 0, (100_000, 200_000, 900_000))


def test_the_node_is_not_compared_where_nobody_saw_it_begin() -> None:
    blind = recording(look(1, in_all=7))
    assert verdicts([blind], blind) == {}
    seen = recording(look(3, in_all=9), samples=(look(0, in_all=7),))
    ours = recording(look(3, in_all=2), samples=(look(0, in_all=0),))
    assert verdicts([seen], ours) == {("begin → m0", "oom_kill"): True}


def test_the_page_says_what_was_not_recorded() -> None:
    assert "not recorded: e7 on 6.1." in page([], command="x", missing=["e7 on 6.1"])


def test_the_page_says_what_was_recorded_otherwise() -> None:
    assert "changed: e3 run on 6.1 (why)." in page([], command="x", stale=["e3 run on 6.1 (why)"])


def test_the_page_leaves_misses_in() -> None:
    real, ours = recording(look(1, pgsteal=100_000)), recording(look(1, pgsteal=50_000))
    rows = compare(EXPERIMENT, "6.12", [real], ours)
    assert "MISS" in rows_table(rows, "t").plain()
    assert "-50.0%" in page(rows, command="c")
    assert ("x", "6.12", "1 of 2", "-", "-", 1) in summary_table(rows).rows


def test_the_page_tells_how_scenarios_came_out_at_first() -> None:
    killed = recording(look(0), look(1, kills=1))
    rows = compare(EXPERIMENT, "6.12", [killed], killed)
    then = [{"experiment": "x", "kernel": "6.12", "met": met} for met in (True, False, False, None)]
    text = page(rows, command="c", first=then)
    assert "**1 of 3 bars were met at first.**" in text
    met = sum(row.met is True for row in rows)
    assert f"| x | 6.12 | 1 of 3 | {met} of {sum(row.met is not None for row in rows)} |" in text


def pgsteal_of(real: tuple[int, ...], simulated: int) -> Row:
    runs = [recording(look(1, pgsteal=pages)) for pages in real]
    (row,) = compare(EXPERIMENT, "6.12", runs, recording(look(1, pgsteal=simulated)))[:1]
    assert row.counter == "pgsteal"
    return row


def test_real_runs_are_judged_against_their_own_median_and_against_each_other() -> None:
    row = pgsteal_of((100_000, 100_900, 101_800), 0)
    assert (row.own, row.apart) == (1, False)
    assert row.others == pytest.approx(1 / 3)  # the first is 1.35 % below the others, the last as far above


def test_real_runs_that_miss_the_bar_are_apart_and_the_miss_stays() -> None:
    row = pgsteal_of((100_000, 100_000, 150_000), 120_000)
    assert row.own == pytest.approx(2 / 3)
    assert (row.apart, row.met) == (True, False)
    text = page([row], command="c")
    assert "| 100,000 to 150,000, apart |" in text
    assert (
        "On 1 of the 1 missed bars a real run misses the bar as well (marked `apart`), and 1 simulated"
        in text
    )


def test_the_summary_says_how_many_bars_a_real_run_meets() -> None:
    rows = [pgsteal_of((100_000, 100_000, 150_000), 100_000), pgsteal_of((7, 8, 9), 8)]
    assert summary_table(rows).rows == (("x", "6.12", "2 of 2", "1.7", "1.0", 3),)
    text = page(rows, command="c")
    assert "the simulated kernel meets 2; one of the real runs meets, on average, 2 of them" in text


def test_one_real_run_has_nothing_to_be_judged_against() -> None:
    row = pgsteal_of((100_000,), 1)
    assert (row.own, row.others) == (1, None)
    assert "two real runs" not in page([row], command="c")
    assert "| one |" in page([row], command="c")
