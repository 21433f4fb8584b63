"""`memqos simulate` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import memqos
from memqos.agent import checkup
from memqos.agent.checkup import Finding
from memqos.cli import exits
from memqos.cli.main import cli
from memqos.cli.simulate import what_next
from memqos.errors import InputError, MemqosError

SCENARIO = """
apiVersion: memqos.dev/v1alpha1
kind: Experiment
name: small
title: A pod that outgrows its limit
study: It is killed, unless it may swap.
node: {memory: 256Mi}
disks: {swap: {size: 32Mi}}
kubelet: {failSwapOn: false, memorySwap: {swapBehavior: LimitedSwap}}
pods:
  - apiVersion: v1
    kind: Pod
    metadata: {name: hog, annotations: {memqos.dev/swap-limit: 8Mi}}
    spec:
      restartPolicy: Never
      containers:
        - name: main
          command: [python3, -m, memqos.lab.load, mib=3]
          resources: {limits: {memory: 2Mi}}
timeline: [{start: hog}, {sleep: 2}]
measures: {kills: {of: 'status("hog", "oom_kills")', unit: count}}
expect: [{that: kills == KILLS, study: said}]
"""

CHOICE = """
apiVersion: memqos.dev/v1alpha1
kind: MemoryPolicy
metadata: {name: default}
spec: {swap: {mode: PodChoice, maximumPerPod: 16Mi, reserve: "0"}}
"""

MANAGED = "{apiVersion: memqos.dev/v1alpha1, kind: MemoryPolicy, metadata: {name: x}, spec: {}}"


def simulate(tmp_path: Path, *words: str, text: str = SCENARIO.replace("KILLS", "1")) -> tuple[int, str]:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(text)
    result = CliRunner().invoke(cli, ["simulate", str(scenario), *words])
    return result.exit_code, str(result.exception) if isinstance(
        result.exception, MemqosError
    ) else result.stdout


def test_one_run_has_a_row_for_each_pod(tmp_path: Path) -> None:
    status, out = simulate(tmp_path)
    assert status == exits.OK
    row = next(line for line in out.splitlines() if line.startswith("hog "))
    assert row.split()[:4] == ["hog", "Failed", "137", "1"]
    assert "started" not in out


def test_huge_pages_are_said_not_to_be_simulated(tmp_path: Path) -> None:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(SCENARIO.replace("KILLS", "1").replace("256Mi}", "256Mi, thp: always}"))
    result = CliRunner().invoke(cli, ["simulate", str(scenario), "--json"])
    assert f"memqos: {scenario}:7: node.thp: huge pages are not simulated" in result.stderr
    assert json.loads(result.stdout)


def test_what_happens_is_told_as_it_happens_when_it_is_wanted(tmp_path: Path) -> None:
    _, out = simulate(tmp_path, "--events")
    assert "on a simulated node with 211 MiB of memory, 32 MiB of swap, 2 CPUs, kernel 6.12" in out
    assert "0.0 s hog started\n" in out
    assert " s hog OOM-killed, exit code 137\n" in out
    assert out.index("hog started") < out.index("What became of each pod")


def test_json_is_one_document_and_the_same_to_the_byte_whatever_the_hash_seed(tmp_path: Path) -> None:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(SCENARIO.replace("KILLS", "1"))
    argv = [sys.executable, "-m", "memqos", "simulate", str(scenario), "--events", "--json", "--seed", "3"]
    path = str(Path(memqos.__file__).parents[1])
    one, two = (
        subprocess.run(
            argv,
            capture_output=True,
            check=True,
            env={"PYTHONPATH": path, "NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    )
    assert one == two
    assert json.loads(one)["seed"] == 3


def test_with_policies_the_expectations_about_the_files_own_are_not_asked(tmp_path: Path) -> None:
    variants = "variants: [{name: alone}, {name: managed, policy: {}}]\npods:"
    text = SCENARIO.replace("KILLS", "0").replace("pods:", variants.replace("{}", MANAGED), 1)
    policy = tmp_path / "choice.yaml"
    policy.write_text(CHOICE)
    status, out = simulate(tmp_path, "--policy", str(policy), "--json", text=text)
    assert status == exits.OK
    assert list(json.loads(out)["runs"]) == ["choice"]
    assert json.loads(out)["results"][0]["checks"] == []


def test_an_expectation_that_does_not_hold_is_the_exit_code(tmp_path: Path) -> None:
    assert simulate(tmp_path, text=SCENARIO.replace("KILLS", "0"))[0] == exits.NOT_HELD


def test_policies_are_set_side_by_side_with_the_kubelet_alone(tmp_path: Path) -> None:
    policy = tmp_path / "choice.yaml"
    policy.write_text(CHOICE)
    _, out = simulate(tmp_path, "--policy", "none", "--policy", str(policy), "--json")
    runs = json.loads(out)["runs"]
    assert runs["kubelet alone"]["hog"]["oom_kills"] == 1
    assert runs["choice"]["hog"]["oom_kills"] == 0
    assert runs["choice"]["hog"]["swapped_out"] >= 1 << 20


def test_a_play_that_cannot_go_on_shows_what_was_seen_and_why(tmp_path: Path) -> None:
    wait = "{wait: {pod: hog, until: said, word: never, timeout: 3}}]"
    status, out = simulate(tmp_path, text=SCENARIO.replace("KILLS", "1").replace("{sleep: 2}]", wait))
    assert status == exits.NOT_HELD
    assert "not played to its end: waited 3 s in vain" in out
    assert "hog" in out


def test_a_report_keeps_the_recording_and_the_document(tmp_path: Path) -> None:
    report = tmp_path / "report"
    simulate(tmp_path, "--report", str(report))
    document = json.loads((report / "simulation.json").read_text())
    assert document["runs"]["run"]["hog"]["exit"] == 137
    assert (report / "record-run.json").exists()
    page = (report / "simulation.md").read_text()
    assert "| hog | Failed | 137 | 1 |" in page
    assert "hog OOM-killed, exit code 137" in page
    assert "![](pods.png)" in page
    assert (report / "pods.png").stat().st_size > 10_000


def test_a_policy_that_cannot_be_read_is_named_with_its_field(tmp_path: Path) -> None:
    policy = tmp_path / "bad.yaml"
    policy.write_text(CHOICE.replace("PodChoice", "Sometimes"))
    _, problem = simulate(tmp_path, "--policy", str(policy))
    assert "bad.yaml" in problem
    assert "spec.swap.mode" in problem


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Finding("manage", "cgroup v2", "ok", "3 cgroups"), "memqos run --pods examples/pods"),
        (
            Finding("manage", "permission", "fault", "may not write", "run as root"),
            "not yet, may not write; run as root",
        ),
    ],
)
def test_at_the_end_stands_how_to_manage_this_machine_or_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, found: Finding, said: str
) -> None:
    monkeypatch.setattr(checkup, "check_node", lambda: [found])
    assert said in "\n".join(what_next())


def test_numba_and_numpy_are_not_loaded_before_simulate_is_called() -> None:
    code = "import sys, memqos.cli.main, memqos.cli.simulate; print({'numba', 'numpy'} & set(sys.modules))"
    path = str(Path(memqos.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("absent", "arguments", "said"),
    [
        ("numba", ["simulate"], "the simulated kernel needs numba"),
        ("matplotlib", ["simulate", "--report", "r"], "figures need matplotlib"),
        ("matplotlib", ["lab", "run", "e1"], "figures need matplotlib"),
    ],
)
def test_what_is_not_installed_is_one_sentence(
    tmp_path: Path, absent: str, arguments: list[str], said: str
) -> None:
    program = (
        "import importlib.util as util, sys\n"
        "found = util.find_spec\n"
        f"util.find_spec = lambda name, *rest: None if name == {absent!r} else found(name, *rest)\n"
        f"sys.argv = ['memqos', *{arguments!r}]\n"
        "from memqos.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (
        exits.CANNOT_HERE,
        f"memqos: {said}; pip install {absent}\n",
    )


def test_without_a_home_the_remedy_is_a_place_for_what_is_compiled(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "os.getuid = lambda: 54321\n"  # nobody that /etc/passwd knows
        "sys.argv = ['memqos', 'simulate', 'e1']\n"
        "from memqos.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": str(Path(memqos.__file__).parents[1])},
    )  # fmt: skip
    said = "memqos: there is no home directory to keep the compiled kernels in; set NUMBA_CACHE_DIR to a"
    assert (done.returncode, done.stdout) == (exits.CANNOT_HERE, "")
    assert done.stderr == f"{said} writable directory\n"


def test_a_report_that_cannot_be_left_is_told_before_anything_is_played(run, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    status, out, err = run("simulate", "e1", "--report", tmp_path / "here" / "report")
    assert (status, out) == (exits.BAD_INPUT, "")
    assert err == f"memqos: {tmp_path}/here/report: Not a directory\n"


def lab_run(tmp_path: Path, kills: str, *words: str) -> tuple[int, str]:
    scenario = tmp_path / "small.yaml"
    scenario.write_text(SCENARIO.replace("KILLS", kills))
    result = CliRunner().invoke(
        cli, ["lab", "run", str(scenario), "--simulated", "--out", str(tmp_path / "out"), *words]
    )
    return result.exit_code, result.output


def test_an_experiment_is_judged_on_the_simulated_kernel_as_on_real_ones(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    words = ("--kernel", "6.1", "--kernel", "7.2", "--repeats", "2", "--docs", str(page), "--json")
    code, output = lab_run(tmp_path, "1", *words)
    results = json.loads(output[output.index("{") :])["results"]
    assert code == exits.OK
    assert [each["kernel_release"] for each in results] == ["6.1 (simulated)", "7.2 (simulated)"]
    assert {(each["accel"], each["variants"][0]["runs"]) for each in results} == {("simulated", 2)}
    left = json.loads((tmp_path / "out" / "small" / "7.2" / "result.json").read_text())
    assert left == results[1]
    assert page.read_text().startswith("# The same experiments on the simulated kernel")
    assert "| small | 6.1 (simulated) | simulated | 1 of 1 |  |" in page.read_text()
    assert not (tmp_path / "img").exists()


def test_what_does_not_hold_there_ends_with_1_and_is_left_in(tmp_path: Path) -> None:
    code, output = lab_run(tmp_path, "7")
    assert code == exits.NOT_HELD
    assert "kills = 1" in output


def test_what_cannot_be_simulated_is_the_problem_of_its_own_experiment(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(
        SCENARIO.replace("KILLS", "1")
        .replace("small", "other")
        .replace("[python3, -m, memqos.lab.load, mib=3]", "[nginx]")
    )
    code, output = lab_run(tmp_path, "1", str(tmp_path / "other.yaml"), "--json")
    results = json.loads(output[output.index("{") :])["results"]
    assert code == exits.NOT_HELD
    assert [bool(each["problem"]) for each in results] == [False, True]
    assert "nginx" in results[1]["problem"]


def test_recordings_are_not_asked_for_what_is_played_anew(tmp_path: Path) -> None:
    words = ["lab", "run", "e1", "--simulated", "--recorded", str(tmp_path)]
    with pytest.raises(InputError, match="leave out --recorded"):
        CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)
