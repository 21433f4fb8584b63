import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.errors import ExperimentError
from memqos.lab.expression import parse
from memqos.units import MIB


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("-(4 - 1) / 2", -1.5),
        ("400 * MiB", 400 * MIB),
        ("1 < 2 < 3", True),
        ("1 < 2 > 5", False),
        ("not 1 == 2 and 2 >= 2", True),
        ("near(98, 100, 0.02)", True),
        ("near(97, 100, 0.02)", False),
        ("small.reread - large.reread", 9),
        ("max(1, 2) == 2 or nonsense", True),
        ("false or true", True),
    ],
)
def test_it_computes(text: str, value: object):
    names = {"small": {"reread": 10}, "large": {"reread": 1}}
    assert parse(text).evaluate(names) == value


@pytest.mark.parametrize("text", ["1e308 * 10", "1e308 * 10 - 1e308 * 10", "9" * 400 + " / 3"])
def test_what_is_no_finite_number_is_an_error(text: str):
    with pytest.raises(ExperimentError, match=r"is no number|too large a number") as caught:
        parse(text, place="e.yaml:7").evaluate({})
    assert caught.value.source == "e.yaml:7"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')", "(1).__class__", "a.b.c", "[1, 2]", "lambda: 1", "f(*a)", "f(a=1)",
        "x := 1", "'a' if b else c", "2 ** 99", "1 << 9", "a[0]", "f''", "b'x'", "1j", "...", "1 is 1", "a;b",
        "", " ", "1 +", "x" * 501, "(" * 300, "await x",
    ],
)  # fmt: skip
def test_what_is_not_the_language_is_refused_with_its_place(text: str):
    with pytest.raises(ExperimentError) as caught:
        parse(text, place="e.yaml:7")
    assert caught.value.source == "e.yaml:7"


def test_an_unknown_name_is_an_error_and_a_missing_value_is_none():
    with pytest.raises(ExperimentError, match="foo is not known"):
        parse("foo + 1").evaluate({})
    assert parse("foo + 1 > 2").evaluate({"foo": None}) is None


def test_wrong_types_and_division_by_zero_are_errors():
    with pytest.raises(ExperimentError, match="not a number"):
        parse("'a' + 1").evaluate({})
    with pytest.raises(ExperimentError, match="divides by zero"):
        parse("1 / x").evaluate({"x": 0})
    with pytest.raises(ExperimentError, match="no function boom"):
        parse("boom(1)").evaluate({})


def test_functions_are_called_with_values():
    assert parse('io("pod", "rbytes") / 2').evaluate({}, {"io": lambda pod, key: len(pod) + len(key)}) == 4.5


def test_names_and_calls_are_told():
    expression = parse("near(small.reread, MiB, 0.1) and free > 1")
    assert expression.names == {"small", "free"}
    assert expression.calls == {"near"}


@given(st.text(max_size=80))
def test_no_text_does_more_than_fail(text: str):
    with contextlib.suppress(ExperimentError):
        parse(text).evaluate({})
