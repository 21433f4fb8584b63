"""Which tests run where.

`tests/kernel` runs inside a guest only; `tests/test_in_vm.py` boots each kernel and reports what
ran there. `MEMQOS_KERNEL_TESTS=0` leaves the kernels out, `=1` makes a missing QEMU or kernel a
failure instead of a skip.

HYPOTHESIS_PROFILE=thorough tries 10,000 examples of each property, `make check` 50.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

KERNEL = Path(__file__).parent / "kernel"


for profile, examples in (("quick", 50), ("thorough", 10_000)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs a real kernel of its own where there is none."""
    if os.environ.get("MEMQOS_IN_GUEST") == "1":
        return
    reason = "runs only inside a guest, where tests/test_in_vm.py takes it"
    for item in items:
        if item.path.is_relative_to(KERNEL):
            item.add_marker(pytest.mark.skip(reason=reason))
