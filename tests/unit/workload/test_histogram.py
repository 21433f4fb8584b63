import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.workload.histogram import Histogram, bucket_of, lower_end

LATENCIES = st.lists(st.integers(0, 2**40), min_size=1, max_size=50)


def of(latencies: list[int]) -> Histogram:
    histogram = Histogram()
    for each in latencies:
        histogram.add(each)
    return histogram


@given(st.integers(0, 2**50))
def test_a_bucket_holds_what_it_counts_and_is_narrow(us: int) -> None:
    low, end = lower_end(bucket_of(us)), lower_end(bucket_of(us) + 1)
    assert low <= us < end
    assert end - low <= max(1, low // 32)


@given(LATENCIES, st.floats(0, 100))
def test_a_percentile_is_at_most_a_32nd_above_the_exact_one(latencies: list[int], percent: float) -> None:
    exact = sorted(latencies)[max(1, math.ceil(len(latencies) * percent / 100)) - 1]
    assert exact <= of(latencies).percentile(percent) <= exact + exact // 32


@given(LATENCIES)
def test_rows_rebuild_the_histogram(latencies: list[int]) -> None:
    histogram = of(latencies)
    again = Histogram.of_rows(dict(histogram.rows()), histogram.max_us)
    assert (again.counts, again.total, again.max_us) == (histogram.counts, len(latencies), max(latencies))


@pytest.mark.parametrize("percent", [50, 99, 100])
def test_no_latencies_have_no_percentile(percent: int) -> None:
    assert Histogram().percentile(percent) == 0
