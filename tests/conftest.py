"""Which tests run where.

`tests/kernel` runs inside a guest only; `tests/test_in_vm.py` boots each kernel and reports what
ran there. `MEMQOS_KERNEL_TESTS=0` leaves the kernels out, `=1` makes a missing QEMU or kernel a
failure instead of a skip.

HYPOTHESIS_PROFILE says how many examples of each property are tried: 50 (quick, the default), 2,500
(fuzz: what `make fuzz` takes for files and manifests, 10,000 of each in all) or 10,000 (thorough).
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from memqos.errors import LabError
from memqos.lab import initramfs, qemu
from memqos.lab.kernels import Kernel, fetch

KERNEL = Path(__file__).parent / "kernel"
SWITCH = os.environ.get("MEMQOS_KERNEL_TESTS", "auto")


for profile, examples in (("quick", 50), ("fuzz", 2_500), ("thorough", 10_000)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs a real kernel of its own where there is none."""
    in_guest = os.environ.get("MEMQOS_IN_GUEST") == "1"
    inside = pytest.mark.skip(reason="runs only inside a guest, where tests/test_in_vm.py takes it")
    out = pytest.mark.skip(reason="MEMQOS_KERNEL_TESTS=0 leaves the real kernels out (=1 forces them)")
    for item in items:
        if item.path.is_relative_to(KERNEL) and not in_guest:
            item.add_marker(inside)
        if item.get_closest_marker("kernel") and (in_guest or SWITCH == "0"):
            item.add_marker(out)


@pytest.fixture(scope="session")
def real_kernel() -> Callable[[str], Kernel]:
    """Return a kernel by name, or skip, saying what is missing and how to force it."""

    def get(name: str) -> Kernel:
        try:
            qemu.program()
            initramfs.busybox()
            return fetch(name)
        except LabError as error:
            if SWITCH == "1":
                raise
            pytest.skip(f"kernel {name}: {error} (MEMQOS_KERNEL_TESTS=1 makes this a failure)")

    return get
