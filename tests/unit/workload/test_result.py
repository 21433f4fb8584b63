from memqos.workload.histogram import Histogram
from memqos.workload.result import RequestStats, Result, parse_results


def test_a_result_is_one_line_that_reads_back() -> None:
    latencies = Histogram()
    for each in (10, 20, 5000):
        latencies.add(each)
    stats = RequestStats.of(latencies, late=1, unserved=0, service_max_us=4000, gap_max_us=9000)
    result = Result(
        number=3, place="phases[3]", kind="requests", start_us=5, end_us=9, pages=48, requests=stats
    )
    assert (stats.completed, stats.p50_us, stats.p99_us, stats.max_us) == (3, 20, 5000, 5000)
    assert result.line().count(b"\n") == 1
    assert parse_results(result.line() * 2) == [result, result]


def test_a_last_line_that_was_cut_off_is_left_out() -> None:
    result = Result(number=0, place="phases[0]", kind="hold", start_us=1, end_us=2)
    assert parse_results(result.line() + result.line()[:-9]) == [result]
    assert parse_results(b"") == []
