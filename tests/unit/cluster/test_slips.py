"""A misspelt field is an error where nobody else would say so."""

from typing import Any

import pytest

from memqos.cluster.kubelet_pods import pod_from_status
from memqos.cluster.pod import pod_from_dict
from memqos.errors import ManifestError


def pod(
    metadata: Any = None, spec: Any = None, container: Any = None, resources: Any = None
) -> dict[str, Any]:
    main = {"name": "main", "resources": resources or {}, **(container or {})}
    return {"metadata": {"name": "p", **(metadata or {})}, "spec": {"containers": [main], **(spec or {})}}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (pod(metadata={"annotation": {"memqos.dev/swap-limit": "1Mi"}}), "metadata.annotation: is no field"),
        (
            pod(spec={"priorityClass": "high"}),
            "spec.priorityClass: is no field of a Pod; did you mean priority",
        ),
        (
            pod(container={"resource": {}}),
            "spec.containers[0].resource: is no field of a Pod; did you mean reso",
        ),
        (
            pod(resources={"limit": {}}),
            "containers[0].resources.limit: is no field of a Pod; did you mean limits?",
        ),
        (
            pod(resources={"limits": {"memroy": "1Mi"}}),
            "resources.limits.memroy: is no resource of Kubernetes'; did you mean memory?",
        ),
        (
            pod(resources={"requests": {"ram": "1Mi"}}),
            "requests.ram: is no resource of Kubernetes'; name one of",
        ),
        (
            pod(spec={"resources": {"limits": {"Memory": "1Mi"}}}),
            "spec.resources.limits.Memory: is no resource",
        ),
    ],
)
def test_a_near_miss_of_what_is_read_names_what_was_meant(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        pod_from_dict(document, source="p.yaml")
    assert said in str(caught.value)
    # a kubelet's list went through an API server, and may know fields that we do not
    assert pod_from_status({**document, "status": {}}).name == "p"


@pytest.mark.parametrize(
    "document",
    [
        pod(
            resources={"limits": {"hugepages-2Mi": "4Mi", "example.com/gpu": "1", "ephemeral-storage": "1Gi"}}
        ),
        pod(container={"restartPolicyRules": [], "resizePolicy": [], "envFrom": [], "volumeMounts": []}),
        pod(spec={"preemptionPolicy": "Never", "resourceClaims": [], "ephemeralContainers": []}),
        pod(
            metadata={"generateName": "p-", "ownerReferences": []}, spec={"nodeSelector": {}, "tomorrows": 1}
        ),
    ],
)
def test_what_is_kubernetes_business_is_passed_over(document: dict[str, Any]) -> None:
    assert pod_from_dict(document).name == "p"
