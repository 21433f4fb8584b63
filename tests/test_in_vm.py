"""Boots each kernel once and reports every test that ran inside as a test here.

A test that fails in the guest gets a second try: a host that is busy gives an emulated guest no
processor for seconds at a time. One that needed it is reported as skipped, beside what came of it.
"""

import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from memqos.lab.kernels import SUITES, Kernel
from memqos.lab.qemu import Disk
from memqos.lab.run import GuestResult, Machine, run_in_guest
from memqos.lab.spec import Setup
from memqos.units import MIB

ROOT = Path(__file__).resolve().parents[1]
DISKS = (Disk("data", 256 * MIB), Disk("slow", 128 * MIB, bps=8 * MIB))
MACHINE = Machine(memory_mib=1024, swap_mib=256, disks=DISKS, setup=Setup(data="data"))

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", params=SUITES)
def ran(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    real_kernel: Callable[[str], Kernel],
) -> GuestResult:
    """What came of pytest inside one kernel's guest."""
    kernel = real_kernel(request.param)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--junit-xml=/run/memqos-share/out/junit.xml",
        "--reruns=1",
        "-rR",
    ]
    argv += [f"tests/{part}" for part in ("kernel", "contract") if (ROOT / "tests" / part).exists()]
    return run_in_guest(
        argv,
        kernel=kernel,
        out_dir=tmp_path_factory.mktemp(f"kernel-{request.param}"),
        machine=MACHINE,
        timeout=1800,  # three to six minutes on an idle machine; a busy one is no failure
        cwd=ROOT,
        environment={
            "MEMQOS_CONTRACT_ROOT": "/sys/fs/cgroup",
            "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
        },
    )


def test_every_test_passes_on_this_kernel(ran: GuestResult, subtests: pytest.Subtests):
    assert "junit.xml" in ran.files, f"pytest did not report from inside the guest:\n{ran.stdout}"
    cases = ET.parse(ran.files["junit.xml"]).getroot().findall(".//testcase")
    for case in cases:
        with subtests.test(f"{ran.kernel.release} {case.get('classname')}::{case.get('name')}"):
            if (skipped := case.find("skipped")) is not None:
                pytest.skip(skipped.get("message") or "skipped in the guest")
            broken = [*case.findall("failure"), *case.findall("error")]
            assert not broken, broken[0].text
    for line in ran.stdout.splitlines():
        if line.startswith("RERUN "):
            with subtests.test(line):
                pytest.skip(f"{ran.kernel.release}: failed once and was tried again")
    assert ran.status == 0, ran.stdout
    assert cases, "no test ran in the guest"


def test_a_guest_runs_the_kernel_it_was_asked_for(ran: GuestResult):
    assert f"kernel {ran.kernel.release}" in (ran.files["release.txt"]).read_text()


def test_what_a_guest_writes_to_its_root_stays_there(ran: GuestResult):
    assert not Path("/etc/memqos-guest-was-here").exists(), ran.kernel
