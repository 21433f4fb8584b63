from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memqos.workload.draws import MAX_PLACES, phase_key, places, scatter_step, word
from memqos.workload.spec import Order
from memqos.workload.vector import VectorPlaces

ORDERS = st.one_of(
    st.just(Order()),
    st.just(Order("uniform")),
    st.builds(lambda s, scatter: Order("zipf", exponent=s, scatter=scatter), st.floats(0, 10), st.booleans()),
    st.builds(
        lambda f, p, scatter: Order("hotCold", fraction=f, probability=p, scatter=scatter),
        st.floats(0, 1),
        st.floats(0, 1),
        st.booleans(),
    ),
)
COUNTS = st.one_of(st.integers(1, 5000), st.integers(1, MAX_PLACES))


def test_words_are_the_outputs_of_splitmix64() -> None:
    # the published test vector: seed 1234567
    assert [word(1234567, i) for i in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_the_draws_of_a_seed_stay_what_they_are() -> None:
    def first(order: Order, count: int = 1000) -> list[int]:
        return [places(order, count).at(phase_key(7, 3), i) for i in range(6)]

    assert first(Order()) == [0, 1, 2, 3, 4, 5]
    assert first(Order("uniform")) == [134, 307, 329, 9, 70, 621]
    assert first(Order("zipf", exponent=1.1)) == [11, 15, 386, 0, 2, 2]
    assert first(Order("zipf", exponent=1.1, scatter=True), 100_000) == [33923, 78998, 43231, 0, 9015, 9015]
    assert first(Order("hotCold", fraction=0.1, probability=0.9)) == [13, 30, 396, 0, 7, 62]


@given(ORDERS, COUNTS, st.integers(0, 2**64 - 1), st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_numpy_draws_what_plain_python_draws(order: Order, count: int, key: int, start: int) -> None:
    table = places(order, count)
    drawn = VectorPlaces(table).at(key, start, 20).tolist()
    assert drawn == [table.at(key, i) for i in range(start, start + 20)]
    assert all(0 <= place < count for place in drawn)


@given(ORDERS, COUNTS)
@settings(max_examples=60, deadline=None)
def test_the_classes_of_a_table_cover_every_rank_once(order: Order, count: int) -> None:
    table = places(order, count)
    if table.first:
        ends = [first + size for first, size in zip(table.first, table.size, strict=True)]
        assert list(table.first) == [0, *ends[:-1]]
        assert ends[-1] == count
        assert len(table.bounds) == len(table.first) - 1
        assert list(table.bounds) == sorted(table.bounds)


@pytest.mark.parametrize("count", [1, 2, 3, 100, 1024, 4096, 10_007])
def test_scattering_is_a_bijection(count: int) -> None:
    step = scatter_step(count)
    assert len({rank * step % count for rank in range(count)}) == count


def test_scattered_neighbours_are_far_apart() -> None:
    step = scatter_step(65536)
    distances = [min(k * step % 65536, -k * step % 65536) for k in range(1, 100)]
    assert min(distances) > 250


def drawn(order: Order, count: int, number: int) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    return VectorPlaces(places(order, count)).at(phase_key(1, 0), 0, number)


def test_zipf_ranks_come_as_often_as_their_weights() -> None:
    number, count, exponent = 400_000, 20_000, 1.2
    seen = np.bincount(drawn(Order("zipf", exponent=exponent), count, number), minlength=count)
    weights = np.arange(1, count + 1) ** -exponent
    expected = number * weights / weights.sum()
    assert np.all(np.abs(seen[:20] - expected[:20]) < 5 * np.sqrt(expected[:20]))
    for low in (100, 1000, 2000, 10_000):
        share = expected[low : low * 2].sum()
        assert abs(seen[low : low * 2].sum() - share) < 5 * np.sqrt(share)


def test_the_hot_part_gets_its_share() -> None:
    hot = (drawn(Order("hotCold", fraction=0.1, probability=0.9), 1000, 100_000) < 100).sum()
    assert abs(hot - 90_000) < 5 * np.sqrt(9000)


def test_uniform_pages_are_equally_likely() -> None:
    seen = Counter(drawn(Order("uniform"), 50, 100_000).tolist())
    assert all(abs(count - 2000) < 5 * np.sqrt(2000) for count in seen.values())


def test_phases_draw_different_numbers() -> None:
    keys = {phase_key(seed, number, lane) for seed in range(5) for number in range(5) for lane in range(2)}
    assert len(keys) == 50


@pytest.mark.parametrize("count", [0, MAX_PLACES + 1])
def test_a_region_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="places are not in"):
        places(Order("uniform"), count)
