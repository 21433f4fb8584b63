from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.errors import QuantityError
from memqos.units import INT64_MAX, UNLIMITED, format_bytes, page_floor, parse_bytes, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("128Mi", 128 << 20),
        ("1.5Gi", 3 << 29),
        ("1G", 10**9),
        ("12e6", 12_000_000),
        ("12E6", 12_000_000),
        ("1E", 10**18),
        (".5Ki", 512),
        ("5.", 5),
        ("100m", 1),
        ("1n", 1),
        (1048576, 1048576),
        ("8Ei", INT64_MAX),
        ("1e30", INT64_MAX),
        ("1e999999999", INT64_MAX),
        ("-1e999999999", -INT64_MAX),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: str, value: int) -> None:
    assert parse_quantity(text).value == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1Gi",
        "1Gi ",
        "1e3Gi",
        "1e30Gi",
        "Gi",
        "1ki",
        "1KB",
        "٣",
        "1_000",
        "0x10",
        "nan",
        "1 Gi",
        "--1",
        True,
        None,
    ],
)
def test_what_is_no_quantity_is_refused_with_a_remedy(text: object) -> None:
    with pytest.raises(QuantityError, match="not a quantity; write a number"):
        parse_quantity(text)  # type: ignore[arg-type]


def test_amounts_finer_than_nano_are_rounded_up() -> None:
    assert parse_quantity("0.0000000001").amount == Fraction(1, 10**9)


def test_millicores_round_up() -> None:
    assert parse_quantity("1500u").milli_value == 2


def test_what_is_less_than_nothing_is_rounded_away_from_it_too() -> None:
    assert [parse_quantity(text).value for text in ("-1.5", "-100m", "-2")] == [-2, -1, -2]
    assert parse_quantity("-1500u").milli_value == -2


def test_a_size_is_never_negative() -> None:
    with pytest.raises(QuantityError, match="negative"):
        parse_bytes("-1")


def test_equal_amounts_in_other_units_are_equal() -> None:
    assert parse_quantity("1Gi") == parse_quantity("1024Mi") == parse_quantity("1073741824")


@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_a_quantity_error(text: str) -> None:
    try:
        quantity = parse_quantity(text)
    except QuantityError:
        return
    assert abs(quantity.amount) <= INT64_MAX


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1536, "1.5 KiB"),
        (64 << 20, "64 MiB"),
        (100 << 30, "100 GiB"),
        (2 << 50, "2 PiB"),
        (1 << 60, "1 EiB"),
        (UNLIMITED, "max"),
        (2**63 - 1, "max"),
    ],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_limits_are_whole_pages() -> None:
    assert page_floor(8191) == 4096
    assert page_floor(UNLIMITED) == UNLIMITED


@pytest.mark.parametrize(
    "text", ["9" * 5000, 10**5000, "0." + "0" * 5000 + "1"], ids=["digits", "an int", "a fraction"]
)
def test_a_number_without_end_is_refused_as_a_quantity(text: str | int) -> None:
    with pytest.raises(QuantityError, match="too long"):
        parse_quantity(text)
