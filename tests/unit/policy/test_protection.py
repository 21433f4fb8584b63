import pytest
from hypothesis import given
from hypothesis import strategies as st

from memqos.model.snapshot import Cgroup
from memqos.policy.protection import Protection, effective_protection, share

PAGE = 4096


def tree(**sizes: tuple[int, int, int]) -> dict[str, Cgroup]:
    """Cgroups by path (`__` is a slash): usage, memory.min and memory.low in pages."""
    cgroups = {"": Cgroup(path="", inode=1)}
    for name, (usage, minimum, low) in sizes.items():
        path = name.replace("__", "/")
        cgroups[path] = Cgroup(
            path=path,
            inode=len(cgroups) + 1,
            memory_current=usage * PAGE,
            memory_min=minimum * PAGE,
            memory_low=low * PAGE,
        )
    return cgroups


def low(cgroups: dict[str, Cgroup], path: str, *, recursive: bool = True) -> int:
    return effective_protection(cgroups, recursiveprot=recursive)[path].low // PAGE


def test_a_parent_without_protection_voids_its_childrens() -> None:
    assert low(tree(kubepods=(100, 0, 0), kubepods__pod=(50, 0, 40)), "kubepods/pod") == 0


def test_a_parent_with_enough_lets_its_childrens_hold_up_to_their_usage() -> None:
    cgroups = tree(top=(100, 0, 60), top__a=(50, 0, 40), top__b=(10, 0, 20))
    assert (low(cgroups, "top/a", recursive=False), low(cgroups, "top/b", recursive=False)) == (40, 10)


def test_an_overcommitted_parent_is_divided_by_claims() -> None:
    cgroups = tree(top=(100, 0, 30), top__a=(50, 0, 40), top__b=(50, 0, 20))
    assert (low(cgroups, "top/a"), low(cgroups, "top/b")) == (20, 10)


def test_what_nobody_claims_is_shared_by_unprotected_usage_only_when_recursive() -> None:
    cgroups = tree(top=(100, 0, 60), top__a=(60, 0, 20), top__b=(40, 0, 0))
    assert (low(cgroups, "top/a"), low(cgroups, "top/b")) == (40, 20)
    assert (low(cgroups, "top/a", recursive=False), low(cgroups, "top/b", recursive=False)) == (20, 0)


def test_min_and_low_come_down_apart() -> None:
    found = effective_protection(
        tree(top=(100, 70, 0), top__a=(50, 0, 40), top__b=(50, 30, 0)), recursiveprot=False
    )
    assert found["top/a"] == Protection(0, 0)
    assert found["top/b"] == Protection(30 * PAGE, 0)


def test_a_child_of_the_root_has_what_is_written_even_beyond_its_usage() -> None:
    assert low(tree(top=(1, 0, 60)), "top") == 60
    assert low(tree(top=(0, 0, 60)), "top") == 0


@pytest.mark.parametrize(
    ("usage", "setting", "parent_usage", "parent_effective", "claimed", "expected"),
    [
        # as in tools/testing/selftests/cgroup/test_memcontrol.c, test_memcg_protection, in MiB: A/B
        # has 50; its children have 75, 25 and 0 and each uses about 50
        (50, 75, 148, 50, 75, 33),
        (50, 25, 148, 50, 75, 16),
        (48, 0, 148, 50, 75, 0),
    ],
)
def test_claims_beyond_the_parent_are_cut_in_proportion(
    usage: int, setting: int, parent_usage: int, parent_effective: int, claimed: int, expected: int
) -> None:
    assert share(usage, setting, parent_usage, parent_effective, claimed, recursive=True) == expected


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=6), st.integers(0, 300)
)
def test_children_never_hold_more_than_their_parent(children: list[tuple[int, int]], given_: int) -> None:
    usage = sum(used for used, _ in children)
    names = {f"top__c{i}": (used, 0, setting) for i, (used, setting) in enumerate(children)}
    cgroups = tree(top=(usage, 0, given_), **names)
    found = effective_protection(cgroups, recursiveprot=True)
    parts = [found[path] for path in cgroups if path.startswith("top/")]
    assert sum(part.low for part in parts) <= found["top"].low
