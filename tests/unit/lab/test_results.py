from pathlib import Path

import msgspec
import pytest

from memqos.errors import ExperimentError, RecordingError
from memqos.lab.campaign import to_json
from memqos.lab.experiment import Ask, Expect, Experiment, Variant
from memqos.lab.recording import Executed, Happened, Look, PodLook, Recording, Written, decode, encode
from memqos.lab.results import ExperimentResult, check, evaluate_variant, median_of
from memqos.model.snapshot import Cgroup, Counters, IoStat, NodeFacts, Pressure, PressureLine, Snapshot
from memqos.units import MIB
from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats, Result

POD = "kubepods/podu"


def look(seconds: float, *, file: int = 0, rbytes: int | None = 0, oom_kills: int = 0) -> Look:
    line = PressureLine(0.0, 0.0, 0.0, 2_500_000)
    cgroup = Cgroup(
        path=POD,
        inode=1,
        memory_current=file,
        memory_stat=Counters.of({"file": file}),
        memory_events=Counters.of({"oom_kill": oom_kills}),
        memory_pressure=Pressure(line, line),
        io_stat=None if rbytes is None else {"254:0": IoStat(rbytes=rbytes)},
    )
    facts = NodeFacts(meminfo=Counters.of({"MemFree": 7}), vmstat=Counters.of({}))
    snapshot = Snapshot(time_us=0, boot_id="b", node=facts, cgroups={POD: cgroup})
    return Look(seconds, snapshot, {"reader": PodLook("Running", 1, 0, oom_kills)})


def recording(variant: str = "run", *, rbytes: int = 400 * MIB) -> Recording:
    samples = [look(0.0), look(1.0, file=5), look(2.0, file=5, rbytes=9)]
    return Recording(
        variant=variant,
        release="6.12",
        devices={"data": "254:0", "swap": "254:16"},
        cgroups={"reader": POD},
        marks={"before": look(2.5, file=3 * MIB), "after": look(3.0, file=4 * MIB, rbytes=rbytes)},
        samples=samples,
        execs={"second": Executed(1.0, 2.5, 1.0, 0.5, 0)},
    )


def experiment(**measures: str) -> Experiment:
    return Experiment(
        kind="Experiment",
        api_version="memqos.dev/v1alpha1",
        name="x",
        title="t",
        study="s",
        pods=[],
        timeline=[],
        series={"cache": Ask(of='stat("reader", "file")')},
        measures={name: Ask(of=of) for name, of in measures.items()},
    )


@pytest.mark.parametrize(
    ("of", "value"),
    [
        ('stat("reader", "file", "after") - stat("reader", "file", "before")', MIB),
        ('stat("reader", "file")', 4 * MIB),
        ('stat("reader", "no_such_line", "after")', None),
        ('holds("reader", "memory.current", "before")', 3 * MIB),
        ('holds("reader", "memory.swap.current", "before")', None),
        ('io("reader", "rbytes", "after", "data")', 400 * MIB),
        ('io("reader", "rbytes", "after", "swap")', 0),
        ('io("reader", "rbytes", "after")', 400 * MIB),
        ('stall("reader", "memory", "full", "after")', 2.5),
        ('node("meminfo", "MemFree")', 7),
        ('status("reader", "running", "after")', 1),
        ('status("reader", "exit_code", "after")', None),
        ('took("second", "real")', 2.5),
        ('series("cache", "rises")', 1),
        ('series("cache", "count")', 3),
        ('series("cache", "max")', 5),
        ('seconds("after") - seconds("before")', 0.5),
    ],
)
def test_a_measure_is_what_the_recording_says(of: str, value: float | None):
    result = evaluate_variant(experiment(it=of), recording())
    assert result.measures[0].value == value


