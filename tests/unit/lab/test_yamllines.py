import pytest

from memqos.errors import ExperimentError
from memqos.lab.yamllines import load


@pytest.mark.parametrize("text", ["- " * 50_000, "[" * 50_000])
def test_deep_nesting_is_one_error(text: str) -> None:
    with pytest.raises(ExperimentError, match="nested too deeply"):
        load(text, source="e.yaml")
