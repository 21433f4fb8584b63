"""The field study's experiments hold on every kernel, or say which sentence does not.

The other ones (k1, k2, ...) are there for `make fidelity`, which plays them in real kernels.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from memqos.lab.campaign import list_experiments, run
from memqos.lab.experiment import Experiment
from memqos.lab.kernels import SUITES, Kernel

pytestmark = pytest.mark.kernel


STUDY = [experiment for experiment in list_experiments() if experiment.name.startswith("e")]


@pytest.mark.parametrize("kernel", SUITES)
@pytest.mark.parametrize("experiment", STUDY, ids=lambda experiment: experiment.name)
def test_what_the_field_study_says_holds(
    experiment: Experiment, kernel: str, tmp_path: Path, real_kernel: Callable[[str], Kernel]
):
    real_kernel(kernel)
    (result,) = run([experiment], [kernel], tmp_path)
    assert not result.problem
    assert not [f"{each.study} {each.measured}" for each in result.checks if each.holds is not True]
