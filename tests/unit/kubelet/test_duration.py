import pytest

from memqos.errors import InputError
from memqos.kubelet.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("-0", 0),
        ("3000ns", 3),
        ("5m0s", 300_000_000),
        ("1h30m", 5_400_000_000),
        ("1.5h", 5_400_000_000),
        (".5s", 500_000),
        ("1.s", 1_000_000),
        ("300ms", 300_000),
        ("7us", 7),
        ("7µs", 7),
        ("+2s", 2_000_000),
        ("24h0m0s", 86_400_000_000),
    ],
)
def test_a_go_duration_is_microseconds(text, microseconds):
    assert parse_duration(text) == microseconds


def test_ten_nanoseconds_are_not_nothing():
    assert parse_duration("10ns") == 1


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-1s", "1 s", "1s ", "5m0", "++1s", "1d", ".s", "١s", None, 5, True]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InputError, match=r"duration|negative"):
        parse_duration(text)
