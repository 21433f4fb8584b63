import pytest

from memqos.errors import ExperimentError
from memqos.lab.yamllines import convert, load


@pytest.mark.parametrize("text", ["- " * 50_000, "[" * 50_000])
def test_deep_nesting_is_one_error(text: str) -> None:
    with pytest.raises(ExperimentError, match="nested too deeply"):
        load(text, source="e.yaml")


@pytest.mark.parametrize("text", ["\x00", "a: !!python/object:os.system x", "a: 2001-99-99", "a: [1"])
def test_what_is_not_plain_yaml_is_an_error_of_one_line(text: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        load(text, source="e.yaml")
    assert str(caught.value).startswith("e.yaml")
    assert "\n" not in str(caught.value)


def test_the_value_of_a_mapping_is_named_by_its_key() -> None:
    data, lines = load("disks:\n  data:\n    iops: 1.5\n", source="e.yaml")
    kind = dict[str, dict[str, dict[str, int]]]
    with pytest.raises(ExperimentError, match=r"Expected `int`, got `float`") as caught:
        convert(data, kind, "e.yaml", lines, "$")
    assert (caught.value.source, caught.value.field) == ("e.yaml:3", "disks.data.iops")
