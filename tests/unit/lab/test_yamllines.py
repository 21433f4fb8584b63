from pathlib import Path

import pytest
from msgspec import Struct

from memqos.errors import ExperimentError
from memqos.lab.yamllines import convert, load, placed


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
    with pytest.raises(ExperimentError, match=r"1\.5 is a number, not a whole number") as caught:
        convert(data, kind, "e.yaml", lines, "$")
    assert (caught.value.source, caught.value.field) == ("e.yaml:3", "disks.data.iops")


def test_a_field_that_is_missing_is_named() -> None:
    class Thing(Struct, forbid_unknown_fields=True):
        size: int

    data, lines = load("things:\n- {size: 1}\n- {}\n", source="e.yaml")
    with pytest.raises(ExperimentError, match="is missing; give it a value") as caught:
        convert(data, dict[str, list[Thing]], "e.yaml", lines, "$")
    assert (caught.value.source, caught.value.field) == ("e.yaml:3", "things[1].size")


def test_an_error_of_a_file_is_given_the_line_of_its_field(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("phases:\n- sleep: {seconds: 1}\n- tuch: {}\n")
    error = placed(ExperimentError("is not known", source=str(tmp_path / "w.yaml"), field="phases[1].tuch"))
    assert error.source == f"{tmp_path / 'w.yaml'}:3"
    assert placed(ExperimentError("is gone", source=str(tmp_path / "no.yaml"), field="a")).source.endswith(
        "no.yaml"
    )


def test_aliases_that_multiply_are_an_error_that_comes_soon() -> None:
    lines = ["x0: &x0 [a, a, a, a, a, a, a, a, a]"]
    lines += [f"x{level}: &x{level} [{', '.join([f'*x{level - 1}'] * 9)}]" for level in range(1, 12)]
    with pytest.raises(
        ExperimentError, match=r"^laughs.yaml:\d+: stands for more than 200000 values; use fewer"
    ):
        load("\n".join(lines), source="laughs.yaml")
