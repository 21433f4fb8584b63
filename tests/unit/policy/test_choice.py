from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.model.pods import Container, Pod, Resources
from memqos.policy.choice import Choice, read_choice
from memqos.units import MIB, UNLIMITED, Quantity

KEY = "memqos.dev/swap-limit"


def swap(size: int) -> Resources:
    return Resources(limits={"swap": Quantity(Fraction(size))})


def pod(annotations: Mapping[str, str] | None = None, **spec: Resources) -> Pod:
    """Two containers, `app` and `log`; `spec` gives the resources of `app`, `log` or the `pod`."""
    containers = tuple(Container(name, spec.get(name, Resources())) for name in ("app", "log"))
    return Pod("ns", "p", "u", containers, annotations=annotations or {}, resources=spec.get("pod"))


def limits(choice: Choice) -> dict[str, object]:
    return {name: chosen.limit for name, chosen in choice.containers.items()}


def test_a_silent_pod_chose_nothing() -> None:
    choice, bad = read_choice(pod({"memqos.example/swap-limit": "1Gi"}))
    assert choice.is_empty
    assert bad == ()


def test_the_pods_annotation_speaks_for_all_its_containers() -> None:
    choice, _ = read_choice(pod({KEY: "64Mi"}))
    assert choice.pod is not None
    assert choice.pod.limit == 64 * MIB
    assert limits(choice) == {"app": 64 * MIB, "log": 64 * MIB}


def test_a_containers_annotation_goes_before_the_pods_which_still_bounds_both() -> None:
    choice, _ = read_choice(pod({KEY: "64Mi", f"{KEY}.app": "0"}))
    assert choice.pod is not None
    assert choice.pod.limit == 64 * MIB
    assert limits(choice) == {"app": 0, "log": 64 * MIB}


def test_the_pods_annotation_goes_before_the_spec() -> None:
    choice, _ = read_choice(pod({KEY: "limited"}, app=swap(5 * MIB), pod=swap(9 * MIB)))
    assert choice.pod is not None
    assert choice.pod.limit == "limited"
    assert limits(choice) == {"app": "limited", "log": "limited"}


def test_a_containers_limit_goes_before_the_pods_limit() -> None:
    choice, _ = read_choice(pod(app=swap(5 * MIB), pod=swap(9 * MIB)))
    assert choice.pod is not None
    assert choice.pod.limit == 9 * MIB
    assert limits(choice) == {"app": 5 * MIB, "log": 9 * MIB}


def test_a_containers_annotation_is_not_bounded_by_the_spec_of_the_pod() -> None:
    choice, _ = read_choice(pod({f"{KEY}.app": "max"}, pod=swap(9 * MIB)))
    assert choice.pod is None
    assert limits(choice) == {"app": UNLIMITED, "log": 9 * MIB}


def test_a_container_nobody_speaks_for_is_left_out() -> None:
    choice, _ = read_choice(pod({f"{KEY}.app": "max"}))
    assert limits(choice) == {"app": UNLIMITED}


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        (KEY, "1e30Gi", "'1e30Gi' is no size"),
        (KEY, "-1", "'-1' is negative"),
        (KEY, "limited ", "'limited ' is no size"),
        (KEY, "Max", "'Max' is no size"),
        (KEY, "٥", "'٥' is no size"),
        (KEY, "", "'' is no size"),
        (KEY, "9" * 500, None),
        (KEY, "x" * 500, "x..."),
        (f"{KEY}.web", "1Gi", "no container 'web'"),
        (f"{KEY}.", "1Gi", "no container ''"),
        ("memqos.dev/swap-limits", "1Gi", "no such annotation"),
        ("memqos.dev/swap", "1Gi", "no such annotation"),
    ],
)
def test_a_bad_annotation_is_named_with_a_remedy_and_nothing_counts(
    key: str, text: str, problem: str | None
) -> None:
    choice, bad = read_choice(pod({key: text, f"{KEY}.app": "1Gi"}))
    if problem is None:
        assert bad == ()
        return
    assert choice.is_empty
    (word,) = bad
    assert key[:60] in word.source
    assert problem in word.problem
    assert word.remedy


def test_a_word_about_an_ephemeral_container_is_told_and_the_rest_of_the_choice_counts() -> None:
    debugged = replace(pod({KEY: "64Mi", f"{KEY}.debug": "0"}), ephemeral_containers=("debug",))
    choice, (word,) = read_choice(debugged)
    assert limits(choice) == {"app": 64 * MIB, "log": 64 * MIB}
    assert "'debug' is an ephemeral container" in word.problem


def test_beside_a_bad_word_one_about_an_ephemeral_container_saves_nothing() -> None:
    said = {KEY: "64Mi", f"{KEY}.debug": "0", f"{KEY}.web": "0"}
    choice, bad = read_choice(replace(pod(said), ephemeral_containers=("debug",)))
    assert choice.is_empty
    assert [word.voids for word in bad] == [False, True]


def test_a_negative_limit_in_the_spec_is_bad() -> None:
    choice, bad = read_choice(pod(log=swap(-1)))
    assert choice.is_empty
    assert bad[0].source == "limits.swap of container log"


@given(st.dictionaries(st.sampled_from([KEY, f"{KEY}.app", f"{KEY}.x", "memqos.dev/swapx"]), st.text()))
def test_any_text_is_a_size_or_bad(annotations: dict[str, str]) -> None:
    choice, bad = read_choice(pod(annotations))
    assert not (bad and not choice.is_empty)
    for chosen in choice.containers.values():
        assert chosen.limit == "limited" or 0 <= chosen.limit <= UNLIMITED
