import pytest

from memqos.kubelet.critical import is_critical_pod, is_node_critical_pod


@pytest.mark.parametrize(
    ("fields", "critical"),
    [
        ({}, False),
        ({"priority": 1_999_999_999}, False),
        ({"priority": 2_000_000_000}, True),
        ({"annotations": {"kubernetes.io/config.source": "api"}}, False),
        ({"annotations": {"kubernetes.io/config.source": "file"}}, True),
        ({"annotations": {"kubernetes.io/config.mirror": "abc"}}, True),
        ({"priority_class_name": "system-node-critical"}, False),
    ],
)
def test_a_pod_is_critical_by_origin_or_priority_not_by_its_class_name(pod, fields, critical):
    assert is_critical_pod(pod(**fields)) is critical


def test_only_the_class_name_tells_node_critical_from_cluster_critical(pod):
    assert is_node_critical_pod(pod(priority=2_000_001_000, priority_class_name="system-node-critical"))
    assert not is_node_critical_pod(
        pod(priority=2_000_001_000, priority_class_name="system-cluster-critical")
    )
