import pytest

from memqos.lab.variant import members_of


@pytest.mark.parametrize(
    ("name", "pods", "meant"),
    [
        ("web", ["web-2", "web-10", "batch"], ["web-2", "web-10"]),
        ("web", ["web", "web-1"], ["web"]),
        ("web-1", ["web-1", "web-2"], ["web-1"]),
        ("web", ["web-server", "web-1/main"], []),
    ],
)
def test_a_name_means_the_pod_that_has_it_or_the_copies_in_its_place(
    name: str, pods: list[str], meant: list[str]
) -> None:
    assert members_of(name, pods) == meant
