from hypothesis import given
from hypothesis import strategies as st

from memqos.policy.share import Claim, divide

CLAIMS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 80), st.integers(0, 2)), max_size=7).map(
    lambda rows: [Claim(str(i), wish, used, rank) for i, (wish, used, rank) in enumerate(rows)]
)


def test_a_budget_that_suffices_grants_every_wish() -> None:
    assert divide(10, [Claim("a", 4), Claim("b", 6)]) == {"a": 4, "b": 6}


def test_equals_get_the_same_level_and_modest_wishes_in_full() -> None:
    assert divide(12, [Claim("a", 2), Claim("b", 100), Claim("c", 7)]) == {"a": 2, "b": 5, "c": 5}


def test_the_higher_priority_is_served_first() -> None:
    assert divide(10, [Claim("low", 8, priority=0), Claim("high", 8, priority=5)]) == {"high": 8, "low": 2}


def test_what_is_in_use_is_not_granted_to_a_higher_priority() -> None:
    claims = [Claim("low", 8, used=6, priority=0), Claim("high", 8, priority=5)]
    assert divide(10, claims) == {"low": 6, "high": 4}


def test_what_is_in_use_beyond_the_wish_is_not_granted() -> None:
    assert divide(10, [Claim("a", 0, used=9)]) == {"a": 0}


def test_a_budget_below_what_is_in_use_is_still_kept() -> None:
    assert divide(4, [Claim("a", 9, used=9), Claim("b", 9, used=9)]) == {"a": 2, "b": 2}


def test_there_is_nothing_to_divide_in_a_negative_budget() -> None:
    assert divide(-3, [Claim("a", 9)]) == {"a": 0}


@given(st.integers(0, 200), CLAIMS)
def test_no_grant_exceeds_its_wish_and_all_keep_the_budget(budget: int, claims: list[Claim]) -> None:
    grants = divide(budget, claims)
    assert all(0 <= grants[claim.key] <= claim.wish for claim in claims)
    assert sum(grants.values()) <= budget


@given(st.integers(0, 200), CLAIMS, st.randoms(use_true_random=False))
def test_the_order_of_claims_does_not_matter(budget: int, claims: list[Claim], random: object) -> None:
    shuffled = list(claims)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert divide(budget, shuffled) == divide(budget, claims)


@given(st.integers(0, 200), CLAIMS)
def test_little_is_left_over_while_a_wish_is_open(budget: int, claims: list[Claim]) -> None:
    grants = divide(budget, claims)
    if any(grants[claim.key] < claim.wish for claim in claims):
        assert budget - sum(grants.values()) < len(claims)
