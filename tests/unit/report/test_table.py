import pytest

from memqos.report.table import Column, Table, format_duration, table, width
from memqos.units import UNLIMITED

PODS = table(
    [Column("pod", "pod"), Column("anon", "anon", "bytes"), Column("kills", "OOM kills", "count")],
    [("default/a", 64 << 20, 0), ("default/long-name", None, 1234)],
    title="Who",
)


def test_plain_text_lines_up_and_has_no_trailing_blanks() -> None:
    assert PODS.plain() == (
        "pod                  anon  OOM kills\n"
        "default/a          64 MiB          0\n"
        "default/long-name       -      1,234"
    )


def test_json_carries_raw_values() -> None:
    assert PODS.objects()[0] == {"pod": "default/a", "anon": 64 << 20, "kills": 0}
    assert PODS.objects()[1]["anon"] is None


def test_markdown_escapes_what_would_break_the_row() -> None:
    text = table([Column("why", "why")], [("a|b\nc",)]).markdown()
    assert text == "| why |\n| --- |\n| a\\|b c |"


def test_an_empty_table_says_so() -> None:
    assert table([Column("a", "a")], [], empty="no pods here").plain() == "no pods here"


def test_a_row_of_another_length_is_a_bug() -> None:
    with pytest.raises(ValueError, match="2 cells under 1 columns"):
        Table((Column("a", "a"),), (("x", "y"),))


@pytest.mark.parametrize(
    ("kind", "cell", "text"),
    [
        ("bytes", UNLIMITED, "max"),
        ("percent", 12.345, "12.3 %"),
        ("yes_no", False, "no"),
        ("duration_us", 1500, "1.5 ms"),
        ("text", None, "-"),
    ],
)
def test_each_kind_reads_its_own_way(kind: str, cell: object, text: str) -> None:
    assert Column("k", "k", kind).text(cell) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("us", "text"), [(0, "0 µs"), (999, "999 µs"), (12_300_000, "12.3 s"), (125_000_000, "2 min 5 s")]
)
def test_durations_are_written_for_people(us: int, text: str) -> None:
    assert format_duration(us) == text


def test_wide_characters_take_two_columns() -> None:
    assert width("é漢") == 3
