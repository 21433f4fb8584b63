"""Every experiment of the field study holds on every kernel, or says which sentence does not.

Those that compare managers are goals, with their misses in docs/experiments.md; they take hours.
The other ones (k1, k2, ...) are there for `make record`, which plays them in real kernels.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from memqos.lab.campaign import run
from memqos.lab.catalogue import list_experiments
from memqos.lab.experiment import Experiment
from memqos.lab.kernels import SUITES, Kernel

FIELD_STUDY = [
    each
    for each in list_experiments()
    if each.name.startswith("e") and not any(variant.manager for variant in each.variants)
]

pytestmark = [pytest.mark.kernel, pytest.mark.flaky(reruns=1)]  # a busy host, as in test_in_vm


@pytest.mark.parametrize("kernel", SUITES)
@pytest.mark.parametrize("experiment", FIELD_STUDY, ids=lambda experiment: experiment.name)
def test_what_the_field_study_says_holds(
    experiment: Experiment, kernel: str, tmp_path: Path, real_kernel: Callable[[str], Kernel]
):
    real_kernel(kernel)
    (result,) = run([experiment], [kernel], tmp_path)
    assert not result.problem
    assert not [f"{each.study} {each.measured}" for each in result.checks if each.holds is not True]