@pytest.mark.parametrize(
    "of",
    [
        'stat("nobody", "file")', 'stat("reader", "file", "never")', 'stat("reader")',
        'status("reader", "mood")',
        'io("reader", "speed")', 'io("reader", "rbytes", "after", "tape")', 'node("cpuinfo", "x")',
        'holds("reader", "memory.nothing")', 'stall("reader", "memory", "most")', 'took("second", "cost")',
        'requests("reader", "p98")', 'waits("reader", "gap")', 'work("reader", "joy")', 'pods("reader", "x")',
        'series("cache", "median")', 'series("nothing", "max")', 'took("third", "real")',
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_is_an_error(of: str):
    with pytest.raises(ExperimentError):
        evaluate_variant(experiment(it=of), recording())


def result_of(kind: str, start_us: int, end_us: int, latencies: list[int] | None = None) -> Result:
    stats = None
    if latencies is not None:
        histogram = Histogram()
        for each in latencies:
            histogram.add(each)
        stats = RequestStats.of(histogram, late=1, unserved=0, service_max_us=1, gap_max_us=max(latencies))
    return Result(number=1, place="", kind=kind, start_us=start_us, end_us=end_us, pages=10, requests=stats)


def busy() -> Recording:
    served = [
        result_of("touch", 0, 900_000),
        result_of("requests", 1_000_000, 2_000_000, [10] * 99 + [50]),
        result_of("requests", 2_000_000, 3_000_000, [40] * 98 + [60, 60]),
    ]
    return msgspec.structs.replace(
        recording(),
        cgroups={"reader": POD, "filler-1": "kubepods/pod1", "filler-2": "kubepods/pod2"},
        marks={
            "joined": msgspec.structs.replace(look(2.0), snapshot=at_us(2_000_000)),
            "late": msgspec.structs.replace(look(9.0), snapshot=at_us(9_000_000)),
        },
        results={"reader/main": served},
        logs={"filler-1/main": "held 1\npass 1\n", "filler-2/main": "held 1\n", "reader/main": "pass 1"},
        events=[
            Happened(1.5, "evicting", "default/filler-1"),
            Happened(2.5, "evicting", "kubepods/pod2/main"),
            Happened(4.0, "exited", "default/reader/main"),
        ],
        writes=[
            Written(2.2, POD, "memory.high", "1 MiB", "failed", "no"),
            Written(2.4, POD, "memory.high", "1 MiB", "written", "yes"),
        ],
    )


def at_us(time_us: int) -> Snapshot:
    return msgspec.structs.replace(look(0.0).snapshot, time_us=time_us)


@pytest.mark.parametrize(
    ("of", "value"),
    [
        ('requests("reader", "p50")', 40e-6),
        ('requests("reader", "p50", "joined")', 40e-6),
        ('requests("reader", "p99", "joined")', 60e-6),
        ('requests("reader", "p99", "", "joined")', 10e-6),
        ('requests("reader", "max")', 60e-6),
        ('requests("reader", "gap", "", "joined")', 50e-6),
        ('requests("reader", "gap", "joined")', 5.0),  # a report a second long, then none for six
        ('waits("reader", "p99", "joined")', 60e-6),
        ('waits("filler-1", "p50")', None),
        ('requests("reader", "completed")', 200),
        ('requests("reader", "late", "joined")', 1),
        ('requests("filler-1", "p50")', None),
        ('work("reader", "pages")', 30),
        ('work("reader", "phases", "joined")', 1),
        ('work("reader", "seconds", "", "joined")', 1.9),
        ('ended("reader")', 4.0),
        ('ended("reader", "joined")', 2.0),
        ('ended("filler-1")', None),
        ('happened("evicting")', 2),
        ('happened("evicting", "filler")', 2),
        ('happened("evicting", "filler", "joined")', 1),
        ('happened("evicting", "reader")', 0),
        ('acted("", "joined")', 0.4),
        ('acted("io.max")', None),
        ('acted("evict")', 1.5),
        ('said("filler", "pass 1")', 1),
        ('reaction("cache", 3)', 0.5),
        ('reaction("cache", 3, "", "memory.high")', 1.4),
        ('reaction("cache", 3, "", "io.max")', None),
        ('onset("cache", 3)', 1.0),
        ('onset("cache", 5)', None),
        ('series("cache", "mean", "joined")', 5),
        ('pods("reader", "running", "joined")', 1),
        ('pods("reader", "alive", "joined")', 1),
    ],
)
def test_a_measure_counts_what_lies_between_its_marks(of: str, value: float | None):
    measured = evaluate_variant(experiment(it=of), busy()).measures[0].value
    assert measured == (value if value is None else pytest.approx(value))


def test_a_measure_of_several_runs_is_their_median_with_its_spread():
    asked = experiment(reread='io("reader", "rbytes", "after", "data")')
    runs = [evaluate_variant(asked, recording(rbytes=bytes_)) for bytes_ in (5, 100, 7)]
    together = median_of(runs)
    measure = together.measures[0]
    assert (together.runs, measure.value, measure.least, measure.most) == (3, 7, 5, 100)
    assert median_of(runs[:1]) is runs[0]


def test_a_series_has_a_value_for_each_sample():
    (series,) = evaluate_variant(experiment(), recording()).series
    assert series.seconds == (0.0, 1.0, 2.0)
    assert series.values == (0, 5, 5)


def test_a_recording_survives_its_file():
    assert decode(encode(recording())) == recording()


def test_half_a_recording_cannot_be_used():
    with pytest.raises(RecordingError, match=r"record\.json: not a recording"):
        decode(encode(recording())[:-20], source="record.json")


def test_expectations_compare_variants_and_say_what_was_measured():
    asked = msgspec.structs.replace(
        experiment(reread='io("reader", "rbytes", "after", "data")'),
        variants=[Variant(name="small"), Variant(name="large")],
        expect=[
            Expect(that="near(small.reread, 400 * MiB, 0.01) and large.reread < 1 * MiB", study="All again."),
            Expect(that="small.reread < large.reread"),
            Expect(that="small.reread > 0", kernels=("6.1",)),
        ],
    )
    variants = [
        evaluate_variant(asked, recording("small")),
        evaluate_variant(asked, recording("large", rbytes=4096)),
    ]
    good, bad = check(asked, variants, "6.12")
    assert (good.holds, good.study) == (True, "All again.")
    assert [(each.name, each.value) for each in good.measured] == [
        ("small.reread", 400 * MIB),
        ("large.reread", 4096),
    ]
    assert bad.holds is False


def result(**changes: object) -> ExperimentResult:
    facts = {"name": "x", "title": "t", "study": "s", "kernel": "6.12", "kernel_release": "6.12.1"}
    return ExperimentResult(**facts, kernel_version="1", accel="tcg", seconds=1.0, **changes)  # type: ignore[arg-type]


def test_what_was_played_to_its_end_holds_where_nothing_was_expected_of_it():
    assert result().holds
    assert not result(problem="lost").holds


def test_a_result_becomes_json(tmp_path: Path):
    asked = experiment(file='stat("reader", "file")')
    variants = (evaluate_variant(asked, recording()),)
    plain = to_json(result(variants=variants))
    assert plain["variants"][0]["measures"][0]["value"] == 4 * MIB
    assert plain["variants"][0]["series"][0]["unit"] == "bytes"
    assert plain["holds"] is True
