import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memqos.errors import VmLost
from memqos.lab import accel, initramfs, qemu, run, vm
from memqos.lab.kernels import Kernel
from memqos.lab.qemu import Disk
from memqos.lab.run import Machine, run_in_guest
from memqos.lab.spec import Setup
from memqos.lab.vm import Vm
from memqos.units import MIB

KERNEL = Kernel("6.12", "6.12.1-amd64", "linux-image", "6.12.1-1", "trixie", "vmlinux", (), Path("/cache/k"))
FIND_SHARE = """#!/bin/sh
for word in "$@"; do
  case $word in local,id=memqos-share,*) share=${word#*path=}; share=${share%%,*};; esac
done
echo "memqos: start"
"""


@pytest.fixture
def qemu_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A program in QEMU's place; the machine is what a shell script says."""
    monkeypatch.setenv("MEMQOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(initramfs, "build", lambda *_: b"")

    def make(script: str) -> None:
        path = tmp_path / "qemu"
        path.write_text(FIND_SHARE + script)
        path.chmod(0o755)
        monkeypatch.setattr(qemu, "program", lambda: str(path))

    return make


def test_the_status_is_what_the_guest_wrote(tmp_path: Path, qemu_that):
    qemu_that("echo 3 > $share/status")
    with Vm(KERNEL, ["true"], tmp_path / "out") as machine:
        assert machine.wait(10) == 3
    assert "memqos: start" in machine.console.read_text()


def test_the_thread_that_serves_the_disks_runs_first_once_the_guest_is_up(tmp_path: Path, qemu_that):
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            os.sched_setscheduler(other.pid, os.SCHED_RR, os.sched_param(1))
        except OSError:
            pytest.skip("this user may give no real-time priority: run as root, with CAP_SYS_NICE")
        finally:
            other.kill()
    qemu_that("while [ ! -e $share/go ]; do sleep 0.05; done; echo 0 > $share/status")
    seen = []

    def look() -> None:
        assert machine.pid is not None
        seen.append(os.sched_getscheduler(machine.pid))
        if len(seen) > 3:
            (tmp_path / "out/go").touch()

    with Vm(KERNEL, ["true"], tmp_path / "out") as machine:
        machine.wait(10, look)
    assert seen[-1] == os.SCHED_RR


def test_a_machine_without_a_status_was_lost_and_its_console_says_more(tmp_path: Path, qemu_that):
    qemu_that("echo 'Kernel panic - not syncing'; exit 0")
    with Vm(KERNEL, ["true"], tmp_path / "out") as machine, pytest.raises(VmLost, match="Kernel panic"):
        machine.wait(10)


def test_an_old_status_is_not_taken_for_a_new_one(tmp_path: Path, qemu_that):
    qemu_that("exit 0")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/status").write_text("0\n")
    with Vm(KERNEL, ["true"], tmp_path / "out") as machine, pytest.raises(VmLost):
        machine.wait(10)


def test_a_machine_that_takes_too_long_is_ended(tmp_path: Path, qemu_that):
    qemu_that("exec sleep 600")
    with Vm(KERNEL, ["true"], tmp_path / "out") as machine:
        pid = machine.pid
        with pytest.raises(VmLost, match=r"no result within 0 s"):
            machine.wait(0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


def test_the_machine_ends_whatever_happens_around_it(tmp_path: Path, qemu_that):
    qemu_that("exec sleep 600")
    machine = Vm(KERNEL, ["true"], tmp_path / "out", disks=[Disk("d", MIB)])
    pids = []

    def fail() -> None:
        pids.append(machine.pid)
        raise KeyError

    with pytest.raises(KeyError), machine:
        machine.wait(10, fail)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0] or 0, 0)
    assert not list((tmp_path / "cache/vm").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_machine_does_not_outlive_its_process(tmp_path: Path, qemu_that, number: int):
    qemu_that("echo $$ > $share/pid.new; mv $share/pid.new $share/pid; exec sleep 600")
    script = (
        "import sys; from pathlib import Path; from memqos.lab import initramfs, qemu\n"
        "from memqos.lab.kernels import Kernel; from memqos.lab.vm import Vm\n"
        "initramfs.build = lambda *_: b''; qemu.program = lambda: sys.argv[1]\n"
        "kernel = Kernel('6.12', 'r', 'p', 'v', 's', 'vmlinux', (), Path('/k'))\n"
        "with Vm(kernel, ['true'], Path(sys.argv[2])) as machine: machine.wait(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(vm.__file__).parents[2])}
    argv = [sys.executable, "-c", script, qemu.program(), str(tmp_path / "out")]
    owner = subprocess.Popen(argv, env=environment)
    try:
        wait_for(lambda: (tmp_path / "out/pid").exists())
        pid = int((tmp_path / "out/pid").read_text())
        owner.send_signal(number)
        owner.wait(10)
        wait_for(lambda: not running(pid))
    finally:
        owner.kill()
    leftovers = list((tmp_path / "cache/vm").iterdir())
    assert not leftovers or number == signal.SIGKILL
    vm._sweep(tmp_path / "cache/vm")
    assert not list((tmp_path / "cache/vm").iterdir())


def wait_for(reached) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_lost_machine_is_tried_once_more(tmp_path: Path, qemu_that, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "accelerator", lambda _: "kvm")
    monkeypatch.setattr(run.compileall, "compile_dir", lambda *_, **__: True)
    qemu_that("[ -e $share/console-lost.log ] || exit 1; echo hello > $share/stdout; echo 0 > $share/status")
    result = run_in_guest(["true"], kernel=KERNEL, out_dir=tmp_path / "out")
    assert (result.status, result.attempts, result.stdout) == (0, 2, "hello\n")
    assert result.accel == "tcg"


def test_a_machine_lost_twice_is_lost(tmp_path: Path, qemu_that, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "accelerator", lambda _: "tcg")
    monkeypatch.setattr(run.compileall, "compile_dir", lambda *_, **__: True)
    qemu_that("exit 1")
    with pytest.raises(VmLost):
        run_in_guest(["true"], kernel=KERNEL, out_dir=tmp_path / "out")


def test_what_the_guest_prints_is_passed_on_line_by_line(tmp_path: Path, qemu_that, monkeypatch):
    monkeypatch.setattr(run, "accelerator", lambda _: "tcg")
    monkeypatch.setattr(run.compileall, "compile_dir", lambda *_, **__: True)
    say = "printf '{}' >> $share/stdout; sleep 0.3; "
    qemu_that(say.format("one\\ntw") + say.format("o\\nhalf") + "echo 0 > $share/status")
    lines: list[str] = []
    run_in_guest(["true"], kernel=KERNEL, out_dir=tmp_path / "out", watch=lines.append)
    assert lines == ["one", "two"]


def test_a_swap_disk_is_added_and_used():
    disks, setup = Machine(
        swap_mib=64, disks=(Disk("data", MIB, rotational=True),), setup=Setup(data="data")
    ).fitted()
    assert [(disk.serial, disk.size) for disk in disks] == [("data", MIB), ("swap", 64 * MIB)]
    assert setup.swaps == ("swap",)
    assert setup.rotational == {"data": True, "swap": False}


def test_kvm_is_taken_only_where_a_guest_came_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEMQOS_CACHE", str(tmp_path))
    monkeypatch.delenv("MEMQOS_LAB_ACCEL", raising=False)
    monkeypatch.setattr(accel.os, "access", lambda *_: True)
    proofs = [True]
    monkeypatch.setattr(accel, "_proved", lambda _: proofs.pop())
    assert accel.accelerator(KERNEL) == "kvm"
    assert accel.accelerator(KERNEL) == "kvm"  # the verdict is kept; a second proof would raise
    monkeypatch.setattr(accel.os, "access", lambda *_: False)
    assert accel.accelerator(KERNEL) == "tcg"
