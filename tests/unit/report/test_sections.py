import pytest

from memqos.errors import InputError
from memqos.lab.results import Check, ExperimentResult, Series, VariantResult
from memqos.report.experiments import page
from memqos.report.sections import merge


def one(name: str, *kernels: str, holds: bool = True) -> str:
    curve = Series("held", "bytes", "memory.current", (0.0, 1.0), (1.0, 2.0))
    variant = VariantResult("run", "", (), (curve,), {}, (), (), (), 1.0)
    checks = (Check("x > 0", "All of it.", holds, ()),)
    runs = [
        ExperimentResult(name, "t", "s", each, f"{each}.9", "1", "tcg", 1.0, (variant,), checks)
        for each in kernels
    ]
    return page(runs, figures="img")


def test_experiments_that_did_not_run_again_stay():
    old = merge(one("e2", "6.1", "7.2"), one("e10", "6.1"), source="page.md")
    new = merge(old, one("e2", "6.1", holds=False), source="page.md")
    assert new.count("| e2 |") == 1
    assert "| e2 | 6.1.9 | tcg | 0 of 1 |" in new
    assert "| e10 | 6.1.9 | tcg | 1 of 1 |" in new
    assert "img/e2-7.2.png" not in new
    assert new.index("## e2:") < new.index("## e10:")


def test_the_order_in_which_they_ran_does_not_matter():
    a, b = one("e2", "6.1"), one("e10", "6.1")
    assert merge(a, b, source="p") == merge(b, a, source="p")


def test_the_same_page_again_is_the_same():
    text = merge(one("e2", "6.1"), one("e3", "6.1"), source="p")
    assert merge(text, text, source="p") == text
    assert merge(one("e2", "6.1"), one("e2", "6.1"), source="p") == one("e2", "6.1")


def test_another_file_is_not_overwritten():
    with pytest.raises(InputError, match=r"notes\.md: this is no page of experiments"):
        merge("# My notes\n", one("e2", "6.1"), source="notes.md")
