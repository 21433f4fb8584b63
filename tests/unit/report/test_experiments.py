import struct
from dataclasses import replace
from pathlib import Path

from memqos.lab.results import Check, ExperimentResult, Measure, Series, VariantResult
from memqos.report.experiments import checks_table, draw, measured_tables, measures_table, page, summary_table
from memqos.units import MIB

READ = Measure("small.reread", 400 * MIB, "bytes", "read again")
CURVE = Series("held", "bytes", "memory.current", (0.0, 1.0), (1.0 * MIB, None))


def result(kernel: str, *, holds: bool | None = True, problem: str = "") -> ExperimentResult:
    variant = VariantResult("small", "a small limit", (READ,), (CURVE,), {}, (), (), (), 1.0)
    checks = () if problem else (Check("small.reread > 0", "All of it.", holds, (READ,)),)
    return ExperimentResult(
        "e1", "Cache", "Study.", kernel, f"{kernel}.9", "1", "tcg", 1.0, (variant,), checks, problem
    )


def test_an_expectation_is_shown_with_what_was_said_and_measured():
    (row,) = checks_table([result("6.1")]).rows
    assert row == ("e1", "6.1.9", "small.reread > 0", "All of it.", "small.reread = 400 MiB", "yes")


def test_a_kernel_that_lacks_what_is_asked_is_no_miss():
    results = [result("6.1", holds=None), result("6.12", holds=False)]
    assert [row[-1] for row in checks_table(results).rows] == ["not measured", "no"]
    assert [row[3] for row in summary_table(results).rows] == ["0 of 0", "0 of 1"]


def test_measures_stand_side_by_side_for_the_kernels():
    shown = measures_table([result("6.1"), result("7.2")])
    assert [column.key for column in shown.columns] == ["variant", "measure", "6.1.9", "7.2.9"]
    assert shown.rows == (("small", "read again", "400 MiB", "400 MiB"),)


def test_many_variants_stand_side_by_side_with_the_spread_of_their_runs():
    ratio = Measure("p99", 1.5, "ratio", "p99 / alone", 1.25, 2.0)
    variants = tuple(
        VariantResult(name, "", (ratio,), (), {}, (), (), (), 1.0, runs=3) for name in ("a", "b", "c")
    )
    run = ExperimentResult("e6", "t", "s", "6.12", "6.12.9", "1", "tcg", 1.0, variants)
    (shown,) = measured_tables([run])
    assert [column.heading for column in shown.columns] == ["measure (6.12.9, 3 runs each)", "a", "b", "c"]
    assert shown.rows == (("p99 / alone", *["1.50 x (1.25 x - 2.00 x)"] * 3),)


def test_variants_that_ran_more_often_than_others_say_so():
    ratio = Measure("p99", 1.5, "ratio", "p99 / alone")
    variants = tuple(
        VariantResult(name, "", (ratio,), (), {}, (), (), (), 1.0, runs=runs)
        for name, runs in (("a", 1), ("b", 3), ("c", 1))
    )
    (shown,) = measured_tables([replace(result("6.12"), variants=variants)])
    assert [column.heading for column in shown.columns] == [
        "measure (6.12.9, median of its runs)",
        "a (1)",
        "b (3)",
        "c (1)",
    ]


def test_a_run_that_failed_says_why():
    assert checks_table([result("6.1", problem="lost")]).rows[0][-2:] == ("lost", "not run")


def test_the_page_names_its_command_and_shows_every_figure():
    text = page([result("6.1"), result("7.2")], figures="img")
    assert "Written by `memqos lab run" in text
    assert text.count("![e1 on") == 2


def test_a_run_without_curves_has_no_figure(tmp_path: Path):
    bare = result("6.1", problem="lost")
    flat = ExperimentResult("e9", "t", "s", "6.1", "6.1.9", "1", "tcg", 1.0)
    assert draw(flat, tmp_path) is None
    assert draw(bare, tmp_path) == tmp_path / "e1-6.1.png"


def test_many_variants_are_drawn_as_columns_with_a_row_for_each_unit(tmp_path: Path):
    stall = Series("stall", "seconds", "stall so far", (0.0, 1.0), (0.0, 0.5))
    (one,) = result("6.1").variants
    sizes = []
    for number in (2, 3):
        variants = tuple(replace(one, name=str(i), series=(CURVE, stall)) for i in range(number))
        path = draw(replace(result("6.1"), variants=variants), tmp_path)
        assert path is not None
        sizes.append(struct.unpack(">II", path.read_bytes()[16:24]))
    (wide, low), (narrow, high) = sizes
    assert narrow < wide  # four panels in a row, and three columns
    assert high > low


def test_ever_more_variants_of_one_unit_make_a_figure_longer_not_wider(tmp_path: Path):
    (one,) = result("6.1").variants
    sizes = []
    for number in (5, 14):
        variants = tuple(replace(one, name=str(i), series=(CURVE,)) for i in range(number))
        path = draw(replace(result("6.1"), variants=variants), tmp_path)
        assert path is not None
        sizes.append(struct.unpack(">II", path.read_bytes()[16:24]))
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] < sizes[1][1]


def test_a_scenario_that_measures_and_expects_nothing_has_no_empty_tables():
    plain = replace(result("6.12"), variants=(), checks=())
    assert measured_tables([plain]) == []
    assert checks_table([plain]).plain() == "nothing was expected"
    section = page([plain], figures="img").partition("## e1")[2]
    assert "Nothing was expected." in section
    assert "|" not in section
