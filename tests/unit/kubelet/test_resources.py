from hypothesis import given
from hypothesis import strategies as st

from memqos.kubelet.resources import (
    aggregate_requests,
    container_memory_limit,
    eviction_memory_request,
    limits_declared,
    pod_limits,
    pod_memory_limit,
    pod_memory_request,
)
from memqos.model.pods import Container, Pod, Resources
from memqos.units import MIB, ZERO, Quantity, parse_quantity


def test_an_init_container_counts_only_while_it_needs_more_than_the_rest(pod, container):
    of_pod = pod(container("a", "40Mi"), init_containers=(container("i", "100Mi"), container("j", "90Mi")))
    assert pod_memory_request(of_pod) == 100 * MIB


def test_a_sidecar_counts_for_good_and_for_the_init_containers_after_it(pod, container):
    side = container("s", "30Mi", restart_policy="Always")
    before = pod(container("a", "40Mi"), init_containers=(side, container("i", "50Mi")))
    after = pod(container("a", "40Mi"), init_containers=(container("i", "50Mi"), side))
    assert pod_memory_request(before) == 80 * MIB
    assert pod_memory_request(after) == 70 * MIB


def test_two_alike_containers_both_count_though_one_is_an_init_container(pod, container):
    same = container("a", "40Mi")
    assert pod_memory_request(pod(same, init_containers=(same,))) == 40 * MIB


def test_overhead_comes_on_top_of_requests_always_and_of_limits_only_if_there_are_any(pod, container):
    assert pod_memory_request(pod(container(), overhead="8Mi")) == 8 * MIB
    assert pod_memory_limit(pod(container(), overhead="8Mi")) == 0
    assert pod_memory_limit(pod(container("a", None, "16Mi"), overhead="8Mi")) == 24 * MIB


def test_pod_level_resources_replace_what_they_name(pod, container):
    of_pod = pod(container("a", "40Mi", "60Mi", cpu="1"), pod_level=({"memory": "100Mi"}, {"memory": "1Gi"}))
    assert pod_memory_request(of_pod) == 100 * MIB
    assert pod_memory_limit(of_pod) == 1024 * MIB
    assert pod_memory_request(of_pod, pod_level=False) == 40 * MIB


def test_a_resource_no_pod_level_may_name_is_not_taken_from_there(pod, container):
    of_pod = pod(container("a"), pod_level=({}, {"swap": "1Gi", "hugepages-2Mi": "2Mi"}))
    assert set(pod_limits(of_pod)) == {"hugepages-2Mi"}


def test_one_container_without_a_limit_leaves_the_pod_unbounded(pod, container):
    limited, free = container("a", None, "16Mi"), container("b")
    assert limits_declared(pod(limited), "memory")
    assert not limits_declared(pod(limited, free), "memory")
    assert not limits_declared(pod(limited, init_containers=(free,)), "memory")


def test_a_limit_on_the_pod_bounds_it_whatever_its_containers_say(pod, container):
    of_pod = pod(container("a"), pod_level=({}, {"memory": "1Gi"}))
    assert limits_declared(of_pod, "memory")
    assert not limits_declared(of_pod, "memory", pod_level=False)


def test_a_limit_of_a_sidecar_covers_an_unlimited_init_container_after_it(pod, container):
    # as the kubelet sees it: what is checked is the sum, which is not zero
    side, plain = container("s", None, "8Mi", restart_policy="Always"), container("i")
    limited = container("a", None, "16Mi")
    assert limits_declared(pod(limited, init_containers=(side, plain)), "memory")
    assert not limits_declared(pod(limited, init_containers=(plain, side)), "memory")


def test_a_container_without_a_limit_has_the_pods(pod, container):
    own, none = container("a", None, "16Mi"), container("b")
    of_pod = pod(own, none, pod_level=({}, {"memory": "1Gi"}))
    assert container_memory_limit(of_pod, own) == 16 * MIB
    assert container_memory_limit(of_pod, none) == 1024 * MIB
    assert container_memory_limit(of_pod, none, pod_level=False) == 0


def test_for_eviction_any_pod_level_resource_hides_the_containers_requests(pod, container):
    of_pod = pod(container("a", "40Mi"), pod_level=({"cpu": "1"}, {}), overhead="8Mi")
    assert eviction_memory_request(of_pod) == ZERO
    assert eviction_memory_request(of_pod, pod_level=False).value == 48 * MIB


def test_for_eviction_overhead_alone_is_no_request(pod, container):
    assert eviction_memory_request(pod(container("a"), overhead="8Mi")) == ZERO
    assert eviction_memory_request(pod(container("a", "1Mi"), overhead="8Mi")).value == 9 * MIB


def test_amounts_are_summed_exactly_before_they_are_rounded_up(pod, container):
    # memory: 100m, a tenth of a byte, appears in upstream's own tests
    assert pod_memory_request(pod(container("a", "100m"), container("b", "100m"))) == 1


containers = st.builds(
    lambda name, size, policy: Container(name, Resources({"memory": size}), restart_policy=policy),
    st.sampled_from("abc"),
    st.integers(0, 100).map(str).map(parse_quantity),
    st.sampled_from([None, "Always"]),
)


@given(apps=st.lists(containers, min_size=1, max_size=4), init=st.lists(containers, max_size=5))
def test_the_request_covers_every_moment_of_the_pods_life(apps, init):
    of_pod = Pod("default", "p", "p", tuple(apps), tuple(init))
    amount = aggregate_requests(of_pod)["memory"]
    sidecars = ZERO
    moments = []
    for each in init:
        moments.append(sidecars + each.resources.requests["memory"])
        if each.is_sidecar:
            sidecars = moments[-1]
    running: Quantity = sidecars
    for each in apps:
        running = running + each.resources.requests["memory"]
    assert amount == max([running, *moments])
