import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RUN = Path(__file__).resolve().parents[2] / "benchmarks/run.py"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`benchmarks/run.py`, with `tmp_path` in place of the benchmarks."""
    spec = importlib.util.spec_from_file_location("benchmarks_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    return module


def write(directory: Path, name: str, code: str) -> None:
    (directory / name).mkdir()
    (directory / name / "run.py").write_text(code)


def row(median: float, goal: float | None) -> dict[str, Any]:
    return {"name": "x", "unit": "ms", "median": median, "low": 1, "high": 9, "goal": goal, "note": ""}


def report(*rows: dict[str, Any]) -> str:
    return f"import json; print(json.dumps({{'where': 'here', 'rows': {list(rows)!r}}}))"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (row(2.0, 2.0), "held"),
        (row(2.1, 2.0), "missed"),
        (row(2.1, None), ""),
        (row(2.1, 2.0) | {"least": True}, "held"),
        (row(1.9, 2.0) | {"least": True}, "missed"),
    ],
)
def test_a_figure_is_held_against_its_goal(
    bench: Any, tmp_path: Path, capsys: Any, found: dict[str, Any], verdict: str
) -> None:
    write(tmp_path, "a", report(found))
    assert bench.main() == 0
    shown = capsys.readouterr().out
    assert [word for word in ("held", "missed") if word in shown] == ([verdict] if verdict else [])


def test_a_benchmark_that_cannot_run_says_why_and_is_not_broken(
    bench: Any, tmp_path: Path, capsys: Any
) -> None:
    write(tmp_path, "a", "import sys; print('no QEMU here', file=sys.stderr); sys.exit(69)")
    write(tmp_path, "b", report(row(1, 2)))
    assert bench.main() == 0
    shown = capsys.readouterr().out
    assert "not run" in shown
    assert "no QEMU here" in shown
    assert "held" in shown


def test_a_benchmark_that_breaks_does_not_stop_the_others_and_is_told(
    bench: Any, tmp_path: Path, capsys: Any
) -> None:
    write(tmp_path, "a", "raise ValueError('boom')")
    write(tmp_path, "b", report(row(1, 2)))
    assert bench.main() == 1
    assert "broken" in (shown := capsys.readouterr().out)
    assert "ValueError: boom" in shown
    assert "held" in shown


def test_a_row_shows_its_median_and_quartiles(bench: Any, tmp_path: Path, capsys: Any) -> None:
    write(tmp_path, "a", report(row(1234.5, None)))
    bench.main()
    shown = capsys.readouterr().out
    assert "1,234 ms" in shown
    assert "1 to 9" in shown


def test_every_step_of_a_turn_that_is_timed_is_there(tmp_path: Path) -> None:
    words = [sys.executable, str(RUN.parent / "reaction" / "phases.py"), str(tmp_path / "steps"), "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "steps").read_text() == "[]"
