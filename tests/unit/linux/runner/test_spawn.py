"""Real processes, and a plain directory in place of a cgroup: the way by fork, which any kernel takes."""

import os
import resource
import select
import signal
from pathlib import Path
from typing import Any

import pytest

from memqos.linux import limits
from memqos.linux.runner import spawn as spawning
from memqos.linux.runner.command import Command
from memqos.linux.runner.spawn import Child, Launch, spawn
from memqos.runner.world import NotStarted


@pytest.fixture(autouse=True)
def no_real_cgroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spawning, "_clone_into", lambda cgroup: None)
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "cgroup" / "cgroup.procs").write_text("")


def launch(tmp_path: Path, *argv: str, **fields: Any) -> Launch:
    command = Command(
        fields.pop("executable", argv[0]), argv, fields.pop("env", {"PATH": "/usr/bin:/bin"}), "/"
    )
    return Launch(command, tmp_path / "cgroup", fields.pop("adjust", 1000), tmp_path / "logs" / "0.log")


def run(tmp_path: Path, script: str, **fields: Any) -> tuple[int, str]:
    child = spawn(launch(tmp_path, "/bin/sh", "-c", script, **fields))
    assert isinstance(child, Child)
    poller = select.poll()
    poller.register(child.fileno(), select.POLLIN)
    assert poller.poll(10_000)
    code = child.poll()
    child.close()
    assert code is not None
    return code, (tmp_path / "logs" / "0.log").read_text()


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_code_is_the_programs_or_128_and_the_signal(tmp_path: Path, script: str, code: int) -> None:
    assert run(tmp_path, script)[0] == code


def test_the_program_joins_its_cgroup_before_anything_else(tmp_path: Path) -> None:
    run(tmp_path, "true")
    assert (tmp_path / "cgroup" / "cgroup.procs").read_text() == "0"


def test_oom_score_adj_is_set_before_the_program_runs(tmp_path: Path) -> None:
    assert run(tmp_path, "cat /proc/self/oom_score_adj", adjust=987)[1] == "987\n"


def test_output_and_errors_go_to_the_log_and_input_is_empty(tmp_path: Path) -> None:
    assert run(tmp_path, "cat; echo out; echo err >&2")[1] == "out\nerr\n"


def test_the_environment_is_the_one_given(tmp_path: Path) -> None:
    assert run(tmp_path, 'echo "$A,$HOME"', env={"A": "grün"})[1] == "grün,\n"


def test_no_descriptor_of_ours_is_left_to_the_program(tmp_path: Path) -> None:
    inherited = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        output = run(tmp_path, "ls /proc/self/fd")[1].split()
    finally:
        os.close(inherited)
    assert set(output) <= {"0", "1", "2", "3"}  # 3 is ls's own


def test_the_limit_of_open_files_is_the_one_memqos_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(limits, "ORIGINAL", (300, hard))
    assert soft != 300
    assert run(tmp_path, "ulimit -Sn")[1] == "300\n"
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_signals_are_as_a_program_expects_them(tmp_path: Path) -> None:
    ignored = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        output = run(tmp_path, "grep -E '^Sig(Blk|Ign)' /proc/self/status")[1].split()
    finally:
        signal.signal(signal.SIGUSR1, ignored)
    ours = ~(3 << 31)  # 32 and 33 are the C library's own, and cannot be set through it
    assert [int(mask, 16) & ours for mask in output[1::2]] == [0, 0]


def test_the_program_leads_a_session_of_its_own(tmp_path: Path) -> None:
    pid, session = run(tmp_path, "read pid rest < /proc/$$/stat; set -- $(cat /proc/$$/stat); echo $1 $6")[
        1
    ].split()
    assert pid == session


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("/no/such/program",), 127, 'exec: "/no/such/program": No such file'),
        (("/etc/passwd",), 126, "Permission denied"),
    ],
)
def test_a_failed_exec_is_reported_with_its_reason(
    tmp_path: Path, argv: tuple[str, ...], code: int, message: str
) -> None:
    failed = spawn(launch(tmp_path, *argv))
    assert isinstance(failed, NotStarted)
    assert failed.exit_code == code
    assert message in failed.message


def test_a_cgroup_that_is_gone_is_a_reason_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "cgroup" / "cgroup.procs").unlink()
    failed = spawn(launch(tmp_path, "/bin/true"))
    assert isinstance(failed, NotStarted)
    assert "cgroup.procs" in failed.message


def test_a_signal_to_a_program_that_ended_goes_nowhere(tmp_path: Path) -> None:
    child = spawn(launch(tmp_path, "/bin/true"))
    assert isinstance(child, Child)
    select.select([child], [], [], 10)
    child.send(signal.SIGTERM)
    assert child.poll() == 0
    child.send(signal.SIGTERM)
    child.close()
