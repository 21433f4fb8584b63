import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from memqos.cli.workload import command
from memqos.errors import ExperimentError
from memqos.workload.parse import load_workload
from memqos.workload.result import parse_results

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "workloads").glob("*.yaml"))

SMALL = """
apiVersion: memqos.dev/v1alpha1
kind: Workload
phases: [allocate: {name: a, size: 1Mi}, touch: {region: a, write: true}]
"""
SERVICE = """
apiVersion: memqos.dev/v1alpha1
kind: Workload
phases: [allocate: {name: a, size: 1Mi}, requests: {region: a, pages: 2, perSecond: 100}, hold: {}]
"""


def test_results_go_to_a_file_that_is_appended_to(tmp_path: Path) -> None:
    workload, results = tmp_path / "w.yaml", tmp_path / "results"
    workload.write_text(SMALL)
    for _ in range(2):
        done = CliRunner().invoke(command, [str(workload), "--results", str(results)])
        assert (done.exit_code, done.output) == (0, "")
    assert [result.kind for result in parse_results(results.read_bytes())] == ["allocate", "touch"] * 2


def test_results_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    workload = tmp_path / "w.yaml"
    workload.write_text(SMALL)
    done = CliRunner().invoke(command, [str(workload), "--results", str(tmp_path / "no" / "results")])
    assert done.exit_code == 2
    assert "No such file or directory" in done.output


def test_a_wrong_file_is_an_error_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="cannot be read"):
        CliRunner().invoke(command, [str(tmp_path / "w.yaml")], catch_exceptions=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_the_results_so_far(tmp_path: Path, number: signal.Signals) -> None:
    workload, results = tmp_path / "w.yaml", tmp_path / "results"
    workload.write_text(SERVICE)
    argv = [sys.executable, "-c", "from memqos.cli.workload import command; command()", str(workload)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    with subprocess.Popen([*argv, "--results", str(results)], env=environment) as process:
        while not results.exists() or not results.read_bytes():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(10) == 0
    allocated, served = parse_results(results.read_bytes())
    assert (allocated.stopped, served.kind, served.stopped) == (False, "requests", True)
    assert served.requests is not None
    assert served.requests.completed > 0


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_can_be_used(path: Path) -> None:
    done = CliRunner().invoke(command, [str(path), "--check"])
    assert done.exit_code == 0
    assert f"a workload of {len(load_workload(path).phases)} phases" in done.output


def test_there_are_examples() -> None:
    assert {"service", "file-streamer", "dirty-batch", "leaker"} <= {path.stem for path in EXAMPLES}
